"""A task that many follow is put together once for all of them, and does not become slow because of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from greenroom.db import Database
from greenroom_scaffolder.storage.store import MIGRATIONS
from greenroom_scaffolder.tasks.events import PIECE, Batch, TaskEvent
from greenroom_scaffolder.tasks.following import SHARED, Feed, _Watched
from greenroom_scaffolder.tasks.task import EventType
from tests.scaffolder.tasks.house import Process, process, said, tell
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


async def write(one: Process, task_id: str, *messages: str, type_: str = "log") -> None:
    async with one.database.transaction() as conn:
        await conn.execute(one.store.sql.lock_task, UUID(task_id))
        await tell(conn, task_id, [type_] * len(messages), [b'{"message":"%s"}' % one.encode() for one in messages])


def an_event(number: int, type_: EventType = "log", body: bytes = b"{}") -> TaskEvent:
    return TaskEvent(number, type_, msgspec.Raw(body), datetime.now(UTC), False, body)


def together(events: Sequence[TaskEvent]) -> bytes:
    return b"".join(event.json for event in events)


async def followers(stack: AsyncExitStack, one: Process, task_id: str, number: int) -> list[Feed]:
    """They stand where the task is."""
    feeds = [await stack.enter_async_context(one.broker.follow(task_id)) for _ in range(number)]
    for feed in feeds:
        assert await feed.next(60)
    return feeds


async def all_of(feed: Feed) -> list[Batch]:
    return [batch async for batch in feed]


async def test_all_who_have_come_as_far_are_sent_the_same_bytes(database: Database) -> None:
    async with process(database) as one, AsyncExitStack() as stack:
        id_ = await one.create()
        await write(one, id_, "Beginning")
        feeds = await followers(stack, one, id_, 20)
        await write(one, id_, *(f"line {n}" for n in range(30)))
        heard = await asyncio.gather(*(feed.next(60) for feed in feeds))
        assert [said(event) for event in heard[0] or []] == [f"line {n}" for n in range(30)]
        assert len({id(batch) for batch in heard}) == 1
        assert len({id(batch.once(together)) for batch in heard if batch}) == 1


async def test_followers_of_a_task_that_tells_much_are_told_in_few_turns_and_miss_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.REST_EACH", 1.0)
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.LONGEST_REST", 0.1)
    async with process(database) as one, AsyncExitStack() as stack:
        id_ = await one.create()
        await write(one, id_, "Beginning")
        (feed,) = await followers(stack, one, id_, 1)
        listening = asyncio.create_task(all_of(feed))
        began = monotonic()
        for n in range(60):
            await write(one, id_, f"line {n}")
        await write(one, id_, "done", type_="completion")
        heard = await asyncio.wait_for(listening, 60)
        assert [said(event) for batch in heard for event in batch] == [*(f"line {n}" for n in range(60)), "done"]
        assert len(heard) <= (monotonic() - began) / 0.1 + 2


async def test_who_is_told_nothing_for_a_while_is_told_what_comes_then(database: Database) -> None:
    async with process(database) as one, AsyncExitStack() as stack:
        id_ = await one.create()
        await write(one, id_, "Beginning")
        (feed,) = await followers(stack, one, id_, 1)
        assert await feed.next(0.05) is None
        assert not feed.over
        await write(one, id_, "late")
        assert [said(event) for event in await feed.next(60) or []] == ["late"]


async def test_a_slow_follower_hears_all_that_quick_ones_have_heard_long_ago(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.RECENT", 5)
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.PAGE", 3)
    async with process(database) as one, AsyncExitStack() as stack:
        id_ = await one.create()
        await write(one, id_, "Beginning")
        quick, slow = await followers(stack, one, id_, 2)
        for n in range(40):
            await write(one, id_, f"line {n}")
            assert [said(event) for event in await quick.next(60) or []] == [f"line {n}"]
        await write(one, id_, "done", type_="completion")
        heard = [said(event) async for batch in slow for event in batch]
        assert heard == [*(f"line {n}" for n in range(40)), "done"]
        assert slow.over


async def test_a_follower_of_a_task_that_is_about_to_begin_anew_does_not_ask_the_database_again_and_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(database) as one:
        id_ = await one.create()
        await write(one, id_, "before", "before, too")
        asked: list[Any] = []
        events = one.store.events

        async def counted(*arguments: Any) -> Any:
            asked.append(arguments)
            return await events(*arguments)

        monkeypatch.setattr(one.store, "events", counted)
        async with database.transaction() as conn:
            await conn.execute(one.store.sql.lock_task, UUID(id_))
            await tell(conn, id_, ["recovered"], [b'{"recoverStrategy":"startOver"}'])
        async with one.broker.follow(id_) as feed:
            assert await feed.next(0.3) is None
            assert len(asked) <= 3
            await write(one, id_, "again")
            assert [event.type for event in await feed.next(60) or []] == ["recovered", "log"]


async def test_closing_ends_those_who_wait_and_leaves_nothing(database: Database) -> None:
    async with process(database) as one, AsyncExitStack() as stack:
        id_ = await one.create()
        await write(one, id_, "Beginning")
        feeds = await followers(stack, one, id_, 3)
        waiting = [asyncio.create_task(feed.next()) for feed in feeds]
        begun = one.broker.follow(id_)
        late = asyncio.create_task(begun.next())
        await asyncio.sleep(0)
        await begun.close()
        one.feed.close()
        assert await asyncio.gather(*waiting, late) == [None] * 4
        await stack.aclose()
        assert not one.feed._watched


def test_few_batches_are_kept_however_many_followers_stand_wherever() -> None:
    watched = _Watched(uuid4(), False, 0)
    for number in range(1, 500):
        watched.add(an_event(number, body=b"x" * 500))
    kept = [watched.after(last) or Batch() for last in range(300)]
    assert all(batch[0].id == last + 1 for last, batch in enumerate(kept))
    assert all(sum(len(event.json) for event in batch) <= PIECE + 500 for batch in kept)
    assert len(watched._batches) <= SHARED


def test_what_was_put_together_before_a_task_began_anew_is_not_shown_any_more() -> None:
    watched = _Watched(uuid4(), True, 0)
    watched.add(an_event(1))
    assert [event.id for event in watched.after(0) or []] == [1]
    watched.add(an_event(2, "recovered", b'{"recoverStrategy":"startOver"}'))
    assert watched.after(0) == []
    watched.add(an_event(3))
    assert [event.id for event in watched.after(0) or []] == [2, 3]
