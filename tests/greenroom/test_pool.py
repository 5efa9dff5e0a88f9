"""Connections are kept at hand, and still nobody waits for one that is free, gets a broken one, or finds another's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

import greenroom.db.pool
from greenroom.db import Database, open_pool
from greenroom.db.pool import is_gone
from tests.support.postgres import TestServer

PID = "select pg_backend_pid()"


@pytest.fixture
async def narrow(postgres_server: TestServer) -> AsyncIterator[Database]:
    """A pool of one connection."""
    async with postgres_server.empty() as name, open_pool(postgres_server.to(name), size=1) as database:
        yield database


async def test_the_same_connection_answers_one_query_after_another(database: Database) -> None:
    assert len({await database.fetchval(PID) for _ in range(5)}) == 1


async def test_who_waits_gets_the_connection_that_comes_back(narrow: Database) -> None:
    async with asyncio.timeout(60):
        found = await asyncio.gather(*(narrow.fetchval("select $1::int", number) for number in range(50)))
    assert found == list(range(50))


async def test_a_connection_that_was_cut_while_nobody_used_it_is_not_lent(
    narrow: Database, postgres_server: TestServer
) -> None:
    async with narrow.acquire() as connection:
        pid = await connection.fetchval(PID)
    assert not is_gone(connection)
    stranger = await asyncpg.connect(**postgres_server.to("postgres"))
    await stranger.execute("select pg_terminate_backend($1)", pid)
    await stranger.close()
    async with asyncio.timeout(60):
        while not is_gone(connection):  # until the news has come here
            await asyncio.sleep(0.01)
    assert await narrow.fetchval(PID) != pid


async def test_nobody_finds_another_ones_transaction(narrow: Database) -> None:
    async with narrow.acquire() as connection:
        await connection.execute("begin; create table left_behind ()")
    async with narrow.acquire() as connection:
        assert await connection.fetchval("select to_regclass('left_behind')") is None


async def test_a_query_that_was_given_up_does_not_answer_the_next_one(narrow: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await narrow.fetchval("select pg_sleep(5), 1")
    assert await narrow.fetchval("select 2") == 2


async def test_what_nobody_uses_goes_back_to_the_pool(monkeypatch: pytest.MonkeyPatch, narrow: Database) -> None:
    monkeypatch.setattr(greenroom.db.pool, "IDLE_SECONDS", 0.02)
    await narrow.fetchval(PID)
    async with asyncio.timeout(60):
        while narrow.pool.at_hand:
            await asyncio.sleep(0.01)
    assert await narrow.fetchval("select 1") == 1


async def test_a_connection_is_given_back_from_time_to_time(monkeypatch: pytest.MonkeyPatch, narrow: Database) -> None:
    """So that the pool can replace one that has answered very many queries."""
    monkeypatch.setattr(greenroom.db.pool, "LONGEST_RUN", 3)
    kept = []
    for _ in range(6):
        await narrow.fetchval("select 1")
        kept.append(bool(narrow.pool.at_hand))
    assert kept == [True, True, False] * 2


async def test_a_session_does_not_grow_for_ever_in_postgres(monkeypatch: pytest.MonkeyPatch, narrow: Database) -> None:
    """One that is busy all the time is ended, too, and nobody who asks notices."""
    monkeypatch.setattr(greenroom.db.pool, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(greenroom.db.pool, "LIFETIME", 0.1)
    first = await narrow.fetchval(PID)
    async with asyncio.timeout(60):
        while await narrow.fetchval(PID) == first:
            await asyncio.sleep(0)
