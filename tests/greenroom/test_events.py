"""Events reach every process, at once while the connection lasts, and by the slow timer when it does not."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from greenroom.db import Database
from greenroom.errors import InputError
from greenroom.events import LIMIT, Events, compose, open_events


class Heard(asyncio.Queue[str | None]):
    """A subscriber's ear."""

    async def next(self) -> str | None:
        """The payload of the next event."""
        async with asyncio.timeout(60):
            return await self.get()


async def listening(events: Events) -> None:
    """A subscriber is told None when the listening begins."""
    heard = Heard()
    end = events.subscribe("begin", heard.put_nowait)
    if not events.listening:
        await heard.next()
    end()
    assert events.listening


async def test_an_event_reaches_other_processes_and_our_own(database: Database) -> None:
    async with open_events(database) as here, open_events(database) as there:
        await listening(here)
        await listening(there)
        ours, theirs = Heard(), Heard()
        here.subscribe("task", ours.put_nowait)
        there.subscribe("task", theirs.put_nowait)
        await here.publish("task", "number 7")
        assert await ours.next() == "number 7"
        assert await theirs.next() == "number 7"
        assert ours.empty()


async def test_sql_publishes_when_its_transaction_commits(database: Database) -> None:
    async with open_events(database) as events:
        await listening(events)
        heard = Heard()
        events.subscribe("task", heard.put_nowait)
        async with database.transaction() as connection:
            await connection.execute("select pg_notify('greenroom', 'task one two')")
            await database.execute("select pg_notify('greenroom', 'task outside')")
            assert await heard.next() == "outside"
        assert await heard.next() == "one two"


async def test_nobody_hears_a_topic_it_has_left(database: Database) -> None:
    async with open_events(database) as events:
        await listening(events)
        left, stayed = Heard(), Heard()
        events.subscribe("task", left.put_nowait)()
        events.subscribe("task", stayed.put_nowait)
        await events.publish("task")
        assert await stayed.next() == ""
        assert left.empty()


async def test_a_cut_connection_is_replaced_and_subscribers_look_for_what_they_missed(database: Database) -> None:
    async with open_events(database, slow_seconds=60) as events:
        await listening(events)
        heard = Heard()
        events.subscribe("task", heard.put_nowait)
        await database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query ilike 'listen%' and datname = current_database()"
        )
        assert await heard.next() is None
        assert events.listening
        await events.publish("task", "after")
        assert await heard.next() == "after"


async def test_behind_a_pooler_others_are_heard_by_the_timer_and_we_ourselves_at_once(database: Database) -> None:
    pooled = Database(database.pool, direct=None, pooled=True)
    async with open_events(pooled, slow_seconds=0.01) as ticking, open_events(pooled, slow_seconds=60) as events:
        assert not events.listening
        ours, theirs = Heard(), Heard()
        events.subscribe("task", ours.put_nowait)
        ticking.subscribe("task", theirs.put_nowait)
        await events.publish("task", "mine")
        assert await ours.next() == "mine"
        assert await theirs.next() is None


async def test_an_event_between_looking_and_waiting_is_not_lost(database: Database) -> None:
    async with open_events(database) as events:
        await listening(events)
        heard = Heard()
        with events.waiter("task", "other") as waiter:
            events.subscribe("task", heard.put_nowait)
            waiter.clear()
            await events.publish("task")
            await heard.next()
            assert await waiter.wait(0)
            waiter.clear()
            assert not await waiter.wait(0)
        await events.publish("task")
        await heard.next()
        assert not await waiter.wait(0), "a closed waiter hears nothing"


async def test_a_subscriber_that_fails_does_not_silence_the_next(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_events(database) as events:
        await listening(events)
        heard = Heard()

        def fail(payload: str | None) -> Any:
            raise RuntimeError(payload)

        events.subscribe("task", fail)
        events.subscribe("task", heard.put_nowait)
        await events.publish("task", "x")
        assert await heard.next() == "x"
    assert "a subscriber of task failed" in caplog.text


async def test_ending_while_it_connects_leaves_no_connection_open(database: Database) -> None:
    """A forgotten one warns when it is collected, and warnings are errors."""
    for number in range(40):
        async with open_events(database):
            await asyncio.sleep(number * 0.0001)
    gc.collect()


async def test_an_event_that_postgres_would_refuse_is_refused_by_name(database: Database) -> None:
    async with open_events(database) as events:
        await events.publish("task", "ä" * ((LIMIT - len("task ")) // 2))
        with pytest.raises(InputError, match="an event of the topic task has 8000 bytes"):
            await events.publish("task", "x" * (LIMIT - len("task ") + 1))
    for topic in ("", "two words"):
        with pytest.raises(InputError, match="is no topic"):
            compose(topic, "")
