"""Counts, facets and pages that are remembered are what reading anew would say, whatever was written meanwhile and by whom."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from greenroom.db import Database
from greenroom.entity import Entity
from greenroom.errors import ServiceUnavailableError
from greenroom_catalog.query.cursors import Cursor
from greenroom_catalog.query.differences import MOST, Counting
from greenroom_catalog.query.filters import Order
from greenroom_catalog.query.memory import Memory
from greenroom_catalog.query.pages import Pages, Reading, Way
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.query.tallies import Answer, Ask, Tallies
from greenroom_catalog.storage.changes import Changes
from greenroom_catalog.storage.store import Store
from tests.catalog.query.seeding import change, entity, final, remove, serve

NAME = (Order("metadata.name"),)


class Statements:
    """A database that keeps what it is asked."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.asked: list[str] = []

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        self.asked.append(query)
        rows: list[Any] = await self.database.fetch(query, *arguments)
        return rows

    async def fetchval(self, query: str, *arguments: object) -> Any:
        self.asked.append(query)
        return await self.database.fetchval(query, *arguments)

    @property
    def counts(self) -> int:
        """How often everything was counted since this was last asked."""
        counted = sum("search_changes" not in query for query in self.asked)
        self.asked.clear()
        return counted


class Reader:
    """One process: asks questions, each also of a memory that has just been emptied, in one and the same snapshot."""

    def __init__(self) -> None:
        self.statements = Statements(None)
        self.remembering: Any = EntityQueries(self.statements)  # type: ignore[arg-type]
        self.pages: Pages[Any] = Pages(self.remembering.looks)
        self.pages_read = 0

    async def check(self, database: Database, question: int) -> None:
        async with database.transaction(isolation="repeatable_read", readonly=True) as snapshot:
            self.statements.database = snapshot
            remembered = await self._remembered(question)
            anew = await _answer(EntityQueries(snapshot), question)  # type: ignore[arg-type]
            assert remembered == anew

    async def _remembered(self, question: int) -> Any:
        async def read(way: Way) -> Reading[Any]:
            self.pages_read += 1
            page = await self.remembering.page(CURSORS[question], limit=3, way=way)
            return Reading((page.total, page.documents), 100, page.seen)

        if question < len(CURSORS):
            return await self.pages.current(str(question), read)
        return await _answer(self.remembering, question)


TAGS_OR_TYPE: dict[str, Any] = {"$any": [{"metadata.tags": "java"}, {"spec.type": "service"}]}
CURSORS = [
    Cursor(orders=NAME),
    Cursor(orders=NAME, query={"kind": "component"}),
    Cursor(orders=NAME, query=TAGS_OR_TYPE),
    Cursor(orders=(Order("metadata.labels.tier", "desc"),)),
    Cursor(orders=(Order("spec.type"),), query={"$not": {"kind": "api"}}),
    Cursor(orders=NAME, query={"metadata.labels.tier": {"$hasPrefix": "1"}}),
    Cursor(orders=NAME, term="b", fields=["spec.list", "metadata.name"]),
    Cursor(query={"metadata.uid": {"$hasPrefix": "a"}}),
    Cursor(orders=(Order("metadata.uid"),)),
    Cursor(orders=NAME, total=0),
    Cursor(orders=NAME, position=["f", "5"], total=7),
]
FACETS = [
    (["kind", "spec.type", "metadata.tags"], None),
    (["metadata.labels.tier", "spec.list"], None),
    (["metadata.name", "spec.owner"], {"kind": "component"}),
    (["spec.type", "metadata.tags.java", "metadata.uid"], {"metadata.tags": "java"}),
]
QUESTIONS = len(CURSORS) + len(FACETS)


async def _answer(queries: EntityQueries, question: int) -> Any:
    if question < len(CURSORS):
        page = await queries.page(CURSORS[question], limit=3)
        return page.total, page.documents
    names, query = FACETS[question - len(CURSORS)]
    return await queries.facets(names, query)


