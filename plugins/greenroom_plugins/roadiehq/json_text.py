"""value -> JSON text as JavaScript's `JSON.stringify` lays it out, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.json_text import json_text
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import well_formed

_LONGEST_STEP = 10
_MOST_BLANKS = 64 * 1024 * 1024
"""Characters that only indent: a list of a million numbers, deep inside, is made of little else."""


def stringify(value: Any, keys: Sequence[str] | None = None, space: str | int = "") -> str:
    """With `keys`, only those members of objects are written, and in that order. `space` is a text or a number of blanks.

    Raises InputError for what is nested too deeply, and for what its indentation makes too large."""
    step = space[:_LONGEST_STEP] if isinstance(space, str) else " " * min(space, _LONGEST_STEP)
    refuse_blanks(value, len(step))
    wanted = None if keys is None else list(dict.fromkeys(keys))

    def members(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
        return entries(record) if wanted is None else [(key, record[key]) for key in wanted if key in record]

    try:
        return json_text(value, step, order=members)
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
        return msgspec.json.decode(well_formed(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
