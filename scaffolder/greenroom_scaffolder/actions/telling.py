"""value -> the text that a log line shows of it, as JavaScript writes JSON: lines are compared with upstream's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UnsetType

from greenroom.javascript.json_text import json_text
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import units
from greenroom.javascript.values import text_of, truthy

_UNTOLD = frozenset({"level", "message", "splat"})
"""Fields that upstream's logger (winston) keeps for itself."""


def as_json(value: Any, indent: int | None = None, *, by_name: bool = False) -> str:
    """`JSON.stringify(value, null, indent)`; with `by_name`, members come in the order of their names."""
    return json_text(value, " " * (indent or 0), order=_by_name if by_name else entries)


def with_values(message: str, values: Mapping[str, Any] | UnsetType) -> str:
    """A log line and the object that goes with it, as upstream's logger joins them."""
    values = values or {}
    shown = {key: value for key, value in values.items() if key not in _UNTOLD}
    if truthy(values.get("message")):
        message = f"{message} {text_of(values['message'])}"
    return f"{message} {as_json(shown, by_name=True)}" if shown else message


def _by_name(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(record.items(), key=lambda one: units(one[0]))
