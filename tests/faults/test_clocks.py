"""Clocks jump: of a server's machine, and of the database's. Work that was set for a time that never comes must not wait for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, running
from tests.faults.test_postgres import FAST, catalog
from tests.faults.world import Scale, long

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

faketime = pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed (Debian: faketime)")

JUMPS = ("+86400", "-86400", "+0")
"""Seconds: a day ahead, a day back, right again."""


class Clock:
    """A file that tells processes how wrong their clocks are. What measures spans of time is not touched, as in life."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set("+0")

    def set(self, offset: str) -> None:
        """Jump."""
        self.file.write_text(f"{offset}\n")

    @property
    def environ(self) -> dict[str, str]:
        """For the processes that are to go by it."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


@pytest.fixture
def clock(folder: Path) -> Clock:
    return Clock(folder / "clock")


@pytest.fixture
def primary(folder: Path) -> Cluster:
    made = Cluster(folder / "primary", FAST)
    made.make()
    return made


@long
@faketime
async def test_a_server_whose_clock_jumps_by_a_day_and_back_goes_on_as_before(
    primary: Cluster, clock: Clock, folder: Path, scale: Scale
) -> None:
    with running(primary):
        async with catalog(primary, folder, scale, environ=clock.environ) as place:
            for offset in JUMPS:
                await place.change(scale.changed, 5, 5)
                clock.set(offset)
                await place.settled()
                await place.change(scale.changed, 5, 5)
                await place.settled()
                await place.agrees()
            await place.is_fresh()


@long
@faketime
async def test_work_that_is_under_way_when_the_clock_of_the_database_jumps_is_done_all_the_same(
    primary: Cluster, clock: Clock, folder: Path, scale: Scale
) -> None:
    """Back by a day: what had just become due, or was leased, would be due tomorrow."""
    primary.environ |= clock.environ
    with running(primary):
        async with catalog(primary, folder, scale) as place:
            for offset in JUMPS:
                await place.change(len(place.churn.entities) // 2, 5, 5)
                await asyncio.sleep(0.2)
                clock.set(offset)
                await place.settled()
                await place.agrees()
                await place.change(scale.changed, 5, 5)
                await place.settled()
                await place.agrees()
            await place.is_fresh()


@long
@faketime
async def test_a_provider_that_runs_every_second_goes_on_doing_so_after_the_clock_of_the_database_was_put_back(
    primary: Cluster, clock: Clock, folder: Path, scale: Scale
) -> None:
    primary.environ |= clock.environ
    schedule = {"ndjson": {"often": {"path": str(folder / "often.ndjson"), "schedule": {"frequency": {"seconds": 1}}}}}
    (folder / "often.ndjson").write_text("")
    with running(primary):
        async with catalog(primary, folder, scale._replace(entities=50), providers=schedule) as place:
            for offset in JUMPS:
                clock.set(offset)
                last = await place.fleet.last_run("ndjson:often")
                await place.fleet.settled(after=last + 1, provider="ndjson:often", patience=30)
