"""Health tells the truth: each thing that a process needs is broken on purpose, and the answer is looked at."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from greenroom.app import Running, installed_plugins, running
from greenroom.db import Database, open_pool
from greenroom.health import PATIENCE, Asked, NoAnswerError
from greenroom.loops import Role
from greenroom.plugin import Check, Loop, plugin
from greenroom.settings import load
from tests.support.asgi import Client
from tests.support.postgres import TestServer

READINESS = "/.backstage/health/v1/readiness"
HEALTH = "/.greenroom/health"
SIZE = 5


class World:
    """A whole house, and what can be broken in it."""

    def __init__(self, house: Running, database: Database) -> None:
        self.house, self.database = house, database
        self.http = Client(house.asgi, token=None)

    async def ready(self) -> tuple[int, str | None]:
        reply = await self.http.get(READINESS)
        return reply.status, reply.json.get("message")

    async def finding(self, name: str) -> dict[str, Any]:
        report = (await self.http.get(HEALTH)).json
        found: dict[str, Any] = next(one for one in report["checks"] if one["name"] == name)
        return found

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(60):
            while not await holds():
                await asyncio.sleep(0.02)

    async def until_ready(self, status: int = 200) -> None:
        async def is_so() -> bool:
            return (await self.ready())[0] == status

        await self.until(is_so)


class Acme:
    """A plugin whose loop and check do as they are told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False
        self.wrong: str | None = None
        self.unknown: Exception | None = None
        self.wakes = asyncio.Event()

    async def step(self) -> float:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(0.005)
        return 0.005

    async def look(self) -> str | None:
        if self.unknown is not None:
            raise self.unknown
        return self.wrong


@pytest.fixture
def acme() -> Acme:
    return Acme()


@pytest.fixture
def patience() -> float:
    """A machine that stops for some seconds is no database that does not answer."""
    return 60.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, acme: Acme, patience: float) -> None:
    """Nothing is remembered, no loop is waited for, and the plugin is installed."""
    for name, value in {
        "health.PATIENCE": patience,
        "health.FRESH": 0.0,
        "health.CHECKED": 0.0,
        "loops.WATCH": 0.01,
        "loops.STANDSTILL": 0.05,
    }.items():
        monkeypatch.setattr(f"greenroom.{name}", value)
    monkeypatch.setattr("greenroom.loops.FIRST_REST", 0.001)

    @plugin("acme")
    def contributions(config: object, host: object) -> Any:
        yield Loop("acme.work", acme.step, longest=60)
        yield Check("acme.stock", acme.look)
        yield Check("acme.till", acme.look, serious=True)

    plugins = [*installed_plugins(), contributions]
    monkeypatch.setattr("greenroom.app.installed_plugins", lambda: plugins)


@asynccontextmanager
async def started(postgres: TestServer, folder: Path, *roles: Role, **catalog: Any) -> AsyncIterator[World]:
    config = load([], {}, {"catalog": catalog})
    async with (
        postgres.empty() as name,
        open_pool(postgres.to(name), size=SIZE) as database,
        running(config, {"GREENROOM_DATA": str(folder)}, database=database, roles=roles) as house,
    ):
        world = World(house, database)
        await world.until_ready()
        yield world


@pytest.fixture
async def world(postgres_server: TestServer, tmp_path: Path, quick: None) -> AsyncIterator[World]:
    async with started(postgres_server, tmp_path, "api", "worker") as world:
        yield world


async def test_when_all_is_well_it_says_so_of_everything(world: World) -> None:
    async def is_ok() -> bool:
        return bool((await world.http.get(HEALTH)).json["status"] == "ok")

    await world.until(is_ok)
    report = (await world.http.get(HEALTH)).json
    names = [one["name"] for one in report["checks"]]
    assert names[:2] == ["database", "migrations"]
    loops = {
        "catalog.providers",
        "catalog.process",
        "catalog.stitch",
        "catalog.orphans",
        "catalog.census",
        "catalog.workers",
    }
    assert {f"loop {name}" for name in loops} <= set(names)
    assert "catalog.queue" in names
    assert (await world.http.get(READINESS)).json == {"status": "ok"}


async def test_a_loop_that_only_raises(world: World, acme: Acme) -> None:
    acme.error = ValueError("no tea")
    await world.until_ready(503)
    message = str((await world.ready())[1])
    assert message.startswith("The loop acme.work has failed ")
    assert message.endswith("in a row: ValueError: no tea")
    assert (await world.finding("loop acme.work"))["status"] == "error"
    acme.error = None
    await world.until_ready()


