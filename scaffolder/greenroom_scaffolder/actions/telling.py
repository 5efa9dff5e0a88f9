"""value -> the text that a log line shows of it, as JavaScript writes JSON: lines are compared with upstream's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from greenroom_scaffolder.templating import numerals
from greenroom_scaffolder.templating.units import units
from greenroom_scaffolder.templating.values import entries

_LONE = re.compile("[\ud800-\udfff]")
_UNTOLD = frozenset({"level", "message", "splat"})
"""Fields that upstream's logger (winston) keeps for itself."""


def as_json(value: Any, indent: int | None = None, *, by_name: bool = False) -> str:
    """`JSON.stringify(value, null, indent)`; with `by_name`, members come in the order of their names."""
    return _written(value, "" if indent is None else " " * indent, "\n", by_name=by_name)


def with_values(message: str, values: Mapping[str, Any] | None) -> str:
    """A log line and the object that goes with it, as upstream's logger joins them."""
    shown = {key: value for key, value in (values or {}).items() if key not in _UNTOLD}
    if values and values.get("message"):
        spoken = values["message"]
        message = f"{message} {spoken if isinstance(spoken, str) else as_json(spoken)}"
    return f"{message} {as_json(shown, by_name=True)}" if shown else message


def _written(value: Any, step: str, margin: str, *, by_name: bool) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda one: units(one[0])) if by_name else entries(dict(value))
        parts = [
            f"{_quoted(key)}:{' ' if step else ''}{_written(one, step, margin + step, by_name=by_name)}"
            for key, one in members
        ]
        return _bracketed("{}", parts, step, margin)
    if isinstance(value, list | tuple):
        return _bracketed("[]", [_written(one, step, margin + step, by_name=by_name) for one in value], step, margin)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        written = numerals.written(value)
        return "null" if written in ("NaN", "Infinity", "-Infinity") else written
    raise TypeError(f"{type(value).__name__} is not JSON")


def _bracketed(brackets: str, parts: list[str], step: str, margin: str) -> str:
    if not parts or not step:
        return brackets[0] + ",".join(parts) + brackets[1]
    return brackets[0] + margin + step + f",{margin}{step}".join(parts) + margin + brackets[1]


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", quoted)