def _made_up(draw: random.Random, name: str) -> Entity:
    """An entity of few possible values, in all ways that a value may be held."""
    spec: dict[str, Any] = {"owner": draw.choice(["team-a", "Team-A", "team-b"])}
    if draw.random() < 0.8:
        spec["type"] = draw.choice(["service", "Service", "library", ["service", "website"]])
    if draw.random() < 0.5:
        spec["list"] = draw.sample(["a", "B", "b-c"], draw.randrange(1, 3))
    labels = {"tier": draw.choice(["1", "2", "12"])} if draw.random() < 0.7 else {}
    tags = draw.sample(["java", "Java", "go"], draw.randrange(3))
    return entity(name, draw.choice(["Component", "component", "API"]), spec, labels=labels, tags=tags)


class Writer:
    """Writes what it likes in a transaction of its own, which ends when it is told to."""

    def __init__(self, database: Database, draw: random.Random, taken: set[int]) -> None:
        self.database, self.draw, self.taken = database, draw, taken
        self.store = Store(database)
        self.mine: set[int] = set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        rolls_back = self.draw.random() < 0.25
        try:
            async with self.store.transaction() as self.connection:
                yield
                if rolls_back:
                    raise _RollBackError
        except _RollBackError:
            pass
        finally:
            self.taken -= self.mine
            self.mine = set()

    async def write(self, number: int) -> None:
        """One statement or two. Nothing is touched that another transaction holds, so that nobody waits."""
        there = [row[0] for row in await self.connection.fetch("select id from refresh_state order by id")]
        free = [one for one in there if one not in self.taken or one in self.mine]
        some = self.draw.sample(free, min(len(free), self.draw.randrange(1, 4)))
        self.mine |= set(some)
        self.taken |= set(some)
        if self.draw.random() < 0.3:
            with_savepoint = self.connection.transaction()
            await with_savepoint.start()  # type: ignore[attr-defined]
            await self._change(some, number)
            await (with_savepoint.rollback if self.draw.random() < 0.5 else with_savepoint.commit)()  # type: ignore[attr-defined]
        else:
            await self._change(some, number)

    async def _change(self, some: Sequence[int], number: int) -> None:
        deed = self.draw.random()
        if deed < 0.25:
            await self._insert(f"new-{number}")
        elif deed < 0.5:
            refs = await self.connection.fetch(
                "delete from refresh_state where id = any($1::bigint[]) returning entity_ref", some
            )
            if deed < 0.35:  # the same name comes back, as another row
                for row in refs:
                    await self._insert(row[0])
        elif deed < 0.75:
            finals = [final(one, _made_up(self.draw, f"n{one}")) for one in some]
            await self.store.tickets.save(self.connection, finals)
        else:
            rows = await self.connection.fetch(
                "select id, final_entity from final_entities where id = any($1::bigint[])", some
            )
            finals = [final(row[0], msgspec.json.decode(row[1]) | {"status": {"items": [number]}}) for row in rows]
            await self.store.tickets.save(self.connection, finals)

    async def _insert(self, name: str) -> None:
        made = _made_up(self.draw, name)
        id_ = await self.connection.fetchval(
            "insert into refresh_state (entity_ref, unprocessed_entity, unprocessed_hash) values ($1, '', '')"
            " on conflict do nothing returning id",
            name,
        )
        if id_ is not None:
            self.mine.add(id_)
            self.taken.add(id_)
            await self.store.tickets.save(self.connection, [final(id_, made)])


class _RollBackError(Exception):
    pass


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_order_transactions_end_in_a_remembered_count_is_the_true_one(
    catalog_database: Database, seed: int
) -> None:
    draw = random.Random(seed)
    await serve(catalog_database, [_made_up(draw, f"first-{number}") for number in range(30)])
    readers, changes = [Reader(), Reader()], Changes(catalog_database, timedelta(0), 40)
    taken: set[int] = set()
    asked: Counter[Reader] = Counter()

    async def check() -> None:
        reader, question = draw.choice(readers), draw.randrange(QUESTIONS)
        asked[reader] += question < len(CURSORS)
        await reader.check(catalog_database, question)

    writers = [Writer(catalog_database, draw, taken) for _ in range(3)]
    for round_ in range(20):
        ways = [AsyncExitStack() for _ in writers]
        for writer, way in zip(writers, ways, strict=True):
            await way.enter_async_context(writer.transaction())
        for step in range(8):
            await draw.choice(writers).write(round_ * 100 + step)
            await check()
        for way in draw.sample(ways, len(ways)):
            await way.aclose()
            await check()
            await check()
        if draw.random() < 0.3:
            await changes.trim()
    assert min(reader.statements.counts for reader in readers) < 20 * 12 / 2
    assert all(reader.pages_read < asked[reader] for reader in readers)


