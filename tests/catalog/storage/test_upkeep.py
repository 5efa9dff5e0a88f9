"""Plans do not depend on luck: whoever fills tables, or restores them without statistics, finds them analyzed soon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from greenroom.db import Database
from greenroom_catalog.storage.store import MIGRATIONS
from greenroom_catalog.storage.upkeep import FILLED, PAGES, Upkeep
from tests.catalog.query.seeding import many, serve
from tests.support.postgres import MigratedDatabase

BY_HAND = "alter table {} set (autovacuum_enabled = off)"
KNOWN = "select count(distinct attname) from pg_stats where tablename = $1 and schemaname = 'public'"
VISIBLE = "select relallvisible from pg_class where oid = $1::text::regclass"
FORGET = """
delete from pg_statistic where starelid = 'search'::regclass;
update pg_class set reltuples = -1, relpages = 0, relallvisible = 0 where oid = 'search'::regclass
"""


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    """Some entities of which nobody has counted anything."""
    made = await migrated_database([MIGRATIONS])
    for table in FILLED:
        await made.execute(BY_HAND.format(table))
    await serve(made, many(300), analyze=False)
    await made.execute("checkpoint")  # without fsync, what was written just now is not known to be everybody's
    return made


async def analyzed(database: Database, table: str = "search") -> int:
    return int(await database.fetchval(KNOWN, table))


async def test_what_was_restored_without_statistics_has_them_after_the_start(database: Database) -> None:
    assert await analyzed(database) == 0
    await Upkeep(database).look()
    assert await analyzed(database) > 10
    assert await database.fetchval("select most_common_elems is not null from pg_stats where attname = 'tok'")
    await database.execute(FORGET)
    await Upkeep(database).look()
    assert await analyzed(database) > 10


async def test_a_table_that_grows_is_analyzed_at_each_doubling_and_not_before(database: Database) -> None:
    counted = "select reltuples from pg_class where oid = 'search'::regclass"
    await Upkeep(database, pages=0).look()
    await serve(database, many(500, seed=2)[300:], analyze=False)
    await Upkeep(database, pages=0).look()
    assert await database.fetchval(counted) == 300
    await serve(database, many(1000, seed=3)[500:], analyze=False)
    await Upkeep(database, pages=PAGES).look()
    assert await database.fetchval(counted) == 300
    await Upkeep(database, pages=0).look()
    assert await database.fetchval(counted) == 1000


async def test_when_a_load_is_over_the_map_says_that_all_is_visible(database: Database) -> None:
    await database.execute("insert into stitch_queue (id) select id from search limit 1")
    await Upkeep(database, pages=0).look()
    assert await database.fetchval(VISIBLE, "search") == 0
    await database.execute("delete from stitch_queue")
    await Upkeep(database, pages=0).look()
    assert await database.fetchval(VISIBLE, "search") > 0


async def test_what_was_vacuumed_in_vain_is_left_alone_for_a_while(database: Database) -> None:
    async with database.transaction(isolation="repeatable_read") as old:
        await old.fetchval("select pg_current_xact_id()")
        await database.execute("update search set title = 'x'")
        upkeep = Upkeep(database, pages=0)
        await upkeep.look()
        vacuums = "select coalesce(sum(vacuum_count), 0) from pg_stat_user_tables"
        before = await _settled(database, vacuums)
        await upkeep.look()
        assert await _settled(database, vacuums) == before > 0


async def test_two_processes_are_never_at_one_table_at_once(database: Database) -> None:
    async with database.transaction() as other:
        await other.execute("lock table search in share update exclusive mode")  # as ANALYZE and VACUUM do
        await asyncio.wait_for(Upkeep(database).look(), 60)
        assert await analyzed(database) == 0
        assert await analyzed(database, "final_entities") > 0
    await Upkeep(database).look()
    assert await analyzed(database) > 0


async def test_what_nobody_sees_yet_is_not_taken_for_nothing(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    async with database.transaction() as load:
        await load.execute(
            "insert into refresh_state (entity_ref, unprocessed_entity, unprocessed_hash)"
            " select n::text, '', '' from generate_series(1, 999) n"
        )
        await Upkeep(database).look()
    assert await database.fetchval("select reltuples from pg_class where oid = 'refresh_state'::regclass") == -1


async def test_an_empty_catalog_is_left_alone(migrated_database: MigratedDatabase) -> None:
    empty = await migrated_database([MIGRATIONS])
    assert await Upkeep(empty).look() > 1
    assert await empty.fetchval("select reltuples from pg_class where oid = 'search'::regclass") == -1


async def _settled(database: Database, query: str) -> Any:
    async with database.acquire() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    return await database.fetchval(query)
