"""What a task does, told as it happens: one list for whoever waits for it, or a stream without an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import ServiceUnavailableError
from greenroom.permissions import Permissions
from greenroom.web import EventStream, asked, closing, gone, json_response, sent_method
from greenroom_scaffolder.routes import requests
from greenroom_scaffolder.routes.permissions import TASK_READ
from greenroom_scaffolder.routes.wire import frame
from greenroom_scaffolder.settings import EventStreams
from greenroom_scaffolder.tasks.broker import Broker
from greenroom_scaffolder.tasks.events import TaskEvent

HELLO = b": here\n\n"
"""Sent when there is nothing to tell yet, so that the head of the answer is on its way."""

HEARTBEAT = b": heartbeat\n\n"

SOON = 0.2
"""Seconds in which the first events come, if there are any."""

PIECE = 64 * 1024
"""Bytes of frames, after which they are sent."""

log = logging.getLogger("greenroom.scaffolder")

Feed = AsyncGenerator[Sequence[TaskEvent], None]


def event_routes(tasks: Broker, permissions: Permissions, limits: EventStreams) -> list[HTTPRouteHandler]:
    """The routes that tell of events."""

    @get("/v2/tasks/{taskId:str}/eventstream")
    async def stream(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        await tasks.get(ask.path["taskId"])
        await permissions.require(ask.credentials, TASK_READ, ask.path["taskId"])
        after = requests.after(ask.query)
        if sent_method(request) == "HEAD":
            return EventStream(_hello())
        feed = tasks.follow(ask.path["taskId"], after)
        return EventStream(frames(feed, closing(request), limits.heartbeat.total_seconds()))

    @get("/v2/tasks/{taskId:str}/events", operation_id="StreamLogsPolling")
    async def poll(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await tasks.get(ask.path["taskId"])
        await permissions.require(ask.credentials, TASK_READ, ask.path["taskId"])
        given = ask.query.get("after")
        after = given if isinstance(given, int) else None
        events = await tasks.events(ask.path["taskId"], after)
        if not events and sent_method(request) != "HEAD":
            feed = tasks.follow(ask.path["taskId"], after)
            events = await first(feed, request, limits.long_poll.total_seconds())
        return json_response(b"[" + b",".join(one.json for one in events) + b"]")

    return [stream, poll]


async def first(feed: Feed, request: Request[Any, Any, Any], patience: float) -> Sequence[TaskEvent]:
    """What a feed brings first; nothing once patience, client or server are gone."""
    waits: list[asyncio.Task[Any]] = [
        asyncio.create_task(_next(feed)),
        asyncio.create_task(gone(request)),
        asyncio.create_task(closing(request).wait()),
    ]
    try:
        await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        return waits[0].result() or [] if waits[0].done() else []
    finally:
        await _let_go(waits, feed)


async def frames(feed: Feed, ending: asyncio.Event, heartbeat: float) -> AsyncGenerator[bytes, None]:
    """Events as server-sent events, until the last one, the end of the feed, or that of the server. Silence is broken by
    comments."""
    closed = asyncio.create_task(ending.wait())
    coming = asyncio.create_task(_next(feed))
    silence, comment = SOON, HELLO
    try:
        while not closed.done():
            await asyncio.wait((coming, closed), timeout=silence, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                if not (events := coming.result()):
                    return
                for piece in pieces(events):
                    yield piece
                if any(one.last for one in events):
                    return
                coming = asyncio.create_task(_next(feed))
            elif not closed.done():
                yield comment
            silence, comment = heartbeat, HEARTBEAT
    finally:
        await _let_go([coming, closed], feed)


def pieces(events: Sequence[TaskEvent]) -> Iterator[bytes]:
    """Frames, some together: few writes for short ones, no great copy of long ones while a slow client reads."""
    piece: list[bytes] = []
    size = 0
    for one in events:
        piece.append(frame(one))
        size += len(piece[-1])
        if size >= PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


async def _next(feed: Feed) -> Sequence[TaskEvent] | None:
    """None at the end, which is also where the database is lost: the client comes back and asks for what it has not had."""
    try:
        return await anext(feed, None)
    except ServiceUnavailableError as error:
        log.warning("an event stream ends: %s", error.message)
        return None


async def _let_go(waits: Sequence[asyncio.Task[Any]], feed: Feed) -> None:
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)
    await feed.aclose()


async def _hello() -> AsyncGenerator[bytes, None]:
    yield HELLO
