"""A small catalog and a large one to ask questions of."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from greenroom.db import Database, open_pool
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.query.seeding import many, serve
from tests.support.postgres import MigratedDatabase, TestServer


@pytest.fixture
async def catalog_database(migrated_database: MigratedDatabase) -> Database:
    """A migrated database with nothing in it."""
    return await migrated_database([MIGRATIONS])


@pytest.fixture(scope="session")
async def large_catalog(postgres_server: TestServer) -> AsyncIterator[Database]:
    """3,000 entities that nobody may change."""
    async with contextlib.AsyncExitStack() as stack:
        name = await stack.enter_async_context(postgres_server.empty(await postgres_server.template([MIGRATIONS])))
        database = await stack.enter_async_context(open_pool(postgres_server.to(name), size=3))
        await serve(database, many(3000))
        await database.execute("vacuum analyze")
        yield database
