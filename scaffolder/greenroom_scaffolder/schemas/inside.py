"""Keywords about what is inside of objects and lists: properties, items, dependencies and their kin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UNSET

from greenroom.javascript.json_text import json_text
from greenroom.javascript.values import text_of, truthy
from greenroom_scaffolder.schemas.checking import NOTHING, Check, Found, Run, Site, schema_at
from greenroom_scaffolder.schemas.patterns import matcher
from greenroom_scaffolder.schemas.problems import Path, Problem, SchemaError, property_text
from greenroom_scaffolder.schemas.values import ON_EVERY_OBJECT, fingerprint, keys_of, same, size_of


def property_names(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        schema = site.schema["propertyNames"]
        if not isinstance(schema, Mapping | list | bool):
            raise SchemaError('Expected "propertyNames" to be a schema (object or boolean)')
        fits = site.inside(schema)
        return [problem for key in keys_of(value) for problem in fits(key, path, run)]

    return check


def _members(schemas: Any) -> Iterable[tuple[str, Any]]:
    """What `for (key in schemas)` goes through, and what it finds there."""
    for key in keys_of(schemas):
        yield key, schemas[key] if isinstance(schemas, Mapping) else schemas[int(key)]


def properties(site: Site) -> Check:
    checks: list[tuple[str, Check]] | None = None

    def check(value: Any, path: Path, run: Run) -> Found:
        nonlocal checks
        if not isinstance(value, Mapping):
            return NOTHING
        if checks is None:
            checks = [(key, inner(schema)) for key, schema in _members(site.schema["properties"])]
        found: list[Problem] = []
        for key, fits in checks:
            found.extend(fits(value.get(key, UNSET), (*path, key), run))
        return found

    def inner(schema: Any) -> Check:
        if schema is None:
            return _raising(SchemaError('Unexpected null, expected schema in "properties"'))
        return _careful(site, schema)

    return check


def _raising(error: Exception) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        raise error

    return check


def _careful(site: Site, schema: Any) -> Check:
    """The check of a schema for what is inside; if that is nothing one can enter, the check says so when its turn comes."""
    try:
        return site.inside(schema)
    except SchemaError as error:
        return _raising(error)


def _additional(site: Site) -> Callable[[str, Any, Mapping[str, Any], Path, Run], Found]:
    """What becomes of a member that no pattern is for."""
    declared, rule = site.schema.get("properties"), site.schema.get("additionalProperties")
    schema = rule if truthy(rule) else {}
    names = set(keys_of(declared)) | (ON_EVERY_OBJECT if truthy(declared) else set())
    if isinstance(declared, Mapping):
        names |= set(declared)

    def check(key: str, member: Any, value: Mapping[str, Any], path: Path, run: Run) -> Found:
        if key in names:
            return NOTHING
        if rule is False:
            message = f"is not allowed to have the additional property {json_text(key)}"
            return [site.problem(value, path, run, message, "additionalProperties", key)]
        return site.inside(schema)(member, (*path, key), run)

    return check


def additional_properties(site: Site) -> Check | None:
    if truthy(site.schema.get("patternProperties")):
        return None
    rule = _additional(site)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        run.spend(len(value))
        return [problem for key in keys_of(value) for problem in rule(key, value[key], value, path, run)]

    return check


def pattern_properties(site: Site) -> Check:
    patterns = list(_members(site.schema["patternProperties"]))
    rule = _additional(site)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        found: list[Problem] = []
        for key in keys_of(value):
            matched = False
            for pattern, schema in patterns:
                if schema is None:
                    raise SchemaError('Unexpected null, expected schema in "patternProperties"')
                run.before_pattern()
                if matcher(pattern)(key):
                    matched = True
                    found.extend(site.inside(schema)(value[key], (*path, key), run))
            if not matched:
                found.extend(rule(key, value[key], value, path, run))
        return found

    return check


def items(site: Site) -> Check:
    rule = site.schema["items"]

    def rule_for(index: int) -> Any:
        if not isinstance(rule, list):
            return rule
        return rule[index] if index < len(rule) else site.schema.get("additionalItems", UNSET)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list):
            return NOTHING
        found: list[Problem] = []
        for index, item in enumerate(value):
            schema = rule_for(index)
            if schema is False:
                found.append(site.problem(value, path, run, "additionalItems not permitted", "items"))
                break
            if schema is not UNSET:
                found.extend(site.inside(schema)(item, (*path, index), run))
        return found

    return check


def contains(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list):
            return NOTHING
        schema = schema_at(site, "contains")
        fits = site.inside(schema)
        if any(not fits(item, (*path, index), run) for index, item in enumerate(value)):
            return NOTHING
        return [site.problem(value, path, run, "must contain an item matching given schema", "contains", schema)]

    return check


def unique_items(site: Site) -> Check | None:
    if site.schema["uniqueItems"] is not True:
        return None

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list):
            return NOTHING
        run.spend(size_of(value))
        if not _has_duplicates(value, run):
            return NOTHING
        return [site.problem(value, path, run, "contains duplicate item", "uniqueItems")]

    return check


def _has_duplicates(values: list[Any], run: Run) -> bool:
    """Equal values have equal fingerprints, so that only few are compared in full."""
    earlier: dict[Any, list[Any]] = {}
    for value in values:
        run.spend(1)
        alike = earlier.setdefault(fingerprint(value), [])
        if any(same(other, value) for other in alike):
            return True
        alike.append(value)
    return False


def dependencies(site: Site) -> Check:
    rules = list(_members(site.schema["dependencies"]))

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        run.spend(len(rules))
        found: list[Problem] = []
        for key, rule in rules:
            if key in value or key in ON_EVERY_OBJECT:
                found.extend(_dependency(site, key, rule, value, path, run))
        return found

    return check


def _dependency(site: Site, key: str, rule: Any, value: Mapping[str, Any], path: Path, run: Run) -> Found:
    fits = None if isinstance(rule, str | list) else site.inside(rule)
    owner = property_text((*path, key), run.name)
    if fits is None:
        return [
            site.problem(
                value, path, run, f"property {text_of(name)} not found, required by {owner}", "dependencies", owner
            )
            for name in ([rule] if isinstance(rule, str) else rule)
            if text_of(name) not in value and text_of(name) not in ON_EVERY_OBJECT
        ]
    inner = fits(value, (*path, key), run)
    if not inner:
        return NOTHING
    message = f"does not meet dependency required by {owner}"
    return [site.problem(value, path, run, message, "dependencies", owner), *inner]


def required(site: Site) -> Check | None:
    rule = site.schema["required"]
    names = [(name, text_of(name)) for name in rule] if isinstance(rule, list) else []

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return [site.problem(value, path, run, "is required", "required")] if rule is True else NOTHING
        if not isinstance(value, Mapping):
            return NOTHING
        run.spend(len(names))
        return [
            site.problem(value, path, run, f"requires property {json_text(name)}", "required", name)
            for name, key in names
            if key not in value
        ]

    return check if names or rule is True else None
