"""Migrations are applied once, whole, by one process at a time, and never changed afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from greenroom.db import Database
from greenroom.errors import ConfigError, ConflictError
from greenroom.migrate import LOCK, migrate, pending, read_migrations, statements
from greenroom.plugin import Migrations


@pytest.fixture
def part(tmp_path: Path) -> Migrations:
    folder = tmp_path / "migrations"
    folder.mkdir()
    return Migrations("acme", folder)


def add(part: Migrations, name: str, sql: str) -> None:
    (part.folder / name).write_text(sql)


async def test_files_are_applied_once_in_name_order(database: Database, part: Migrations) -> None:
    add(part, "0002_rows.sql", "insert into things select generate_series(1, 3)")
    add(part, "0001_things.sql", "create table things (id int); create index on things (id);")
    assert await pending(database, [part]) == ["acme/0001_things.sql", "acme/0002_rows.sql"]
    assert await migrate(database, [part]) == ["acme/0001_things.sql", "acme/0002_rows.sql"]
    assert await migrate(database, [part]) == []
    assert await pending(database, [part]) == []
    assert await database.fetchval("select count(*) from things") == 3


async def test_processes_that_start_together_do_not_apply_twice(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    add(part, "0002_row.sql", "insert into things values (1)")
    applied = await asyncio.gather(*(migrate(database, [part]) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]
    assert await database.fetchval("select count(*) from things") == 1


async def test_a_broken_file_leaves_nothing_behind_and_is_named(database: Database, part: Migrations) -> None:
    add(part, "0001_broken.sql", "create table things (id int); insert into nowhere values (1)")
    with pytest.raises(ConflictError, match=r'0001_broken\.sql cannot be applied: relation "nowhere" does not exist'):
        await migrate(database, [part])
    assert await database.fetchval("select to_regclass('things')") is None
    add(part, "0001_broken.sql", "create table things (id int)")
    assert await migrate(database, [part]) == ["acme/0001_broken.sql"]


async def test_a_changed_file_is_refused_with_its_path(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    await migrate(database, [part])
    add(part, "0001_things.sql", "create table things (id int)\r\n")
    assert await migrate(database, [part]) == [], "line ends are no change"
    add(part, "0001_things.sql", "create table things (id bigint)")
    with pytest.raises(ConflictError, match=r"migrations/0001_things\.sql has changed since it was applied"):
        await migrate(database, [part])
    with pytest.raises(ConflictError, match="has changed"):
        await pending(database, [part])


async def test_a_database_newer_than_the_program_is_refused(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    add(part, "0002_more.sql", "alter table things add more int")
    await migrate(database, [part])
    (part.folder / "0002_more.sql").unlink()
    with pytest.raises(ConflictError, match=r"newer than this program: it holds acme/0002_more\.sql"):
        await migrate(database, [part])


async def test_a_part_that_is_not_installed_any_more_does_no_harm(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    await migrate(database, [part])
    assert await migrate(database, []) == []


async def test_an_online_file_may_build_an_index_concurrently(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    add(
        part,
        "0002_index.sql",
        "-- online\ncreate index concurrently if not exists things_id on things (id);\nselect 1;\n",
    )
    assert len(await migrate(database, [part])) == 2
    assert await database.fetchval("select indisvalid from pg_index where indexrelid = 'things_id'::regclass")


async def test_an_index_left_invalid_by_a_crash_is_built_again(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int); insert into things values (1), (1)")
    await migrate(database, [part])
    online = "-- online\ncreate unique index concurrently if not exists things_id on things (id)"
    add(part, "0002_index.sql", online)
    with pytest.raises(ConflictError, match="could not create unique index"):
        await migrate(database, [part])
    assert not await database.fetchval("select indisvalid from pg_index where indexrelid = 'things_id'::regclass")
    await database.execute("delete from things")
    assert await migrate(database, [part]) == ["acme/0002_index.sql"]
    assert await database.fetchval("select indisvalid from pg_index where indexrelid = 'things_id'::regclass")


async def test_it_waits_for_the_process_that_is_migrating_without_blocking_its_indexes(
    database: Database, part: Migrations
) -> None:
    """A session waiting inside `pg_advisory_lock` would hold a snapshot, which CREATE INDEX CONCURRENTLY waits for."""
    assert database.direct is not None
    add(part, "0001_things.sql", "create table if not exists things (id int)")
    async with database.direct.open() as other:
        await other.execute("select pg_advisory_lock($1)", LOCK)
        second = asyncio.create_task(migrate(database, [part]))
        while not await other.fetchval(
            "select count(*) from pg_stat_activity where query like '%try_advisory%' and pid <> pg_backend_pid()"
        ):
            await asyncio.sleep(0.01)
        await other.execute("create table things (id int)")
        await other.execute("create index concurrently on things (id)")
        assert not second.done()
    assert await second == ["acme/0001_things.sql"]


async def test_a_locked_table_is_tried_again(
    database: Database, part: Migrations, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("greenroom.migrate.LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr("greenroom.migrate.POLL", 0.01)
    await database.execute("create table things (id int)")
    add(part, "0001_more.sql", "alter table things add more int")
    async with database.transaction() as reader:
        await reader.fetch("select * from things")
        running = asyncio.create_task(migrate(database, [part]))
        while "waits for others" not in caplog.text:
            await asyncio.sleep(0.01)
    assert await running == ["acme/0001_more.sql"]


async def test_behind_a_pooler_it_says_that_it_needs_a_way_past(database: Database, part: Migrations) -> None:
    add(part, "0001_things.sql", "create table things (id int)")
    pooled = Database(database.pool, direct=None, pooled=True)
    with pytest.raises(ConfigError, match="directConnection"):
        await migrate(pooled, [part])
    await migrate(database, [part])
    assert await migrate(pooled, [part]) == [], "with nothing to apply, no such connection is needed"


@pytest.mark.parametrize("names", [["1_short.sql"], ["0001_a.sql", "0001_b.sql"], ["0001-Dash.sql"]])
def test_a_file_whose_place_in_the_order_is_unclear_is_refused(part: Migrations, names: list[str]) -> None:
    for name in names:
        add(part, name, "select 1")
    with pytest.raises(ConfigError, match=names[-1]):
        read_migrations([part])


def test_statements_are_split_outside_of_quotes_only() -> None:
    script = """
    -- a comment; with a semicolon
    select ';' as "a;b" /* ; */; ;
    do $$ begin perform 1; end $$;
    do $body$ select $$;$$; $body$; select $1, 5 - 3, 6 / 2, e'it''s;'
    """
    assert [" ".join(statement.split()) for statement in statements(script)] == [
        """select ';' as "a;b\"""",
        "do $$ begin perform 1; end $$",
        "do $body$ select $$;$$; $body$",
        "select $1, 5 - 3, 6 / 2, e'it''s;'",
    ]
