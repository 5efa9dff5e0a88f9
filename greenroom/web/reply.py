"""A response on its way out: the fixed headers, CORS, 304, compression, and no body for HEAD."""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenroom.web.asgi import Message, Send
from greenroom.web.compression import THRESHOLD, Compressor, compress, compressible, compressor, flush_now, negotiate
from greenroom.web.headers import RawHeaders

_NO_CACHE = re.compile(rb"(?:^|,)\s*?no-cache\s*?(?:,|$)")
_NO_TRANSFORM = re.compile(rb"(?:^|,)\s*?no-transform\s*?(?:,|$)", re.IGNORECASE)
_ENTITY = (b"content-type", b"content-length", b"transfer-encoding")


class Reply:
    """Wraps the server's `send` for one request. The start is held back until the first piece of the body is known."""

    def __init__(self, send: Send, method: str, request: Mapping[bytes, bytes], fixed: RawHeaders) -> None:
        self.added = fixed
        """Headers that come first, whatever the handler says."""
        self.vary: tuple[str, ...] = ()
        self.status = 0
        self.length = 0
        """Bytes of the body that were sent, after compression."""
        self._send = send
        self._head = method == "HEAD"
        self._conditional = b"if-none-match" in request and method in ("GET", "HEAD")
        self._request = request
        self._start: Message | None = None
        self._packing: Compressor | None = None
        self._flushes = False

    @property
    def begun(self) -> bool:
        """Whether anything went out, so that no error can be answered any more."""
        return self.status != 0

    async def send(self, message: Message) -> None:
        """An ASGI send."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._body(message.get("body", b""), more=bool(message.get("more_body")))
        else:
            await self._send(message)

    async def whole(self, status: int, headers: RawHeaders, body: bytes = b"") -> None:
        """A complete response of the door's own."""
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        await self._body(body, more=False)

    async def _body(self, body: bytes, *, more: bool) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            body = await self._begin(start["status"], list(start["headers"]), body, more=more)
        elif self._packing is not None:
            body = self._pack(body, more=more)
        if self._head:
            body = b""
        self.length += len(body)
        if body or not more:
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _begin(self, status: int, headers: RawHeaders, body: bytes, *, more: bool) -> bytes:
        named = {name.lower(): value for name, value in headers}
        if self._conditional and 200 <= status < 300 and not more and self._fresh(named):
            status = 304
        if status in (204, 304):
            headers = [pair for pair in headers if pair[0].lower() not in _ENTITY]
            body, named = b"", {}
        elif not body and not more and named.get(b"content-length", b"0") == b"0":
            headers = [pair for pair in headers if pair[0].lower() != b"content-type"]  # litestar calls nothing JSON
            named.pop(b"content-type", None)
        vary = self.vary
        content_type = named.get(b"content-type")
        if content_type is not None and compressible(content_type) and not _fixed_form(named):
            vary = (*vary, "Accept-Encoding")
            headers, body = await self._compress(headers, named, body, more=more)
        if b"content-length" not in named and not more and status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        if vary:
            headers = _with_vary(headers, vary)
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [*self.added, *headers]})
        return body

    async def _compress(
        self, headers: RawHeaders, named: Mapping[bytes, bytes], body: bytes, *, more: bool
    ) -> tuple[RawHeaders, bytes]:
        length = named.get(b"content-length")
        known = int(length) if length is not None else None if more else len(body)
        if self._head or b"content-encoding" in named or (known is not None and known < THRESHOLD):
            return headers, body
        encoding = negotiate(self._request.get(b"accept-encoding", b"identity"))
        if not encoding:
            return headers, body
        headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        headers.append((b"Content-Encoding", encoding.encode()))
        if more:
            self._packing = compressor(encoding)
            self._flushes = named.get(b"content-type", b"").startswith(b"text/event-stream")
            return headers, self._pack(body, more=True)
        body = await compress(body, encoding)
        if length is not None:  # otherwise _begin adds it
            headers.append((b"content-length", b"%d" % len(body)))
        return headers, body

    def _pack(self, body: bytes, *, more: bool) -> bytes:
        packing = self._packing
        if packing is None:
            return body
        packed = packing.compress(body) if body else b""
        if not more:
            return packed + packing.flush()
        return packed + flush_now(packing) if self._flushes and body else packed

    def _fresh(self, response: Mapping[bytes, bytes]) -> bool:
        """Whether the client has it already, as the package `fresh` decides from `If-None-Match`."""
        etag = response.get(b"etag")
        cache_control = self._request.get(b"cache-control")
        if etag is None or (cache_control and _NO_CACHE.search(cache_control)):
            return False
        if self._request.get(b"if-modified-since"):
            return False  # nothing here says when it was modified, and `fresh` asks for both
        asked = self._request[b"if-none-match"]
        if asked.strip() == b"*":
            return True
        same = (etag, b"W/" + etag, etag.removeprefix(b"W/"))
        return any(candidate.strip(b" ") in same for candidate in asked.split(b","))


def _fixed_form(named: Mapping[bytes, bytes]) -> bool:
    """`Cache-Control: no-transform`"""
    cache_control = named.get(b"cache-control")
    return cache_control is not None and bool(_NO_TRANSFORM.search(cache_control))


def _with_vary(headers: RawHeaders, names: tuple[str, ...]) -> RawHeaders:
    present = [value.decode("latin-1") for name, value in headers if name.lower() == b"vary"]
    rest = [pair for pair in headers if pair[0].lower() != b"vary"]
    return [*rest, (b"Vary", ", ".join(dict.fromkeys([*present, *names])).encode("latin-1"))]
