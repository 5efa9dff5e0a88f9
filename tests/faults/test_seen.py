"""The comparison that all faults rely on sees every sort of difference: each is made on purpose, and found."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from greenroom.plugin import Deferred
from greenroom_catalog.storage.store import MIGRATIONS
from tests.bench.entities import entities
from tests.faults.churn import Churn
from tests.faults.seen import FOUND_BY, IMPOSSIBLE, TABLES, UNDONE, Seen, counted, differences
from tests.support.catalog import Catalog
from tests.support.postgres import MigratedDatabase

SERVED = {
    "component:default/a": {
        "kind": "Component",
        "metadata": {"name": "a", "tags": ["x", "y"], "labels": {"tier": "1"}},
        "spec": {"type": "service"},
        "relations": [{"type": "ownedBy", "targetRef": "group:default/g"}],
    },
    "group:default/g": {"kind": "Group", "metadata": {"name": "g"}, "spec": {"type": "team"}},
}


def good() -> Seen:
    return Seen(
        copy.deepcopy(SERVED), counted(SERVED), {"who emitted what": Counter({"('p', 'component:default/a')": 1})}
    )


def lose(one: Any) -> None:
    del one.entities["group:default/g"]


def add(one: Any) -> None:
    one.entities["group:default/h"] = {"kind": "Group", "metadata": {"name": "h"}}


def retitle(one: Any) -> None:
    one.entities["group:default/g"]["metadata"]["title"] = "old"


def unrelate(one: Any) -> None:
    one.entities["component:default/a"]["relations"] = []


def miscount(one: Any) -> None:
    one.counts["kind"]["Group"] += 1


def emit_twice(one: Any) -> None:
    one.tables["who emitted what"]["('p', 'component:default/a')"] += 1


def forget_who(one: Any) -> None:
    one.tables["who emitted what"].clear()


@pytest.mark.parametrize("change", [lose, add, retitle, unrelate, miscount, emit_twice, forget_who])
def test_every_sort_of_difference_is_told(change: Callable[[Seen], None]) -> None:
    ours = good()
    change(ours)
    assert differences(good(), good()) == []
    assert len(differences(ours, good())) == len(differences(good(), ours)) == 1


def test_what_is_counted_here_is_counted_as_the_api_does() -> None:
    told = counted(SERVED)
    assert told["metadata.tags"] == {"x": 1, "y": 1}
    assert told["relations.ownedBy"] == {"group:default/g": 1}
    assert (told["total of Component"], told["spec.owner"]) == (1, {})


DAMAGE = {
    "entities that nothing refers to": "DELETE FROM refresh_state_references WHERE target_id = (SELECT min(id) FROM refresh_state)",
    "references that are there twice": "INSERT INTO refresh_state_references SELECT * FROM refresh_state_references LIMIT 1",
    "entities that will never be due": "DELETE FROM refresh_schedule WHERE id = (SELECT min(id) FROM refresh_state)",
    "served entities that cannot be found": "DELETE FROM search WHERE id = (SELECT min(id) FROM search)",
    "found entities that are not served": "DELETE FROM final_entities WHERE id = (SELECT min(id) FROM search)",
    "rows that an entity has left behind": "INSERT INTO stitch_queue (id) SELECT max(id) + 1 FROM refresh_state",
    "relations that an entity has left behind": "UPDATE relations SET originating_id = -1",
    "relations that are there twice": "INSERT INTO relations SELECT * FROM relations LIMIT 1",
}


async def test_every_row_that_must_not_be_is_found(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    catalog = Catalog(database)
    await catalog.source().full([Deferred(entity, None) for entity in entities(30)])
    await catalog.settle()
    assert DAMAGE.keys() == IMPOSSIBLE.keys()
    for what, damage in DAMAGE.items():
        assert not await database.fetch(IMPOSSIBLE[what])
        async with database.acquire() as connection:
            transaction: Any = connection.transaction()
            await transaction.start()
            await connection.execute(damage)
            assert await connection.fetch(IMPOSSIBLE[what]), what
            await transaction.rollback()
    assert [await database.fetch(sql) is not None for sql in (*TABLES.values(), FOUND_BY)]
    assert tuple(await database.fetchrow(UNDONE) or ())[1:] == (0, 0)


def test_a_turn_of_the_source_changes_what_it_says_and_is_always_the_same(tmp_path: Any) -> None:
    first, second = Churn(tmp_path / "first", 50), Churn(tmp_path / "second", 50)
    before = copy.deepcopy(first.entities)
    turn = first.turn(5, added=2, removed=3)
    assert turn == second.turn(5, added=2, removed=3)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert first.entities.keys() == before.keys() - set(turn.removed) | set(turn.added)
    assert {ref for ref in before.keys() & first.entities.keys() if before[ref] != first.entities[ref]} == set(
        turn.changed
    )
