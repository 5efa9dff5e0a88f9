"""Every query of the catalog is one that Postgres accepts, against the migrated schema."""

from __future__ import annotations

from greenroom_catalog.storage.store import MIGRATIONS, Store
from tests.support.postgres import MigratedDatabase


async def test_every_query_of_the_store_can_be_prepared(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    store = Store(database)
    failures: list[str] = []
    for name in store.sql:
        try:
            async with database.acquire() as connection:
                await connection.prepare(store.sql[name])  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - all failures at once
            failures.append(f"{name}: {error}")
    assert failures == []
