"""The list of tasks: any filter, any order, any page, the same as by looking at all of them; and quick among many."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import pytest

from greenroom_scaffolder.storage.listing import Direction, Field, plan
from greenroom_scaffolder.storage.rows import TaskRow
from greenroom_scaffolder.storage.store import MIGRATIONS, Store
from tests.support.postgres import MigratedDatabase

STATUSES = ["open", "processing", "completed", "failed"]
FILL = """
WITH made AS (
    INSERT INTO tasks (id, created_by, created_at, status)
    SELECT gen_random_uuid(), CASE WHEN n % 7 = 0 THEN '' ELSE 'user:default/u' || n * 31 % $2 END,
        timestamptz '2026-01-01' + n * interval '1 minute',
        CASE WHEN n % 1000 = 0 THEN 'open' ELSE (ARRAY['completed', 'failed'])[1 + n * 17 % 2] END
    FROM generate_series(1, $1::bigint) AS n RETURNING id, created_by, status
), specified AS (
    INSERT INTO task_specs SELECT id, '{"steps":[]}' FROM made
)
INSERT INTO task_tallies SELECT created_by, status, count(*) FROM made GROUP BY created_by, status
"""


async def filled(store: Store, tasks: int, creators: int) -> None:
    await store.database.execute(FILL, tasks, creators)
    await store.database.execute("ANALYZE")


@pytest.fixture
async def store(migrated_database: MigratedDatabase) -> Store:
    return Store(await migrated_database([MIGRATIONS]))


def key(task: TaskRow, order: list[tuple[Field, Direction]]) -> list[Any]:
    """For sorting as upstream's Postgres does: who has no name comes last."""
    keys: list[Any] = []
    for field, way in [*order, ("created_at", "desc")]:
        value: Any = getattr(task, field)
        if field == "created_at":
            keys.append(value.timestamp() if way == "asc" else -value.timestamp())
        else:
            text = "\U0010ffff" if value == "" else value
            keys.append([ord(c) for c in text] if way == "asc" else [-ord(c) for c in text] + [1])
    return keys


ORDERS: list[list[tuple[Field, Direction]]] = [
    [],
    [("created_at", "asc")],
    [("status", "asc")],
    [("status", "desc"), ("created_at", "asc")],
    [("created_by", "asc")],
    [("created_by", "desc"), ("status", "asc")],
    [("status", "asc"), ("created_by", "desc")],
]


async def test_every_page_is_that_of_looking_at_all_tasks(store: Store) -> None:
    await filled(store, 400, 9)
    everything, total = await store.listing.page(None, None, [], None, 0)
    assert total == len(everything) == 400
    rng = random.Random(7)
    creators = sorted({task.created_by for task in everything} - {""})
    filters = (
        [None, creators[:1], creators[1:4], ["user:default/nobody"]],
        [None, ["completed"], ["open", "failed"], ["x"]],
    )
    for (by, status), order in itertools.product(itertools.product(*filters), ORDERS):
        limit, offset = rng.choice([None, 0, 5, 60]), rng.choice([0, 3, 50])
        matching = [
            task
            for task in everything
            if (by is None or task.created_by in by) and (status is None or task.status in status)
        ]
        expected = sorted(matching, key=lambda task: key(task, order or [("created_at", "desc")]))
        page, count = await store.listing.page(by, status, order, limit, offset)
        end = None if limit is None else offset + limit
        assert count == len(matching)
        assert [task.id for task in page] == [task.id for task in expected[offset:end]], (
            by,
            status,
            order,
            limit,
            offset,
        )


async def test_what_no_task_can_have_finds_none_and_a_page_of_any_size_is_a_page(store: Store) -> None:
    await filled(store, 20, 3)
    assert await store.listing.page(["a\0b"], None, [], None, 0) == ([], 0)
    assert await store.listing.page(None, ["completed\0"], [], None, 0) == ([], 0)
    everything, _ = await store.listing.page(None, None, [], None, 0)
    for order, limit in itertools.product(ORDERS, (2**63 - 1, 10**30)):
        page, total = await store.listing.page(None, None, order, limit, 1)
        assert (len(page), total) == (19, 20)
        assert {task.id for task in page} < {task.id for task in everything}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by", [None, ["user:default/u1"], ["user:default/u1", "user:default/u2"]])
@pytest.mark.parametrize("status", [None, ["open"], ["failed", "completed"]])
async def test_a_page_looks_at_few_of_many_tasks(
    many: Store, order: list[tuple[Field, Direction]], by: list[str] | None, status: list[str] | None
) -> None:
    query = plan(by, status, order, 50)
    rows = await many.database.fetch(
        f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF, BUFFERS) {query}", by, status, 50, 0
    )
    told = "\n".join(row[0] for row in rows)
    scans = [
        re.search(r"rows=([0-9.]+) loops=([0-9]+)", line)
        for line in told.splitlines()
        if "Scan" in line and " on tasks t" in line
    ]
    looked_at = sum(float(scan[1]) * int(scan[2]) for scan in scans if scan is not None)
    assert "Seq Scan on tasks" not in told, told
    assert scans, told
    assert looked_at < 5000, told


@pytest.fixture(scope="module")
async def many(postgres_server: Any) -> Any:
    from greenroom.db import open_pool

    async with (
        postgres_server.empty(await postgres_server.template([MIGRATIONS])) as name,
        open_pool(postgres_server.to(name), size=2) as database,
    ):
        store = Store(database)
        await filled(store, 50_000, 300)
        yield store
