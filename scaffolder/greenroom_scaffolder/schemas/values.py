"""JSON values as upstream's validator sees them: their keys, sizes and equality.

It compares values by JavaScript's rules and a few of its own. A value that is not there (`undefined`) is `msgspec.UNSET` here;
`None` is `null`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.javascript.numbers import as_double
from greenroom.javascript.objects import keys
from greenroom.javascript.values import is_number, kind_of

ON_EVERY_OBJECT = frozenset(
    {"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"}
    | {"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"}
)
"""Keys that `object[key]` finds on any JavaScript object: upstream takes them for declared properties."""


def keys_of(value: Any) -> list[str]:
    """The keys in JavaScript's order: array indices first and ascending, then the others as they were written."""
    if isinstance(value, Mapping):
        return keys(value)
    return [str(index) for index in range(len(value))] if isinstance(value, str | list | tuple) else []


def size_of(value: Any) -> int:
    """How many values there are in a value, itself included."""
    if isinstance(value, Mapping):
        return 1 + sum(map(size_of, value.values()))
    return 1 + sum(map(size_of, value)) if isinstance(value, list) else 1


def fingerprint(value: Any) -> Any:
    """Hashable, the same for values that are the same, and for a list as for an object with its indices as keys."""
    if isinstance(value, list):
        value = dict(zip(keys_of(value), value, strict=True))
    if isinstance(value, Mapping):
        return frozenset((key, fingerprint(member)) for key, member in value.items())
    return as_double(value) if is_number(value) else (kind_of(value), value)


def same(left: Any, right: Any) -> bool:
    """Upstream's strict deep comparison. An object without keys is the same as an empty list, but not the other way round."""
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(same(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, Mapping):
        if not isinstance(right, Mapping | list):
            return False
        members = right if isinstance(right, Mapping) else dict(zip(keys_of(right), right, strict=True))
        return len(left) == len(members) and all(key in members and same(left[key], members[key]) for key in left)
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    return as_double(left) == as_double(right) if kind == "number" else bool(left == right)