async def test_readers_beside_writers_that_wait_for_each_other_see_true_counts(catalog_database: Database) -> None:
    draw = random.Random(7)
    ids = list((await serve(catalog_database, [_made_up(draw, f"first-{n}") for n in range(20)])).values())
    changes = Changes(catalog_database, timedelta(0), 30)
    writing = True

    async def write(seed: int) -> None:
        own, store = random.Random(seed), Store(catalog_database)
        for _ in range(40):
            some = sorted(own.sample(ids, 3))
            async with store.transaction() as connection:
                for one in some:
                    await store.tickets.save(connection, [final(one, _made_up(own, f"n{one}"))])

    async def read(seed: int) -> None:
        own, reader = random.Random(seed), Reader()
        while writing:
            await reader.check(catalog_database, own.randrange(QUESTIONS))
            if own.random() < 0.05:
                await changes.trim()

    reading = [asyncio.create_task(read(seed)) for seed in range(2)]
    await asyncio.gather(*(write(seed) for seed in range(2)))
    writing = False
    await asyncio.gather(*reading)


class World:
    """A few entities, and a process that has counted nothing yet."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.statements = Statements(database)
        self.queries = EntityQueries(self.statements)  # type: ignore[arg-type]
        self.ids: list[int] = []

    async def total(self) -> float:
        return (await self.queries.page(Cursor(orders=NAME, query={"kind": "component"}), limit=2)).total

    async def lists(self) -> dict[str, int]:
        found = await self.queries.facets(["spec.list"], None)
        return {facet.value: facet.count for facet in found["spec.list"]}

    async def logged(self) -> int:
        return int(await self.database.fetchval("select count(*) from search_changes"))


@pytest.fixture
async def world(catalog_database: Database) -> World:
    made = [entity(f"n{number}", spec={"list": ["One", "two"]}) for number in range(5)]
    world = World(catalog_database)
    world.ids = list((await serve(catalog_database, made)).values())
    await catalog_database.execute("delete from search_changes")
    return world


async def test_what_was_counted_once_is_kept_up_to_date_without_counting_again(world: World) -> None:
    assert (await world.total(), await world.lists()) == (5, {"One": 5, "two": 5})
    assert world.statements.counts == 2
    await remove(world.database, world.ids[0])
    await change(world.database, world.ids[1], entity("n1", "API", {"list": ["two"]}))
    await serve(world.database, [entity("more")])
    assert (await world.total(), await world.lists()) == (4, {"One": 3, "two": 4})
    assert world.statements.counts == 0


async def test_a_facet_follows_a_spelling_that_no_filter_can_tell(world: World) -> None:
    assert await world.lists() == {"One": 5, "two": 5}
    await change(world.database, world.ids[1], entity("n1", spec={"list": ["ONE", "two"]}))
    assert await world.lists() == {"ONE": 1, "One": 4, "two": 5}
    assert await world.database.fetchval("select count(*) from search_changes where part = 's'") in (0, 1)


async def test_saving_an_entity_as_it_is_leaves_nothing_in_the_log(world: World) -> None:
    same = entity("n0", spec={"list": ["One", "two"]})
    await change(world.database, world.ids[0], same)
    logged = await world.logged()
    assert logged > 0  # it got another uid
    await change(world.database, world.ids[0], same)
    assert await world.logged() == logged


async def test_after_many_changes_all_is_counted_anew(world: World) -> None:
    assert await world.total() == 5
    await serve(world.database, [entity(f"more-{number}") for number in range(MOST + 1)])
    world.statements.asked.clear()
    assert await world.total() == MOST + 6
    assert world.statements.counts == 1


async def test_of_a_log_that_was_lost_in_a_crash_nothing_is_believed(world: World) -> None:
    assert await world.total() == 5
    await world.database.execute("truncate search_changes, search_horizon")  # as Postgres does with unlogged tables
    await remove(world.database, world.ids[0])
    assert await world.total() == 4
    await Changes(world.database).trim()
    assert [await world.total(), await world.total()] == [4, 4]
    assert world.statements.counts == 3
    assert await world.total() == 4
    assert world.statements.counts == 0


@pytest.mark.parametrize(
    "restored",
    [
        "update search_horizon set trimmed = '999999999'",
        "insert into search_changes (xid, id, part) values ('999999999', 1, 's')",
    ],
)
async def test_a_log_that_came_out_of_a_backup_of_another_server_begins_anew(world: World, restored: str) -> None:
    assert await world.total() == 5
    await world.database.execute(restored)
    await Changes(world.database).trim()
    assert [await world.total(), await world.total()] == [5, 5]
    assert world.statements.counts == 2
    assert not await world.database.fetchval("select count(*) from search_changes where xid = '999999999'")


async def test_a_standby_which_has_no_log_counts_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(query: str, *arguments: object) -> list[Any]:
        if "search_changes" in query or "search_horizon" in query:
            raise asyncpg.FeatureNotSupportedError("cannot access temporary or unlogged relations during recovery")
        return await world.database.fetch(query, *arguments)

    async def check() -> None:
        assert (await world.total(), await world.lists()) == (5, {"One": 5, "two": 5})

    monkeypatch.setattr(world.statements, "fetch", refuse)
    await check()
    monkeypatch.undo()
    await check()
    monkeypatch.setattr(world.statements, "fetch", refuse)
    await check()


async def test_a_trimmed_log_is_not_taken_for_a_whole_one(world: World) -> None:
    assert await world.total() == 5
    await remove(world.database, world.ids[0])
    await remove(world.database, world.ids[1])
    await Changes(world.database, most=0).trim()
    assert await world.logged() <= 3
    assert await world.total() == 3
    assert world.statements.counts == 2


async def test_changes_stay_for_a_while_and_then_go(world: World) -> None:
    await remove(world.database, world.ids[0])
    await Changes(world.database).trim()
    assert await world.logged() > 0
    await Changes(world.database, timedelta(0)).trim()
    await Changes(world.database, timedelta(0)).trim()
    assert await world.logged() == 0


async def test_trimming_where_nothing_changes_writes_nothing_and_keeps_what_was_counted(world: World) -> None:
    assert await world.total() == 5
    before = await world.database.fetchval("select ctid::text from search_horizon")
    for _ in range(3):
        await Changes(world.database, timedelta(0)).trim()
    assert await world.database.fetchval("select ctid::text from search_horizon") == before
    assert await world.total() == 5
    assert world.statements.counts == 1


async def test_many_who_ask_at_once_are_answered_by_one_count(world: World) -> None:
    assert await asyncio.gather(*(world.total() for _ in range(5))) == [5] * 5
    assert world.statements.counts == 1


async def test_who_gives_up_leaves_the_counting_to_the_next(world: World) -> None:
    asking = [asyncio.create_task(world.total()) for _ in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert await asking[1] == 5


def test_the_memory_is_bounded_and_forgets_what_was_asked_for_least_recently() -> None:
    memory: Memory[str] = Memory(1000)
    for number in range(10):
        memory.put(number, "x", 200)
        memory.get(4)
    assert (memory.get(4), memory.get(5), memory.get(6)) == ("x", None, "x")
    memory.put("large", "x", 300)
    assert memory.get("large") is None
    memory.put(9, "y", 100)
    assert (memory.taken, len(memory), memory.get(9)) == (900, 5, "y")


async def test_a_facet_of_countless_values_is_not_remembered(world: World) -> None:
    world.queries = EntityQueries(world.statements, room=2000)  # type: ignore[arg-type]
    assert await world.lists() == await world.lists() == {"One": 5, "two": 5}
    assert world.statements.counts == 2


async def test_of_those_that_wait_for_a_count_that_never_ends_nobody_waits_for_ever() -> None:
    tallies: Tallies[int] = Tallies(lambda total: 0, patience=0.05)
    never = asyncio.Event()

    async def read(ask: Ask[int]) -> Answer[int]:
        await never.wait()
        return Answer(0, "1:1:", "g", 7)

    counting = Counting("select 7", (), reads_values=False, lasting=True)
    first = asyncio.create_task(tallies.current(counting, read))
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailableError):
        await asyncio.gather(*(tallies.current(counting, read) for _ in range(5)))
    never.set()
    assert (await first).value == 7
    assert (await tallies.current(counting, read)).value == 7
