"""In which order JavaScript has an object's members: array indices come first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["entries", "in_order", "index_of", "is_index", "keys"]

_MOST_INDICES = 2**32 - 1
_DIGITS = "0123456789"


def index_of(key: str) -> int | None:
    """The whole number that a property key names: digits, as JavaScript would print them."""
    if key.isascii() and key.isdecimal() and (key[0] != "0" or len(key) == 1) and len(key) < 17:
        return int(key)
    return None


def is_index(key: str) -> bool:
    """Whether the key is an array index: a whole number below 2**32 - 1."""
    index = index_of(key)
    return index is not None and index < _MOST_INDICES


def keys(record: Mapping[str, Any]) -> list[str]:
    """Keys in JavaScript's order: array indices first, by number, then the rest as it was written."""
    return sorted(record, key=_place) if _may_have_indices(record) else list(record)


def entries(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Members in that order."""
    if _may_have_indices(record):
        return sorted(record.items(), key=lambda member: _place(member[0]))
    return list(record.items())


def in_order(record: dict[str, Any]) -> dict[str, Any]:
    """An object with its members in that order; it itself if it has no indices."""
    if not _may_have_indices(record):
        return record
    indices = sorted(filter(is_index, record), key=int)
    return {**{key: record[key] for key in indices}, **record} if indices else record


def _may_have_indices(record: Mapping[str, Any]) -> bool:
    for key in record:  # noqa: SIM110 - a generator takes twice as long
        if key and key[0] in _DIGITS:
            return True
    return False


def _place(key: str) -> int:
    index = index_of(key)
    return index if index is not None and index < _MOST_INDICES else _MOST_INDICES
