"""Requests over one kept-alive connection, with as little of our own in between as can be: what is timed is the server.

Plain sockets, and an answer is only looked into when its last byte is there: a reader that takes an answer chunk by chunk
would cost the side that sends more of them.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, NamedTuple

import msgspec

TOKEN = "oracle-token-for-tests"
PATIENCE = 600.0
BLOCK = 1 << 20
IDLE_SECONDS = 2.0
"""A connection that was not used for longer is not used again: servers close them after some five."""
END_OF_CHUNKS = b"\r\n0\r\n\r\n"
"""No JSON has that within."""


class Ask(NamedTuple):
    """A request. The target is the path with its query."""

    target: str
    method: str = "GET"
    body: bytes = b""


class Reply(NamedTuple):
    """An answer, how long it took from the first byte sent to the last one read, and how many bytes of body were received."""

    status: int
    content: bytes
    seconds: float
    size: int

    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class RefusedError(Exception):
    """A server answered with another status than was expected"""


class Connection:
    """One connection to a server on this machine; opened by the first request. Not for two requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._used = 0.0

    async def ask(self, ask: Ask, expected: int = 200, *, keep: bool = True) -> Reply:
        """Raises RefusedError for another status, OSError or EOFError where nobody answers.

        Without `keep` the content is read and forgotten."""
        reply = await self.attempt(ask, keep=keep)
        if reply.status != expected:
            raise RefusedError(f"{ask.method} {ask.target[:200]}: {reply.status} {reply.content[:500]!r}")
        return reply

    async def attempt(self, ask: Ask, *, keep: bool = True) -> Reply:
        """Whatever the status. Raises OSError or EOFError where nobody answers."""
        return await asyncio.to_thread(self._attempt, ask, keep)

    def close(self) -> None:
        """The next request opens another one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _attempt(self, ask: Ask, keep: bool) -> Reply:
        if time.perf_counter() - self._used > IDLE_SECONDS:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = _head(ask, self._port) + ask.body
        began = time.perf_counter()
        self._socket.sendall(request)
        head, received = _first(self._socket)
        status, headers = _parsed(head)
        blocks, size = _rest(self._socket, received, headers, keep)
        self._used = time.perf_counter()
        if headers.get("connection") == "close":
            self.close()
        content = b"".join(blocks)
        if keep and _chunked(headers):
            content = _joined(content)
        return Reply(status, content, self._used - began, size)


def _head(ask: Ask, port: int) -> bytes:
    lines = [
        f"{ask.method} {ask.target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {TOKEN}",
        *([f"Content-Type: application/json\r\nContent-Length: {len(ask.body)}"] if ask.method == "POST" else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _first(stream: socket.socket) -> tuple[bytes, bytes]:
    """The head, and what came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _block(stream)
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _block(stream: socket.socket) -> bytes:
    if not (block := stream.recv(BLOCK)):
        raise EOFError("the server closed the connection")
    return block


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


def _chunked(headers: dict[str, str]) -> bool:
    return headers.get("transfer-encoding") == "chunked"


def _rest(stream: socket.socket, received: bytes, headers: dict[str, str], keep: bool) -> tuple[list[bytes], int]:
    """Read to the end of the answer; without `keep` only its first block is returned."""
    blocks, size, tail = [received], len(received), b"\r\n" + received[-7:]
    length = int(headers.get("content-length", 0))
    while not tail.endswith(END_OF_CHUNKS) if _chunked(headers) else size < length:
        block = _block(stream)
        size += len(block)
        tail = (tail + block[-7:])[-7:]
        if keep:
            blocks.append(block)
    return blocks, size


def _joined(content: bytes) -> bytes:
    """What was sent in chunks."""
    found, at = list[bytes](), 0
    while True:
        end = content.index(b"\r\n", at)
        if not (size := int(content[at:end], 16)):
            return b"".join(found)
        found.append(content[end + 2 : end + 2 + size])
        at = end + 4 + size
