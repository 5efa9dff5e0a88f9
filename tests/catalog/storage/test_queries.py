"""Every statement that writes the catalog finds its rows by an index. (That Postgres accepts it: tests/test_sql_prepares.py.)"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from greenroom.db import Database, open_pool
from greenroom_catalog.storage.store import MIGRATIONS, Store
from greenroom_catalog.storage.upkeep import FILLED
from tests.support.postgres import TestServer

SEED = """
insert into refresh_state (entity_ref, unprocessed_entity, unprocessed_hash, location_key)
select 'component:default/c-' || n, decode(repeat('7b', 400), 'hex'), int4send(n), 'key' from generate_series(1, 4000) n;
insert into processed (id, processed_entity, result_hash)
select id, unprocessed_entity, unprocessed_hash from refresh_state;
insert into refresh_schedule (id, next_update_at) select id, now() + interval '1 minute' * id from refresh_state;
insert into refresh_state_references (source_key, target_id) select 'p' || id % 40, id from refresh_state where id % 2 = 0;
insert into refresh_state_references (source_id, target_id) select id + 1, id from refresh_state where id % 2 = 1;
insert into refresh_keys (id, key) select id, 'url:' || id / 2 from refresh_state;
insert into relations (originating_id, source_entity_ref, type, target_entity_ref)
select id, 'group:default/team-' || id % 400, 'ownerOf', entity_ref from refresh_state;
insert into stitch_queue (id, requested_at) select id, now() + interval '1 minute' * id from refresh_state;
insert into final_entities (id, entity_ref, hash, final_entity, search_values)
select id, entity_ref, '', json_build_object('x', repeat('x', 1500)), '{}' from refresh_state;
"""

NOW = datetime.now(UTC)
REFS = [f"component:default/c-{n}" for n in range(5)]
IDS = [3, 5, 7]
HASHES = [b"1", b"2", b"3"]

PLANS: dict[str, tuple[tuple[object, ...], set[str]]] = {
    "held_by_source": (("p4",), {"refresh_state_references_key"}),
    "held": ((REFS,), {"refresh_state_entity_ref_key"}),
    "emit": ((REFS[:3], HASHES, HASHES, ["key"] * 3, [0, 1, 2]), set()),
    "own_by_source": (("p4", IDS), {"refresh_state_references_target"}),
    "disown_by_source": (("p4", REFS), {"refresh_state_entity_ref_key", "refresh_state_references_key"}),
    "doomed_by_removal": (
        ("p4", REFS),
        {"refresh_state_entity_ref_key", "refresh_state_references_source", "refresh_state_references_target"},
    ),
    "own_by_entities": ((IDS, IDS, [4, 6, 8]), {"refresh_state_references_source", "refresh_state_references_target"}),
    "orphans_among": ((IDS,), {"refresh_state_references_target"}),
    "children_of": ((IDS,), {"refresh_state_references_source"}),
    "related_to": ((IDS,), {"relations_originating", "refresh_state_entity_ref_key"}),
    "hasten": ((IDS,), {"refresh_schedule_pkey"}),
    "delete_entities": ((IDS, True), {"refresh_state_pkey"}),
    "refresh_by_keys": ((["url:7"],), {"refresh_keys_key", "refresh_schedule_pkey"}),
    "claim_due": (
        (200, timedelta(seconds=90), [0, 1, 2], 7),
        {"refresh_schedule_due", "refresh_state_pkey", "processed_pkey"},
    ),
    "prolong": ((IDS, [NOW] * 3, timedelta(1)), {"refresh_schedule_pkey"}),
    "reschedule": ((IDS, [NOW] * 3, HASHES, [timedelta(1)] * 3), {"refresh_schedule_pkey", "refresh_state_pkey"}),
    "save_processed": ((IDS, HASHES, [NOW] * 3, HASHES, [0, 0, 0], HASHES, [None] * 3), {"refresh_state_pkey"}),
    "save_errors": ((IDS, HASHES, [NOW] * 3, [b"[]"] * 3, HASHES, [None] * 3), {"refresh_state_pkey"}),
    "forget_results": ((IDS,), {"processed_pkey"}),
    "replace_relations": ((IDS, IDS, REFS[:3], ["x"] * 3, REFS[:3]), {"relations_originating"}),
    "replace_refresh_keys": ((IDS, IDS, ["url:1"] * 3), {"refresh_keys_id"}),
    "touch_parents": ((3,), {"refresh_state_references_target", "processed_pkey"}),
    "id_of": ((UUID(int=1),), {"refresh_state_entity_id_key"}),
    "request_stitch": ((IDS, REFS), {"refresh_state_pkey", "refresh_state_entity_ref_key"}),
    "claim_tickets": ((200, timedelta(0), []), {"stitch_queue_requested"}),
    "claimed_entities": ((IDS,), {"refresh_state_pkey", "processed_pkey", "final_entities_pkey"}),
    "relations_to": ((REFS,), {"relations_source"}),
    "drop_tickets": ((IDS,), {"stitch_queue_pkey"}),
}


@pytest.fixture(scope="module")
async def full_tables(postgres_server: TestServer) -> AsyncIterator[Database]:
    """4,000 entities, of which the planner has no statistics, as after a bulk load."""
    async with contextlib.AsyncExitStack() as stack:
        name = await stack.enter_async_context(postgres_server.empty(await postgres_server.template([MIGRATIONS])))
        database = await stack.enter_async_context(open_pool(postgres_server.to(name), size=2))
        for table in FILLED:
            await database.execute(f"alter table {table} set (autovacuum_enabled = off)")
        await database.execute(SEED)
        yield database


@pytest.mark.parametrize("analyzed", [False, True], ids=["without statistics", "analyzed"])
@pytest.mark.parametrize("name", PLANS)
async def test_no_write_reads_a_table_from_end_to_end(full_tables: Database, name: str, analyzed: bool) -> None:
    arguments, indexes = PLANS[name]
    async with full_tables.acquire() as connection:
        transaction: Any = connection.transaction()
        await transaction.start()
        if analyzed:
            for table in FILLED:
                await connection.execute(f"analyze {table}")
        plan = await connection.fetchval(f"explain (format json, costs off) {Store(full_tables).sql[name]}", *arguments)
        await transaction.rollback()
    text = json.dumps(json.loads(plan))
    assert [
        node["Relation Name"]
        for node in _nodes(json.loads(plan)[0]["Plan"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] != "urgent"  # of a few rows, mostly of none
    ] == []
    assert {index for index in indexes if index in text} == indexes


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for inner in plan.get("Plans", ()) for node in _nodes(inner))]
