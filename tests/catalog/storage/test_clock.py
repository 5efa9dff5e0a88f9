"""The clock of the database is put back, and what was set for a time that is gone again is done all the same."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from greenroom.db import Database
from greenroom.plugin import Deferred
from greenroom_catalog.storage.chores import Chores
from greenroom_catalog.storage.clock import Clock
from greenroom_catalog.storage.runs import ProviderRuns, Tally
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase

LOG = logging.getLogger("greenroom.catalog")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

BEFORE = """
    UPDATE clock SET seen_at = seen_at + interval '1 day';
    UPDATE refresh_schedule SET next_update_at = next_update_at + interval '1 day';
    UPDATE stitch_queue SET requested_at = requested_at + interval '1 day';
    UPDATE providers SET next_run_at = next_run_at + interval '1 day', lease_until = lease_until + interval '1 day';
    UPDATE chores SET next_run_at = next_run_at + interval '1 day';
"""
"""As all would have been written by a clock that was a day ahead."""


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


async def test_entities_providers_and_chores_of_a_clock_that_was_a_day_ahead_do_not_wait_for_tomorrow(
    database: Database,
) -> None:
    clock, catalog, runs, chores = Clock(database, LOG), Catalog(database), ProviderRuns(database), Chores(database)
    await clock.look()
    await runs.register({"often": timedelta(seconds=1)})
    assert await chores.claim("sweep", timedelta(0))
    await catalog.source().full([Deferred(component("first"), None)])
    await catalog.engine.process_due()
    await catalog.source().full([Deferred(component("first"), None), Deferred(component("second"), None)])
    await database.execute(BEFORE)
    assert (await catalog.store.backlog())[0] == 0
    assert await runs.claim(["often"], HOUR, "here:1") is None

    await clock.look()

    assert (await catalog.store.backlog())[0] == 1
    await catalog.settle()
    assert set(await catalog.served()) == {"component:default/first", "component:default/second"}
    assert await runs.claim(["often"], HOUR, "here:1") is not None
    assert await chores.claim("sweep", HOUR)


async def test_of_several_processes_one_sets_all_back_and_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clocks = [Clock(database, LOG) for _ in range(4)]
    await clocks[0].look()
    await ProviderRuns(database).register({"daily": DAY})
    due = await database.fetchval("SELECT next_run_at FROM providers")
    await database.execute("INSERT INTO provider_runs (provider, cause, process) VALUES ('daily', 'start', 'here:1')")
    await database.execute("UPDATE provider_runs SET finished_at = now() + interval '1 day'")
    await database.execute(BEFORE)
    await asyncio.gather(*(clock.look() for clock in clocks))
    assert [
        record.getMessage().startswith("The clock of the database was put back by some") for record in caplog.records
    ] == [True]
    late = await database.fetchval("SELECT next_run_at FROM providers") - due
    assert abs(late) < timedelta(minutes=1)


async def test_a_clock_that_was_ahead_for_a_moment_in_which_nobody_looked_is_told_by_the_runs_of_providers(
    database: Database,
) -> None:
    clock, runs = Clock(database, LOG), ProviderRuns(database)
    await clock.look()
    await runs.register({"often": timedelta(seconds=1)})
    claim = await runs.claim(["often"], HOUR, "here:1")
    assert claim is not None
    await runs.finish(claim, Tally(), None, timedelta(seconds=1))
    await database.execute("UPDATE providers SET next_run_at = next_run_at + interval '1 day'")
    await database.execute("UPDATE provider_runs SET finished_at = finished_at + interval '1 day'")

    await clock.look()

    assert await runs.claim(["often"], HOUR, "here:1") is not None
    due = await database.fetchval("SELECT next_run_at FROM providers")
    await clock.look()
    assert await database.fetchval("SELECT next_run_at FROM providers") == due


async def test_a_clock_that_is_right_or_put_forward_changes_nothing(database: Database) -> None:
    clock = Clock(database, LOG)
    await clock.look()
    await ProviderRuns(database).register({"daily": DAY})
    due = await database.fetchval("SELECT next_run_at FROM providers")
    for shift in ("1 second", "-1 day", "3 seconds"):
        await database.execute(f"UPDATE clock SET seen_at = now() + interval '{shift}'")  # noqa: S608 - our own text
        await clock.look()
        assert await database.fetchval("SELECT next_run_at FROM providers") == due
    assert await database.fetchval("SELECT abs(extract(epoch FROM now() - seen_at)) < 60 FROM clock")
