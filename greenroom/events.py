"""Something has happened, told to every process: topics over Postgres' NOTIFY, heard on one connection per process.

Events wake; they do not carry the truth. One may be lost while the connection is, so a subscriber that is called with
None looks for itself what is new. Inside a transaction, SQL may do `select pg_notify('greenroom', 'topic payload')`,
which is sent when it commits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import asyncpg

from greenroom.db import LOST, Database, DirectConnections, Record
from greenroom.db.connections import unavailable
from greenroom.errors import InputError, ServiceUnavailableError

log = logging.getLogger(__name__)

CHANNEL = "greenroom"
LIMIT = 7999
"""Bytes of topic, space and payload together: Postgres takes fewer than 8000."""
SLOW_SECONDS = 5.0
CHECK_SECONDS = 30.0
"""A connection that fell silent without being closed is noticed after this long, and some more."""
CHECK_TIMEOUT = 10.0
LONGEST_REST = 30.0

Greeting = Callable[[Any], Awaitable[None]]
Callback = Callable[[str | None], None]
"""Called in the event loop with the payload, or None: something may have been missed. Must not block."""


class Events:
    """Publishes and hears events. `listening` is False while others' events arrive by the slow timer only."""

    def __init__(
        self, database: Database, *, slow_seconds: float = SLOW_SECONDS, greet: Greeting | None = None
    ) -> None:
        """`greet` is called with each session on which events are heard, before they are."""
        self.database = database
        self._greet = greet
        self.slow_seconds = slow_seconds
        self._callbacks: dict[str, list[Callback]] = {}
        self._listening = False
        self._session: Any = None
        self._asking = asyncio.Lock()

    @property
    def listening(self) -> bool:
        """Whether events of other processes arrive at once."""
        return self._listening

    async def publish(self, topic: str, payload: str = "") -> None:
        """Tell every process, this one included. Raises InputError for a topic with a space, or more than 8000 bytes."""
        message = compose(topic, payload)
        await self.database.execute("select pg_notify($1, $2)", CHANNEL, message)
        if not self._listening:
            self._call(topic, payload)

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Have the callback called on each event of the topic; answers the function that ends this."""
        self._callbacks.setdefault(topic, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(topic, None)

        return unsubscribe

    def waiter(self, *topics: str) -> Waiter:
        """Remembers from now on whether an event of these topics has come: `with events.waiter("task") as waiter: …`."""
        return Waiter(self, topics)

    async def listen(self, direct: DirectConnections) -> None:
        """Hear events until cancelled, over one connection after another."""
        rest = 0.1
        while True:
            try:
                async with direct.open() as connection:
                    rest = 0.1
                    await self._hear(connection)
            except (ServiceUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError, *LOST) as error:
                log.warning("events are heard by timer only, next attempt in %.1f s: %s", rest, error)
            finally:
                self._listening = False
            await asyncio.sleep(rest * random.uniform(0.5, 1.0))  # noqa: S311 (spreads processes, hides nothing)
            rest = min(rest * 2, LONGEST_REST)

    async def ask(self, query: str, *args: object) -> list[Record]:
        """The rows of a quick query, over the session that hears events, so that it costs no other and waits for none; over
        the pool while there is no such session. A session that does not answer in CHECK_TIMEOUT is given up.

        Raises ServiceUnavailableError, and asyncpg's errors."""
        session = self._session
        if session is None or session.is_closed():
            return await self.database.fetch(query, *args)
        try:
            async with asyncio.timeout(CHECK_TIMEOUT), self._asking:
                rows: list[Record] = await session.fetch(query, *args, timeout=CHECK_TIMEOUT)
                return rows
        except LOST as error:  # a timeout is one
            session.terminate()
            raise unavailable(error) from error

    async def _hear(self, connection: Any) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        if self._greet is not None:
            await self._greet(connection)
        await connection.add_listener(CHANNEL, self._heard)
        self._listening, self._session = True, connection
        self._call_all()
        while not ended.is_set():
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await ended.wait()
            except TimeoutError:
                await self.ask("select 1")

    async def tick(self) -> None:
        """While nothing is heard, wake everybody now and then, until cancelled."""
        while True:
            await asyncio.sleep(self.slow_seconds)
            if not self._listening:
                self._call_all()

    def _heard(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        topic, _, payload = str(message).partition(" ")
        self._call(topic, payload)

    def _call_all(self) -> None:
        for topic in list(self._callbacks):
            self._call(topic, None)

    def _call(self, topic: str, payload: str | None) -> None:
        for callback in list(self._callbacks.get(topic, ())):
            try:
                callback(payload)
            except Exception:
                log.exception("a subscriber of %s failed", topic)


class Waiter:
    """An event that came between `clear` and `wait` ends the wait at once: none is lost in between."""

    def __init__(self, events: Events, topics: tuple[str, ...]) -> None:
        self._event = asyncio.Event()
        self._ends = [events.subscribe(topic, self._come) for topic in topics]

    def _come(self, _payload: str | None) -> None:
        self._event.set()

    def clear(self) -> None:
        """Forget what has come so far."""
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """Until an event has come, or so many seconds have passed; says whether one has."""
        with suppress(TimeoutError):  # (in Python 3.11, `wait_for` may lose a cancellation that comes with an event)
            async with asyncio.timeout(seconds):
                await self._event.wait()
        return self._event.is_set()

    def wake(self) -> None:
        """End the wait, as an event would."""
        self._event.set()

    def close(self) -> None:
        """Hear no more."""
        for end in self._ends:
            end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def compose(topic: str, payload: str) -> str:
    """The text of a notification. Raises InputError."""
    message = f"{topic} {payload}" if payload else topic
    if not topic or " " in topic:
        raise InputError(f"{topic!r} is no topic: it is empty or holds a space")
    if (size := len(message.encode())) > LIMIT:
        raise InputError(f"an event of the topic {topic} has {size} bytes, and at most {LIMIT} can be sent")
    return message


@asynccontextmanager
async def open_events(
    database: Database, *, slow_seconds: float = SLOW_SECONDS, greet: Greeting | None = None
) -> AsyncIterator[Events]:
    """Events that are heard for the length of the block. Does not wait for the connection, which may take a moment."""
    events = Events(database, slow_seconds=slow_seconds, greet=greet)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_end, asyncio.create_task(events.tick(), name="events-tick"))
        if database.direct is None:
            log.warning(
                "events of other processes are seen late: there is no connection past the pooler to hear them on"
            )
        else:
            stack.push_async_callback(_end, asyncio.create_task(events.listen(database.direct), name="events-listen"))
        yield events


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
