"""What JavaScript does with numbers beyond writing and reading them: whole ones, `parseInt`, `toFixed` and their kin."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal

from greenroom.javascript.numbers import SAFE, as_double, exponential, number_text, scientific
from greenroom.javascript.texts import trim
from greenroom_scaffolder.templating.limits import RenderError

__all__ = [
    "number",
    "parse_int",
    "remainder",
    "to_exponential",
    "to_fixed",
    "to_precision",
    "to_radix",
    "whole",
]

Number = int | float
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MOST_DIGITS = 1100
"""Of a number in any base; with more it is infinite."""
_EXACT = Context(prec=1200, rounding=ROUND_HALF_UP)


def number(value: Number) -> Number:
    """The double nearest to `value`, as an int where it is a whole number that ints and doubles agree about."""
    if type(value) is int:
        if -SAFE <= value <= SAFE:
            return value
        return as_double(value)
    value = float(value)
    if value.is_integer() and -SAFE <= value <= SAFE and (value != 0 or math.copysign(1, value) > 0):
        return int(value)
    return value


def remainder(left: Number, right: Number) -> Number:
    """`left % right`: with the sign of the left one."""
    if right == 0 or left != left or right != right or math.isinf(left):
        return math.nan
    return number(math.fmod(left, right))


def parse_int(text: str, radix: Number) -> Number:
    """What `parseInt(text, radix)` is: the digits that the text begins with."""
    text = trim(text)
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in ("-", "+") and text else text
    base = _int32(radix)
    if base in (0, 16) and text[:2].lower() == "0x":
        text, base = text[2:], 16
    base = base or 10
    if not 2 <= base <= 36:
        return math.nan
    known = _DIGITS[:base]
    length = next((index for index, character in enumerate(text.lower()) if character not in known), len(text))
    digits = text[:length].lstrip("0")
    return _signed(int(digits[:_MOST_DIGITS] or "0", base), sign) if length else math.nan


def _signed(value: int, sign: int) -> Number:
    return -0.0 if value == 0 and sign < 0 else number(sign * value)


def _int32(value: Number) -> int:
    if value != value or math.isinf(value):
        return 0
    return (int(value) + 2**31) % 2**32 - 2**31


def whole(value: Number) -> Number:
    """Without its fraction; NaN becomes 0, infinities stay."""
    if type(value) is int:
        return value
    if value != value:
        return 0
    return value if math.isinf(value) else int(value)


def _argument(digits: Number | None, low: int, what: str) -> int:
    count = whole(digits) if digits is not None else 0
    if not low <= count <= 100:
        raise RenderError(f"{what} argument must be between {low} and 100")
    return int(count)


def to_fixed(value: Number, digits: Number | None) -> str:
    count = _argument(digits, 0, "toFixed() digits")
    exact = float(value)
    if exact != exact or abs(exact) >= 1e21:
        return number_text(value)
    rounded = Decimal(abs(exact)).quantize(Decimal(1).scaleb(-count), context=_EXACT)
    return f"{'-' if exact < 0 else ''}{rounded:f}"


def to_exponential(value: Number, digits: Number | None) -> str:
    exact = float(value)
    if exact != exact or math.isinf(exact):
        return number_text(value)
    count = _argument(digits, 0, "toExponential()")
    if digits is None:
        return exponential(exact)
    figures, exponent = _rounded(abs(exact), count + 1)
    return ("-" if exact < 0 else "") + scientific(figures, exponent)


def to_precision(value: Number, digits: Number | None) -> str:
    exact = float(value)
    if digits is None or exact != exact or math.isinf(exact):
        return number_text(value)
    count = _argument(digits, 1, "toPrecision()")
    figures, exponent = _rounded(abs(exact), count)
    sign = "-" if exact < 0 else ""
    if exponent < -6 or exponent >= count:
        return sign + scientific(figures, exponent)
    if exponent >= 0:
        fraction = figures[exponent + 1 :]
        return sign + figures[: exponent + 1] + (f".{fraction}" if fraction else "")
    return f"{sign}0.{'0' * (-exponent - 1)}{figures}"


def _rounded(value: float, count: int) -> tuple[str, int]:
    """The first `count` digits of a number, rounded half up, and the exponent of the first."""
    if value == 0:
        return "0" * count, 0
    exact = Decimal(value)
    rounded = exact.quantize(Decimal(1).scaleb(exact.adjusted() - count + 1), context=_EXACT)
    digits = "".join(map(str, rounded.as_tuple().digits))
    return digits[:count], rounded.adjusted()


def to_radix(value: Number, radix: Number | None) -> str:
    """`value.toString(radix)`."""
    base = 10 if radix is None else whole(radix)
    if not 2 <= base <= 36:
        raise RenderError("toString() radix argument must be between 2 and 36")
    exact = float(value)
    if base == 10 or exact != exact or math.isinf(exact):
        return number_text(value)
    size = abs(exact)
    integer, fraction = int(size), size - int(size)
    digits, carry = _fraction_digits(size, fraction, int(base))
    return (
        ("-" if exact < 0 else "")
        + _integer_digits(float(integer + carry), int(base))
        + (f".{digits}" if digits else "")
    )


def _fraction_digits(size: float, fraction: float, base: int) -> tuple[str, int]:
    """As many digits as tell this double from its neighbours, and 1 where rounding reaches the integer."""
    delta = max(0.5 * (math.nextafter(size, math.inf) - size), math.nextafter(0.0, 1.0))
    digits: list[int] = []
    while fraction >= delta:
        fraction *= base
        delta *= base
        digit = int(fraction)
        digits.append(digit)
        fraction -= digit
        if (fraction > 0.5 or (fraction == 0.5 and digit & 1)) and fraction + delta > 1:
            return _carried(digits, base)
    return "".join(_DIGITS[digit] for digit in digits), 0


def _carried(digits: list[int], base: int) -> tuple[str, int]:
    while digits:
        digit = digits.pop() + 1
        if digit < base:
            return "".join(_DIGITS[each] for each in [*digits, digit]), 0
    return "", 1


def _integer_digits(value: float, base: int) -> str:
    """V8 divides doubles, and writes zeros for the digits that lie beyond their precision."""
    digits = ""
    while value >= SAFE:
        value /= base
        digits += "0"
    while True:
        rest = math.fmod(value, base)
        digits = _DIGITS[int(rest)] + digits
        value = (value - rest) / base
        if value <= 0:
            return digits
