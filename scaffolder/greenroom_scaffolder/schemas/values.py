"""JSON values as JavaScript sees them: their types, texts, keys and equality.

Upstream's validator puts values into its messages by JavaScript's rules, and compares them by those rules. A value that is not
there (`undefined`) is `msgspec.UNSET` here; `None` is `null`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from greenroom.javascript.numbers import as_double, number_text, read_number
from greenroom.javascript.objects import entries

ON_EVERY_OBJECT = frozenset(
    {"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"}
    | {"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"}
)
"""Keys that `object[key]` finds on any JavaScript object: upstream takes them for declared properties."""


def is_number(value: Any) -> bool:
    """Whether `typeof` says `number`: Python's booleans are ints too, and are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """JavaScript's `typeof`."""
    if value is UNSET:
        return "undefined"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "object"


def text_of(value: Any) -> str:
    """`String(value)`: lists are joined with commas, objects are `[object Object]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if value is None:
        return "null"
    if value is UNSET:
        return "undefined"
    if isinstance(value, list | tuple):
        return joined(value)
    return "[object Object]"


def joined(values: Iterable[Any]) -> str:
    """`values.join(',')`: what is null or not there leaves an empty place."""
    return ",".join("" if value is None or value is UNSET else text_of(value) for value in values)


def number_of(value: Any) -> float:
    """`Number(value)`, as comparisons take it: texts are read, null is 0, and what makes no sense is NaN."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, int | float):
        return as_double(value)
    if value is None:
        return 0.0
    if isinstance(value, str):
        return read_number(value)
    return read_number(joined(value)) if isinstance(value, list | tuple) else math.nan


def keys_of(value: Any) -> list[str]:
    """The keys in JavaScript's order: array indices first and ascending, then the others as they were written."""
    if isinstance(value, Mapping):
        return [key for key, _ in entries(value)]
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
