"""Answer -> the text by which to ask again only for something newer -> the headers that do so. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_MODIFIED = "Last-Modified: "


def mark(headers: Mapping[str, str]) -> str | None:
    """The ETag, or else `Last-Modified: <date>`; None where the server tells neither."""
    if etag := headers.get("ETag"):
        return etag
    modified = headers.get("Last-Modified")
    return _MODIFIED + modified if modified else None


def asking(mark: str | None) -> dict[str, str]:
    """The header of a request for what is newer than the mark."""
    if not mark:
        return {}
    if mark.startswith(_MODIFIED):
        return {"If-Modified-Since": mark.removeprefix(_MODIFIED)}
    return {"If-None-Match": mark}
