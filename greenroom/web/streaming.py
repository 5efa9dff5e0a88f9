"""An answer in pieces: sent until it ends or the client has gone, and nothing of it is left then, not even for the collector."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncGenerator, Callable
from functools import partial

from greenroom.web.asgi import Receive
from greenroom.web.headers import RawHeaders
from greenroom.web.reply import Reply

CROWD = 8
"""Streams at a time, after which the memory that they took is given back."""

SETTLED_SECONDS = 2.0
"""After the last of them."""

KEPT = 8 * 1024 * 1024
"""Bytes that malloc keeps at the end of its heap when they are freed: some pieces."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt


class Streams:
    """The answers in pieces that are under way.

    By itself malloc gives the memory of each piece back to the system, and gets it again for the next, page by page: a third of
    what a piece costs. So it is told to keep some, when there is the first stream. What a crowd of them took lies scattered between
    what stays, and malloc keeps all of it: it is told to give it back, once, when they are gone."""

    def __init__(self, keep: Callable[[], object] | None = None, give_back: Callable[[], object] | None = None) -> None:
        """The arguments are for tests."""
        self._keep: Callable[[], object] | None = keep or _keep
        self._give_back = give_back or partial(_glibc, "malloc_trim", 0)
        self._open = 0
        self._crowded = False

    async def send(
        self, reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None], receive: Receive
    ) -> None:
        """Raises what making the pieces raises. They are closed before it returns."""
        if self._keep is not None:
            self._keep()
            self._keep = None
        self._open += 1
        self._crowded = self._crowded or self._open > CROWD
        try:
            await stream(reply, status, headers, pieces, receive)
        finally:
            self._open -= 1
            if self._crowded and not self._open:
                self._crowded = False
                asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._give_back)


def _keep() -> None:
    _glibc("mallopt", _TRIM_THRESHOLD, KEPT)
    _glibc("mallopt", _MMAP_THRESHOLD, KEPT // 4)


def _glibc(name: str, *arguments: int) -> None:
    """One of glibc's own functions; others have no such thing."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)


async def stream(
    reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None], receive: Receive
) -> None:
    """Send pieces until they end or the client has gone. They are closed before it returns. Raises what making them raises."""
    sending = asyncio.create_task(_send(reply, status, headers, pieces))
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = sending.done()
        sending.cancel()
        leaving.cancel()
        await asyncio.wait((sending, leaving))
        await pieces.aclose()
    if ended:
        sending.result()


async def _send(reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None]) -> None:
    await reply.send({"type": "http.response.start", "status": status, "headers": headers})
    while piece := await anext(pieces, b""):
        message = {"type": "http.response.body", "body": piece, "more_body": True}
        del piece  # the next one may be long in coming, and whoever waits holds nothing
        await reply.send(message)
        message.clear()
    await reply.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
