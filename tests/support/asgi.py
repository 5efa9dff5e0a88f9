"""A client that speaks ASGI to an application in the same process, with raw paths and headers as a socket would carry them."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]

TOKEN = "a-token-for-tests"


class Reply:
    """A complete response. Header names are in lower case."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], chunks: list[bytes]) -> None:
        self.status = status
        self.pairs = [(name.decode().lower(), value.decode("latin-1")) for name, value in headers]
        self.headers = dict(self.pairs)
        self.chunks = chunks
        self.raw = b"".join(chunks)

    @property
    def body(self) -> bytes:
        """The body, decompressed."""
        encoding = self.headers.get("content-encoding")
        if encoding == "gzip":
            return gzip.decompress(self.raw)
        return zlib.decompress(self.raw) if encoding == "deflate" else self.raw

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The `error` of an envelope."""
        return self.json["error"]


class Client:
    """Sends requests for what is below `base`, with a bearer token unless it is None."""

    def __init__(self, app: App, token: str | None = TOKEN, address: str = "127.0.0.1", base: str = "") -> None:
        self.app = app
        self.token = token
        self.address = address
        self.base = base

    async def get(self, target: str, **headers: str) -> Reply:
        return await self.request("GET", target, headers)

    async def post(self, target: str, value: Any, **headers: str) -> Reply:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.request("POST", target, {"content-type": "application/json", **headers}, body)

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | list[bytes] = b"",
        *,
        token: str | None = "",
        gone: bool = False,
    ) -> Reply:
        """Keyword names of headers may have underscores for dashes. A body of several chunks has no content length.

        With `gone`, the client disconnects instead of sending the end of the body."""
        path, _, query = f"{self.base}{target}".partition("?")
        chunks = [body] if isinstance(body, bytes) else body
        pairs = [
            (name.replace("_", "-").lower().encode(), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ]
        token = self.token if token == "" else token
        if token is not None and not any(name == b"authorization" for name, _ in pairs):
            pairs.append((b"authorization", f"Bearer {token}".encode()))
        if len(chunks) > 1:
            pairs.append((b"transfer-encoding", b"chunked"))
        elif (chunks[0] or method in ("POST", "PUT")) and not any(name == b"content-length" for name, _ in pairs):
            pairs.append((b"content-length", b"%d" % len(chunks[0])))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), *pairs],
            "client": (self.address, 40000),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        return await _exchange(self.app, scope, chunks, gone=gone)


async def _exchange(app: App, scope: dict[str, Any], chunks: list[bytes], *, gone: bool) -> Reply:
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": gone or index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    answered = asyncio.Event()
    start: dict[str, Any] = {"status": 0, "headers": []}
    received: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        if not gone:
            await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not start["status"], "a response began twice"
            start.update(message)
        elif message["type"] == "http.response.body":
            assert start["status"], "a body came before its start"
            received.append(bytes(message.get("body", b"")))
            if not message.get("more_body"):
                answered.set()

    await app(scope, receive, send)
    return Reply(start["status"], start["headers"], received)


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    """The chunks, one by one."""
    for chunk in chunks:
        yield chunk
