"""JSON Schema -> a check that says what AJV says: the first thing wrong, by its path.

The order in which keywords are looked at, the paths and the sentences are those of upstream's AJV (draft 2020-12, not
`allErrors`): type, then numbers, strings, enum and combinations, arrays, objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenroom.errors import GreenroomError

Check = Callable[[Any, str], Sequence[str]]
"""A value and its path (`request/body/limit`) -> what is wrong, empty when nothing is."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ANNOTATIONS = _words(
    "title description default example examples deprecated readOnly writeOnly externalDocs discriminator xml nullable "
    "$schema $id $comment $defs contentMediaType contentEncoding"
)
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: _is_number(value),  # noqa: PLW0108 - defined below
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
_FORMATS: dict[str, Callable[[Any], bool]] = {
    "int32": lambda value: not _is_number(value) or (float(value).is_integer() and -(2**31) <= value < 2**31),
    "int64": lambda value: not _is_number(value) or (float(value).is_integer() and -(2**63) <= value < 2**63),
    "byte": lambda value: (
        not isinstance(value, str) or (len(value) % 4 == 0 and bool(re.fullmatch(r"[A-Za-z0-9+/]*(=|==)?", value)))
    ),
    "uuid": lambda value: (
        not isinstance(value, str)
        or bool(re.fullmatch(r"(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", value, re.IGNORECASE))
    ),
}
_FREE_FORMATS = _words("float double binary password date date-time uri url email")


class SchemaError(GreenroomError):
    """The OpenAPI document uses something that requests cannot be checked against"""


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def resolve(document: Mapping[str, Any], node: Any) -> Any:
    """The thing a local `$ref` stands for; anything else is itself."""
    while isinstance(node, Mapping) and "$ref" in node:
        target: Any = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


