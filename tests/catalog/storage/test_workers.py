"""What a worker held comes back as soon as it is missed, and from nobody who lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from greenroom.db import Database
from greenroom.events import open_events
from greenroom.plugin import Deferred
from greenroom.presence import Presence
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import MIGRATIONS, Store
from greenroom_catalog.storage.workers import Workers
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase

HOUR = timedelta(hours=1)
LOG = logging.getLogger("greenroom.catalog")


class Process:
    """A worker process, as far as its claims go."""

    def __init__(self, database: Database, presence: Presence) -> None:
        self.database, self.presence = database, presence
        self.workers = Workers(database, presence, LOG)
        self.store = Store(database, holder=self.workers.me)
        self.runs = ProviderRuns(database, self.workers.me)

    async def claims(self, limit: int = 100) -> int:
        return len(await self.store.results.claim(limit, HOUR))

    async def look_twice(self) -> None:
        await self.workers.look()
        await self.workers.look()


@asynccontextmanager
async def process(database: Database) -> AsyncIterator[Process]:
    presence = Presence(database)
    async with open_events(database, greet=presence.announce):
        await presence.known()
        yield Process(database, presence)


@pytest.fixture
async def catalog(migrated_database: MigratedDatabase) -> Catalog:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    await catalog.source().full([Deferred(component(f"c-{n}"), "key") for n in range(20)])
    return catalog


async def until_missed(survivor: Process, number: Any) -> None:
    async with asyncio.timeout(60):
        while number in await survivor.presence.living():
            await asyncio.sleep(0.01)


async def test_what_a_dead_worker_held_is_taken_at_once_and_what_a_living_one_holds_is_not(catalog: Catalog) -> None:
    async with process(catalog.database) as survivor:
        async with process(catalog.database) as dying:
            assert await dying.claims(8) == 8
            assert await survivor.claims(5) == 5
            await survivor.look_twice()
            assert await survivor.claims() == 7, "who lives keeps what it has"
            number = dying.presence.number
        await until_missed(survivor, number)
        await survivor.workers.look()
        assert await survivor.claims() == 0, "a session may be cut: who is missed once may be back"
        await survivor.workers.look()
        assert await survivor.claims() == 8
        known = await catalog.database.fetch("select number from workers")
        assert [row["number"] for row in known] == [survivor.presence.number]


async def test_the_run_of_a_provider_whose_process_died_ends_with_it(catalog: Catalog) -> None:
    async with process(catalog.database) as survivor:
        await survivor.runs.register({"p": HOUR, "q": HOUR})
        async with process(catalog.database) as dying:
            lost = await dying.runs.claim(["p"], HOUR, "host:1")
            kept = await survivor.runs.claim(["q"], HOUR, "host:2")
            assert lost is not None
            assert kept is not None
            number = dying.presence.number
        await until_missed(survivor, number)
        await survivor.look_twice()
        (run,) = await survivor.runs.runs("p")
        assert (run.error, run.running) == ("The process that ran it ended", False)
        assert not await survivor.runs.extend(lost, HOUR), "and should it not be dead after all, it is told so"
        assert await survivor.runs.extend(kept, HOUR)
        assert await survivor.runs.claim(["p", "q"], HOUR, "host:2") is not None


async def test_a_worker_that_leaves_leaves_nothing_behind(catalog: Catalog) -> None:
    async with process(catalog.database) as leaving, process(catalog.database) as other:
        assert await leaving.claims() == 20
        await leaving.workers.leave()
        assert await other.claims() == 20
        assert await catalog.database.fetchval("select count(*) from workers") == 1


async def test_what_was_processed_belongs_to_nobody(catalog: Catalog) -> None:
    async with process(catalog.database) as worker:
        claimed = await worker.store.results.claim(100, HOUR)
        await worker.store.results.save([], [], [(item, HOUR) for item in claimed])
        assert await catalog.database.fetchval("select count(*) from refresh_schedule where holder is not null") == 0
        await worker.workers.leave()
        assert await worker.claims() == 0, "nothing of it became due by that"


async def test_a_worker_that_was_taken_for_dead_is_known_again(catalog: Catalog) -> None:
    async with process(catalog.database) as worker:
        assert await worker.claims(1) == 1
        await catalog.database.execute("delete from workers")
        await worker.workers.look()
        assert await catalog.database.fetchval("select count(*) from workers") == 1


async def test_without_presence_claims_are_made_all_the_same(catalog: Catalog) -> None:
    pooled = Database(catalog.database.pool, direct=None, pooled=True)
    worker = Process(pooled, Presence(pooled))
    assert await worker.claims() == 20
    await worker.look_twice()
    await worker.workers.leave()
    assert await catalog.database.fetchval("select count(*) from refresh_schedule where next_update_at <= now()") == 0
