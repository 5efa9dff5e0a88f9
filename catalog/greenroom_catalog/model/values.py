"""A JSON value as JavaScript holds and prints it: numbers are doubles, and keys that are array indices come first.

Upstream is JavaScript, and what it serves, sorts and searches shows it (spec 02 §2.8). Values are made so at the two doors
through which documents enter, YAML (`ingestion.parser`) and JSON (`from_json`), so that nothing after them has to care.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any

import msgspec

from greenroom.errors import InputError

_EXACT = 2**53
_EXPONENT = 1e21  # from here on JavaScript prints an exponent, also for whole numbers
_LAST_INDEX = 2**32 - 2

_WHITE_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_SURPRISES = re.compile(rb'[0-9]{16}|"[0-9]+"[ \t\r\n]*:|\\u[dD][89a-fA-F]|[0-9][eE][+]?[0-9]{3}')
_SHAPE = bytes.maketrans(b"123456789+E \t\r\n", b"0000000000e::::")
"""With digits and white space made alike, all that `_SURPRISES` finds has one of a few shapes, which are found much faster."""

_SURROGATES = re.compile("[\ud800-\udfff]")


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
        return whole_text(value)
    if isinstance(value, dict):
        return in_key_order({whole_text(key): normalise(item) for key, item in value.items()})
    if isinstance(value, list):
        return [normalise(item) for item in value]
    if isinstance(value, float):
        return from_double(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return from_int(value)
    return value


def from_int(value: int) -> int | float | None:
    """A whole number of any size -> the nearest double, as the number that JavaScript prints for it."""
    if -_EXACT <= value <= _EXACT:
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
    return int(value) if abs(value) <= _EXACT else int(_whole_digits(value))


def in_key_order(value: dict[str, Any]) -> dict[str, Any]:
    """JavaScript lists keys that are array indices (`0`, `17`) first, in ascending order."""
    indices = [key for key in value if key[:1].isdigit() and is_index(key)]
    if not indices:
        return value
    ordered = {key: value[key] for key in sorted(indices, key=int)}
    ordered.update(value)
    return ordered


def is_index(key: str) -> bool:
    """Whether JavaScript takes the key for an array index: a canonical decimal below 2**32 - 1."""
    if not (key.isascii() and key.isdigit()) or len(key) > 10:
        return False
    return (key[0] != "0" or key == "0") and int(key) <= _LAST_INDEX


def whole_text(text: str) -> str:
    """Joins surrogate pairs that were escaped one by one, and replaces those that have no partner by U+FFFD."""
    if text.isascii() or _SURROGATES.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def js_text(value: object) -> str:
    """What `String(value)` makes of a JSON value: `1e+21`, `true`, `null`, `a,b`, `[object Object]`."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, list):
        return ",".join("" if item is None else js_text(item) for item in value)
    return "[object Object]"


def js_json(value: object) -> str:
    """What `JSON.stringify(value)` makes of a JSON value, for messages that quote one."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, list):
        return f"[{','.join(map(js_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{js_json(key)}:{js_json(item)}' for key, item in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return js_text(value)


def js_sorted(texts: Iterable[str]) -> list[str]:
    """In the order of JavaScript's `sort()`, which is by UTF-16 code units."""
    found = list(texts)
    if all(text.isascii() for text in found):
        return sorted(found)
    return sorted(found, key=lambda text: text.encode("utf-16-be", "surrogatepass"))


def js_trim(text: str) -> str:
    """Without the white space of either end, as `trim()` sees white space."""
    return text.strip(_WHITE_SPACE)


def _number(text: str) -> int | float | None:
    return from_double(float(text))


_decode = msgspec.json.Decoder(float_hook=_number).decode


def _not_json(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _digits(value: float) -> tuple[str, int]:
    """The shortest digits that give the (positive) double, and where the decimal point stands after the first of them."""
    mantissa, _, exponent = f"{value!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).rstrip("0")
    point = len(whole) + int(exponent.partition("e")[0])
    stripped = digits.lstrip("0")
    return stripped, point - (len(digits) - len(stripped))


def _whole_digits(value: float) -> str:
    digits, point = _digits(abs(value))
    return ("-" if value < 0 else "") + digits.ljust(point, "0")


def _number_text(value: float) -> str:
    """ECMA-262, Number::toString."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _digits(abs(value))
    if 0 < point <= 21:
        return sign + (digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
