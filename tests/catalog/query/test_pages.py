"""A page is read again only when something has changed since, and then always."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from greenroom.db import Database
from greenroom.entity import Entity
from greenroom_catalog.query.cursors import Cursor
from greenroom_catalog.query.differences import MOST
from greenroom_catalog.query.filters import Order
from greenroom_catalog.query.looks import Look, Looks, Seen
from greenroom_catalog.query.pages import Pages, Reading, Way
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.query.streams import CHUNK
from greenroom_catalog.storage.changes import Changes
from tests.catalog.query.seeding import change, entity, remove, serve

NAME = Cursor(orders=(Order("metadata.name"),))


class World:
    """Three entities, and a process that remembers pages of them."""

    def __init__(self, database: Database, ids: Sequence[int]) -> None:
        self.database, self.ids = database, ids
        self.queries = EntityQueries(database)
        self.pages: Pages[Any] = Pages(self.queries.looks)
        self.ways: list[Way] = []

    async def page(self, cursor: Cursor = NAME, limit: int = 2, offset: int = 0) -> Any:
        async def read(way: Way) -> Reading[Any]:
            self.ways.append(way)
            page = await self.queries.page(cursor, limit=limit, offset=offset, way=way)
            return Reading((page.total, [msgspec.json.decode(one) for one in page.documents]), 1000, page.seen)

        return await self.pages.current(f"{cursor} {limit} {offset}", read)

    async def document(self, number: int) -> Entity:
        raw = await self.database.fetchval("select final_entity from final_entities where id = $1", self.ids[number])
        document: Entity = msgspec.json.decode(raw)
        return document


@pytest.fixture
async def world(catalog_database: Database) -> World:
    made = [entity(f"n{number}", annotations={"long": "x" * 1000}) for number in range(3)]
    return World(catalog_database, list((await serve(catalog_database, made)).values()))


async def test_what_has_not_changed_is_read_twice_and_then_remembered(world: World) -> None:
    answers = [await world.page() for _ in range(5)]
    assert world.ways == ["once", "again"]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0][0], [one["metadata"]["name"] for one in answers[0][1]]) == (3, ["n0", "n1"])


async def _status(world: World) -> None:
    document = await world.document(0)
    document["status"] = {"items": [{"level": "error"}]}
    await change(world.database, world.ids[0], document)


async def _relations(world: World) -> None:
    document = await world.document(0)
    document["relations"] = [{"type": "ownedBy", "targetRef": "group:default/a"}]
    await change(world.database, world.ids[0], document)


async def _long_annotation(world: World) -> None:
    document = await world.document(0)
    document["metadata"]["annotations"]["long"] = "y" * 1000
    await change(world.database, world.ids[0], document)


async def _bare_update(world: World) -> None:
    await world.database.execute("update final_entities set final_entity = '[]' where id = $1", world.ids[0])


async def _delete(world: World) -> None:
    await remove(world.database, world.ids[0])


async def _delete_what_is_served(world: World) -> None:
    await world.database.execute("delete from final_entities where id = $1", world.ids[0])


async def _another(world: World) -> None:
    await serve(world.database, [entity("a")])


CHANGES = [_status, _relations, _long_annotation, _bare_update, _delete, _delete_what_is_served, _another]


@pytest.mark.parametrize("cursor", [NAME, msgspec.structs.replace(NAME, total=3)], ids=["counted", "uncounted"])
@pytest.mark.parametrize("write", CHANGES)
async def test_each_kind_of_change_is_seen_at_once(
    world: World, write: Callable[[World], Awaitable[None]], cursor: Cursor
) -> None:
    before = [await world.page(cursor) for _ in range(3)][-1]
    await write(world)
    after = await world.page(cursor)
    assert after != before
    assert world.ways == ["once", "again", "changed"]
    assert await world.page(cursor) == after
    anew = await world.queries.page(cursor, limit=2)
    assert after[1] == [msgspec.json.decode(one) for one in anew.documents]
    assert len(world.ways) == 3


async def test_an_entity_saved_as_it_was_is_no_change(world: World) -> None:
    for _ in range(2):
        await world.page()
    await change(world.database, world.ids[0], await world.document(0))
    await world.page()
    assert world.ways == ["once", "again"]


async def test_what_changes_in_documents_alone_is_not_counted_again(world: World) -> None:
    before = await world.queries.facets(["kind"], None)
    await world.page()
    await _status(world)
    assert await world.queries.facets(["kind"], None) == before
    parts = await world.database.fetch("select part from search_changes order by seq desc limit 1")
    assert [row[0] for row in parts] == [b"d"]


async def test_a_transaction_that_was_open_when_the_page_was_read_changes_it_when_it_ends(world: World) -> None:
    async with world.database.transaction() as connection:
        await connection.execute(
            "update final_entities set final_entity = '{}', hash = '1' where id = $1", world.ids[0]
        )
        await serve(world.database, [entity("z-later")])  # which begins later, and ends sooner
        before = [await world.page() for _ in range(3)]
        assert all(one == before[0] for one in before)
    assert (await world.page())[1][0] == {}


async def test_a_log_that_was_trimmed_or_begun_anew_proves_nothing(world: World) -> None:
    for _ in range(3):
        await world.page()
    await _delete(world)
    await Changes(world.database, timedelta(0), most=0).trim()
    assert (await world.page())[0] == 2
    await world.database.execute("truncate search_changes, search_horizon")  # as Postgres does after a crash
    await world.database.execute("update final_entities set final_entity = '{}', hash = '1'")
    await world.database.execute("truncate search_changes")
    assert (await world.page())[1] == [{}, {}]
    await Changes(world.database).trim()
    assert [(await world.page())[1] for _ in range(4)] == [[{}, {}]] * 4
    assert world.ways[-2:] != ["once", "once"]
    read = len(world.ways)
    await world.page()
    assert len(world.ways) == read


async def test_after_many_changes_a_page_is_read_with_a_new_count(world: World) -> None:
    for _ in range(2):
        await world.page()
    await serve(world.database, [entity(f"more-{number}") for number in range(MOST + 1)])
    assert (await world.page())[0] == MOST + 4
    assert world.ways == ["once", "again", "again"]


async def test_a_standby_which_has_no_log_reads_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(query: str, *arguments: object) -> list[Any]:
        if "search_changes" in query or "search_horizon" in query:
            raise asyncpg.FeatureNotSupportedError("cannot access temporary or unlogged relations during recovery")
        rows: list[Any] = await Database.fetch(world.database, query, *arguments)
        return rows

    for cursor in (NAME, msgspec.structs.replace(NAME, total=3)):
        before = [await world.page(cursor) for _ in range(3)]
        monkeypatch.setattr(world.database, "fetch", refuse)
        assert [await world.page(cursor) for _ in range(3)] == before
        other = World(world.database, world.ids)
        assert [await other.page(cursor) for _ in range(3)] == before
        monkeypatch.undo()


async def test_what_the_log_does_not_tell_of_is_not_remembered(world: World) -> None:
    by_uid = Cursor(orders=(Order("metadata.uid"),))
    for cursor in (by_uid, msgspec.structs.replace(by_uid, total=3), Cursor(term="a", fields=["metadata.uid"])):
        world.ways.clear()
        for _ in range(3):
            await world.page(cursor)
        assert world.ways == ["once", "again", "again"]


async def test_a_long_page_is_not_remembered(world: World) -> None:
    for _ in range(3):
        await world.page(limit=CHUNK + 1)
    assert world.ways == ["once", "again", "again"]


class Log:
    """A log of changes that is looked into by hand."""

    def __init__(self) -> None:
        self.asked: list[list[Seen]] = []
        self.changes = 0
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, seen: Sequence[Seen]) -> list[Look]:
        self.asked.append(list(seen))
        answer = [Look(self.changes, "9:9:") for _ in seen]  # as it is when the query is sent
        await self.open.wait()
        return answer


ONE, TWO = Seen("1:1:", "g"), Seen("2:2:", "g")


async def test_those_of_one_turn_are_one_look() -> None:
    log = Log()
    looks = Looks(log.read)
    answers = await asyncio.gather(looks.since(ONE), looks.since(TWO), looks.since(ONE))
    assert [answer.changes for answer in answers] == [0] * 3
    assert log.asked == [[ONE, TWO]]


async def test_who_asks_after_a_look_was_sent_waits_for_the_next_one() -> None:
    log = Log()
    looks = Looks(log.read)
    log.open.clear()
    first = asyncio.create_task(looks.since(ONE))
    while not log.asked:
        await asyncio.sleep(0)
    log.changes = 1  # somebody has written, and now asks
    later = [asyncio.create_task(looks.since(ONE)) for _ in range(3)]
    await asyncio.sleep(0)
    log.open.set()
    assert (await first).changes == 0
    assert [(await one).changes for one in later] == [1] * 3
    assert log.asked == [[ONE], [ONE]]


async def test_who_gives_up_takes_no_answer_from_the_others() -> None:
    log = Log()
    looks = Looks(log.read)
    log.open.clear()
    asking = [asyncio.create_task(looks.since(ONE)) for _ in range(2)]
    while not log.asked:
        await asyncio.sleep(0)
    asking[0].cancel()
    log.open.set()
    assert (await asking[1]).changes == 0
    assert (await looks.since(ONE)).changes == 0


async def test_a_look_that_fails_fails_for_all_who_wait_and_not_for_the_next() -> None:
    log = Log()

    async def fails(seen: Sequence[Seen]) -> list[Look]:
        if len(log.asked) < 1:
            log.asked.append(list(seen))
            raise OSError("away")
        return await log.read(seen)

    looks = Looks(fails)
    failed = await asyncio.gather(looks.since(ONE), looks.since(ONE), return_exceptions=True)
    assert [type(one) for one in failed] == [OSError, OSError]
    assert (await looks.since(ONE)).changes == 0


async def test_what_was_asked_for_once_or_long_ago_pushes_nothing_out() -> None:
    log = Log()
    pages: Pages[str] = Pages(Looks(log.read), room=160_000)  # for 100 pages, and six keys

    async def read(way: Way) -> Reading[str]:
        return Reading(way, 500, ONE)

    for _ in range(2):
        await pages.current("often", read)
    for _ in range(2):
        for number in range(100):
            assert await pages.current(f"in turn {number}", read) == "once"
    assert await pages.current("often", read) == "again"
    assert len(pages.memory) == 1
    assert pages.memory.taken < 160_000
