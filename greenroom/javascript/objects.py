"""What JavaScript makes of a value: whether it counts as true, and in which order an object's members come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["entries", "index_of", "truthy"]

_MOST_INDICES = 2**32 - 1


def truthy(value: Any) -> bool:
    """Whether `if` goes on: empty lists and objects count as something. What stands for `undefined` is false in Python too."""
    if type(value) is float:
        return value == value and value != 0
    return bool(value) or isinstance(value, list | dict | Mapping)


def index_of(key: str) -> int | None:
    """The array index that a property key names: digits, as JavaScript would print them."""
    if key.isascii() and key.isdecimal() and (key[0] != "0" or len(key) == 1) and len(key) < 17:
        return int(key)
    return None


def entries(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Members in JavaScript's order: array indices first, by number, then the rest as it was written."""
    for key in record:
        if key and key[0] in "0123456789":
            return sorted(record.items(), key=_place)
    return list(record.items())


def _place(entry: tuple[str, Any]) -> int:
    index = index_of(entry[0])
    return index if index is not None and index < _MOST_INDICES else _MOST_INDICES
