"""value -> JSON text as JavaScript's `JSON.stringify` lays it out, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.yaml_text import keys_in_order, number_text

_LONGEST_STEP = 10
_MOST_BLANKS = 64 * 1024 * 1024
"""Characters that only indent: a list of a million numbers, deep inside, is made of little else."""


def stringify(value: Any, keys: Sequence[str] | None = None, space: str | int = "") -> str:
    """With `keys`, only those members of objects are written, and in that order. `space` is a text or a number of blanks.

    Raises InputError for what is nested too deeply, and for what its indentation makes too large."""
    step = space[:_LONGEST_STEP] if isinstance(space, str) else " " * min(space, _LONGEST_STEP)
    refuse_blanks(value, len(step))
    try:
        return _written(value, None if keys is None else list(dict.fromkeys(keys)), step, "\n")
    except RecursionError:
        raise InputError("What is written is nested too deeply") from None


def refuse_blanks(value: Any, step: int) -> None:
    """Raises InputError for a value that is mostly indentation once it is written, by so many characters for each level."""
    blanks, left = 0, [(value, 0)]
    while left and step:
        one, depth = left.pop()
        if isinstance(one, Mapping | list | tuple):
            inside = one.values() if isinstance(one, Mapping) else one
            blanks += step * (depth + 1) * len(one)
            left += [(each, depth + 1) for each in inside if isinstance(each, Mapping | list | tuple)]
        if blanks > _MOST_BLANKS:
            raise InputError("What is written is too large, for its indentation")


def parse(text: str, path: str) -> Any:
    """Raises InputError that names the file."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


def _written(value: Any, keys: list[str] | None, step: str, margin: str) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        names: Iterable[str] = keys_in_order(value) if keys is None else (key for key in keys if key in value)
        colon = ": " if step else ":"
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}{colon}{_written(value[key], keys, step, margin + step)}"
            for key in names
        ]
        return _bracketed("{}", parts, step, margin)
    if isinstance(value, list | tuple):
        return _bracketed("[]", [_written(one, keys, step, margin + step) for one in value], step, margin)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return number_text(_double(value) or 0.0) if math.isfinite(_double(value)) else "null"


def _double(number: float) -> float:
    """As JavaScript reads it: what no double can hold is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _bracketed(brackets: str, parts: list[str], step: str, margin: str) -> str:
    if not parts or not step:
        return brackets[0] + ",".join(parts) + brackets[1]
    return brackets[0] + margin + step + f",{margin}{step}".join(parts) + margin + brackets[1]
