"""Keywords that decide between types and schemas for the same value: type, not, anyOf, oneOf, allOf, if."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from greenroom.javascript.json_text import json_text
from greenroom.javascript.numbers import as_double
from greenroom.javascript.values import is_number, joined, text_of, truthy
from greenroom_scaffolder.schemas.checking import NOTHING, Check, Found, Run, Site, schema_at
from greenroom_scaffolder.schemas.problems import (
    Path,
    Problem,
    SchemaError,
    identity,
    property_text,
    schema_or_id,
)
from greenroom_scaffolder.schemas.references import Scope


def type_(site: Site) -> Check:
    types = site.schema["type"]
    wanted = types if isinstance(types, list) else [types]
    named = [_type_name(each) for each in wanted]
    message = f"is not of a type(s) {joined(named)}"
    if all(isinstance(each, str) and each in TYPES for each in wanted):
        tests = [TYPES[each] for each in wanted]
        cost = len(tests) >> 3  # there are no more types than that

        def check(value: Any, path: Path, run: Run) -> Found:
            if value is UNSET:
                return NOTHING
            run.spend(cost)
            for fits in tests:
                if fits(value):
                    return NOTHING
            return [site.problem(value, path, run, message, "type", list(named))]

        return check

    def check_odd(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET or any(is_of_type(site, each, value, path, run) for each in wanted):
            return NOTHING
        return [site.problem(value, path, run, message, "type", [None if name is UNSET else name for name in named])]

    return check_odd


def _type_name(wanted: Any) -> Any:
    if not truthy(wanted):
        return UNSET
    name = identity(wanted)
    return text_of(wanted) if name is None else f"<{text_of(name)}>"


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: is_number(value) and math.isfinite(as_double(value)),
    "integer": lambda value: is_number(value) and math.isfinite(as_double(value)) and value % 1 == 0,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "date": lambda value: False,  # JSON has none
    "any": lambda value: True,
    "object": lambda value: isinstance(value, Mapping),
}
"""Types that are none of these are any value's."""


def is_of_type(site: Site, wanted: Any, value: Any, path: Path, run: Run) -> bool:
    """Whether the value has a type, or fits a schema that stands in a type's place."""
    if wanted is None:
        raise SchemaError('Unexpected null in "type" keyword')
    if isinstance(wanted, str) and wanted in TYPES:
        return TYPES[wanted](value)
    return not (isinstance(wanted, Mapping | list) and site.here(wanted)(value, path, run))


def not_(site: Site) -> Check:
    """Both `not` and `disallow` look at `not` first."""
    schema = site.schema
    unwanted = schema.get("not") if truthy(schema.get("not")) else schema.get("disallow")
    listed = unwanted if isinstance(unwanted, list) else [unwanted]

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET or not truthy(unwanted):
            return NOTHING
        found = []
        for each in listed:
            if is_of_type(site, each, value, path, run):
                name = schema_or_id(each)
                found.append(site.problem(value, path, run, f"is of prohibited type {text_of(name)}", "not", name))
        return found

    return check


def _subschemas(site: Site, keyword: str) -> list[Any]:
    schemas = site.schema[keyword]
    if not isinstance(schemas, list):
        raise SchemaError(f"{keyword} must be an array")
    return schemas


def _label(schema: Any, index: int, *, plain: bool = False) -> Any:
    """What a subschema is called in a message: its id (`plain`: as it is), its title, where it refers to, or its number."""
    name = identity(schema)
    if name is not None:
        return name if plain else f"<{text_of(name)}>"
    members = schema if isinstance(schema, Mapping) else {}
    if truthy(members.get("title")):
        return json_text(members["title"])
    return f"<{text_of(members['$ref'])}>" if truthy(members.get("$ref")) else f"[subschema {index}]"


def any_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        schemas = _subschemas(site, "anyOf")
        if any(not site.here(schema)(value, path, run) for schema in schemas):
            return NOTHING
        labels = [_label(schema, index) for index, schema in enumerate(schemas)]
        return [site.problem(value, path, run, f"is not any of {joined(labels)}", "anyOf", labels)]

    return check


def one_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        schemas = _subschemas(site, "oneOf")
        if sum(not site.here(schema)(value, path, run) for schema in schemas) == 1:
            return NOTHING
        labels = [_label(schema, index, plain=True) for index, schema in enumerate(schemas)]
        return [site.problem(value, path, run, f"is not exactly one from {joined(labels)}", "oneOf", labels)]

    return check


def all_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        found: list[Problem] = []
        for index, schema in enumerate(_subschemas(site, "allOf")):
            inner = site.here(schema)(value, path, run)
            if inner:
                found.append(broken(value, path, run, index, schema, inner))
                found.extend(inner)
        return found

    def broken(value: Any, path: Path, run: Run, index: int, schema: Any, inner: Found) -> Problem:
        label = _label(schema, index, plain=True)
        verdict = {
            "instance": value,
            "schema": _followed(schema, site.scope),
            "options": {},
            "path": list(path),
            "propertyPath": property_text(path, run.name),
            "errors": list(inner),
            "disableFormat": False,
        }
        argument = {"id": label, "length": len(inner), "valid": verdict}
        message = f"does not match allOf schema {text_of(label)} with {len(inner)} error[s]:"
        return site.problem(value, path, run, message, "allOf", argument)

    return check


def _followed(schema: Any, scope: Scope) -> Any:
    """The schema that a chain of references ends at."""
    while isinstance(schema, Mapping) and not truthy(schema.get("extends")):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference:
            break
        schema, scope = scope.find(reference, schema)
    return schema


def if_(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        branch = "else" if site.here(schema_at(site, "if"))(value, path, run) else "then"
        if branch not in site.schema:
            return NOTHING
        return site.inside(schema_at(site, branch))(value, path, run)

    return check
