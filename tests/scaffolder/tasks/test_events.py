"""Whoever follows a task hears all of it, in order, once, soon; and many may."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from greenroom.db import Database
from greenroom.errors import NotFoundError
from greenroom_scaffolder.storage.store import MIGRATIONS
from greenroom_scaffolder.tasks.events import TaskEvent
from greenroom_scaffolder.tasks.task import Journal, Outcome, Task
from tests.scaffolder.tasks.house import SPEC, Process, nothing, process, said, tell, until
from tests.support.postgres import MigratedDatabase
from tests.support.waiting import Wait, slowness

ANEW = {**SPEC, "EXPERIMENTAL_recovery": {"EXPERIMENTAL_strategy": "startOver"}}


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


class Follower:
    """Remembers what it hears, and when."""

    def __init__(self, one: Process, task_id: str, after: int | None = None) -> None:
        self.heard: list[tuple[float, TaskEvent]] = []
        self.job = asyncio.create_task(self._follow(one, task_id, after))

    async def _follow(self, one: Process, task_id: str, after: int | None) -> None:
        async with one.broker.follow(task_id, after) as feed:
            async for batch in feed:
                assert batch
                self.heard += [(monotonic(), event) for event in batch]

    @property
    def said(self) -> list[str]:
        return [said(event) for _, event in self.heard]

    async def hears(self, number: int) -> None:
        await until(lambda: asyncio.sleep(0, len(self.heard) >= number))


async def write(one: Process, task_id: str, *messages: str, type_: str = "log") -> None:
    bodies = [msgspec.json.encode({"message": message}) for message in messages]
    async with one.database.transaction() as conn:
        await conn.execute(one.store.sql.lock_task, UUID(task_id))
        await tell(conn, task_id, [type_] * len(messages), bodies)


async def ids(one: Process, task_id: str) -> list[int]:
    return [event.id for event in await one.broker.events(task_id)]


async def test_an_event_is_the_json_that_upstream_sends(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create()
        await write(one, id_, "hello")
        (event,) = await one.broker.events(id_)
        wire = msgspec.json.decode(event.json)
        assert list(wire) == ["id", "isTaskRecoverable", "taskId", "body", "type", "createdAt"]
        assert (wire["id"], wire["isTaskRecoverable"], wire["taskId"], wire["type"]) == (event.id, False, id_, "log")
        assert wire["body"] == {"message": "hello"}
        assert len(wire["createdAt"]) == len("2026-11-21T08:10:53.000Z")


async def test_what_is_no_task_cannot_be_followed(database: Database) -> None:
    async with process(database) as one:
        for unknown in (str(uuid4()), "nonsense"):
            with pytest.raises(NotFoundError):
                await one.broker.events(unknown)
            with pytest.raises(NotFoundError):
                async with one.broker.follow(unknown) as feed:
                    await feed.next()


async def test_a_follower_hears_what_was_and_what_comes_until_the_end(database: Database) -> None:
    async with process(database) as one, process(database) as two:
        id_ = await one.create()
        await write(one, id_, "one", "two")
        follower = Follower(two, id_)
        await follower.hears(2)
        await write(one, id_, "three")
        await follower.hears(3)
        await write(one, id_, "done", type_="completion")
        await asyncio.wait_for(follower.job, 60)
        assert follower.said == ["one", "two", "three", "done"]
        assert not two.feed._watched


async def test_a_follower_that_comes_back_hears_what_it_has_missed_and_the_end_in_any_case(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create()
        await write(one, id_, "one", "two")
        await write(one, id_, "done", type_="completion")
        first, _, last = await ids(one, id_)
        assert [said(event) for event in await one.broker.events(id_, first)] == ["two", "done"]
        assert [said(event) for event in await one.broker.events(id_, last + 100)] == ["done"]
        for after, told in ((last, ["done"]), (-1, ["one", "two", "done"]), (-(2**63) + 1, ["one", "two", "done"])):
            follower = Follower(one, id_, after)
            await asyncio.wait_for(follower.job, 60)
            assert follower.said == told


async def test_five_hundred_streams_hear_of_an_event_within_a_tenth_of_a_second(database: Database) -> None:
    async with process(database) as one, process(database) as two:
        tasks = [await one.create() for _ in range(10)]
        followers = [Follower(two, tasks[n % 10]) for n in range(500)]
        await until(lambda: asyncio.sleep(0, sum(one.followers for one in two.feed._watched.values()) == 500))
        await asyncio.sleep(0.05)
        delays: list[float] = []
        for n in range(5):
            for id_ in tasks:
                await write(one, id_, f"line {n}")
            wrote, wait = monotonic(), Wait()
            for follower in followers:
                await follower.hears(n + 1)
            held_up = monotonic() - wrote - wait.seconds()
            delays.append(max(follower.heard[-1][0] for follower in followers) - wrote - held_up)
        assert min(delays) < 0.1 * slowness()
        assert all(follower.said == [f"line {n}" for n in range(5)] for follower in followers)
        for follower in followers:
            follower.job.cancel()
        await asyncio.wait([follower.job for follower in followers])
        assert not two.feed._watched


async def test_nobody_misses_an_event_that_comes_while_they_begin_to_follow(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create()

        async def writing() -> None:
            for n in range(60):
                await write(one, id_, f"line {n}")

        job = asyncio.create_task(writing())
        followers = []
        while not job.done():
            followers.append(Follower(one, id_))
            await asyncio.sleep(0.01)
        for follower in followers:
            await follower.hears(60)
            assert follower.said == [f"line {n}" for n in range(60)]
            follower.job.cancel()


async def test_events_of_a_cancelling_process_and_of_the_worker_become_visible_in_the_order_of_their_ids(
    database: Database,
) -> None:
    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        for n in range(100):
            journal.event({"message": f"line {n}"})
            await journal.durable()
        return Outcome("completed")

    async with process(database, run) as one, process(database) as two:
        one.work()
        id_ = await one.create()
        follower = Follower(two, id_)
        for _ in range(20):
            await two.broker.cancel(id_)
        await asyncio.wait_for(follower.job, 60)
        heard = [event.id for _, event in follower.heard]
        assert heard == sorted(await ids(one, id_))[: len(heard)]
        assert [text for text in follower.said if text.startswith("line")] == [f"line {n}" for n in range(100)]


async def test_a_task_that_began_anew_is_told_from_there(database: Database) -> None:
    async with process(database) as one:
        one.work()
        id_ = await one.create()
        await one.ended(id_)
        await one.broker.retry(id_, secrets={}, initiator=initiator(), start_over=True)
        await one.ended(id_)
        assert (await one.messages(id_))[:2] == ["recovered", "Starting up task with 2 steps"]
        assert len(await one.messages(id_)) == 7


async def test_a_stream_of_a_recoverable_task_goes_on_after_its_end(database: Database) -> None:
    async with process(database) as one:
        one.work()
        id_ = await one.create(ANEW)
        follower = Follower(one, id_)
        await follower.hears(6)
        assert follower.heard[-1][1].type == "completion"
        await one.broker.retry(id_, secrets={}, initiator=initiator())
        await follower.hears(13)
        assert follower.said[6:8] == ["recovered", "Starting up task with 2 steps"]
        assert not follower.job.done()
        one.feed.close()
        await asyncio.wait_for(follower.job, 60)


async def test_a_long_log_is_told_whole_also_to_who_is_slow(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.PAGE", 50)
    monkeypatch.setattr("greenroom_scaffolder.tasks.following.RECENT", 20)
    async with process(database) as one:
        id_ = await one.create()
        await write(one, id_, *(f"line {n}" for n in range(120)))
        async with one.broker.follow(id_) as feed:
            heard: list[str] = [said(event) for event in await anext(feed)]
            await write(one, id_, *(f"line {n}" for n in range(120, 200)))
            await write(one, id_, "done", type_="completion")
            async for batch in feed:
                heard += [said(event) for event in batch]
        assert heard == [*(f"line {n}" for n in range(200)), "done"]
        assert len(await one.broker.events(id_)) == 201


async def test_while_nothing_is_heard_events_come_by_the_slow_timer(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create()
        follower = Follower(one, id_)
        await until(lambda: asyncio.sleep(0, bool(one.feed._watched)))
        await asyncio.sleep(0.05)
        bodies: Sequence[bytes] = [b'{"message":"unheard"}']
        await database.execute(
            "INSERT INTO task_events (task_id, type, body) VALUES ($1, 'log', $2)", UUID(id_), bodies[0]
        )
        one.events._call_all()
        await follower.hears(1)
        follower.job.cancel()


def initiator() -> Any:
    from greenroom.auth import NOBODY

    return NOBODY


async def test_the_shortest_run_is_told_as_one(database: Database) -> None:
    async with process(database, nothing) as one:
        one.work()
        id_ = await one.create()
        await one.ended(id_)
        assert len(await one.messages(id_)) == 6
