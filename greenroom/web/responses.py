"""Values -> responses, with the headers and the weak ETags that express gives them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
from litestar import Response
from litestar.response import Stream

JSON = "application/json; charset=utf-8"
EVENTS = "text/event-stream"

_encode = msgspec.json.Encoder().encode


def weak_etag(body: bytes) -> str:
    """`W/"<length in hex>-<27 characters of base64 SHA-1>"`, byte for byte what express derives from a body."""
    if not body:
        return 'W/"0-2jmj7l5rSw0yVb/vlWAYkK/YBwk"'
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest())[:27].decode()
    return f'W/"{len(body):x}-{digest}"'


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, etag: bool = True
) -> Response[bytes]:
    """A JSON response. Bytes are taken for a finished document and pass through untouched.

    The door answers 304 when `If-None-Match` names the ETag; `etag=False` is for bodies that upstream streams."""
    body = content if isinstance(content, bytes) else _encode(content)
    extra = dict(headers or {})
    if etag and not any(name.lower() == "etag" for name in extra):
        extra["ETag"] = weak_etag(body)
    return Response(body, status_code=status, headers=extra, media_type=JSON)


class JsonStream(Stream):
    """A JSON response in pieces. The next is asked for when the last is with its reader, but for the 64 KiB or so that wait in
    the connection; the generator is closed in any case, at once when the client has gone."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(pieces, media_type=JSON, headers=headers)
        self.pieces = pieces


class EventStream(Stream):
    """Server-sent events: pieces as of `JsonStream`, each sent, and packed where the client wants that, at once.

    Headers are upstream's, and one for nginx, which would hold pieces back."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(pieces, media_type=EVENTS, headers=headers)
        self.pieces = pieces


def empty(status: int = 200) -> Response[bytes]:
    """A response without a body or a content type, as `res.status(n).end()`."""
    return Response(b"", status_code=status, media_type="")
