"""A JSON value as JavaScript holds it: numbers are doubles, keys that are array indices come first, and texts are whole.

Upstream is JavaScript, and what it serves, sorts and searches shows it (spec 02 §2.8). Values are made so at the two doors
through which documents enter, YAML (`ingestion.parser`) and JSON (`from_json`), so that nothing after them has to care.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.numbers import SAFE, number_text
from greenroom.javascript.objects import in_order
from greenroom.javascript.texts import well_formed

_EXPONENT = 1e21  # from here on JavaScript prints an exponent, also for whole numbers
_SURPRISES = re.compile(rb'[0-9]{16}|"[0-9]+"[ \t\r\n]*:|\\u[dD][89a-fA-F]|[0-9][eE][+]?[0-9]{3}')
_SHAPE = bytes.maketrans(b"123456789+E \t\r\n", b"0000000000e::::")
"""With digits and white space made alike, all that `_SURPRISES` finds has one of a few shapes, which are found much faster."""


def from_json(content: bytes | str) -> Any:
    """JSON text -> value, as `JSON.parse` would read it: doubles, the last of equal keys wins.

    A lone surrogate, which UTF-8 cannot carry, becomes U+FFFD. Raises InputError for text that is not JSON or is nested
    too deeply.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        if not _has_surprises(data):
            return _decode(data)
        value = json.loads(data, parse_float=_number, parse_int=_number, parse_constant=_not_json)
        return normalise(value)
    except (msgspec.DecodeError, ValueError) as error:
        raise InputError(f"Invalid JSON: {error}") from error
    except RecursionError:
        raise InputError("Invalid JSON: nested too deeply") from None


def is_settled(data: bytes) -> bool:
    """Whether JSON that msgspec wrote is what it would write of `from_json` of it; False where that is not sure."""
    shape = data.translate(_SHAPE)
    return not (b"0.0" in shape or b"0e0" in shape or _has_surprises(data, shape))


def _has_surprises(data: bytes, shape: bytes | None = None) -> bool:
    shape = data.translate(_SHAPE) if shape is None else shape
    escapes = b"\\" in data and b"\\u" in data  # one byte is found much faster than two
    suspicious = escapes or b'0":' in shape or b"0e000" in shape or b"0" * 16 in shape
    return suspicious and _SURPRISES.search(data) is not None


def normalise(value: Any) -> Any:
    """The same value with every number, key order and string as JavaScript would have them. Raises RecursionError."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return in_order({well_formed(key): normalise(item) for key, item in value.items()})
    if isinstance(value, list):
        return [normalise(item) for item in value]
    if isinstance(value, float):
        return from_double(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return from_int(value)
    return value


def from_int(value: int) -> int | float | None:
    """A whole number of any size -> the nearest double, as the number that JavaScript prints for it."""
    if -SAFE <= value <= SAFE:
        return value
    try:
        return from_double(float(value))
    except OverflowError:
        return None


def from_double(value: float) -> int | float | None:
    """A double -> an int wherever JavaScript prints no fraction or exponent; None for NaN and infinities, as in JSON."""
    if not math.isfinite(value):
        return None
    if not value.is_integer() or abs(value) >= _EXPONENT:
        return value
    return int(value) if abs(value) <= SAFE else int(number_text(value))


def _number(text: str) -> int | float | None:
    return from_double(float(text))


_decode = msgspec.json.Decoder(float_hook=_number).decode


def _not_json(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
