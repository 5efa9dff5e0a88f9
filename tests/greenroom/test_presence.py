"""Who lives is known at once, and whoever is gone is missed at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from greenroom.db import Database
from greenroom.events import open_events
from greenroom.presence import Presence


@asynccontextmanager
async def present(database: Database) -> AsyncIterator[Presence]:
    """A process."""
    presence = Presence(database)
    async with open_events(database, greet=presence.announce):
        assert await presence.known() is not None
        yield presence


async def until_living(observer: Presence, numbers: set[int | None]) -> None:
    async with asyncio.timeout(60):
        while await observer.living() != numbers:
            await asyncio.sleep(0.01)


async def test_each_process_knows_of_the_others_until_they_end(database: Database) -> None:
    async with present(database) as one:
        async with present(database) as other:
            assert one.number != other.number
            assert await one.living() == {one.number, other.number} == await other.living()
        await until_living(one, {one.number})


async def test_a_cut_session_is_missed_until_there_is_another(database: Database) -> None:
    async with present(database) as one, present(database) as other:
        before = one.number
        await database.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = $1::bigint::oid",
            before,
        )
        await until_living(other, {other.number})
        async with asyncio.timeout(60):
            while one.number is None:
                await asyncio.sleep(0.01)
        await until_living(other, {one.number, other.number})


async def test_who_is_thought_to_live_on_comes_back_under_another_number(database: Database) -> None:
    assert database.direct is not None
    presence = Presence(database)
    async with database.direct.open() as zombie, database.direct.open() as fresh:
        await presence.announce(zombie)
        before = presence.number
        await presence.announce(fresh)
        assert presence.number not in (before, None)


async def test_behind_a_pooler_nobody_is_known(database: Database) -> None:
    presence = Presence(Database(database.pool, direct=None, pooled=True))
    assert await presence.known() is None
    assert await presence.living() == set()


async def test_who_lives_on_another_database_of_the_server_is_none_of_ours(database: Database) -> None:
    async with present(database) as one:
        key = "select pg_try_advisory_lock(4711002, 7)"
        assert database.direct is not None
        arguments = {**database.direct.arguments, "database": "postgres"}
        elsewhere = await asyncpg.connect(**arguments)
        try:
            assert await elsewhere.fetchval(key)
            assert await one.living() == {one.number}
        finally:
            await elsewhere.close()