async def test_a_loop_that_hangs_and_is_set_free(world: World, acme: Acme) -> None:
    runner = next(one for one in world.house.loops._runners if one.loop.name == "acme.work")
    runner.loop = msgspec.structs.replace(runner.loop, longest=0.2)

    async def is_told() -> bool:  # time and again, until it has failed too often: then that is told
        status, message = await world.ready()
        return status == 503 and bool(re.fullmatch(r"The loop acme\.work has been at one step for \d+ s", str(message)))

    acme.hangs = True
    await world.until(is_told)
    acme.hangs = False
    await world.until_ready()


@pytest.mark.parametrize(
    "name",
    ["catalog.providers", "catalog.process", "catalog.stitch", "catalog.orphans", "catalog.census", "catalog.workers"],
)
async def test_a_loop_whose_task_was_killed(world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.house.loops, "_restart", lambda *_: None)
    runner = next(one for one in world.house.loops._runners if one.loop.name == name)
    assert runner.task is not None
    runner.task.cancel()
    await asyncio.wait([runner.task])
    assert await world.ready() == (503, f"The loop {name} has ended")
    monkeypatch.undo()
    world.house.loops._restart(runner, runner.task)
    await world.until_ready()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("catalog.process", "refresh_schedule"),
        ("catalog.stitch", "stitch_queue"),
        ("catalog.orphans", "chores"),
        ("catalog.workers", "workers"),
        ("catalog.providers", "providers"),
    ],
)
async def test_a_loop_of_the_catalog_that_cannot_work(world: World, name: str, table: str) -> None:
    await world.database.execute(f"alter table {table} rename to away")
    for topic in ("catalog.process", "catalog.stitch", "catalog.todo", "catalog.provide"):
        await world.database.execute("select pg_notify('greenroom', $1)", topic)

    async def is_told() -> bool:
        return (await world.finding(f"loop {name}")).get("status") in ("error", "degraded")

    await world.until(is_told)
    assert f'relation "{table}" does not exist' in (await world.finding(f"loop {name}"))["message"]
    await world.until_ready(503)
    await world.database.execute(f"alter table away rename to {table}")


async def test_a_migration_that_is_missing(world: World) -> None:
    await world.database.execute("delete from greenroom_migrations where part = 'catalog' and name like '0002%'")
    status, message = await world.ready()
    assert (status, message) == (503, "The database lacks catalog/0002_serving.sql")


async def test_a_database_without_our_tables(world: World) -> None:
    await world.database.execute("drop table greenroom_migrations")
    assert await world.ready() == (503, "The database has none of the tables that are needed")


async def test_a_newer_database_is_told_and_served_on(world: World) -> None:
    await world.database.execute(
        "insert into greenroom_migrations values ('catalog', '0999_new.sql', 'x'), ('other', '0001_x.sql', 'y')"
    )
    assert await world.ready() == (200, None)
    found = await world.finding("migrations")
    assert found["status"] == "degraded"
    assert found["message"].endswith("it holds catalog/0999_new.sql")


