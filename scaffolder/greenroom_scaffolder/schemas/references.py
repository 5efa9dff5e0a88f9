"""Schema -> which of its parts go by which address, and where a `$ref` leads.

Addresses are made as upstream makes them: a schema without an id has the base `/undefined`, and all else is resolved against that
by the rules of `new URL()`. What the scan does not look into (`$defs`, `if`) is found by walking the pointer.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from greenroom.javascript.values import text_of, truthy
from greenroom.urls.whatwg import InvalidUrlError, parse
from greenroom_scaffolder.schemas.problems import (
    InvalidReferenceError,
    MalformedReferenceError,
    SchemaError,
    TooMuchError,
    WrongKeywordError,
    WrongTypeError,
    identity,
)
from greenroom_scaffolder.schemas.values import keys_of, same

MOST_ADDRESSES = 20_000_000
_INVENTED = "resolve"
_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


class Scope(NamedTuple):
    """What a `$ref` is resolved against: the address of the schema it stands in, and the schemas that go by an address."""

    base: str
    schemas: ChainMap[str, Any]

    def entering(self, schema: Any) -> Scope:
        """The scope inside of a schema, which may name itself. Raises WrongTypeError where there is no schema at all."""
        if schema is None:
            raise WrongTypeError("Cannot read properties of null (reading '$id')")
        name = identity(schema)
        if name is None and self.base.startswith("/"):
            return self
        base = resolve(self.base, "" if name is None else text_of(name))
        if name is None or truthy(self.schemas.get(base)):
            return Scope(base, self.schemas)
        return Scope(base, self.schemas.new_child({base: schema}))

    def find(self, reference: str, schema: Any) -> tuple[Any, Scope]:
        """The schema that `reference` leads to, and its scope; `schema` is the one that has the reference.

        Raises SchemaError where it leads nowhere, and InvalidReferenceError where it is no address."""
        target = resolve(self.base, reference)
        if truthy(self.schemas.get(target)):
            return self.schemas[target], Scope(target, self.schemas)
        document, hash_, fragment = target.partition("#")
        if not hash_ and target.startswith("/"):
            raise InvalidReferenceError(target, "thismessage::/")
        if not fragment or not truthy(self.schemas.get(document)):
            raise SchemaError(f"no such schema <{target}>", schema)
        found, part = _walk(self.schemas[document], fragment)
        if not found:
            raise SchemaError(f"no such schema #{fragment} located in <{document}>", schema)
        return part, Scope(target, self.schemas)


def root_scope(schema: Any) -> Scope:
    """The scope of a whole schema, with all of its parts that the scan finds."""
    name = identity(schema)
    base = resolve("undefined", "" if name is None else text_of(name))
    return Scope(base, ChainMap({base: schema, **_Scan().run(base, schema)}))


@lru_cache(maxsize=1024)
def resolve(base: str, target: str) -> str:
    """`target` seen from `base`; both may be paths without a host. Raises InvalidReferenceError."""
    try:
        before = parse(base, f"{_INVENTED}://")
    except InvalidUrlError as error:
        raise InvalidReferenceError(base, f"{_INVENTED}://") from error
    try:
        found = parse(target, before)
    except InvalidUrlError as error:
        raise InvalidReferenceError(target, before.href) from error
    if found.scheme != _INVENTED:
        return found.href
    return found.pathname + found.search + (f"#{found.fragment}" if found.fragment else "")


def _walk(schema: Any, fragment: str) -> tuple[bool, Any]:
    """Whether a JSON pointer leads anywhere, and where to."""
    for step in fragment.split("/")[1:]:
        key = _decoded(step.replace("~0", "~", 1).replace("~1", "/"))
        if isinstance(schema, Mapping):
            if key not in schema:
                return False, None
            schema = schema[key]
        elif isinstance(schema, list):
            if key not in keys_of(schema):
                return False, None
            schema = schema[int(key)]
        else:
            raise WrongTypeError(f"Cannot use 'in' operator to search for '{key}' in {text_of(schema)}")
    return True, schema


def _decoded(step: str) -> str:
    try:
        if _LONE_PERCENT.search(step):
            raise MalformedReferenceError
        return unquote_to_bytes(step).decode()
    except UnicodeDecodeError as error:
        raise MalformedReferenceError from error


class _Scan:
    """Finds the parts that may have a name of their own, and gives each an address by the way to it."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.size = 0

    def run(self, base: str, schema: Any) -> dict[str, Any]:
        self.visit(base, schema)
        return self.found

    def visit(self, base: str, schema: Any) -> None:
        if not isinstance(schema, Mapping | list):
            return
        self.size += len(base)
        if self.size > MOST_ADDRESSES:
            raise TooMuchError(f"The addresses of the parts of the schema have more than {MOST_ADDRESSES} characters")
        if self.refers(base, schema):
            return
        name = identity(schema)
        if name is not None:
            base = resolve(base, text_of(name))
        elif not base.startswith("/"):
            resolve(base, "undefined")  # so does upstream, and fails where that cannot be
        base = self.named(base, schema)
        if not base or isinstance(schema, list):
            return
        for key in ("items", "extends"):
            inner = schema.get(key)
            self.visit_list(f"{base}/{key}", inner if isinstance(inner, list) else [inner])
        self.visit(f"{base}/additionalItems", schema.get("additionalItems"))
        self.visit_members(f"{base}/properties", schema.get("properties"))
        self.visit(f"{base}/additionalProperties", schema.get("additionalProperties"))
        for key in ("definitions", "patternProperties", "dependencies"):
            self.visit_members(f"{base}/{key}", schema.get(key))
        for key in ("disallow", "allOf", "anyOf", "oneOf"):
            self.visit_list(f"{base}/{key}", schema.get(key))
        self.visit(f"{base}/not", schema.get("not"))

    def refers(self, base: str, schema: Mapping[str, Any] | list[Any]) -> bool:
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not truthy(reference):
            return False
        resolve(base, text_of(reference))
        return True

    def named(self, base: str, schema: Mapping[str, Any] | list[Any]) -> str:
        """Notes the address, and gives it; gives none if the same schema was there before."""
        if "#" not in base:
            base += "#"
        if base in self.found:
            if not same(self.found[base], schema):
                raise WrongKeywordError(f"Schema <{base}> already exists with different definition")
            return ""
        self.found[base] = schema
        if base.endswith("#"):
            self.found[base[:-1]] = schema
        return base

    def visit_list(self, base: str, schemas: Any) -> None:
        if isinstance(schemas, list):
            for index, schema in enumerate(schemas):
                self.visit(f"{base}/{index}", schema)

    def visit_members(self, base: str, schemas: Any) -> None:
        for key in keys_of(schemas) if isinstance(schemas, Mapping | list) else ():
            self.visit(f"{base}/{key}", schemas[key] if isinstance(schemas, Mapping) else schemas[int(key)])
