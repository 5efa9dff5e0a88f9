"""An OpenAPI operation -> one function from a raw request to typed parameters and body, in upstream's order of checks.

The order and the sentences are those of express-openapi-validator as upstream configures it: media type, reserved
characters, arrays, unknown and empty query parameters, then the schemas of query, path and body.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from greenroom.errors import InputError
from greenroom.javascript.numbers import as_whole, read_number
from greenroom.web.queries import parse_query
from greenroom.web.validation import Check, Compiler, resolve, types_of

_RESERVED = re.compile(r"[:/?#\[\]@!$&'()*+,;=]")
_PARAMETER = re.compile(r";\s*([^=]+)=([^;]+)")
_DELIMITERS = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

LARGEST = 2**63 - 1
"""What a larger integer (or Infinity, which JavaScript takes for one) becomes."""


REMEMBERED = 128
"""Query strings of each operation that are not parsed again: frontends, and people who turn pages, ask alike."""

LONGEST_REMEMBERED = 1000


class Parameter(NamedTuple):
    """One query parameter, as far as a request can tell it from another."""

    name: str
    types: tuple[str, ...]
    is_array: bool
    delimiter: str | None
    """What separates the items of an array given once; None for an exploded one."""
    reserved: bool
    """Whether reserved characters may stand unescaped."""
    may_be_empty: bool
    check: Check


class Operation:
    """A documented operation, compiled. Raises SchemaError when it cannot be."""

    def __init__(self, document: Mapping[str, Any], item: Mapping[str, Any], operation: Mapping[str, Any]) -> None:
        compiler = Compiler(document)
        parameters = [resolve(document, one) for one in [*operation.get("parameters", ()), *item.get("parameters", ())]]
        self.operation_id: str = operation.get("operationId", "")
        self._query = {one["name"]: _parameter(document, one, compiler) for one in parameters if one["in"] == "query"}
        self._required = [one["name"] for one in parameters if one["in"] == "query" and one.get("required")]
        self._path = [_parameter(document, one, compiler) for one in parameters if one["in"] == "path"]
        self._strict = [one for one in self._query.values() if not one.reserved]
        self._free = any(
            _is_free_form(resolve(document, one.get("schema", {}))) for one in parameters if one["in"] == "query"
        )
        self._remembered = lru_cache(REMEMBERED)(self._typed)
        self._body = _Bodies(resolve(document, operation.get("requestBody")), compiler)

    def check(
        self, raw_query: str, path: dict[str, str], body: Any, content_type: str | None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """The query and the path parameters, typed. Raises InputError with upstream's message."""
        body_check = self._body.of(content_type)
        query, found = self._remembered(raw_query) if len(raw_query) <= LONGEST_REMEMBERED else self._typed(raw_query)
        wrong = [*found]
        path = dict(path)
        if not wrong:
            wrong += _coerce_path(self._path, path)
        if body_check is not None:
            wrong += body_check(body, "request/body")
        if wrong:
            raise InputError(", ".join(wrong))
        return query, path

    def _typed(self, raw_query: str) -> tuple[Mapping[str, Any], Sequence[str]]:
        """The query, and what is wrong with it. Raises InputError for what ends the check at once."""
        if self._strict and raw_query:
            self._refuse_reserved(raw_query)
        query = parse_query(raw_query)
        if not query and not self._required:
            return query, ()
        query = self._arrays(query)
        self._refuse_unknown(query)
        return query, self._coerce(query)

    def forgive(self, query: dict[str, Any], path: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters for HEAD, which upstream leaves to its handlers: what is unknown, empty or not of its type is left out.

        Raises InputError where a required one is missing, and for values that no handler takes."""
        missing = next((name for name in self._required if name not in query), None)
        if missing is not None:
            raise InputError(f"request/query must have required property '{missing}'")
        typed: dict[str, Any] = {}
        for name, value in self._arrays(query).items():
            parameter = self._query.get(name)
            if parameter is None:
                if self._free:
                    typed[name] = value
                continue
            coerced = coerce(value, parameter.types)
            if value == "" or (isinstance(coerced, str) and "string" not in parameter.types):
                continue
            if wrong := parameter.check(coerced, f"request/query/{name}"):
                raise InputError(", ".join(wrong))
            typed[name] = coerced
        path = dict(path)
        _coerce_path(self._path, path)
        return typed, path

    def _refuse_reserved(self, raw_query: str) -> None:
        for pair in raw_query.split("&"):
            name, _, value = pair.partition("=")
            for parameter in self._strict:
                if parameter.name == name:
                    parts = value.split(",") if parameter.delimiter else [value]
                    if any(_RESERVED.search(part) for part in parts):
                        raise InputError(
                            f"Parameter '{name}' must be url encoded. Its value may not contain reserved characters."
                        )

    def _arrays(self, query: dict[str, Any]) -> dict[str, Any]:
        arranged = dict(query)
        for parameter in self._query.values():
            if not parameter.is_array:
                continue
            value = arranged.get(parameter.name)
            if value is None or value == "" or isinstance(value, list):
                continue
            if parameter.delimiter is None:
                arranged[parameter.name] = [value]
            elif isinstance(value, str):
                arranged[parameter.name] = value.split(parameter.delimiter)
        return arranged

    def _refuse_unknown(self, query: dict[str, Any]) -> None:
        if self._free:
            return
        for name, value in query.items():
            parameter = self._query.get(name)
            if parameter is None:
                raise InputError(f"Unknown query parameter '{name}'")
            if value == "" and not parameter.may_be_empty:
                raise InputError(f"Empty value found for query parameter '{name}'")

    def _coerce(self, query: dict[str, Any]) -> Sequence[str]:
        for name in self._required:
            if name not in query:
                return (f"request/query must have required property '{name}'",)
        for name, parameter in self._query.items():
            if name in query:
                query[name] = coerce(query[name], parameter.types)
                wrong = parameter.check(query[name], f"request/query/{name}")
                if wrong:
                    return wrong
        return ()


def _coerce_path(parameters: list[Parameter], path: dict[str, Any]) -> Sequence[str]:
    for parameter in parameters:
        if parameter.name in path:
            path[parameter.name] = coerce(path[parameter.name], parameter.types)
            wrong = parameter.check(path[parameter.name], f"request/params/{parameter.name}")
            if wrong:
                return wrong
    return ()


def _parameter(document: Mapping[str, Any], parameter: Mapping[str, Any], compiler: Compiler) -> Parameter:
    schema = resolve(document, parameter.get("schema", {}))
    types = types_of(schema)
    explode = parameter.get("explode", parameter["in"] == "query")
    return Parameter(
        name=parameter["name"],
        types=types,
        is_array="array" in types,
        delimiter=None if explode else _DELIMITERS.get(parameter.get("style", "form"), ","),
        reserved=bool(parameter.get("allowReserved")),
        may_be_empty=bool(parameter.get("allowEmptyValue")),
        check=compiler.compile(schema),
    )


def _is_free_form(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" and bool(schema.get("additionalProperties"))


class _Bodies:
    """The body schemas of an operation by content type."""

    def __init__(self, body: Mapping[str, Any] | None, compiler: Compiler) -> None:
        content = (body or {}).get("content") or {}
        self._any = not content
        # upstream lets a missing content type pass only where the document says `required: false` in so many words
        self._optional = bool(body) and (body or {}).get("required") is False
        self._checks = {normalize(name): compiler.compile(one.get("schema")) for name, one in content.items()}
        self._seen: dict[str | None, Check | None] = {}

    def of(self, content_type: str | None) -> Check | None:
        """The check for a body of that type. Raises InputError for one that the operation does not take."""
        if self._any:
            return None
        if content_type in self._seen:
            return self._seen[content_type]
        check = self._find(content_type)
        if len(self._seen) < 64:  # content types come from clients: remember the usual ones only
            self._seen[content_type] = check
        return check

    def _find(self, content_type: str | None) -> Check | None:
        if not content_type:
            if self._optional:
                return None
            raise InputError("unsupported media type undefined")
        named = normalize(content_type)
        media = named.partition(";")[0]
        for candidate in (named, media, f"{media}; charset=utf-8", f"{media.partition('/')[0]}/*", "*/*"):
            if candidate in self._checks:
                return self._checks[candidate]
        raise InputError(f"unsupported media type {named}")


def normalize(content_type: str) -> str:
    """A media type in lower case with its parameters sorted, without the boundary, as upstream names it in errors."""
    parameters = {
        name.lower(): value.lower() if name.lower() == "charset" else value
        for name, value in _PARAMETER.findall(content_type)
    }
    parameters.pop("boundary", None)
    media = content_type.partition(";")[0].strip().lower()
    return media + "".join(f"; {name}={parameters[name]}" for name in sorted(parameters))


def coerce(value: Any, types: Sequence[str]) -> Any:
    """A parameter's text as the first of the types that it can be, as AJV's `coerceTypes`; unchanged where it cannot."""
    if not isinstance(value, str) or "string" in types:
        return value
    for name in types:
        coerced = _COERCIONS[name](value) if name in _COERCIONS else value
        if coerced is not value:
            return coerced
    return value


def _integer(text: str) -> Any:
    number = _number(text)
    if isinstance(number, float):
        if number in (float("inf"), float("-inf")):
            return LARGEST if number > 0 else -LARGEST
        if not number.is_integer():
            return text
        number = int(number)
    return max(-LARGEST, min(LARGEST, number)) if isinstance(number, int) else text


def _number(text: str) -> Any:
    """JavaScript's `+text` where it is a number, else (and of nothing) the text itself."""
    number = read_number(text) if text else math.nan
    return text if number != number else as_whole(number)


_COERCIONS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": lambda text: {"true": True, "false": False}.get(text, text),
    "null": lambda text: text or None,
}


def compile_operations(document: Mapping[str, Any]) -> dict[str, Operation]:
    """Every operation of a document by its id, compiled once. Raises SchemaError."""
    found = {}
    for item in document["paths"].values():
        for method in _METHODS:
            if method in item:
                operation = Operation(document, item, item[method])
                found[operation.operation_id] = operation
    return found
