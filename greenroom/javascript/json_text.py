"""JSON value -> its text, as `JSON.stringify` writes it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from greenroom.javascript.numbers import as_double, number_text
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import quoted

__all__ = ["copied", "json_text"]

Order: TypeAlias = Callable[[Mapping[str, Any]], Iterable[tuple[str, Any]]]

_WORDS = {None: "null", True: "true", False: "false"}
_NUMBERS, _LISTS = (int, float), (list, tuple)


def json_text(value: Any, indent: str = "", *, order: Order = entries) -> str:
    """`JSON.stringify(value, null, indent)`; `order` gives the members of objects. Raises TypeError for what is no JSON."""
    return _written(value, indent, "\n", order)


def copied(value: Any) -> Any:
    """`JSON.parse(JSON.stringify(value))`: no two parts of it are the same object. Raises as `json_text`."""
    return json.loads(json_text(value))


def _written(value: Any, step: str, margin: str, order: Order) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None or value is True or value is False:
        return _WORDS[value]
    if isinstance(value, _NUMBERS):
        return number_text(value) if math.isfinite(as_double(value)) else "null"
    if isinstance(value, _LISTS):
        return _bracketed("[]", [_written(one, step, margin + step, order) for one in value], step, margin)
    if isinstance(value, Mapping):
        colon = ": " if step else ":"
        parts = [f"{quoted(key)}{colon}{_written(one, step, margin + step, order)}" for key, one in order(value)]
        return _bracketed("{}", parts, step, margin)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _bracketed(brackets: str, parts: list[str], step: str, margin: str) -> str:
    if not parts or not step:
        return brackets[0] + ",".join(parts) + brackets[1]
    return brackets[0] + margin + step + f",{margin}{step}".join(parts) + margin + brackets[1]
