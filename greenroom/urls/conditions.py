"""Answer -> when to ask again, and the text by which to ask only for something newer -> the headers that do so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST = 1000
_DIGITS = 12
_MODIFIED = "Last-Modified: "


def mark(headers: Mapping[str, str]) -> str | None:
    """The ETag, or else `Last-Modified: <date>`; None where the server tells neither."""
    if etag := _sane(headers.get("ETag")):
        return etag
    modified = _sane(headers.get("Last-Modified"))
    return _MODIFIED + modified if modified else None


def _sane(value: str | None) -> str | None:
    """What may be kept and sent back: a server can put anything into a header."""
    return value if value and len(value) <= _LONGEST and value.isascii() and value.isprintable() else None


def asking(mark: str | None) -> dict[str, str]:
    """The header of a request for what is newer than the mark."""
    if not mark:
        return {}
    if mark.startswith(_MODIFIED):
        return {"If-Modified-Since": mark.removeprefix(_MODIFIED)}
    return {"If-None-Match": mark}


def patience(headers: Mapping[str, str]) -> float | None:
    """The seconds for which a server asks to be left alone by `Retry-After`: a number, or a date (RFC 9110, 10.2.3).

    None where it does not ask, or in no way that can be understood."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal() and asked.isascii() and len(asked) <= _DIGITS:
        return float(asked)
    try:
        date = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):  # the latter from offsets of zones
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
