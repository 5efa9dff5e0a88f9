"""A process holds no more connections than it says, says so before it is too late, and gets on when there are fewer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from greenroom.app import running
from greenroom.db import Database, open_pool
from greenroom.db.budget import Room, budget, check
from greenroom.db.pool import Pool
from greenroom.errors import ConfigError, ServiceUnavailableError
from greenroom.loops import Role
from greenroom.plugin import Deferred
from greenroom.settings import load
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.asgi import TOKEN, Client
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase, TestServer

SIZE = 4
TOKENS = [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]


class Watcher:
    """Counts the connections to a database from outside of it."""

    def __init__(self, connection: Any, name: str) -> None:
        self.connection, self.name, self.peak = connection, name, 0

    async def count(self) -> int:
        found: int = await self.connection.fetchval(
            "select count(*) from pg_stat_activity where datname = $1 and backend_type = 'client backend'", self.name
        )
        self.peak = max(self.peak, found)
        return found

    async def watch(self) -> None:
        while True:
            await self.count()
            await asyncio.sleep(0.005)


@asynccontextmanager
async def watched(server: TestServer, name: str, pool: Pool) -> AsyncIterator[Watcher]:
    connection = await asyncpg.connect(**server.arguments)
    watcher = Watcher(connection, name)
    async with asyncio.timeout(60):
        while await watcher.count() > pool._pool.get_size() + 1:  # sessions of the start may still be ending
            await asyncio.sleep(0.005)
    watcher.peak = 0
    watching = asyncio.create_task(watcher.watch())
    try:
        yield watcher
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await connection.close()


@pytest.mark.parametrize("roles", [("api",), ("worker",), ("api", "worker")], ids="+".join)
async def test_a_process_of_any_role_keeps_to_its_budget_under_load(
    postgres_server: TestServer, tmp_path: Path, roles: tuple[Role, ...]
) -> None:
    (tmp_path / "all.ndjson").write_bytes(b"")
    config = {
        "backend": {"auth": {"externalAccess": TOKENS}},
        "catalog": {
            "orphanProviderStrategy": "keep",  # of the load below, whose provider is none of these
            "providers": {"ndjson": {f"p{n}": {"path": str(tmp_path / "all.ndjson")} for n in range(8)}},
        },
    }
    async with (
        postgres_server.empty() as name,
        open_pool(postgres_server.to(name), size=SIZE) as database,
        running(load([], {}, config), {"GREENROOM_DATA": str(tmp_path)}, database=database, roles=roles) as house,
        watched(postgres_server, name, database.pool) as watcher,
    ):
        source = Catalog(database).source("load")
        await source.full([Deferred(component(f"c-{n}"), "key") for n in range(500)])
        http = Client(house.asgi)
        asked = ["/api/catalog/entities/by-query?limit=5", "/.backstage/health/v1/readiness", "/.greenroom/health"]
        await asyncio.gather(*(http.get(path) for _ in range(30) for path in asked))
        if "worker" in roles:
            async with asyncio.timeout(120):
                while await database.fetchval("select count(*) from final_entities") < 500:
                    await asyncio.sleep(0.05)
        assert 1 < watcher.peak <= budget(SIZE, session=True) == SIZE + 1


def test_a_server_that_is_too_small_stops_the_start_and_one_that_is_full_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check(11, Room(97, 80))
    assert not caplog.records
    check(11, Room(97, 90))
    assert "The database has 97 connections, of which others hold 90: with up to 11 of this process" in caplog.text
    with pytest.raises(
        ConfigError, match=r"backend\.database\.poolSize: .* up to 11 connections, and .* has 7 .*\(6 at most"
    ):
        check(11, Room(7, 0))


@asynccontextmanager
async def limited(server: TestServer, limit: int) -> AsyncIterator[dict[str, Any]]:
    """Arguments to connect as somebody who may have so many connections."""
    async with server.empty() as name:
        user = f"limited_{name}"
        await server.command(f"create role {user} login password 'limited' connection limit {limit}")
        try:
            yield {**server.to(name), "user": user, "password": "limited"}
        finally:
            await server.command(f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{user}'")  # noqa: S608
            await server.command(f"drop role {user}")


async def test_the_limit_of_a_role_is_known_at_the_start(postgres_server: TestServer) -> None:
    async with limited(postgres_server, 5) as arguments:
        with pytest.raises(ConfigError, match="has 5 for all of them"):
            async with open_pool(arguments, size=5):
                pass
        async with open_pool(arguments, size=4) as database:
            await database.ping()


async def test_who_finds_the_server_full_gets_on_with_the_connections_it_has(
    postgres_server: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with limited(postgres_server, 6) as arguments, AsyncExitStack() as others:
        for _ in range(4):
            taken = await asyncpg.connect(**arguments)
            others.push_async_callback(taken.close)
        async with open_pool(arguments, size=5) as database:  # of which two can be had
            assert "they may not suffice" in caplog.text
            async with asyncio.timeout(120):
                found = await asyncio.gather(*(database.fetchval("select $1::int", n) for n in range(40)))
            assert found == list(range(40))


async def test_a_full_server_is_waited_for_and_then_told_of(
    postgres_server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        limited(postgres_server, 5) as arguments,
        open_pool(arguments, size=4, least=0) as database,
        AsyncExitStack() as crowd,
    ):
        mine = await database.pool.acquire()
        for _ in range(4):
            crowd.push_async_callback((await asyncpg.connect(**arguments)).close)
        monkeypatch.setattr("greenroom.db.pool.CROWDED_SECONDS", 0.1)
        with pytest.raises(ServiceUnavailableError, match="TooManyConnectionsError"):
            await database.ping()
        monkeypatch.setattr("greenroom.db.pool.CROWDED_SECONDS", 30)
        waiting = asyncio.create_task(database.fetchval("select 7"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await database.pool.release(mine)
        assert await asyncio.wait_for(waiting, 60) == 7, "one that comes back will do"


async def test_providers_that_dawdle_leave_connections_for_others(migrated_database: MigratedDatabase) -> None:
    database: Database = await migrated_database([MIGRATIONS])
    catalog = Catalog(database)
    catalog.store._long = asyncio.Semaphore(2)
    free = asyncio.Event()

    async def slow() -> AsyncIterator[Deferred]:
        await free.wait()
        yield Deferred(component("late"), "key")

    dawdling = [asyncio.create_task(catalog.source(f"p{n}").full(slow())) for n in range(10)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        assert await asyncio.gather(*(database.fetchval("select 1") for _ in range(20))) == [1] * 20
    free.set()
    done = await asyncio.gather(*dawdling)
    assert sum(mutation.added for mutation in done) == 10
