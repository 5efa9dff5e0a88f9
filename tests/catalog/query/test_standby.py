"""What was counted on one server is not believed of another, though it began as its copy and counts transactions alike."""

from __future__ import annotations

import asyncio
from typing import Any

from greenroom.db import open_pool
from greenroom.migrate import migrate
from greenroom_catalog.query.cursors import Cursor
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.storage.changes import Changes
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.query.seeding import entity, serve
from tests.faults.cluster import Cluster, running
from tests.support.postgres import UNSAFE, open_folder

FEW = {**UNSAFE, "max_connections": "20"}


class Process:
    """Knows only one server at a time."""

    def __init__(self) -> None:
        self.database: Any = None

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        found: list[Any] = await self.database.fetch(query, *arguments)
        return found


async def test_counts_are_true_on_a_standby_and_after_it_has_taken_over() -> None:
    process = Process()
    queries = EntityQueries(process)  # type: ignore[arg-type]
    with open_folder() as folder:
        primary, standby = Cluster(folder / "primary", FEW), Cluster(folder / "standby", FEW)
        await asyncio.to_thread(primary.make)
        with running(primary):
            async with open_pool(primary.to("postgres"), size=1) as first:
                await migrate(first, [MIGRATIONS])
                await serve(first, [entity(f"n{number}") for number in range(3)])
                await asyncio.to_thread(standby.copy_of, primary)
                process.database = first
                await serve(first, [entity("lost"), entity("lost-too")])
                assert await _total(queries) == 5
        with running(standby):
            async with open_pool(standby.to("postgres"), size=1) as second:
                process.database = second
                assert await _total(queries) == await _total(queries) == 3
                await standby.promote()
                assert await _total(queries) == 3
                await Changes(second).trim()
                await serve(second, [entity("more")])
                assert await _total(queries) == await _total(EntityQueries(second)) == 4


async def _total(queries: EntityQueries) -> float:
    return (await queries.page(Cursor(query={"kind": "component"}), limit=1)).total
