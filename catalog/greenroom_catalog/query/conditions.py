"""`filter` parameters and predicate JSON -> a condition on entities: an algebra of six small parts.

Whatever a request sends is turned into predicate JSON first, which is also what cursors carry (spec 02 §2.1, §2.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.json_text import json_text
from greenroom.javascript.texts import trim
from greenroom.javascript.values import text_of
from greenroom.web import shapes

Predicate = dict[str, Any]
"""Predicate JSON, known to be well-formed."""

DEEPEST = 100
"""Levels of nesting that a predicate may have; upstream has no bound."""


class Has(msgspec.Struct, frozen=True):
    """The key exists, whatever its value."""

    key: str


class Equals(msgspec.Struct, frozen=True):
    """The key has one of these values."""

    key: str
    values: tuple[str, ...]


class StartsWith(msgspec.Struct, frozen=True):
    """Some value of the key starts with this."""

    key: str
    prefix: str


class Like(msgspec.Struct, frozen=True):
    """Some value of some of these keys is LIKE the pattern, whose `%` and `_` are wildcards."""

    keys: tuple[str, ...]
    pattern: str


class All(msgspec.Struct, frozen=True):
    """Every part holds; no parts: always true."""

    parts: tuple[Condition, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """Some part holds; no parts: never true."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: Condition


Condition = Has | Equals | StartsWith | Like | All | AnyOf | Not
"""All keys and values in it are lower-cased."""

EVERYTHING = All(())
NOTHING = AnyOf(())


def both(*conditions: Condition) -> Condition:
    """Every one of the conditions."""
    parts = tuple(condition for condition in conditions if condition != EVERYTHING)
    return parts[0] if len(parts) == 1 else All(parts)


# --- filter parameters --------------------------------------------------------------------------------------------


def from_filters(filters: Sequence[str] | None) -> Predicate | None:
    """`filter=a=b,c` parameters -> predicate; None when they say nothing. Raises InputError."""
    groups = [group for group in map(_statements, filters or ()) if group]
    alternatives = [_all_of([_one_key(key, values) for key, values in group.items()]) for group in groups]
    if not alternatives:
        return None
    return alternatives[0] if len(alternatives) == 1 else {"$any": alternatives}


def _statements(text: str) -> dict[str, list[str] | None]:
    """`a=1,a=2,b` -> {"a": ["1", "2"], "b": None}."""
    found: dict[str, list[str] | None] = {}
    for statement in filter(None, (trim(part) for part in text.split(","))):
        key, equals, value = map(trim, statement.partition("="))
        if not key:
            form = "expected a string on the form a=b or a= or a"
            raise InputError(f"Invalid filter, '{statement}' is not a valid statement ({form})")
        held = found.setdefault(key, None)
        if equals:
            found[key] = [*(held or ()), value]
    return found


def _one_key(key: str, values: list[str] | None) -> Predicate:
    if values is None:
        return {key: {"$exists": True}}
    return {key: values[0]} if len(values) == 1 else {key: {"$in": values}}


def _all_of(predicates: list[Predicate]) -> Predicate:
    return predicates[0] if len(predicates) == 1 else {"$all": predicates}


def from_search_filter(search_filter: dict[str, Any]) -> Predicate:
    """The `filter` member of cursors that older backends gave out: `{key, values?}`, `not`, `anyOf`, `allOf`."""
    if "key" in search_filter:
        return _one_key(search_filter["key"], search_filter.get("values"))
    if "not" in search_filter:
        return {"$not": from_search_filter(search_filter["not"])}
    operator = "anyOf" if "anyOf" in search_filter else "allOf"
    return {"$any" if operator == "anyOf" else "$all": [from_search_filter(part) for part in search_filter[operator]]}


# --- predicates ---------------------------------------------------------------------------------------------------

