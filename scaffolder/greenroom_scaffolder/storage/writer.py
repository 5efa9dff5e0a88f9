"""What all running tasks of a process write -> one transaction after another, of which none is applied twice."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Database
from greenroom.errors import ConflictError, InputError
from greenroom.sql import Queries
from greenroom_scaffolder.storage.gathering import PASSING, settle
from greenroom_scaffolder.storage.rows import storable

log = logging.getLogger("greenroom.scaffolder")

BEAT = 1.0
"""Seconds between two signs of life of a task that writes nothing."""
LINGER = 0.003
"""Seconds for which what nobody waits for waits for more, so that a short task is one transaction."""
LONGEST_REST = 2.0
HEAVY = 500_000
"""Bytes of a workspace that is written apart from what other tasks write."""
UNSTORABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What Postgres raises for a text that it cannot hold."""


class LostTaskError(ConflictError):
    """The task is another worker's by now: whatever this one still does about it is not written down"""


class UnstorableError(InputError):
    """Something that the task came to cannot be stored"""


class Kept(msgspec.Struct, frozen=True):
    """What is in the workspace: a sealed archive, None if it is empty."""

    archive: bytes | None


class StepNote(msgspec.Struct, frozen=True):
    """What is known of a step; `state` is sealed."""

    status: str
    state: bytes


class EventNote(msgspec.Struct, frozen=True):
    """One event; `at` is when it happened (monotonic)."""

    type: str
    body: bytes
    at: float
    step_id: str | None = None
    """The step that it is about."""
    status: str | None = None
    """What became of the step."""


class Leaf(msgspec.Struct):
    """What one task wrote since the last transaction."""

    events: list[EventNote] = []
    steps: dict[str, StepNote] = {}
    checkpoints: dict[str, bytes] = {}
    workspace: Kept | None = None
    ended: str | None = None
    """The status with which the task ends."""

    @property
    def empty(self) -> bool:
        return not (self.events or self.steps or self.checkpoints or self.workspace or self.ended)

    @property
    def gets_on(self) -> bool:
        """Whether something of the task was finished."""
        return bool(self.checkpoints) or any(step.status not in ("open", "processing") for step in self.steps.values())

    @property
    def heavy(self) -> bool:
        """Whether others should not wait until it is written."""
        return self.workspace is not None and len(self.workspace.archive or b"") > HEAVY


class Book:
    """What one attempt at a task writes. All of it is quick but `durable`."""

    def __init__(self, writer: Writer, id_: UUID, attempt: int, stop: Callable[[], None]) -> None:
        """`stop` is called when the task is to be cancelled."""
        self.id, self.attempt, self.stop = id_, attempt, stop
        self._writer = writer
        self._leaf = Leaf()
        self._waits: list[asyncio.Future[None]] = []
        self.batch = 0
        self.latest_event_at = 0.0
        """When (monotonic) the last event that is written can have happened at the latest, by the database's clock."""
        self.error: Exception | None = None
        """Why nothing more can be written: a LostTaskError, or an UnstorableError."""
        self.lost = asyncio.Event()

    @property
    def leaf(self) -> Leaf:
        """Where to write. It will be written soon."""
        self._writer.wake()
        return self._leaf

    @property
    def dirty(self) -> bool:
        return not self._leaf.empty

    @property
    def awaited(self) -> bool:
        """Whether somebody waits until it is written."""
        return bool(self._waits)

    async def durable(self) -> None:
        """Until all that was written is committed. Raises LostTaskError, UnstorableError."""
        if self.error is not None:
            raise self.error
        under_way = self._writer.under_way(self)
        if self._leaf.empty and under_way is None:
            return
        wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._leaf.empty and under_way is not None:
            under_way.waits.append(wait)
        else:
            self._waits.append(wait)
            self._writer.hurry()
        await wait

    def take(self) -> Written:
        """What is to be committed now, and who waits for it."""
        leaf, self._leaf = self._leaf, Leaf()
        waits, self._waits = self._waits, []
        self.batch += 1
        return Written(self, self.batch, leaf, waits)

    def forgive(self) -> None:
        """Go on writing, without what could not be stored, and what was written since nobody could tell that it cannot."""
        if not isinstance(self.error, LostTaskError):
            self.error, self._leaf = None, Leaf()

    def end(self, error: Exception) -> None:
        """Nothing more can be written."""
        self.error = error
        for wait in self._waits:
            settle(wait, error)
        self._waits = []
        self._leaf = Leaf()
        if isinstance(error, LostTaskError):
            self.lost.set()


