"""JSON value -> its kind, text, number and truth, by JavaScript's rules. `msgspec.UNSET` is `undefined`, None is `null`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from greenroom.javascript.numbers import as_double, number_text, read_number
from greenroom.javascript.texts import well_formed

__all__ = ["is_number", "joined", "kind_of", "number_of", "storable", "text_of", "truthy"]

_NUMBERS = (int, float)
_AS_IN_PYTHON = frozenset({str, int, bool, type(None)})
_NEVER_NOTHING = (list, dict, Mapping)


def is_number(value: Any) -> bool:
    """Whether `typeof` says `number`: Python's booleans are ints too, and are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """`typeof value`."""
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
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, _NUMBERS):
        return number_text(value)
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


def truthy(value: Any) -> bool:
    """Whether `if` goes on: empty lists and objects count as something. What stands for `undefined` is false in Python too."""
    kind = type(value)
    if kind in _AS_IN_PYTHON:
        return bool(value)
    if kind is float:
        return bool(value == value and value != 0)
    return bool(value) or isinstance(value, _NEVER_NOTHING)


def storable(value: Any) -> Any:
    """The value with U+FFFD for each half of a pair that stands alone, which no answer could quote and no table can hold."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {storable(key): storable(inner) for key, inner in value.items()}
    return [storable(inner) for inner in value] if isinstance(value, list) else value