async def test_a_part_that_finds_something_wrong(world: World, acme: Acme) -> None:
    acme.wrong = "No sugar"
    assert await world.ready() == (503, "No sugar")
    assert await world.finding("acme.stock") == {"name": "acme.stock", "status": "degraded", "message": "No sugar"}
    acme.wrong, acme.unknown = None, ValueError("dark")
    assert await world.ready() == (200, None), "what nobody knows keeps nobody from their work"
    assert "could not be looked at: ValueError: dark" in (await world.finding("acme.till"))["message"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("unready", [False, True])
@pytest.mark.parametrize(
    ("queue", "what"),
    [
        ("insert into refresh_schedule select id, now() - interval '1 hour' from refresh_state", "processed"),
        ("insert into stitch_queue select id, now() - interval '1 hour' from refresh_state", "stitched"),
    ],
)
async def test_a_queue_that_nobody_works_at(
    postgres_server: TestServer, tmp_path: Path, queue: str, what: str, unready: bool
) -> None:
    age = {"limit": {"minutes": 5}, "unready": unready}
    async with started(postgres_server, tmp_path, "api", queueAge=age) as world:
        assert (await world.finding("catalog.queue"))["status"] == "ok"
        await world.database.execute(
            "insert into refresh_state (entity_ref, unprocessed_entity, unprocessed_hash) values ('component:a/b', '', '')"
        )
        await world.database.execute(queue)
        found = await world.finding("catalog.queue")
        assert found["status"] == ("error" if unready else "degraded")
        assert found["message"].startswith(f"An entity has waited to be {what} for 1:00:00, longer than 0:05:00")
        assert (await world.ready())[0] == (503 if unready else 200), "an API process cannot shorten it"


async def test_a_question_that_hangs_is_put_once_and_answered_in_time() -> None:
    put, free = 0, asyncio.Event()

    async def question() -> str:
        nonlocal put
        put += 1
        await free.wait()
        return "yes"

    asked = Asked(question, fresh=60, patience=0.4)
    began = monotonic()
    answers = await asyncio.gather(*(asked.answer() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(one, NoAnswerError) for one in answers)
    assert monotonic() - began < 50 * 0.4, "they wait together"
    waits = []
    for _ in range(3):
        began = monotonic()
        with pytest.raises(NoAnswerError, match=r"no answer for \d+\.\d s"):
            await asked.answer()
        waits.append(monotonic() - began)
    assert min(waits) < 0.2, "who comes later does not wait anew"
    free.set()
    await asyncio.sleep(0)
    assert [await asked.answer() for _ in range(3)] == ["yes"] * 3
    assert put == 1


async def test_an_answer_grows_old() -> None:
    answers = iter(range(10))

    async def question() -> int:
        return next(answers)

    asked = Asked(question, fresh=0, patience=60)
    assert [await asked.answer(), await asked.answer()] == [0, 1]


async def test_a_hundred_who_ask_cost_no_connection(world: World) -> None:
    count = (
        "select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
    )

    async def ask_often() -> int:
        peaks = list[int]()
        for _ in range(5):
            await asyncio.gather(*(world.ready() for _ in range(100)))
            peaks.append(await world.database.fetchval(count))
        return max(peaks)

    async def is_quiet() -> bool:  # sessions of the start may still be ending
        return bool(await world.database.fetchval(count) <= world.database.pool._pool.get_size() + 1)

    await world.until(is_quiet)
    assert await ask_often() <= SIZE + 1
    async with exhausted(world.database):
        assert (await asyncio.wait_for(world.ready(), 60))[0] == 200, "a full pool is no lost database"


class exhausted:  # noqa: N801 - used as a function
    """All connections of the pool are taken."""

    def __init__(self, database: Database) -> None:
        self.pool = database.pool
        self.taken: list[Any] = []

    async def __aenter__(self) -> None:
        for _ in range(SIZE):
            self.taken.append(await self.pool.acquire())

    async def __aexit__(self, *_: object) -> None:
        for connection in self.taken:
            await self.pool.release(connection)


async def test_a_database_that_is_gone_is_told_at_once_and_when_it_is_back_too(
    postgres_server: TestServer, world: World
) -> None:
    name = await world.database.fetchval("select current_database()")
    await postgres_server.command(f"alter database {name} allow_connections false")
    try:
        terminate = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"  # noqa: S608
        await postgres_server.command(terminate)
        status, message = await asyncio.wait_for(world.ready(), 20)
        assert (status, str(message).partition(":")[0]) == (503, "The database does not answer")
    finally:
        await postgres_server.command(f"alter database {name} allow_connections true")
    await world.until_ready()


@pytest.mark.parametrize("patience", [PATIENCE])
async def test_a_database_that_hangs_is_told_in_time(world: World) -> None:
    """Its processes are stopped: they neither answer nor close a connection."""
    rows = await world.database.fetch("select pid from pg_stat_activity where datname = current_database()")
    pids = [row["pid"] for row in rows]
    if not all(_is_ours(pid) for pid in pids):
        pytest.skip("the server's processes are not ours to stop")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        answers = await asyncio.wait_for(asyncio.gather(*(world.ready() for _ in range(20))), 20)
        assert {status for status, _ in answers} == {503}
        assert "There has been no answer for " in str(answers[0][1])
        waits = []
        for _ in range(3):
            again = monotonic()
            assert (await world.ready())[0] == 503
            waits.append(monotonic() - again)
        assert min(waits) < PATIENCE / 2, "it is known by now"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    await world.until_ready()


def _is_ours(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return "postgres" in Path(f"/proc/{pid}/cmdline").read_text() if Path("/proc").exists() else False