class Written(msgspec.Struct):
    """A leaf on its way into the database; it stays as it is until it is known what became of it."""

    book: Book
    batch: int
    leaf: Leaf
    waits: list[asyncio.Future[None]]


class Writer:
    """Commits what is in the books, in one transaction each time; and tells that the tasks are alive."""

    def __init__(self, database: Database, sql: Queries, holder: Callable[[], int | None]) -> None:
        """`holder` is what this worker is known by at the moment."""
        self._db, self._sql, self._holder = database, sql, holder
        self._books: dict[UUID, Book] = {}
        self._under_way: dict[Book, Written] = {}
        self._heavy: set[asyncio.Task[None]] = set()
        self._something = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failing_since: float | None = None
        """Since when (monotonic) nothing could be committed; None: it can."""
        self.trouble = ""

    def open(self, id_: UUID, attempt: int, stop: Callable[[], None]) -> Book:
        """The book of a task that was just claimed: one of an earlier attempt is closed."""
        if (before := self._books.get(id_)) is not None:
            before.end(LostTaskError())
        book = self._books[id_] = Book(self, id_, attempt, stop)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="scaffolder-writer")
        return book

    def close(self, book: Book) -> None:
        """The attempt is over. What is not committed is lost."""
        if self._books.get(book.id) is book:
            del self._books[book.id]
        book.end(LostTaskError())
        self.wake()

    def under_way(self, book: Book) -> Written | None:
        """What of it is on its way."""
        return self._under_way.get(book)

    def wake(self) -> None:
        """There is something to write."""
        self._something.set()

    def hurry(self) -> None:
        """There is something to write for which somebody waits."""
        self._something.set()
        self._hurry.set()

    async def _work(self) -> None:
        beat = monotonic()
        while self._books:
            await self._await_something(beat + BEAT - monotonic())
            if due := monotonic() >= beat + BEAT:
                beat = monotonic()
            light = []
            for written in self._take(everything=due):
                if written.leaf.heavy:
                    task = asyncio.create_task(self._settle([written]), name="scaffolder-writer-heavy")
                    self._heavy.add(task)
                    task.add_done_callback(self._heavy.discard)
                else:
                    light.append(written)
            if light:
                await self._settle(light)

    def _take(self, *, everything: bool) -> list[Written]:
        """What is to be committed now: of each book that has something, or of each that is not at it."""
        free = [book for book in self._books.values() if book.error is None and book not in self._under_way]
        taken = [book.take() for book in free if everything or book.dirty or book.awaited]
        self._under_way.update({written.book: written for written in taken})
        return taken

    async def _settle(self, batch: list[Written]) -> None:
        try:
            await self._commit(batch)
        except Exception:
            log.exception("the journal of %d tasks could not be written", len(batch))
            for written in batch:
                self._refuse(written, LostTaskError("The journal could not be written"))

    async def _await_something(self, seconds: float) -> None:
        if seconds > 0:
            await _within(self._something, seconds)
            if not self._hurry.is_set() and self._something.is_set():
                await _within(self._hurry, LINGER)
        self._something.clear()
        self._hurry.clear()
        await asyncio.sleep(0)  # those that are ready to write at this moment come along

    async def _commit(self, batch: list[Written]) -> None:
        """Until it is known what became of each: committed, lost, or not to be stored."""
        rest = 0.05
        while True:
            try:
                await self._attempt(batch)
            except PASSING as error:
                self._note(error)
                await asyncio.sleep(rest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads rivals, hides nothing
                rest = min(rest * 2, LONGEST_REST)
                batch = [one for one in batch if one.book in self._under_way]
            except asyncpg.PostgresError as error:
                if len(batch) > 1:  # one of them is to blame
                    for written in batch:
                        await self._settle([written])
                elif isinstance(error, UNSTORABLE):
                    self._refuse(batch[0], UnstorableError(f"What the task came to cannot be stored: {error}"))
                else:
                    raise
                return
            else:
                self._note(None)
                return

    async def _attempt(self, batch: list[Written]) -> None:
        began = monotonic()
        rows = await self._db.fetch(self._sql.write_journal, self._holder(), *_columns(batch))
        took = monotonic() - began
        written = {row["id"]: row["cancelled"] for row in rows}
        for one in batch:
            if one.book.id in written:
                one.book.latest_event_at = _latest_event_at(one, took)
                self._done(one, cancelled=written[one.book.id])
        if missing := [one for one in batch if one.book.id not in written]:
            await self._trace(missing)

    async def _trace(self, batch: list[Written]) -> None:
        """Those that were not written now: have they been before, by an attempt whose answer was lost? Or are they another's?"""
        rows = await self._db.fetch(self._sql.whereabouts, [one.book.id for one in batch])
        known = {row["id"]: (row["attempt"], row["written"]) for row in rows}
        for one in batch:
            attempt, batch_number = known.get(one.book.id, (0, 0))
            if attempt == one.book.attempt and batch_number >= one.batch:
                one.book.latest_event_at = monotonic()
                self._done(one, cancelled=False)
            else:
                self._refuse(one, LostTaskError())

    def _done(self, one: Written, *, cancelled: bool) -> None:
        self._under_way.pop(one.book, None)
        for wait in one.waits:
            settle(wait, None)
        if cancelled:
            one.book.stop()
        if one.book.dirty or one.book.awaited:
            self.hurry()

    def _refuse(self, one: Written, error: Exception) -> None:
        self._under_way.pop(one.book, None)
        for wait in one.waits:
            settle(wait, error)
        one.book.end(error)

    def _note(self, error: BaseException | None) -> None:
        if error is None:
            if self.failing_since is not None:
                log.info("what tasks come to is written down again")
            self.failing_since = None
            return
        if self.failing_since is None:
            self.failing_since = monotonic()
            log.warning("what tasks come to cannot be written down, and is kept until it can: %s", error)
        self.trouble = f"{type(error).__name__}: {error}"


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _latest_event_at(one: Written, took: float) -> float:
    """When the last of its events happened, or those before: the database may have looked at its clock as late as it could."""
    return max(one.book.latest_event_at, one.leaf.events[-1].at) + took if one.leaf.events else one.book.latest_event_at


def _columns(batch: Sequence[Written]) -> tuple[list[Any], ...]:
    """The arguments of `write_journal` after the first. What happened while others were on their way did not happen before them,
    however long those took."""
    now = monotonic()
    tasks = [(w.book.id, w.book.attempt, w.batch, w.leaf.ended, w.leaf.gets_on) for w in batch]
    events = [
        (w.book.id, e.type, e.body, storable(e.step_id), e.status, now - max(e.at, w.book.latest_event_at))
        for w in batch
        for e in w.leaf.events
    ]
    steps = [(w.book.id, id_, s.status, s.state) for w in batch for id_, s in w.leaf.steps.items()]
    checkpoints = [(w.book.id, key, value) for w in batch for key, value in w.leaf.checkpoints.items()]
    workspaces = [
        (w.book.id, w.leaf.workspace.archive)
        for w in batch
        if w.leaf.workspace is not None and w.leaf.ended != "completed"
    ]
    return (
        *_turned(tasks, 5),
        *_turned(events, 6),
        *_turned(steps, 4),
        *_turned(checkpoints, 3),
        *_turned(workspaces, 2),
    )


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
