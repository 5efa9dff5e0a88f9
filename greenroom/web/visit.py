"""One request on its way through the door: what it shows, and how it is answered."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.auth import Shown
from greenroom.settings import hide_in_text
from greenroom.web.asgi import Receive, Send
from greenroom.web.bodies import drain
from greenroom.web.envelope import envelope
from greenroom.web.headers import RawHeaders
from greenroom.web.reply import Reply
from greenroom.web.responses import JSON, weak_etag

_REQUEST_ID = re.compile(rb"[\w.:/=+-]{1,128}")
JSON_TYPE = (b"content-type", JSON.encode())
_TEXT_TYPE = (b"content-type", b"text/html; charset=utf-8")

log = logging.getLogger("greenroom.web")


class Visit:
    """One request on its way through the door."""

    __slots__ = (
        "headers",
        "id",
        "method",
        "operation",
        "path",
        "plugin",
        "query",
        "receive",
        "reply",
        "scope",
        "unread",
    )

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send, fixed: RawHeaders) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self.query: str = scope["query_string"].decode("latin-1")
        self.id = _id_of(self.headers)
        self.reply = Reply(send, self.method, self.headers, fixed)
        self.plugin = ""
        self.operation = ""
        self.unread = b"content-length" in self.headers or b"transfer-encoding" in self.headers

    @property
    def url(self) -> str:
        """Path and query, of all that was asked for."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def reads(self) -> bool:
        """GET, or HEAD, which express answers as a GET."""
        return self.method in ("GET", "HEAD")

    def header(self, name: bytes) -> str | None:
        """A header by its name in lower case, None without one."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def shown(self) -> Shown:
        """What the request shows of its caller."""
        return Shown(self.header(b"authorization"), self.header(b"cookie"))

    async def json(self, body: bytes, status: int = 200, headers: RawHeaders | None = None) -> None:
        """Answer with JSON, as `res.json` does."""
        etag = (b"etag", weak_etag(body).encode())
        await self.drain()
        await self.reply.whole(status, [JSON_TYPE, etag, *(headers or ())], body)

    async def empty(self, status: int) -> None:
        """Answer without a body."""
        await self.drain()
        await self.reply.whole(status, [])

    async def drain(self) -> None:
        """Read the rest of a body nobody wanted before a connection that will be closed, or the client misses the answer."""
        if self.unread and self.headers.get(b"connection", b"").lower() == b"close":
            self.unread = False
            await drain(self.receive)

    async def allow(self, methods: Sequence[str]) -> None:
        """Answer OPTIONS as express does by itself."""
        body = ",".join(methods).encode()
        await self.reply.whole(200, [(b"Allow", body), _TEXT_TYPE, (b"etag", weak_etag(body).encode())], body)

    async def error(self, error: BaseException, url: str) -> None:
        """Answer with the error envelope; once something went out, only log."""
        status, body = envelope(error, self.method, url)
        if self.reply.begun:
            log.error("%s %s broke off: the response had begun", self.method, hide_in_text(url), exc_info=error)
        else:
            await self.json(body, status)


def _id_of(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
