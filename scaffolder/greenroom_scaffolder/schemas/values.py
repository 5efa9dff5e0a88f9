"""JSON values as JavaScript sees them: their types, texts, numbers, order of keys and equality.

Upstream's validator puts values into its messages by JavaScript's rules, and compares them by those rules. A value that is not
there (`undefined`) is `msgspec.UNSET` here; `None` is `null`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

ON_EVERY_OBJECT = frozenset(
    {"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"}
    | {"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"}
)
"""Keys that `object[key]` finds on any JavaScript object: upstream takes them for declared properties."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
SPACES = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""The inside of a character class: what `\\s` matches in JavaScript, and what `Number()` trims."""
_AROUND = re.compile(f"^[{SPACES}]+|[{SPACES}]+$")


def is_number(value: Any) -> bool:
    """Whether `typeof` says `number`: Python's booleans are ints too, and are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """JavaScript's `typeof`."""
    if value is UNSET:
        return "undefined"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "object"


def text_of(value: Any) -> str:
    """`String(value)`: lists are joined with commas, objects are `[object Object]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if value is None:
        return "null"
    if value is UNSET:
        return "undefined"
    if isinstance(value, list | tuple):
        return joined(value)
    return "[object Object]"


def joined(values: Iterable[Any]) -> str:
    """`values.join(',')`: what is null or not there leaves an empty place."""
    return ",".join("" if value is None or value is UNSET else text_of(value) for value in values)


def number_text(value: float) -> str:
    """A number as JavaScript prints it: the shortest form, `1` for 1.0, an exponent from 1e21 on and below 1e-6."""
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    number = as_double(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign, digits, exponent = _shortest(number)
    return sign + _placed(digits, exponent)


def _shortest(number: float) -> tuple[str, str, int]:
    """The sign, the digits, and where the point stands, counted from their beginning."""
    mantissa, _, exponent = f"{number!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return sign, digits.rstrip("0"), point


def _placed(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def as_double(value: float) -> float:
    """The nearest double: JavaScript has no other numbers, and what is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number_of(value: Any) -> float:
    """`Number(value)`, as comparisons take it: texts are read, null is 0, and what makes no sense is NaN."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, int | float):
        return as_double(value)
    if value is None:
        return 0.0
    if isinstance(value, str):
        return _read_number(_AROUND.sub("", value))
    return _read_number(joined(value)) if isinstance(value, list | tuple) else math.nan


def _read_number(text: str) -> float:
    if not text:
        return 0.0
    if _RADIX.fullmatch(text):
        return as_double(int(text, 0))
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def json_text(value: Any) -> str:
    """`JSON.stringify(value)`, for messages; halves of surrogate pairs are escaped."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json_text(key)}:{json_text(value[key])}' for key in keys_of(value))}}}"
    number = is_number(value)
    return "null" if number and not math.isfinite(as_double(value)) else text_of(value)


def keys_of(value: Any) -> list[str]:
    """The keys in JavaScript's order: array indices first and ascending, then the others as they were written."""
    if isinstance(value, Mapping):
        keys = list(value)
        if any(key[:1].isdigit() for key in keys):
            indices = [key for key in keys if _is_index(key)]
            return sorted(indices, key=int) + [key for key in keys if not _is_index(key)]
        return keys
    return [str(index) for index in range(len(value))] if isinstance(value, str | list | tuple) else []


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def same(left: Any, right: Any) -> bool:
    """Upstream's strict deep comparison. An object without keys is the same as an empty list, but not the other way round."""
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(same(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, Mapping):
        if not isinstance(right, Mapping | list):
            return False
        members = right if isinstance(right, Mapping) else dict(zip(keys_of(right), right, strict=True))
        return len(left) == len(members) and all(key in members and same(left[key], members[key]) for key in left)
    return kind_of(left) == kind_of(right) and bool(left == right)
