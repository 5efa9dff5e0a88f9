"""Each hot statement keeps to its indexes: in a catalog with statistics, and in one that has just been filled and has none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.db import Database, open_pool
from greenroom.sql import load
from greenroom_catalog.query.conditions import EVERYTHING, Condition, condition, from_filters
from greenroom_catalog.query.filters import After, Direction, Order
from greenroom_catalog.query.statements import Sought, Statements, Total
from greenroom_catalog.storage import store
from tests.catalog.query.seeding import many, serve
from tests.support.postgres import TestServer

BIG = {
    "final_entities",
    "processed",
    "refresh_keys",
    "refresh_schedule",
    "refresh_state",
    "refresh_state_references",
    "relations",
    "search",
    "search_changes",
    "stitch_queue",
}
"""Tables that grow with the catalog, or with what is done to it."""

QUERIES = {
    name: queries[name]
    for part in ("query", "storage")
    for queries in [load(f"greenroom_catalog.{part}.sql")]
    for name in queries
}

FILL = """
insert into refresh_schedule (id, next_update_at) select id, now() + (id % 1000) * interval '1 second' from refresh_state;
insert into processed (id) select id from refresh_state;
insert into refresh_state_references (source_key, target_id) select 'provider', id from refresh_state where id % 3 > 0;
insert into refresh_state_references (source_id, target_id) select 3 + id % 30, id from refresh_state where id % 3 = 0 and id > 100;
insert into relations select id, 'component:default/x' || id, 'hasPart', null from refresh_state;
insert into refresh_keys select id, 'url:' || id from refresh_state;
insert into stitch_queue (id) select id from refresh_state where id % 2 = 0;
insert into search_changes (id, part, was) select id, 's', s from search s;
"""

BARE = """
update pg_class set reltuples = -1, relpages = 0, relallvisible = 0
where relnamespace = 'public'::regnamespace and relkind in ('r', 'i');
delete from pg_statistic where starelid >= 16384;
"""


@pytest.fixture(scope="module", params=["with statistics", "without statistics"])
async def filled(request: pytest.FixtureRequest, postgres_server: TestServer) -> AsyncIterator[Database]:
    """3,000 entities on whose statistics autovacuum has no say."""
    async with AsyncExitStack() as stack:
        name = await stack.enter_async_context(
            postgres_server.empty(await postgres_server.template([store.MIGRATIONS]))
        )
        database = await stack.enter_async_context(open_pool(postgres_server.to(name), size=1))
        for table in await database.fetch(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        ):
            await database.execute(f"alter table {table[0]} set (autovacuum_enabled = off)")
        await serve(database, many(3000))
        await database.execute(FILL)
        await database.execute("vacuum analyze")
        if request.param == "without statistics":
            await database.execute(BARE)
        yield database


Used = dict[str, set[str]]
"""Table -> how it is read: the names of indexes, or `all of it`."""


async def _read(database: Database, sql: str, *arguments: Any) -> Used:
    """How big tables are read by the plan for these arguments."""
    plan = await database.fetchval(f"explain (format json, costs off) {sql}", *arguments)
    return _used(json.loads(plan)[0]["Plan"])


async def _read_always(database: Database, sql: str, *arguments: Any) -> Used:
    """The same, also by the plan for any arguments, which a prepared statement may end up with."""
    used = await _read(database, sql, *arguments)
    async with database.acquire() as connection:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        nothing = f"({', '.join('null' for _ in arguments)})" if arguments else ""
        await connection.execute(f"prepare asked as {sql}")
        plan = await connection.fetchval(f"explain (format json, costs off) execute asked{nothing}")
        await connection.execute("deallocate asked; reset plan_cache_mode")
    for table, ways in _used(json.loads(plan)[0]["Plan"]).items():
        used.setdefault(table, set()).update(ways)
    return used


def _used(plan: dict[str, Any]) -> Used:
    found: Used = {}

    def look(node: dict[str, Any], table: str) -> None:
        table = node.get("Relation Name", table)
        if node["Node Type"] == "Seq Scan":
            found.setdefault(table, set()).add("all of it")
        if "Index Name" in node:
            found.setdefault(table, set()).add(node["Index Name"])
        for inner in node.get("Plans", ()):
            look(inner, table)

    look(plan, "")
    return {table: ways for table, ways in found.items() if table in BIG}


def _asked(*filters: str) -> Condition:
    predicate = from_filters(filters)
    return EVERYTHING if predicate is None else condition(predicate)


SINCE = ("1:1:", "00000000-0000-4000-8000-000000000000")
"""A snapshot and a generation."""
NAME = "metadata.name"
BROAD = [
    (),
    ("kind=component",),
    ("kind=component,spec.type=service",),
    ("kind=component,spec.type=service", "kind=api,metadata.tags=java"),
]
SELECTIVE = [
    ("relations.ownedby=group:default/team-10",),
    ("kind=component,relations.ownedby=group:default/team-10",),
    ("metadata.tags=tag7",),
    ("metadata.annotations.example.com/project-slug=x",),
    ("metadata.name=x",),
]
IN_ORDER = {"search_name", "search_kind_name", "search_kind_type_name"}
FEW = {"search_facets", "search_tok"}
"""How few are picked; and the last of the broad ones, as without statistics few are thought to match any of its conditions."""


@pytest.mark.parametrize("start", [None, After("order", 5)], ids=["first", "later"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("filters", [*BROAD, *SELECTIVE])
async def test_a_page_by_name_goes_along_an_index_or_picks_the_few_that_match(
    filled: Database, filters: tuple[str, ...], direction: Direction, backwards: bool, start: After | None
) -> None:
    sought = Sought(_asked(*filters), Order(NAME, direction), 21, backwards=backwards)
    totals: tuple[Total, ...] = ("unread", _asked("kind=api"))
    for total in totals:
        made = Statements().page(sought, start, 0, total, "holds")
        late = (*(start.values if start else ()), *(() if total == "unread" else SINCE))
        used = await _read_always(filled, made.sql, *made.arguments, *late)
        ways = used.pop("search")
        assert ways <= IN_ORDER | (FEW if filters in SELECTIVE or filters == BROAD[-1] else set())
        assert used.pop("final_entities") == {"final_entities_pkey"}
        assert used == ({} if total == "unread" else {"search_changes": {"search_changes_pkey"}})


FACETS = ("kind", "spec.type", "metadata.tags", "metadata.labels.tier")


@pytest.mark.parametrize("filters", [*BROAD, *SELECTIVE])
async def test_what_changed_is_found_in_the_log_and_looked_up_by_id(filled: Database, filters: tuple[str, ...]) -> None:
    statements, asked = Statements(), _asked(*filters)
    for made in (statements.number(asked, Order(NAME), "since"), statements.facets(FACETS, asked, "since")):
        used = await _read_always(filled, made.sql, *made.arguments, *SINCE)
        assert used.pop("search_changes") == {"search_changes_pkey"}
        assert used.pop("search") == {"search_pkey"}
        assert used.pop("final_entities", {"final_entities_pkey"}) == {"final_entities_pkey"}
        assert not used


@pytest.mark.parametrize("filters", SELECTIVE)
async def test_few_are_counted_without_reading_all(filled: Database, filters: tuple[str, ...]) -> None:
    statements, asked = Statements(), _asked(*filters)
    for made in (statements.number(asked, Order(NAME), "now"), statements.facets(FACETS, asked, "now")):
        used = await _read(filled, made.sql, *made.arguments)
        assert "all of it" not in used["search"]
        assert used.get("final_entities", {"final_entities_pkey"}) == {"final_entities_pkey"}


@pytest.mark.parametrize("filters", [("kind=component",), ("kind=component,spec.type=service",)])
async def test_a_count_by_column_reads_an_index_alone(filled: Database, filters: tuple[str, ...]) -> None:
    made = Statements().number(_asked(*filters), None, "now")
    used = await _read(filled, made.sql, *made.arguments)
    assert used["search"] <= {"search_facets", "search_kind_type_name", "search_kind_name"}


ID, REF, UID = [5], ["component:default/x"], "00000000-0000-4000-8000-000000000000"
MINUTE, SOON = timedelta(minutes=1), datetime.now(UTC)
BY_ID = {"refresh_state_pkey", "processed_pkey", "refresh_schedule_pkey", "final_entities_pkey", "stitch_queue_pkey"}
REFERENCES = {"refresh_state_references_target", "refresh_state_references_source", "refresh_state_references_key"}

LOOKUPS: list[tuple[str, tuple[Any, ...], set[str]]] = [
    ("entity_by_uid", (UID,), {"refresh_state_entity_id_key"}),
    ("entities_by_refs", (REF,), {"final_entities_entity_ref_key"}),
    ("documents_by_id", (["5,6"],), set()),
    ("documents_in_order", (["5,6"],), set()),
    ("ancestry", (REF[0],), {"final_entities_entity_ref_key"}),
    ("held", (REF,), {"refresh_state_entity_ref_key"}),
    ("prolong", (ID, [SOON], MINUTE), set()),
    ("orphans_among", (ID,), set()),
    ("children_of", (ID,), set()),
    ("touch_parents", (5,), set()),
    ("refresh_entities", (ID,), set()),
    ("hasten", (ID,), set()),
    ("forget_results", (ID,), set()),
    ("id_of", (UID,), {"refresh_state_entity_id_key"}),
    ("claimed_entities", (ID,), set()),
    ("drop_tickets", (ID,), set()),
    ("relations_to", (REF,), {"relations_source"}),
]


@pytest.mark.parametrize(("name", "arguments", "besides"), LOOKUPS, ids=[name for name, _, _ in LOOKUPS])
async def test_what_is_known_by_name_or_id_is_looked_up(
    filled: Database, name: str, arguments: tuple[Any, ...], besides: set[str]
) -> None:
    used = await _read(filled, QUERIES[name], *arguments)
    assert used
    assert set().union(*used.values()) <= BY_ID | REFERENCES | besides


@pytest.mark.parametrize("filled", ["with statistics"], indirect=True)
async def test_work_that_is_due_is_claimed_in_order_from_an_index(filled: Database) -> None:
    used = await _read(filled, QUERIES["claim_due"], 400, MINUTE, [0, 1], None)
    assert used == {
        "refresh_schedule": {"refresh_schedule_due", "refresh_schedule_pkey"},
        "refresh_state": {"refresh_state_pkey"},
        "processed": {"processed_pkey"},
    }
    used = await _read(filled, QUERIES["claim_tickets"], 400, MINUTE, [])
    assert used["stitch_queue"] <= {"stitch_queue_requested", "stitch_queue_pkey"}
    used = await _read(filled, QUERIES["ancestors"], REF[0])
    assert not any("all of it" in ways for ways in used.values())


async def test_a_look_for_changes_goes_into_the_log_and_nowhere_else(filled: Database) -> None:
    used = await _read_always(filled, QUERIES["looks"], *([one] for one in SINCE), 2001)
    assert used == {"search_changes": {"search_changes_pkey"}}


async def test_a_look_for_changes_is_planned_once(filled: Database) -> None:
    async with filled.acquire() as connection:
        await connection.execute(f"prepare look as {QUERIES['looks']}")
        for _ in range(8):
            await connection.execute(f"execute look('{{{SINCE[0]}}}', '{{{SINCE[1]}}}', 2001)")
        planned = await connection.fetchval("select custom_plans from pg_prepared_statements where name = 'look'")
        await connection.execute("deallocate look")
    assert planned == 5


async def test_the_log_of_changes_is_trimmed_from_its_old_end(filled: Database) -> None:
    used = await _read(filled, QUERIES["trim_changes"], MINUTE, 20_000)
    assert used == {"search_changes": {"search_changes_pkey"}}
