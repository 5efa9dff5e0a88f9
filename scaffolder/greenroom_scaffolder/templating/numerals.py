"""number <-> text, as JavaScript writes and reads numbers."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal

from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.units import trim

__all__ = [
    "number",
    "parse_float",
    "parse_int",
    "to_exponential",
    "to_fixed",
    "to_precision",
    "to_radix",
    "whole",
    "written",
]

Number = int | float
SAFE = 2**53
NAN = math.nan
_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_PREFIXED = {"0x": 16, "0o": 8, "0b": 2}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_EXACT = Context(prec=1200, rounding=ROUND_HALF_UP)


def number(value: Number) -> Number:
    """The double nearest to `value`, as an int where it is a whole number that ints and doubles agree about."""
    if type(value) is int:
        if -SAFE <= value <= SAFE:
            return value
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    value = float(value)
    if value.is_integer() and -SAFE <= value <= SAFE and (value != 0 or math.copysign(1, value) > 0):
        return int(value)
    return value


def written(value: Number) -> str:
    """A number as JavaScript prints it: `1`, `0.1`, `1e+21`, `NaN`."""
    if type(value) is int and -SAFE <= value <= SAFE:
        return str(value)
    value = float(number(value))
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, point = _shortest(value)
    return sign + _placed(digits, point)


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, the fewest digits that name this double, and where the point stands among them."""
    sign, figures, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, figures))
    assert isinstance(exponent, int)  # noqa: S101 - not NaN, not infinite
    point = len(digits) + exponent
    return "-" if sign else "", digits.rstrip("0") or "0", point


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    return _scientific(digits, point - 1)


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def read(text: str) -> Number:
    """What `Number(text)` is: nothing is 0, what is no number is NaN."""
    text = trim(text)
    if not text:
        return 0
    base = _PREFIXED.get(text[:2].lower())
    if base is not None:
        digits = text[2:].lower()
        known = _DIGITS[:base]
        return number(int(digits, base)) if digits and all(digit in known for digit in digits) else NAN
    return _as_double(text) if _DECIMAL.fullmatch(text) else NAN


def _as_double(text: str) -> Number:
    return number(float(text.replace("Infinity", "inf")))


def parse_float(text: str) -> Number:
    found = _DECIMAL.match(trim(text))
    return _as_double(found[0]) if found else NAN


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
        return NAN
    known = _DIGITS[:base]
    length = next((index for index, character in enumerate(text.lower()) if character not in known), len(text))
    return _signed(int(text[:length][:5000], base), sign) if length else NAN


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
        return written(value)
    rounded = Decimal(abs(exact)).quantize(Decimal(1).scaleb(-count), context=_EXACT)
    return f"{'-' if exact < 0 else ''}{rounded:f}"


def to_exponential(value: Number, digits: Number | None) -> str:
    exact = float(value)
    if exact != exact or math.isinf(exact):
        return written(value)
    count = _argument(digits, 0, "toExponential()")
    if digits is None:
        sign, figures, point = _shortest(exact)
        return sign + _scientific(figures, point - 1 if exact else 0)
    figures, exponent = _rounded(abs(exact), count + 1)
    return ("-" if exact < 0 else "") + _scientific(figures, exponent)


def to_precision(value: Number, digits: Number | None) -> str:
    exact = float(value)
    if digits is None or exact != exact or math.isinf(exact):
        return written(value)
    count = _argument(digits, 1, "toPrecision()")
    figures, exponent = _rounded(abs(exact), count)
    sign = "-" if exact < 0 else ""
    if exponent < -6 or exponent >= count:
        return sign + _scientific(figures, exponent)
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
        return written(value)
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
