"""What is written is what was decided, also when others write at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest

from greenroom.db import Connection, Database
from greenroom.entity import Entity
from greenroom.plugin import Deferred
from greenroom_catalog.ingestion.engine import Engine
from greenroom_catalog.ingestion.providers import emission
from greenroom_catalog.storage.claims import Conflict, Emitted
from greenroom_catalog.storage.results import Claimed, Good
from greenroom_catalog.storage.store import MIGRATIONS, Store
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase

LEASE = timedelta(minutes=1)
REST = timedelta(hours=1)


@pytest.fixture
async def catalog(migrated_database: MigratedDatabase) -> Catalog:
    return Catalog(await migrated_database([MIGRATIONS]))


@pytest.fixture
def store(catalog: Catalog) -> Store:
    return catalog.store


def emitted(name: str, key: str | None = "key", **metadata: Any) -> Emitted:
    """An emission of a Component, whose ref is `component:default/<name>`."""
    return emission(Deferred(component(name, **metadata), key))


def ref(name: str) -> str:
    return f"component:default/{name}"


async def emit(store: Store, source: str, *items: Emitted) -> list[Conflict]:
    async with store.transaction() as conn:
        return await store.emissions.from_source(conn, source, items)


async def claim(store: Store, lease: timedelta = LEASE) -> dict[str, Claimed]:
    return {item.ref.rpartition("/")[2]: item for item in await store.results.claim(100, lease)}


async def claim_again(catalog: Catalog) -> dict[str, Claimed]:
    """Make everything due, and claim it."""
    await catalog.database.execute("update refresh_schedule set next_update_at = now()")
    return await claim(catalog.store)


def good(claimed: Claimed, version: int = 1, children: Sequence[Emitted] = (), **facts: Any) -> Good:
    """A result which says its version in the title."""
    entity: Entity = msgspec.json.decode(claimed.document)
    entity["metadata"] |= {"title": f"v{version}", "namespace": "default"}
    result = version.to_bytes(16)
    return Good(
        claimed, msgspec.json.encode(entity), result, None, children, facts.get("relations", ()), facts.get("keys", ())
    )


async def save(store: Store, *results: Good) -> list[Conflict]:
    return await store.results.save(results, [], [(result.claimed, REST) for result in results])


async def names(catalog: Catalog) -> set[str]:
    rows = await catalog.database.fetch("select entity_ref from refresh_state")
    return {row["entity_ref"].rpartition("/")[2] for row in rows}


# --- letting go ------------------------------------------------------------------------------------------------------

DIAGRAMS = [
    pytest.param("p>a a>b b>c", "a", "", id="a chain goes as a whole"),
    pytest.param("p>a p>b", "a", "b", id="a neighbour stays"),
    pytest.param("p>a a>b q>b", "a", "b", id="what another provider holds stays"),
    pytest.param("p>a p>b a>c b>c c>d", "a", "b c d", id="what another root holds stays, with what is below it"),
    pytest.param("p>a a>b a>c b>d c>d", "a", "", id="a diamond goes as a whole"),
    pytest.param("p>a a>b b>a", "a", "", id="a circle holds nothing up"),
    pytest.param("p>a a>b b>c c>b q>d d>c", "a", "b c d", id="a circle that is held elsewhere stays"),
    pytest.param("p>a a>b p>b", "a", "b", id="the same provider may hold a child itself"),
    pytest.param("p>a a>b p>b", "a b", "", id="unless it lets go of that, too"),
    pytest.param("p>a q>a a>b", "a", "a b", id="a root of two providers stays"),
    pytest.param("q>a a>b", "a", "a b", id="what belongs to another provider is not touched"),
    pytest.param("p>a", "x", "a", id="what is not there is no error"),
]


@pytest.mark.parametrize(("edges", "removed", "left"), DIAGRAMS)
async def test_a_provider_that_lets_go_takes_what_only_it_held_up(
    catalog: Catalog, store: Store, edges: str, removed: str, left: str
) -> None:
    await _draw(catalog.database, store, edges)
    async with store.transaction() as conn:
        await store.emissions.remove_from_source(conn, "p", [ref(name) for name in removed.split()])
    assert await names(catalog) == set(left.split())
    held = await catalog.database.fetchval("select count(*) from refresh_state_references where source_key = 'p'")
    assert held == sum(f"p>{name}" in edges.split() and name not in removed.split() for name in left.split())


async def _let_go(conn: Connection) -> tuple[list[int], str]:
    """Nothing refers to any entity any more; their ids, and the ref of the first."""
    rows = await conn.fetch("delete from refresh_state_references returning target_id")
    ids = sorted(row["target_id"] for row in rows)
    return ids, await conn.fetchval("select entity_ref from refresh_state where id = $1", ids[0])


async def _link(conn: Connection, top: int, links: Iterable[tuple[int, int]]) -> None:
    """The provider `p` refers to the top, and each entity to another."""
    records = [("p", None, top), *((None, above, below) for above, below in links)]
    columns = ["source_key", "source_id", "target_id"]
    await conn.copy_records_to_table("refresh_state_references", records=records, columns=columns)


@pytest.mark.parametrize("ring", [False, True], ids=["chain", "ring"])
async def test_letting_go_of_a_long_chain_takes_time_by_its_length_and_not_its_square(
    catalog: Catalog, store: Store, ring: bool
) -> None:
    """It took 7 s and more of 3,000 levels; it takes hundredths."""
    levels = [f"level-{number}" for number in range(3000)]
    async with store.transaction() as conn:
        await store.emissions.from_source(conn, "p", [emitted(name) for name in levels])
        ids, top = await _let_go(conn)
        await _link(conn, ids[0], [*pairwise(ids), *([(ids[-1], ids[0])] if ring else [])])
        await conn.execute("set local statement_timeout = '2s'")
        assert len(await store.emissions.doomed(conn, "p", [top])) == len(levels)


async def test_letting_go_of_a_crowd_looks_up_each_once(catalog: Catalog, store: Store) -> None:
    """Of references that were never analysed Postgres may think that there are none, and read all of them for each."""
    crowd = [f"member-{number}" for number in range(5000)]
    async with store.transaction() as conn:
        await store.emissions.from_source(conn, "p", [emitted(name) for name in crowd])
        ids, top = await _let_go(conn)
        await _link(conn, ids[0], [(ids[0], below) for below in ids[1:]])
        await conn.execute("set local statement_timeout = '1s'")
        assert len(await store.emissions.doomed(conn, "p", [top])) == len(crowd)


async def _draw(database: Database, store: Store, edges: str) -> None:
    """`p>a a>b`: the provider p holds a, which emitted b. p and q are providers."""
    pairs = [edge.split(">") for edge in edges.split()]
    found = sorted({name for pair in pairs for name in pair} - {"p", "q"})
    async with store.transaction() as conn:
        await store.emissions.from_source(conn, "nobody", [emitted(name) for name in found])
        await conn.execute("delete from refresh_state_references")
    for source, target in pairs:
        is_provider = source in "pq"
        await database.execute(
            "insert into refresh_state_references (source_key, source_id, target_id)"
            " select $1, (select id from refresh_state where entity_ref = $2), id from refresh_state where entity_ref = $3",
            source if is_provider else None,
            None if is_provider else ref(source),
            ref(target),
        )


async def test_children_that_are_not_emitted_any_more_go_with_all_below_them(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("other"))
    first = await claim(store)
    await save(store, good(first["a"], children=[emitted("b"), emitted("c")]), good(first["other"]))
    second = await claim(store)
    await save(store, good(second["b"], children=[emitted("d")]), good(second["c"]))
    assert await names(catalog) == {"a", "b", "c", "d", "other"}
    await save(store, good((await claim_again(catalog))["a"], 2, children=[emitted("c")]))
    assert await names(catalog) == {"a", "c", "other"}


async def test_a_child_goes_over_to_the_last_that_emitted_it(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("b"))
    claimed = await claim(store)
    await save(store, good(claimed["a"], children=[emitted("child")]))
    await save(store, good(claimed["b"], children=[emitted("child")]))
    async with store.transaction() as conn:
        await store.emissions.remove_from_source(conn, "p", [ref("a")])
    assert await names(catalog) == {"b", "child"}


async def test_a_deleted_entity_leaves_nothing_behind(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"))
    relations = [(ref("a"), "ownedBy", "group:default/x"), ("group:default/x", "ownerOf", ref("a"))]
    await save(store, good((await claim(store))["a"], relations=relations, keys=["url:x"]))
    await catalog.engine.stitch_due()
    uid: UUID = await catalog.database.fetchval("select entity_id from refresh_state")
    assert await store.delete_by_uid(uid)
    assert not await store.delete_by_uid(uid)
    for table in await catalog.database.fetch("select tablename from pg_tables where schemaname = 'public'"):
        if table[0] not in ("greenroom_migrations", "providers", "search_changes", "search_horizon"):
            assert await catalog.database.fetchval(f"select count(*) from {table[0]}") == 0, table[0]  # noqa: S608


# --- conflicts -------------------------------------------------------------------------------------------------------


async def test_another_location_key_is_turned_away_and_changes_nothing(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a", "one"))
    assert await emit(store, "q", emitted("a", "two", title="Other")) == [Conflict(ref("a"), "two", "one")]
    (held,) = (await claim(store)).values()
    assert (held.location_key, held.hash) == ("one", emitted("a", "one").hash)


@pytest.mark.parametrize("key", ["one", "two"])
async def test_what_nobody_claimed_is_taken_over(store: Store, key: str) -> None:
    await emit(store, "p", emitted("a", None))
    assert await emit(store, "q", emitted("a", key, title="Other")) == []
    assert (await claim(store))["a"].location_key == key


async def test_a_child_that_is_turned_away_is_tried_again_at_the_next_turn(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("child", "one"))
    parent = (await claim(store))["a"]
    wanted = good(parent, children=[emitted("child", "two")])
    assert await save(store, wanted) == [Conflict(ref("child"), "two", "one", parent.id)]
    assert (await claim_again(catalog))["a"].result_hash is None


async def test_what_two_files_of_a_location_claim_is_held_by_the_first_and_no_orphan(
    catalog: Catalog, store: Store
) -> None:
    twice = [emitted("child", "one"), emitted("child", "two", title="Other")]
    await emit(store, "p", emitted("a"))
    for turn in (1, 2):
        parent = (await claim_again(catalog))["a"]
        assert await save(store, good(parent, turn, children=twice)) == [
            Conflict(ref("child"), "two", "one", parent.id)
        ]
        held = await catalog.database.fetch(
            "select location_key from refresh_state s join refresh_state_references r on r.target_id = s.id "
            "where s.entity_ref = $1",
            ref("child"),
        )
        assert [row["location_key"] for row in held] == ["one"]


async def test_of_a_name_that_a_file_has_twice_the_last_counts_also_when_it_is_read_again(
    catalog: Catalog, store: Store
) -> None:
    twice = [emitted("child", title="First"), emitted("child", title="Last")]
    await emit(store, "p", emitted("a"))
    await save(store, good((await claim(store))["a"], children=twice))
    assert (await claim(store))["child"].hash == twice[1].hash
    await save(store, good((await claim_again(catalog))["a"], 2, children=twice))
    assert (await claim_again(catalog))["child"].hash == twice[1].hash


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_what_a_worker_holds_no_other_gets_until_the_lease_ends(store: Store) -> None:
    await emit(store, "p", emitted("a"))
    assert set(await claim(store, timedelta(0))) == {"a"}  # and then it crashed
    assert set(await claim(store, LEASE)) == {"a"}
    assert await claim(store) == {}


async def test_what_became_due_while_it_was_held_does_not_rest(store: Store) -> None:
    await emit(store, "p", emitted("a"))
    claimed = (await claim(store))["a"]
    assert await store.refresh(ref("a")) == 1
    await save(store, good(claimed))
    assert set(await claim(store)) == {"a"}


async def test_what_became_another_while_it_was_held_does_not_rest(catalog: Catalog, store: Store) -> None:
    """A claim that was made beside an emission may have read what was there before it."""
    await emit(store, "p", emitted("a"))
    claimed = (await claim(store))["a"]
    await catalog.database.execute("update refresh_state set unprocessed_hash = 'other'")
    await save(store, good(claimed))
    assert await catalog.database.fetchval("select count(*) from processed") == 0
    assert set(await claim(store)) == {"a"}


# --- relations -------------------------------------------------------------------------------------------------------


async def test_own_and_others_relations_are_told_on_both_sides_and_counted(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("b"))
    claimed = await claim(store)
    pairs = [(ref("a"), "dependsOn", ref("b")), (ref("b"), "dependencyOf", ref("a"))]
    foreign = [("group:default/x", "knows", "group:default/y")]
    await save(store, good(claimed["a"], relations=[*pairs, *foreign]), good(claimed["b"], relations=pairs[:1]))
    await catalog.engine.stitch_due()
    served = await catalog.served()
    assert served[ref("a")]["relations"] == [{"type": "dependsOn", "targetRef": ref("b")}]
    assert served[ref("b")]["relations"] == [{"type": "dependencyOf", "targetRef": ref("a")}]
    sizes = await catalog.database.fetchrow(store.sql.sizes)
    assert sizes is not None
    assert sizes["relations"] == 4


async def test_only_a_neighbour_whose_relations_changed_is_stitched_again(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("b"), emitted("c"))
    claimed = await claim(store)
    towards = {name: (ref(name), "dependencyOf", ref("a")) for name in "bc"}
    await save(store, good(claimed["a"], relations=[towards["b"]]), good(claimed["b"]), good(claimed["c"]))
    await catalog.engine.stitch_due()
    await save(store, good((await claim_again(catalog))["a"], 2, relations=[towards["b"], towards["c"]]))
    tickets = "select entity_ref from stitch_queue join refresh_state using (id) order by 1"
    assert [row[0] for row in await catalog.database.fetch(tickets)] == [ref("a"), ref("c")]


# --- at the same time ------------------------------------------------------------------------------------------------


async def test_a_request_waits_for_the_stitcher_that_may_have_read_too_early(catalog: Catalog, store: Store) -> None:
    """The stitcher holds the ticket and has read version 1; version 2 is saved before it is done."""
    await emit(store, "p", emitted("a"))
    await save(store, good((await claim(store))["a"]))
    newer = (await claim_again(catalog))["a"]
    async with store.transaction() as conn:
        taken, (ticket,) = await store.tickets.claim(conn, 10, timedelta(0))
        saving = asyncio.create_task(save(store, good(newer, 2)))
        await _until_somebody_waits(catalog.database)
        final = catalog.engine._stitch(ticket, {})
        assert final is not None
        await store.tickets.save(conn, [final])
        await store.tickets.drop(conn, taken)
    await saving
    assert (await catalog.served())[ref("a")]["metadata"]["title"] == "v1"
    await catalog.engine.stitch_due()
    assert (await catalog.served())[ref("a")]["metadata"]["title"] == "v2"


async def test_a_stitcher_sees_what_was_saved_until_it_held_the_ticket(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"))
    await save(store, good((await claim(store))["a"]))
    newer = (await claim_again(catalog))["a"]
    async with store.transaction() as stitcher:
        await stitcher.fetch("select 1")  # its transaction began before
        await save(store, good(newer, 2))
        _, (ticket,) = await store.tickets.claim(stitcher, 10, timedelta(0))
        assert ticket.processed is not None
        assert msgspec.json.decode(ticket.processed)["metadata"]["title"] == "v2"


async def test_the_ticket_of_an_entity_that_is_being_saved_is_left_for_later(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"), emitted("b"))
    claimed = await claim(store)
    await save(store, good(claimed["a"]), good(claimed["b"]))
    a = await _id(catalog.database, "a")
    async with store.transaction() as saver, store.transaction() as stitcher:
        await store.tickets.request(saver, [a], [])
        _, tickets = await store.tickets.claim(stitcher, 10, timedelta(0))
        assert [ticket.ref for ticket in tickets] == [ref("b")]


async def test_a_stitcher_leaves_alone_what_is_being_deleted(catalog: Catalog, store: Store) -> None:
    """Waiting for it would be a deadlock: the deletion waits for the ticket."""
    await emit(store, "p", emitted("a"), emitted("b"))
    claimed = await claim(store)
    await save(store, good(claimed["a"]), good(claimed["b"]))
    a = await _id(catalog.database, "a")
    async with store.transaction() as stitcher:
        await stitcher.fetch("select from stitch_queue for update")
        deleting = asyncio.create_task(_delete(store, a))
        await _until_somebody_waits(catalog.database)
        taken, tickets = await store.tickets.claim(stitcher, 10, timedelta(0))
        assert len(taken) == 2
        assert [ticket.ref for ticket in tickets] == [ref("b")]
        await store.tickets.drop(stitcher, taken)
    await deleting
    assert await names(catalog) == {"b"}


async def test_an_emission_waits_for_the_saving_of_what_it_replaces(catalog: Catalog, store: Store) -> None:
    await emit(store, "p", emitted("a"))
    claimed = (await claim(store))["a"]
    async with store.transaction() as saver:
        await store.results._save_good(saver, [good(claimed)])
        emitting = asyncio.create_task(emit(store, "p", emitted("a", title="New")))
        await _until_somebody_waits(catalog.database)
    await emitting
    assert set(await claim(store)) == {"a"}


@pytest.mark.parametrize("kept", [True, False])
async def test_a_worker_does_not_wait_for_a_provider_and_loses_nothing_by_it(
    catalog: Catalog, store: Store, kept: bool
) -> None:
    """Each could hold what the other waits for. What the provider is changing is processed again, whatever becomes of it."""
    await emit(store, "p", emitted("a"), emitted("b"))
    claimed = await claim(store, timedelta(0))
    with contextlib.suppress(ConnectionError):
        async with store.transaction() as provider:
            await store.emissions.from_source(provider, "p", [emitted("a", title="New")])
            await asyncio.wait_for(save(store, good(claimed["a"]), good(claimed["b"])), 60)
            if not kept:
                raise ConnectionError("the source went away")
    assert set(again := await claim(store)) == {"a"}
    assert again["a"].hash == emitted("a", **({"title": "New"} if kept else {})).hash
    assert again["a"].result_hash is None


async def test_the_last_state_is_served_however_processing_and_stitching_meet(catalog: Catalog) -> None:
    """Sources, workers, stitchers and deletions all at once, each on connections of its own."""
    count, rounds = 12, 15
    workers = [catalog.worker() for _ in range(2)]
    busy = True

    async def change() -> None:
        nonlocal busy
        for number in range(rounds):
            owners = {"owner": f"team-{number % 3}", "dependsOn": [ref(f"c-{number % count}")]}
            entities = [component(f"c-{n}", title=f"v{number}", spec=owners) for n in range(count)]
            gone = {number % count}  # deleted, and back with the next round
            await catalog.source().full([Deferred(one, "key") for n, one in enumerate(entities) if n not in gone])
        busy = False

    async def work(worker: Engine) -> None:
        while busy:
            await worker.process_due()

    async def stitch(worker: Engine) -> None:
        while busy:
            await worker.stitch_due()

    await asyncio.wait_for(asyncio.gather(change(), *map(work, workers), *map(stitch, workers)), 180)
    await catalog.settle()
    served = await catalog.served()
    assert set(served) == {ref(f"c-{n}") for n in range(count) if n != (rounds - 1) % count}
    target = (rounds - 1) % count
    for one in served.values():
        assert one["metadata"]["title"] == f"v{rounds - 1}"
        assert {(r["type"], r["targetRef"]) for r in one["relations"]} == {
            ("ownedBy", f"group:default/team-{(rounds - 1) % 3}"),
            ("dependsOn", ref(f"c-{target}")),
        }


async def test_an_entity_that_changed_is_stitched_as_it_last_was_until_that_is_processed(catalog: Catalog) -> None:
    await catalog.source().full([Deferred(component("a", title="v1"), "key")])
    await catalog.settle()
    former = "select former_entity is not null from refresh_state"
    for version in ("v2", "v3"):
        await catalog.source().full([Deferred(component("a", title=version), "key")])
        assert await catalog.database.fetchval(former)
        await catalog.database.execute("update final_entities set hash = ''")
        async with catalog.store.transaction() as conn:
            await catalog.store.tickets.request(conn, [], [ref("a")])
        await catalog.engine.stitch_due()
        assert (await catalog.served())[ref("a")]["metadata"]["title"] == "v1"
        assert await catalog.database.fetchval("select hash <> '' from final_entities")
    await catalog.settle()
    assert (await catalog.served())[ref("a")]["metadata"]["title"] == "v3"
    assert not await catalog.database.fetchval(former)


async def test_what_changes_nothing_of_how_an_entity_is_found_writes_no_row_of_search(catalog: Catalog) -> None:
    written = "select xmin::text from search"
    await catalog.source().full([Deferred(component("a", description="x" * 300), "key")])
    await catalog.settle()
    before = await catalog.database.fetchval(written)
    await catalog.source().full([Deferred(component("a", description="y" * 300), "key")])
    await catalog.settle()
    assert (await catalog.served())[ref("a")]["metadata"]["description"] == "y" * 300
    assert await catalog.database.fetchval(written) == before
    await catalog.source().full([Deferred(component("a", title="A"), "key")])
    await catalog.settle()
    assert await catalog.database.fetchval(written) != before


async def _delete(store: Store, id_: int) -> None:
    async with store.transaction() as conn:
        await store.emissions.delete(conn, [id_])


async def _id(database: Database, name: str) -> int:
    return int(await database.fetchval("select id from refresh_state where entity_ref = $1", ref(name)))


_WAITING = """
select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')
"""


async def _until_somebody_waits(connection: Database) -> None:
    for _ in range(6000):
        if await connection.fetchval(_WAITING):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
