"""An answer in pieces: sent until it ends or the client has gone, and nothing of it is left then, not even for the collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from greenroom.web.asgi import Receive
from greenroom.web.headers import RawHeaders
from greenroom.web.reply import Reply


async def stream(
    reply: Reply, status: int, headers: RawHeaders, pieces: AsyncGenerator[bytes, None], receive: Receive
) -> None:
    """Raises what making the pieces raises. They are closed before it returns."""
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
