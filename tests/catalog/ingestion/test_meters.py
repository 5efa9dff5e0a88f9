"""Counting costs no more than a hundredth of the time, however much there is to count."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from greenroom.telemetry import Metrics
from greenroom_catalog.ingestion.meters import CENSUS_SECONDS, Census, Meters
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog
from tests.support.postgres import MigratedDatabase


async def test_who_counts_for_long_rests_for_long(
    migrated_database: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    census = Census(catalog.database, catalog.store, Meters(Metrics()))
    assert await census.count() == CENSUS_SECONDS

    async def slowly(*_: object) -> None:
        await asyncio.sleep(0.4)

    monkeypatch.setattr(catalog.database, "fetchrow", slowly)
    began = monotonic()
    assert 40 <= await census.count() <= 100 * (monotonic() - began)
