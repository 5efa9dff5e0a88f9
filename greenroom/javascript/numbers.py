"""number <-> text, as JavaScript writes and reads numbers; it has doubles only."""

from __future__ import annotations

import math
import re

from greenroom.javascript.texts import trim

__all__ = [
    "SAFE",
    "as_double",
    "as_whole",
    "exponential",
    "number_text",
    "parse_float",
    "read_number",
    "scientific",
    "shortest",
]

SAFE = 2**53
"""Up to here, ints and doubles agree about whole numbers."""

_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")


def as_double(value: float) -> float:
    """The nearest double; what is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_whole(value: float) -> int | float:
    """A double as the int that it is, if it is one that ints and doubles agree about: as it is printed, and checked."""
    return int(value) if value.is_integer() and -SAFE <= value <= SAFE else value


def number_text(value: float) -> str:
    """A number as JavaScript prints it: the shortest form, `1` for 1.0, an exponent from 1e21 on and below 1e-6."""
    if type(value) is int and -SAFE <= value <= SAFE:
        return str(value)
    number = as_double(value)
    if 1e-4 <= abs(number) < 1e16:  # Python prints these alike
        return repr(number).removesuffix(".0")
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign, digits, point = shortest(number)
    return sign + _placed(digits, point)


def shortest(number: float) -> tuple[str, str, int]:
    """Sign, the fewest digits that name this double, and where the point stands among them."""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(digits) - len(fraction)
    return "-" if number < 0 else "", digits.rstrip("0") or "0", point


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    return scientific(digits, point - 1)


def scientific(digits: str, exponent: int) -> str:
    """`d.ddde+x`."""
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def exponential(number: float) -> str:
    """`toExponential()`, with as many digits as it takes."""
    sign, digits, point = shortest(number)
    return sign + scientific(digits, point - 1 if number else 0)


def read_number(text: str) -> float:
    """What `Number(text)` is: nothing is 0, what is no number is NaN."""
    text = trim(text)
    if not text:
        return 0.0
    if _RADIX.fullmatch(text):
        return as_double(int(text, 0))
    return _double_of(text) if _DECIMAL.fullmatch(text) else math.nan


def parse_float(text: str) -> float:
    """What `parseFloat(text)` is: the number that the text begins with."""
    found = _DECIMAL.match(trim(text))
    return _double_of(found[0]) if found else math.nan


def _double_of(digits: str) -> float:
    return float(digits.replace("Infinity", "inf"))