class Compiler:
    """Compiles schemas of one document; each `$ref` once, so that recursive schemas end."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._known: dict[str, Check] = {}

    def compile(self, schema: Any) -> Check:
        """Raises SchemaError for a keyword or format that the check does not know."""
        if schema is True or not schema:
            return _anything
        if schema is False:
            return lambda value, path: (f"{path} boolean schema is false",)
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        groups = [
            self._numbers(schema),
            self._strings(schema),
            self._combinations(schema),
            self._arrays(schema),
            self._objects(schema),
        ]
        self._refuse_unknown(schema)
        checks = [check for group in groups for check in group]
        return _in_order(_type_check(schema), checks)

    def _reference(self, ref: str) -> Check:
        if ref not in self._known:
            self._known[ref] = _later(self._known, ref)
            self._known[ref] = self.compile(resolve(self._document, {"$ref": ref}))
        return self._known[ref]

    def _numbers(self, schema: Mapping[str, Any]) -> list[Check]:
        rules: list[Check] = []
        for keyword, (sign, holds) in _LIMITS.items():
            if keyword in schema:
                limit = schema[keyword]
                if isinstance(limit, bool):
                    raise SchemaError(f"{keyword}: {limit} is OpenAPI 3.0; write the limit as a number")
                rules.append(_number_rule(sign, holds, limit))
        if "multipleOf" in schema:
            step = schema["multipleOf"]
            rules.append(
                lambda value, path: (
                    (f"{path} must be multiple of {step}",) if _is_number(value) and math.fmod(value, step) else ()
                )
            )
        return rules + self._format(schema, numeric=True)

    def _strings(self, schema: Mapping[str, Any]) -> list[Check]:
        rules = _size_rules(schema, str, "Length", "characters")
        if "pattern" in schema:
            pattern, regex = schema["pattern"], re.compile(schema["pattern"])
            rules.append(
                lambda value, path: (
                    (f'{path} must match pattern "{pattern}"',)
                    if isinstance(value, str) and not regex.search(value)
                    else ()
                )
            )
        return rules + self._format(schema, numeric=False)

    def _format(self, schema: Mapping[str, Any], *, numeric: bool) -> list[Check]:
        name = schema.get("format")
        if name is None or name in _FREE_FORMATS or (name in ("int32", "int64")) != numeric:
            return []
        if name not in _FORMATS:
            raise SchemaError(f"unknown format {name!r}")
        holds = _FORMATS[name]
        return [lambda value, path: () if holds(value) else (f'{path} must match format "{name}"',)]

    def _combinations(self, schema: Mapping[str, Any]) -> list[Check]:
        rules: list[Check] = []
        if "const" in schema:
            constant = schema["const"]
            rules.append(lambda value, path: () if _same(value, constant) else (f"{path} must be equal to constant",))
        if "enum" in schema:
            rules.append(_enum_rule(schema["enum"]))
        if "not" in schema:
            inner = self.compile(schema["not"])
            rules.append(lambda value, path: () if inner(value, path) else (f"{path} must NOT be valid",))
        for keyword, rule in (("anyOf", _any_of), ("oneOf", _one_of), ("allOf", _all_of)):
            if keyword in schema:
                rules.append(rule([self.compile(branch) for branch in schema[keyword]]))
        return rules

    def _arrays(self, schema: Mapping[str, Any]) -> list[Check]:
        rules = _size_rules(schema, list, "Items", "items")
        if schema.get("uniqueItems"):
            rules.append(_unique_items)
        if "items" in schema:
            rules.append(_items_rule(self.compile(schema["items"])))
        return rules

    def _objects(self, schema: Mapping[str, Any]) -> list[Check]:
        rules = _size_rules(schema, dict, "Properties", "properties")
        properties = {name: self.compile(inner) for name, inner in schema.get("properties", {}).items()}
        if schema.get("required"):
            rules.append(_required_rule(schema["required"]))
        if schema.get("additionalProperties", True) not in (True, {}):
            rules.append(self._additional(schema["additionalProperties"], frozenset(properties)))
        if properties:
            rules.append(_properties_rule(properties))
        return rules

    def _additional(self, schema: Any, known: frozenset[str]) -> Check:
        inner = None if schema is False else self.compile(schema)

        def check(value: Any, path: str) -> Sequence[str]:
            for name in value if isinstance(value, dict) else ():
                if name not in known:
                    wrong = inner(value[name], _below(path, name)) if inner else (_no_more(path),)
                    if wrong:
                        return wrong
            return ()

        return check

    def _refuse_unknown(self, schema: Mapping[str, Any]) -> None:
        for keyword in schema:
            if keyword not in _KEYWORDS and keyword not in _ANNOTATIONS and not keyword.startswith("x-"):
                raise SchemaError(f"unknown schema keyword {keyword!r}")


_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "maximum": ("<=", lambda value, limit: value <= limit),
    "minimum": (">=", lambda value, limit: value >= limit),
    "exclusiveMaximum": ("<", lambda value, limit: value < limit),
    "exclusiveMinimum": (">", lambda value, limit: value > limit),
}
_KEYWORDS = _words(
    "type enum const not anyOf oneOf allOf items uniqueItems minItems maxItems properties required additionalProperties "
    "minProperties maxProperties minLength maxLength pattern format multipleOf $ref"
) | set(_LIMITS)


def _later(known: Mapping[str, Check], ref: str) -> Check:
    """Stands in for a schema that is still being compiled, because it refers to itself."""
    return lambda value, path: known[ref](value, path)  # noqa: PLW0108 - looked up when it is called


def _anything(value: Any, path: str) -> Sequence[str]:
    return ()


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def _no_more(path: str) -> str:
    return f"{path} must NOT have additional properties"


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types a schema allows, `null` included where it is nullable; empty for any."""
    named = schema.get("type", ())
    types = (named,) if isinstance(named, str) else tuple(named)
    return (*types, "null") if types and schema.get("nullable") and "null" not in types else types


