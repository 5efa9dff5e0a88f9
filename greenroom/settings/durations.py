"""A duration as people write it in config -> timedelta: `30m`, `2 days`, `PT30M`, or `{hours: 1, minutes: 30}`.

The forms, units and factors are those of upstream's `readDurationFromConfig` and `durationToMilliseconds`: a year has
365 days (but the fraction in `1.5y` is one of 365.25), a month 30. Negative durations are refused.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from greenroom.javascript.numbers import as_double, read_number
from greenroom.javascript.texts import trim

UNITS: dict[str, timedelta] = {
    "years": timedelta(days=365),
    "months": timedelta(days=30),
    "weeks": timedelta(weeks=1),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
}
EXAMPLES = "`30m`, `2 days`, `PT30M` or `{minutes: 30}`"

_LEAP_YEAR = timedelta(days=365.25)
_WORDS = re.compile(
    r"(-?(?:\d+)?\.?\d+) *(?:(milliseconds?|msecs?|ms)|(seconds?|secs?|s)|(minutes?|mins?|m)|(hours?|hrs?|h)"
    r"|(days?|d)|(weeks?|w)|(years?|yrs?|y))?\Z",
    re.IGNORECASE,
)
_WORD_UNITS = ("milliseconds", "seconds", "minutes", "hours", "days", "weeks", "years")
_NUMBER = r"(-?\d{1,20}(?:\.\d{1,20})?)"
_ISO = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:(-?\d{{1,20}}(?:[.,]\d{{1,20}})?)S)?)?\Z"
)


def parse_duration(value: object) -> timedelta:
    """Read a duration in any of its forms. Raises ValueError with what is wrong, without quoting the value."""
    try:
        if isinstance(value, str):
            text = value.strip()
            result = _from_iso(text) if text.startswith("P") else _from_words(text)
        elif isinstance(value, dict):
            result = _from_units(value)
        else:
            raise ValueError(_needs_unit(value))
    except OverflowError:
        raise ValueError("the duration is too long") from None
    if result < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return result


def _needs_unit(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "a number needs a unit" if number else "expected a duration"


def _from_words(text: str) -> timedelta:
    if text.isdecimal():
        raise ValueError("a number needs a unit")
    found = _WORDS.match(text) if len(text) <= 100 else None
    if found is None:
        raise ValueError("expected a duration")
    count = float(found[1])
    unit = _WORD_UNITS[(found.lastindex or 2) - 2 if found.lastindex != 1 else 0]
    if unit != "years":
        return UNITS[unit] * count
    # Upstream counts 365.25 days to the year while reading, and 365 to each whole year when it adds up.
    whole = max(math.floor(count), 0)
    return UNITS["years"] * whole + _LEAP_YEAR * (count - whole)


def _from_iso(text: str) -> timedelta:
    found = _ISO.match(text)
    counts = found.groups() if found else ()
    if not any(counts):
        raise ValueError("expected an ISO duration such as `P2DT6H` or `PT1M`")
    total = timedelta(0)
    for unit, count in zip(UNITS, counts, strict=False):
        if count:
            total += UNITS[unit] * float(count.replace(",", "."))
    return total


def _from_units(value: dict[str, object]) -> timedelta:
    given = {unit: count for unit, count in value.items() if count is not None}
    unknown = [unit for unit in given if unit not in UNITS]
    if unknown:
        raise ValueError(f"unknown unit {unknown[0]!r}, expected some of {', '.join(UNITS)}")
    if not given:
        raise ValueError(f"expected some of {', '.join(UNITS)}")
    total = timedelta(0)
    for unit, count in given.items():
        total += UNITS[unit] * parse_number(count)
    return total


def parse_number(value: object) -> int | float:
    """A number, or a text that holds one, as upstream's ConfigReader accepts it. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number")
    number = _number_of(value) if isinstance(value, str) else as_double(value)
    if not math.isfinite(number):
        raise ValueError("expected a number")
    return int(number) if number.is_integer() else number


def _number_of(text: str) -> float:
    """What JavaScript's `Number()` makes of a text, but no 0 of an empty one."""
    return read_number(text) if trim(text) else math.nan
