"""Processes that run tasks, without the rest of the house: each with a hub, a broker and a worker, on one database."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import msgspec

from greenroom.auth import Credentials, UserPrincipal
from greenroom.db import Connection, Database
from greenroom.events import open_events
from greenroom.presence import Presence
from greenroom_scaffolder.storage.store import TO_CLAIM, Store
from greenroom_scaffolder.tasks.broker import Broker
from greenroom_scaffolder.tasks.events import TaskEvent
from greenroom_scaffolder.tasks.following import TaskEvents
from greenroom_scaffolder.tasks.task import Journal, Outcome, StepState, Task
from greenroom_scaffolder.tasks.worker import Lookout, Run, Worker
from greenroom_scaffolder.workspace.threads import Threads

JO = "user:default/jo"
SPEC: dict[str, Any] = {"apiVersion": "scaffolder.backstage.io/v1beta3", "steps": [], "output": {}, "parameters": {}}
SECOND = 1.0
THREADS = Threads(2, "house-of-tasks", 15.0)


class Reversed:
    """What is sealed cannot be read by chance, nor opened for another task."""

    def seal(self, plain: bytes, task_id: str) -> str:
        return base64.b64encode(task_id.encode() + plain).decode()[::-1]

    def open(self, sealed: str, task_id: str) -> bytes:
        plain = base64.b64decode(sealed[::-1])
        assert plain.startswith(task_id.encode())
        return plain[len(task_id) :]


class Process:
    """One of those that share the database."""

    def __init__(self, database: Database, events: Any, presence: Presence, run: Run, **options: Any) -> None:
        self.database, self.presence, self.events = database, presence, events
        self.store = Store(database)
        self.feed = TaskEvents(self.store, events)
        self.broker = Broker(self.store, self.feed, Reversed())
        self.worker = Worker(
            self.store,
            run,
            events=events,
            presence=presence,
            sealing=Reversed(),
            **{"slots": 10, "grace": 10.0, "threads": lambda: THREADS, **options},
        )
        self.lookout = Lookout(self.store, presence, gone=0.2)
        self.loop: asyncio.Task[None] | None = None

    def work(self) -> None:
        """As `Loops` does it."""
        self.loop = asyncio.create_task(self._turn())

    async def _turn(self) -> None:
        while True:
            try:
                with self.events.waiter(TO_CLAIM) as waiter:
                    await waiter.wait(await self.worker.step())
            except Exception:  # noqa: BLE001 - the loop backs off and goes on
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self.loop is not None:
            self.loop.cancel()
            await asyncio.wait([self.loop])
            self.loop = None
            await self.worker.close()

    async def die(self) -> None:
        """As by kill -9: what is not in the database never was."""
        if self.loop is not None:
            self.loop.cancel()
        self.worker._writer._books.clear()
        if (writer := self.worker._writer._task) is not None:
            writer.cancel()
        for running in self.worker._running.values():
            running.job.cancel()
        jobs = [running.job for running in self.worker._running.values()]
        if jobs:
            await asyncio.wait(jobs)
        self.loop = None

    async def create(self, spec: Mapping[str, Any] = SPEC, secrets: Mapping[str, str] | None = None) -> str:
        initiator = Credentials(UserPrincipal(JO), "token")
        return await self.broker.create(spec, created_by=JO, secrets=secrets or {}, initiator=initiator)

    async def ended(self, task_id: str, seconds: float = 60.0) -> str:
        """The status with which it ends."""
        async with asyncio.timeout(seconds), self.broker.follow(task_id) as feed:
            async for batch in feed:
                if any(event.type == "completion" for event in batch):
                    break
        return (await self.broker.get(task_id)).status

    async def messages(self, task_id: str) -> list[str]:
        return [said(event) for event in await self.broker.events(task_id)]


def said(event: TaskEvent) -> str:
    body: Any = msgspec.json.decode(event.body)
    return str(body.get("message", event.type))


async def tell(conn: Connection, task_id: str, types: Sequence[str], bodies: Sequence[bytes]) -> None:
    """Events of a task whose row is held, and news of them."""
    await conn.execute(
        """INSERT INTO task_events (task_id, type, body, step_id, status)
        SELECT $1::uuid, type, body, body ->> 'stepId', body ->> 'status' FROM unnest($2::text[], $3::json[]) AS e (type, body)""",
        UUID(task_id),
        types,
        bodies,
    )
    await conn.execute(
        "SELECT pg_notify('greenroom', 'scaffolder.event ' || $1::uuid || ' ' || max(id)) FROM task_events WHERE task_id = $1",
        UUID(task_id),
    )


async def nothing(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
    """The shortest run."""
    journal.event({"message": "Starting up task with 2 steps"})
    for step in ("a", "b"):
        journal.event({"message": f"Beginning step {step}", "stepId": step, "status": "processing"})
        journal.step(step, StepState("completed", {}))
        journal.event({"message": f"Finished step {step}", "stepId": step, "status": "completed"})
    return Outcome("completed", {})


@asynccontextmanager
async def process(database: Database, run: Run = nothing, **options: Any) -> AsyncIterator[Process]:
    presence = Presence(database)
    async with open_events(database, greet=presence.announce) as events:
        await presence.known()
        one = Process(database, events, presence, run, **options)
        try:
            yield one
        finally:
            await one.stop()
            one.feed.close()


async def until(true: Callable[[], Awaitable[Any]], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)


async def cut_once(database: Database) -> None:
    """All sessions of the pool are ended, last that of whoever asks."""
    with suppress(Exception):
        await database.execute(
            """select pg_terminate_backend(pid) from (
                select pid from pg_stat_activity where datname = current_database() order by pid = pg_backend_pid() offset 0
            ) s"""
        )


@asynccontextmanager
async def cut(database: Database) -> AsyncIterator[None]:
    """All sessions of the pool are ended at some moment of the block, again and again."""
    done = asyncio.Event()

    async def cutting() -> None:
        while not done.is_set():
            await cut_once(database)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await done.wait()

    task = asyncio.create_task(cutting())
    try:
        yield
    finally:
        done.set()
        await task