def _type_check(schema: Mapping[str, Any]) -> Check:
    types = types_of(schema)
    if not types:
        return _anything
    tests, named = [_TYPES[name] for name in types], schema["type"]
    must = f"must be {named if isinstance(named, str) else ','.join(named)}"
    if len(tests) == 1:
        test = tests[0]
        return lambda value, path: () if test(value) else (f"{path} {must}",)
    return lambda value, path: () if any(test(value) for test in tests) else (f"{path} {must}",)


def _in_order(type_check: Check, checks: list[Check]) -> Check:
    if not checks:
        return type_check

    def check(value: Any, path: str) -> Sequence[str]:
        wrong = type_check(value, path)
        if wrong:
            return wrong
        for rule in checks:
            wrong = rule(value, path)
            if wrong:
                return wrong
        return ()

    return check


def _number_rule(sign: str, holds: Callable[[Any, Any], bool], limit: float) -> Check:
    return lambda value, path: (
        (f"{path} must be {sign} {limit}",) if _is_number(value) and not holds(value, limit) else ()
    )


def _size_rules(schema: Mapping[str, Any], kind: type[Any], suffix: str, noun: str) -> list[Check]:
    rules: list[Check] = []
    if (most := schema.get(f"max{suffix}")) is not None:
        rules.append(
            lambda value, path: (
                (f"{path} must NOT have more than {most} {noun}",)
                if isinstance(value, kind) and len(value) > most
                else ()
            )
        )
    if (least := schema.get(f"min{suffix}")) is not None:
        rules.append(
            lambda value, path: (
                (f"{path} must NOT have fewer than {least} {noun}",)
                if isinstance(value, kind) and len(value) < least
                else ()
            )
        )
    return rules


def _enum_rule(values: Sequence[Any]) -> Check:
    listed = ", ".join("" if value is None else str(value) for value in values)
    return lambda value, path: (
        ()
        if any(_same(value, one) for one in values)
        else (f"{path} must be equal to one of the allowed values: {listed}",)
    )


def _any_of(branches: list[Check]) -> Check:
    def check(value: Any, path: str) -> Sequence[str]:
        wrong: list[str] = []
        for branch in branches:
            found = branch(value, path)
            if not found:
                return ()
            wrong += found
        return [*wrong, f"{path} must match a schema in anyOf"]

    return check


def _one_of(branches: list[Check]) -> Check:
    def check(value: Any, path: str) -> Sequence[str]:
        wrong: list[str] = []
        passed = 0
        for branch in branches:
            found = branch(value, path)
            wrong += found
            passed += not found
        if passed == 1:
            return ()
        return [*([] if passed else wrong), f"{path} must match exactly one schema in oneOf"]

    return check


def _all_of(branches: list[Check]) -> Check:
    def check(value: Any, path: str) -> Sequence[str]:
        return next((wrong for branch in branches if (wrong := branch(value, path))), ())

    return check


def _unique_items(value: Any, path: str) -> Sequence[str]:
    if isinstance(value, list):
        for i in range(len(value) - 1, 0, -1):
            for j in range(i - 1, -1, -1):
                if _same(value[i], value[j]):
                    return (f"{path} must NOT have duplicate items (items ## {j} and {i} are identical)",)
    return ()


def _items_rule(inner: Check) -> Check:
    def check(value: Any, path: str) -> Sequence[str]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                wrong = inner(item, f"{path}/{index}")
                if wrong:
                    return wrong
        return ()

    return check


def _required_rule(names: Sequence[str]) -> Check:
    def check(value: Any, path: str) -> Sequence[str]:
        if isinstance(value, dict):
            for name in names:
                if name not in value:
                    return (f"{path} must have required property '{name}'",)
        return ()

    return check


def _properties_rule(properties: Mapping[str, Check]) -> Check:
    pairs = tuple((name, f"/{name.replace('~', '~0').replace('/', '~1')}", inner) for name, inner in properties.items())

    def check(value: Any, path: str) -> Sequence[str]:
        if isinstance(value, dict):
            for name, suffix, inner in pairs:
                if name in value:
                    wrong = inner(value[name], path + suffix)
                    if wrong:
                        return wrong
        return ()

    return check
