"""JSON Schema of a form -> values that it should not take; the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from greenroom_scaffolder.templates.generate import fits, good_values

_OTHERS: tuple[Any, ...] = (None, True, -1, 1e9, "", " ? ", "x" * 300, [], {})


def bad_values(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Full values with one thing spoiled: a member of another type, too long, not allowed, or missing. All are refused."""
    *_, full = [{}, *good_values(schema)]
    for spoiled in _spoiled(full):
        if not fits(spoiled, schema):
            yield spoiled


def _spoiled(value: Any) -> Iterator[Any]:
    """Copies of a value with one thing in it changed, left out or added, from the top down."""
    if isinstance(value, dict):
        yield {**value, "undeclared member": 1}
        for key, member in value.items():
            yield {other: kept for other, kept in value.items() if other != key}
            yield from ({**value, key: changed} for changed in _spoiled(member))
    elif isinstance(value, list):
        yield [*value, {"no": "such item"}]
        yield [*value, *value, *value]
        yield "not a list"
        for index, item in enumerate(value[:2]):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in _spoiled(item))
    else:
        yield from _OTHERS