_PRIMITIVE = shapes.union(shapes.STRING, shapes.NUMBER, shapes.BOOLEAN)
_VALUE = shapes.union(
    _PRIMITIVE,
    shapes.fields({"$exists": shapes.BOOLEAN}),
    shapes.fields({"$in": shapes.array(_PRIMITIVE)}),
    shapes.fields({"$contains": shapes.lazy(lambda: PREDICATE)}),
    shapes.fields({"$hasPrefix": shapes.STRING}),
)
_EXPRESSION = shapes.union(
    shapes.record(shapes.matching(r"\A(?:[^$\n\r][^\n\r\u2028\u2029]*)?\Z"), _VALUE),
    shapes.record(shapes.matching(r"\A\$"), shapes.NEVER),
)
PREDICATE: shapes.Shape = shapes.union(
    _EXPRESSION,
    _PRIMITIVE,
    shapes.fields({"$all": shapes.array(shapes.lazy(lambda: PREDICATE))}, strict=True),
    shapes.fields({"$any": shapes.array(shapes.lazy(lambda: PREDICATE))}, strict=True),
    shapes.fields({"$not": shapes.lazy(lambda: PREDICATE)}, strict=True),
)
"""What a predicate looks like. A bare primitive fits, and is refused later, as upstream does."""


def check_depth(value: object, deepest: int = DEEPEST) -> None:
    """Raises InputError for a value that is nested deeper than anybody writes, before it can exhaust a stack."""
    level: list[object] = [value]
    for _ in range(deepest):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise InputError(f"Invalid query: nested more than {deepest} levels deep")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def from_json(query: Any) -> Predicate:
    """A request's `query` member -> predicate. Raises InputError."""
    check_depth(query)
    predicate, issues = shapes.parse(PREDICATE, query)
    if issues:
        raise InputError(f"Invalid query: {shapes.describe(issues)}")
    if not isinstance(predicate, dict):
        raise InputError("Query must be an object")
    return predicate


def condition(predicate: Any) -> Condition:
    """A predicate that has the right shape -> condition. Raises InputError for what no entity query can express."""
    if not isinstance(predicate, dict):
        problem = "top-level primitive values are not supported. Wrap the value in a field expression"
        raise InputError(f'Invalid filter predicate: {problem}, e.g. {{ "kind": {json_text(predicate)} }}')
    if "$not" in predicate:
        return Not(condition(predicate["$not"]))
    if "$all" in predicate:
        return All(tuple(condition(part) for part in predicate["$all"]))
    if "$any" in predicate:
        return AnyOf(tuple(condition(part) for part in predicate["$any"]))
    fields = tuple(_field(key.lower(), value) for key, value in predicate.items())
    return fields[0] if len(fields) == 1 else All(fields)


def _field(key: str, value: Any) -> Condition:
    if not isinstance(value, dict):
        return Equals(key, (_text(value),))
    if "$exists" in value:
        return Has(key) if value["$exists"] else Not(Has(key))
    if "$in" in value:
        return Equals(key, tuple(dict.fromkeys(map(_text, value["$in"]))))
    if "$hasPrefix" in value:
        return StartsWith(key, value["$hasPrefix"].lower())
    target = value["$contains"]
    if not isinstance(target, dict):
        return Equals(key, (_text(target),))
    if key != "relations":
        raise InputError(f'Object form of $contains is not supported for field "{key}"')
    return _related(target)


def _text(value: Any) -> str:
    return text_of(value).lower()


def _related(target: dict[str, Any]) -> Condition:
    """`{"relations": {"$contains": {"type": …, "targetRef": …}}}`."""
    found: dict[str, Any] = {}
    for name, value in target.items():
        member = name.lower()
        if member in found:
            raise InputError(f'Duplicate key "{name}" in $contains for "relations"')
        if member not in ("type", "targetref"):
            only = 'Only "type" and "targetRef" are supported'
            raise InputError(f'Unsupported key "{name}" in $contains for "relations". {only}')
        if member == "type" and not isinstance(value, str):
            raise InputError(_NO_TYPE)
        found[member] = _target_refs(value) if member == "targetref" else value
    if not found.get("type"):
        raise InputError(_NO_TYPE)
    key = f"relations.{found['type'].lower()}"
    return Equals(key, found["targetref"]) if "targetref" in found else Has(key)


_NO_TYPE = 'The $contains operator for "relations" requires a "type" string property'


def _target_refs(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value.lower(),)
    if isinstance(value, dict) and list(value) == ["$in"] and isinstance(value["$in"], list):
        refs = value["$in"]
        if not refs:
            raise InputError('Empty "$in" array for $contains on "relations" is not allowed')
        if all(isinstance(ref, str) for ref in refs):
            return tuple(ref.lower() for ref in refs)
    expected = 'expected a string or { "$in": [strings] }'
    raise InputError(f'Unsupported value in $contains for "relations": {expected}, but got {json_text(value)}')
