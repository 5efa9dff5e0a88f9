"""What a task does, told as it happens: one list for whoever waits for it, or a stream without an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
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
from greenroom_scaffolder.tasks.events import Batch
from greenroom_scaffolder.tasks.following import Feed

HELLO = b": here\n\n"
"""Sent when there is nothing to tell yet, so that the head of the answer is on its way."""

HEARTBEAT = b": heartbeat\n\n"

SOON = 0.2
"""Seconds in which the first events come, if there are any."""

log = logging.getLogger("greenroom.scaffolder")


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
            leaving = (gone(request), closing(request).wait())
            async with feed, ended_by(feed, *leaving):
                events = await heard(feed, limits.long_poll.total_seconds()) or []
        return json_response(b"[" + b",".join(one.json for one in events) + b"]")

    return [stream, poll]


async def frames(feed: Feed, ending: asyncio.Event, heartbeat: float) -> AsyncGenerator[bytes, None]:
    """Events as server-sent events, until the last one, the end of the feed, or that of the server. Silence is broken by
    comments."""
    silence, comment = SOON, HELLO
    async with feed, ended_by(feed, ending.wait()):
        while not feed.over:
            if piece := written(await heard(feed, silence)):
                yield piece
            elif not feed.over:
                yield comment
            piece = b""  # the next one may be long in coming, and whoever waits holds nothing
            silence, comment = heartbeat, HEARTBEAT


def written(batch: Batch | None) -> bytes:
    """The frames of some events: the same bytes for all who are told the same."""
    return b"" if batch is None else batch.once(lambda events: b"".join(map(frame, events)))


@asynccontextmanager
async def ended_by(feed: Feed, *causes: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Within the block, the feed ends once one of these returns."""
    waits = [asyncio.create_task(cause) for cause in causes]
    for wait in waits:
        wait.add_done_callback(feed.end)
    try:
        yield
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)


async def heard(feed: Feed, seconds: float) -> Batch | None:
    """What a feed brings next. It ends where the database is lost, too: the client comes back and asks for what it has not had."""
    try:
        return await feed.next(seconds)
    except ServiceUnavailableError as error:
        log.warning("an event stream ends: %s", error.message)
        feed.end()
        return None


async def _hello() -> AsyncGenerator[bytes, None]:
    yield HELLO
