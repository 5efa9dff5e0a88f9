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


class Streams:
    """The answers in pieces that are under way. What a crowd of them took lies scattered between what stays, and malloc keeps
    it: it is told to give it back, once, when they are gone."""

    def __init__(self, give_back: Callable[[], object] | None = None) -> None:
        """`give_back` is for tests."""
        self._give_back = give_back or _give_back()
        self._open = 0
        self._crowded = False

    async def send(
        self, reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None], receive: Receive
    ) -> None:
        """Raises what making the pieces raises. They are closed before it returns."""
        self._open += 1
        self._crowded = self._crowded or self._open > CROWD
        try:
            await _stream(reply, status, headers, pieces, receive)
        finally:
            self._open -= 1
            if self._crowded and not self._open:
                self._crowded = False
                asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._give_back)


def _give_back() -> Callable[[], object]:
    """glibc's malloc_trim, or nothing: others have no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return (lambda: None) if trim is None else partial(trim, 0)


async def _stream(
    reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None], receive: Receive
) -> None:
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
