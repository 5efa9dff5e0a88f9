"""Requests over one kept-alive connection, with as little of our own in between as can be: what is timed is the server."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import msgspec

TOKEN = "oracle-token-for-tests"
LINE_LIMIT = 1 << 20
IDLE_SECONDS = 2.0
"""A connection that was not used for longer is not used again: servers close them after some five."""


class Ask(NamedTuple):
    """A request. The target is the path with its query."""

    target: str
    method: str = "GET"
    body: bytes = b""


class Reply(NamedTuple):
    """An answer, and how long it took from the first byte sent to the last one read."""

    status: int
    content: bytes
    seconds: float

    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class RefusedError(Exception):
    """A server answered with another status than was expected"""


class Connection:
    """One connection to a server on this machine; opened by the first request. Not for two requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def ask(self, ask: Ask, expected: int = 200) -> Reply:
        """Raises RefusedError for another status, OSError or EOFError where nobody answers."""
        reply = await self.attempt(ask)
        if reply.status != expected:
            raise RefusedError(f"{ask.method} {ask.target[:200]}: {reply.status} {reply.content[:500]!r}")
        return reply

    async def attempt(self, ask: Ask) -> Reply:
        """Whatever the status. Raises OSError or EOFError where nobody answers."""
        if time.perf_counter() - self._used > IDLE_SECONDS:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=LINE_LIMIT)
        reader, writer = self._streams
        began = time.perf_counter()
        writer.write(self._head(ask) + ask.body)
        status, headers = await _head(reader)
        content = await _content(reader, headers)
        self._used = time.perf_counter()
        if headers.get("connection") == "close":
            self.close()
        return Reply(status, content, self._used - began)

    def close(self) -> None:
        """The next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    def _head(self, ask: Ask) -> bytes:
        lines = [
            f"{ask.method} {ask.target} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            f"Authorization: Bearer {TOKEN}",
            *([f"Content-Type: application/json\r\nContent-Length: {len(ask.body)}"] if ask.method == "POST" else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _content(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)
