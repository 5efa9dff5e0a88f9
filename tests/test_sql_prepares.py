"""Every named query of every part is one that Postgres accepts, with the migrations of all parts applied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from greenroom.plugin import Migrations
from greenroom.sql import load
from tests.support.postgres import TestServer

ROOT = Path(__file__).parents[1]
PARTS = [ROOT / "greenroom", ROOT / "catalog", ROOT / "scaffolder", ROOT / "plugins"]


def _folders(name: str) -> list[Path]:
    return sorted(folder for part in PARTS for folder in part.rglob(name) if any(folder.glob("*.sql")))


QUERIES = [
    pytest.param(queries[name], id=f"{folder.parent.relative_to(ROOT).as_posix()}:{name}")
    for folder in _folders("sql")
    for queries in [load(folder)]
    for name in queries
]


@pytest.fixture(scope="module")
async def connection(postgres_server: TestServer) -> AsyncIterator[Any]:
    """A database with everything in it that all parts bring, as in a process that runs them all."""
    migrations = [Migrations(folder.parent.name, folder) for folder in _folders("migrations")]
    async with postgres_server.empty(await postgres_server.template(migrations)) as name:
        opened: Any = await asyncpg.connect(**postgres_server.to(name))
        try:
            yield opened
        finally:
            await opened.close()


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_can_be_prepared(connection: Any, query: str) -> None:
    await connection.prepare(query)


def test_all_parts_that_have_queries_are_among_them() -> None:
    parts = {str(parameter.id).partition(":")[0] for parameter in QUERIES}
    assert parts >= {
        "catalog/greenroom_catalog/query",
        "catalog/greenroom_catalog/storage",
        "greenroom/auth",
        "plugins/greenroom_plugins/git",
    }
