"""YAML scalar -> JSON value, as the npm package `yaml` 2.x reads it: the core schema of YAML 1.2, or 1.1 where a file asks for it.

Dates, `yes` and `1:30` are strings in 1.2. Known tags (`!!set`, `!!binary`, `!!timestamp`, …) give what JavaScript makes of
their values in JSON; any other tag is ignored.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenroom.javascript.times import iso
from greenroom.javascript.values import text_of
from greenroom_catalog.model.values import from_double, from_int

TAG = "tag:yaml.org,2002:"

Resolve = Callable[[str], Any]
"""The text of a plain scalar -> its value."""

SPECIAL = frozenset("~nNtTfF0123456789+-.")
"""What a plain scalar of YAML 1.2 starts with, unless it is a string or empty."""

_CORE = re.compile(
    r"(?:(~|null|Null|NULL|)|(true|True|TRUE)|(false|False|FALSE)|([-+]?[0-9]+)|(0o[0-7]+)|(0x[0-9a-fA-F]+)"
    r"|([-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)|([-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)))\Z"
)
_NULL, _TRUE, _FALSE, _INT, _OCTAL, _HEX, _FLOAT, _NOT_FINITE = range(1, 9)

_OLD_NULL = re.compile(r"(?:~|[Nn]ull|NULL)?\Z")
_OLD_TRUE = re.compile(r"(?:Y|y|[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)\Z")
_OLD_FALSE = re.compile(r"(?:N|n|[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)\Z")
_OLD_INTS = (
    (re.compile(r"([-+]?)0b([01_]+)\Z"), 2),
    (re.compile(r"([-+]?)0([0-7_]+)\Z"), 8),
    (re.compile(r"([-+]?)([0-9][0-9_]*)\Z"), 10),
    (re.compile(r"([-+]?)0x([0-9a-fA-F_]+)\Z"), 16),
)
_OLD_FLOAT = re.compile(r"[-+]?(?:(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?[eE][-+]?[0-9]+|(?:[0-9][0-9_]*)?\.[0-9_]*)\Z")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:t|T|[ \t]+)([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?(?:[ \t]*(Z|[-+][012]?[0-9](?::[0-9]{2})?))?)?\Z"
)


class ScalarError(Exception):
    """A tagged scalar that its tag does not allow."""


def resolve(text: str) -> Any:
    """YAML 1.2."""
    if text and text[0] not in SPECIAL:
        return text
    found = _CORE.match(text)
    if found is None:
        return text
    which = found.lastindex
    if which == _INT:
        return from_int(int(text)) if len(text) < 300 else from_double(float(text))
    if which == _FLOAT:
        return from_double(float(text))
    if which in (_OCTAL, _HEX):
        return from_int(int(text, 0))
    return {_TRUE: True, _FALSE: False}.get(which or _NULL)


def resolve_old(text: str) -> Any:
    """YAML 1.1, which a document asks for by `%YAML 1.1`."""
    if _OLD_NULL.match(text) or _NOT_A_NUMBER.match(text):
        return None
    if _OLD_TRUE.match(text) or _OLD_FALSE.match(text):
        return _OLD_TRUE.match(text) is not None
    for pattern, base in _OLD_INTS:
        if (found := pattern.match(text)) is not None:
            digits = found[2].replace("_", "")
            return from_int(int(found[1] + digits, base)) if digits else None
    if _OLD_FLOAT.match(text):
        return _old_float(text)
    if _SEXAGESIMAL.match(text):
        return from_double(_sexagesimal(text))
    return read_timestamp(text) if _TIMESTAMP.match(text) else text


def resolve_tagged(tag: str, text: str, plain: Resolve) -> Any:
    """A scalar with an explicit tag. A tag that is unknown or does not fit leaves a string. Raises ScalarError."""
    name = tag.removeprefix(TAG) if tag.startswith(TAG) else ""
    if name == "binary":
        return {"type": "Buffer", "data": list(_base64(text))}
    if name == "timestamp":
        return read_timestamp(text)
    if name not in ("null", "bool", "int", "float") or isinstance(value := plain(text), str):
        return text
    return value if _tag_of(value, text) == name else text


def key_text(value: object) -> str:
    """A mapping key as the name of a JavaScript property."""
    return "" if value is None else text_of(value)


def read_timestamp(text: str) -> str:
    """`2024-1-2`, `2001-12-14t21:59:43.10-05:00` -> ISO 8601 in UTC, to the millisecond. Raises ScalarError."""
    found = _TIMESTAMP.match(text)
    if found is None:
        raise ScalarError("!!timestamp expects a date, starting with yyyy-mm-dd")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3, 4, 5, 6))
    months = year * 12 + month - 1  # JavaScript carries months and days that do not exist over to the next
    milliseconds = int(f"{(found[7] or '.')[1:]}000"[:3])
    try:
        start = datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
        moment = start + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second, milliseconds=milliseconds)
        moment -= _offset(found[8])
    except (ValueError, OverflowError):
        raise ScalarError("Invalid time value") from None
    return iso(moment)


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    number = _sexagesimal(zone)
    return timedelta(minutes=number * 60 if abs(number) < 30 else number)


def _sexagesimal(text: str) -> float:
    total = 0.0
    for part in text.lstrip("+-").replace("_", "").split(":"):
        total = total * 60 + float(part)
    return -total if text.startswith("-") else total


def _old_float(text: str) -> Any:
    try:
        return from_double(float(text.replace("_", "")))
    except ValueError:  # such as a lone point
        return None


def _tag_of(value: object, text: str) -> str:
    if value is None:
        return "float" if _NOT_A_NUMBER.match(text) else "null"
    if isinstance(value, bool):
        return "bool"
    is_float = not text.startswith("0x") and not {".", "e", "E"}.isdisjoint(text)
    return "float" if is_float else "int"


def _base64(text: str) -> bytes:
    """As forgiving as Node's Buffer: other characters are skipped, padding is optional."""
    digits = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return base64.b64decode(digits + "=" * (-len(digits) % 4))
