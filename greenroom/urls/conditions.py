"""Answer -> the text by which to ask again only for something newer -> the headers that do so. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_LONGEST = 1000
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
