"""The journal of all running tasks: in shared transactions, each batch once, and only by who has the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from greenroom_scaffolder.storage.rows import NewTask
from greenroom_scaffolder.storage.store import MIGRATIONS, Store
from greenroom_scaffolder.storage.writer import Book, EventNote, LostTaskError, StepNote, UnstorableError, Writer
from tests.support.postgres import MigratedDatabase


class Unreliable:
    """A database whose answers to the journal are lost as often as told, before or after it is written."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.before = self.after = 0
        self.calls = 0
        self.slow = 0.0
        """Seconds until the next batch arrives."""

    async def fetch(self, query: str, *args: object) -> Any:
        if "write_journal" not in query:
            return await self.database.fetch(query, *args)
        self.calls += 1
        slow, self.slow = self.slow, 0.0
        await asyncio.sleep(slow)
        if self.before > 0:
            self.before -= 1
            raise asyncpg.ConnectionDoesNotExistError("cut before")
        rows = await self.database.fetch(query, *args)
        if self.after > 0:
            self.after -= 1
            raise asyncpg.ConnectionDoesNotExistError("cut after")
        return rows


@pytest.fixture
async def store(migrated_database: MigratedDatabase) -> Store:
    return Store(await migrated_database([MIGRATIONS]))


@pytest.fixture
async def unreliable(store: Store) -> Unreliable:
    return Unreliable(store.database)


@pytest.fixture
async def writer(store: Store, unreliable: Unreliable) -> AsyncIterator[Writer]:
    writer = Writer(unreliable, store.sql, lambda: 7)  # type: ignore[arg-type]
    yield writer
    for book in list(writer._books.values()):
        writer.close(book)
    if writer._task is not None:
        await writer._task


async def open_book(store: Store, writer: Writer) -> Book:
    await store.create(NewTask(uuid4(), "user:default/jo", None, b"{}", b""))
    (claim,) = await store.claim(1, 7)
    return writer.open(claim.id, claim.attempt, lambda: None)


def log(book: Book, text: str) -> None:
    book.leaf.events.append(EventNote("log", text.encode(), monotonic()))


async def logged(store: Store, id_: UUID) -> list[bytes]:
    return [bytes(row.body) for row in await store.events(id_, 0)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_batch_whose_answer_is_lost_is_written_once(
    store: Store, writer: Writer, unreliable: Unreliable, when: str
) -> None:
    book = await open_book(store, writer)
    setattr(unreliable, when, 3)
    log(book, "1")
    log(book, "2")
    await book.durable()
    log(book, "3")
    await book.durable()
    assert await logged(store, book.id) == [b"1", b"2", b"3"]


async def test_an_end_whose_answer_is_lost_is_an_end(store: Store, writer: Writer, unreliable: Unreliable) -> None:
    book = await open_book(store, writer)
    unreliable.after = 2
    log(book, "1")
    book.leaf.ended = "completed"
    await book.durable()
    assert (await store.get(str(book.id))).status == "completed"
    rows = await store.database.fetch("SELECT status, n FROM task_tallies WHERE n <> 0")
    assert [tuple(row) for row in rows] == [("completed", 1)]


async def test_what_many_tasks_write_at_once_is_one_transaction(
    store: Store, writer: Writer, unreliable: Unreliable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_scaffolder.storage.writer.BEAT", 3600.0)  # no sign of life between
    books = [await open_book(store, writer) for _ in range(20)]
    unreliable.calls = 0
    for book in books:
        log(book, '"x"')
    await asyncio.gather(*(book.durable() for book in books))
    assert unreliable.calls <= 2


async def test_who_has_lost_the_task_is_told_and_hurts_nobody_else(store: Store, writer: Writer) -> None:
    lost, kept = await open_book(store, writer), await open_book(store, writer)
    await store.free([(lost.id, lost.attempt)], lost=False)
    await store.claim(1, 8)
    log(lost, '"lost"')
    log(kept, '"kept"')
    results = await asyncio.gather(lost.durable(), kept.durable(), return_exceptions=True)
    assert isinstance(results[0], LostTaskError)
    assert results[1] is None
    assert lost.lost.is_set()
    assert b'"lost"' not in await logged(store, lost.id)
    assert await logged(store, kept.id) == [b'"kept"']
    with pytest.raises(LostTaskError):
        await lost.durable()


async def test_a_worker_that_was_silent_learns_that_it_has_lost_the_task(store: Store, writer: Writer) -> None:
    book = await open_book(store, writer)
    await store.free([(book.id, book.attempt)], lost=True)
    await asyncio.wait_for(book.lost.wait(), 60)


async def test_what_cannot_be_stored_is_the_trouble_of_its_own_task(store: Store, writer: Writer) -> None:
    bad, good = await open_book(store, writer), await open_book(store, writer)
    bad.leaf.steps["a\0"] = StepNote("completed", b"")
    log(good, '"good"')
    results = await asyncio.gather(bad.durable(), good.durable(), return_exceptions=True)
    assert isinstance(results[0], UnstorableError)
    assert results[1] is None
    bad.forgive()
    log(bad, '"then this"')
    await bad.durable()
    assert await logged(store, bad.id) == [b'"then this"']


async def test_a_fault_that_nobody_expected_costs_the_task_that_it_comes_from_and_no_other(
    store: Store, writer: Writer
) -> None:
    bad, good = await open_book(store, writer), await open_book(store, writer)
    await store.database.execute(f"ALTER TABLE task_events ADD CHECK (task_id <> '{bad.id}')")
    log(bad, '"bad"')
    log(good, '"good"')
    results = await asyncio.gather(bad.durable(), good.durable(), return_exceptions=True)
    assert isinstance(results[0], LostTaskError)
    assert results[1] is None
    assert await logged(store, good.id) == [b'"good"']


async def test_a_running_task_gives_signs_of_life(store: Store, writer: Writer) -> None:
    book = await open_book(store, writer)
    before = (await store.get(str(book.id))).heartbeat_at
    async with asyncio.timeout(60):
        while (await store.get(str(book.id))).heartbeat_at == before:
            await asyncio.sleep(0.05)


async def test_waiting_while_a_batch_is_under_way_is_waiting_for_that_batch(
    store: Store, writer: Writer, unreliable: Unreliable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_scaffolder.storage.writer.BEAT", 3600.0)
    book = await open_book(store, writer)
    log(book, '"x"')
    first = asyncio.create_task(book.durable())
    while not writer.under_way(book):
        await asyncio.sleep(0)
    calls = unreliable.calls
    await asyncio.wait_for(book.durable(), 60)
    await first
    assert unreliable.calls <= calls + 1
    assert await logged(store, book.id) == [b'"x"']


async def test_events_keep_the_time_at_which_they_happened(store: Store, writer: Writer) -> None:
    book = await open_book(store, writer)
    book.leaf.events.append(EventNote("log", b"1", monotonic() - 60))
    log(book, "2")
    await book.durable()
    first, second = await store.events(book.id, 0)
    assert 59 < (second.created_at - first.created_at).total_seconds() < 61


async def test_no_event_is_earlier_than_the_one_before_it(store: Store, writer: Writer, unreliable: Unreliable) -> None:
    book = await open_book(store, writer)
    unreliable.slow = 0.1
    log(book, "1")
    first = asyncio.create_task(book.durable())
    while not writer.under_way(book):
        await asyncio.sleep(0)
    log(book, "2")
    await first
    await book.durable()
    before, after = await store.events(book.id, 0)
    assert before.created_at <= after.created_at
