"""Tasks in the database: created, listed, cancelled and retried as upstream does it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from greenroom.db import Database
from greenroom.errors import ConflictError, NotFoundError
from greenroom.migrate import migrate
from greenroom.plugin import Migrations
from greenroom_scaffolder.storage.rows import NewTask
from greenroom_scaffolder.storage.store import LOST, MIGRATIONS, Store
from tests.scaffolder.tasks.house import tell
from tests.support.postgres import MigratedDatabase

JO, ANN = "user:default/jo", "user:default/ann"


@pytest.fixture
async def store(migrated_database: MigratedDatabase) -> Store:
    return Store(await migrated_database([MIGRATIONS]))


async def create(store: Store, created_by: str = JO, strategy: str | None = None, spec: bytes = b'{"steps":[]}') -> str:
    id_ = uuid4()
    await store.create(NewTask(id_, created_by, strategy, spec, b"sealed"))
    return str(id_)


async def events(store: Store, task_id: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(row.type, msgspec.json.decode(row.body)) for row in await store.events(UUID(task_id), 0)]


async def finish(store: Store, task_id: str, status: str = "failed") -> None:
    """As a worker would leave it."""
    await store.claim(100, None)
    async with store.database.transaction() as conn:
        await tell(conn, task_id, ["log", "completion"], [b'{"stepId":"a"}', b"{}"])
        await conn.execute("UPDATE tasks SET status = $2, holder = NULL WHERE id = $1", UUID(task_id), status)
        await conn.execute("DELETE FROM task_secrets WHERE task_id = $1", UUID(task_id))
        row = await conn.fetchrow(store.sql.lock_task, UUID(task_id))
        assert row is not None
        await conn.execute(store.sql.recount, [row["created_by"]], ["processing"], [status])


async def secrets(store: Store) -> int:
    count: int = await store.database.fetchval("SELECT count(*) FROM task_secrets")
    return count


async def test_a_created_task_is_told_of_as_it_was_given(store: Store) -> None:
    task = await store.get(await create(store, spec=b'{"steps":[], "output":{}}'))
    assert (task.status, task.created_by, task.spec, task.heartbeat_at) == (
        "open",
        JO,
        b'{"steps":[], "output":{}}',
        None,
    )


async def test_what_is_no_task_is_not_found(store: Store) -> None:
    for unknown in (str(uuid4()), "nonsense"):
        with pytest.raises(NotFoundError, match=f"No task with id '{unknown}' found"):
            await store.get(unknown)
        with pytest.raises(NotFoundError, match="No task with id"):
            await store.cancel(unknown)


async def test_many_tasks_created_at_once_are_all_there(store: Store) -> None:
    ids = await asyncio.gather(*(create(store) for _ in range(300)))
    assert len(set(ids)) == 300
    _, total = await store.listing.page(None, None, [], 10, 0)
    assert total == 300


async def test_the_oldest_are_claimed_first_and_each_once(store: Store) -> None:
    ids = [await create(store) for _ in range(20)]
    first = await store.claim(5, 7)
    assert [str(claim.id) for claim in first] == ids[:5]
    rest = await asyncio.gather(*(store.claim(4, 8) for _ in range(6)))
    claimed = [str(claim.id) for claims in rest for claim in claims]
    assert sorted(claimed) == sorted(ids[5:])


async def claimed_of(store: Store, number: int) -> list[str]:
    return [claim.created_by for claim in await store.claim(number, 7)]


async def test_who_wishes_for_much_does_not_keep_others_waiting_for_all_of_it(store: Store) -> None:
    for _ in range(30):
        await create(store, JO)
    assert await claimed_of(store, 10) == [JO] * 10, "nobody else is there"
    await create(store, ANN)
    await create(store, "")
    await create(store, ANN)
    assert await claimed_of(store, 1) == [ANN]
    assert await claimed_of(store, 2) == ["", ANN], "who has less under way comes first"
    assert await claimed_of(store, 100) == [JO] * 20


async def test_of_those_who_have_as_much_under_way_who_came_first_is_first(store: Store) -> None:
    wishes = [JO, JO, JO, ANN, "user:default/cy", ANN]
    ids = [await create(store, one) for one in wishes]
    order = [str(claim.id) for _ in wishes for claim in await store.claim(1, 7)]
    assert order == [ids[0], ids[3], ids[4], ids[1], ids[5], ids[2]]


async def test_a_queue_that_is_longer_than_is_looked_at_keeps_nobody_waiting_for_its_end(store: Store) -> None:
    await asyncio.gather(*(create(store, JO) for _ in range(340)))
    await create(store, ANN)
    assert ANN not in await claimed_of(store, 41), "300 are looked at"
    assert ANN in await claimed_of(store, 1)


async def test_many_who_claim_at_once_find_all_there_is_for_them(store: Store) -> None:
    for number in range(60):
        await create(store, [JO, ANN, ""][number % 3 and 1 + number % 2])
    found = await asyncio.gather(*(store.claim(10, 8) for _ in range(6)))
    claimed = [str(claim.id) for claims in found for claim in claims]
    assert len(set(claimed)) == len(claimed) == 60


async def test_cancelling_names_the_step_that_was_heard_of_last_and_wipes_the_secrets(store: Store) -> None:
    task = await create(store)
    await store.cancel(task)
    assert await events(store, task) == [
        ("cancelled", {"message": "Step 0 has been cancelled.", "stepId": 0, "status": "cancelled"})
    ]
    assert await secrets(store) == 0
    assert (await store.get(task)).status == "open"
    (claim,) = await store.claim(1, None)
    assert claim.cancelled
    assert claim.sealed is None


async def test_a_finished_task_keeps_its_status_when_it_is_cancelled(store: Store) -> None:
    task = await create(store)
    await finish(store, task, "completed")
    await store.cancel(task)
    assert (await store.get(task)).status == "completed"
    assert (await events(store, task))[-1][1]["message"] == "Step a has been cancelled."


async def test_only_a_task_that_has_ended_can_be_retried(store: Store) -> None:
    task = await create(store)
    with pytest.raises(ConflictError, match=f"Task with taskId {task} cannot be retried"):
        await store.retry(task, b"new", start_over=False)
    await store.claim(1, None)
    with pytest.raises(ConflictError):
        await store.retry(task, b"new", start_over=False)


async def test_a_retry_takes_back_how_the_task_ended_and_brings_new_secrets(store: Store) -> None:
    task = await create(store)
    await finish(store, task)
    await store.cancel(task)
    await store.retry(task, b"new", start_over=False)
    assert await events(store, task) == [("log", {"stepId": "a"}), ("recovered", {"recoverStrategy": "none"})]
    (claim,) = await store.claim(1, None)
    assert (claim.sealed, claim.resumed, claim.cancelled) == (b"new", True, False)


@pytest.mark.parametrize(("strategy", "start_over", "status"), [(None, True, "failed"), ("startOver", False, "failed")])
async def test_a_task_that_begins_anew_knows_nothing_of_its_past(
    store: Store, strategy: str | None, start_over: bool, status: str
) -> None:
    task = await create(store, strategy=strategy)
    await finish(store, task, status)
    await store.database.execute("INSERT INTO task_steps VALUES ($1, 'a', 1, 'completed', 'x')", UUID(task))
    await store.retry(task, b"new", start_over=start_over)
    assert (await events(store, task))[-1] == ("recovered", {"recoverStrategy": "startOver"})
    (claim,) = await store.claim(1, None)
    assert not claim.resumed
    assert (await store.progress(claim.id)).steps == {}
    row = await store.database.fetchrow("SELECT began FROM tasks")
    assert row is not None
    assert row["began"] == (await store.events(UUID(task), 0))[-1].id


async def test_a_completed_task_that_is_retried_runs_again(store: Store) -> None:
    task = await create(store)
    await finish(store, task, "completed")
    await store.retry(task, b"new", start_over=False)
    (claim,) = await store.claim(1, None)
    assert not claim.resumed


async def test_tasks_of_lost_workers_go_on_begin_anew_or_fail_as_their_templates_wish(store: Store) -> None:
    strategies = [None, "none", "startOver"]
    tasks = {await create(store, strategy=strategies[n % 3], created_by=f"user:default/{n % 4}"): n for n in range(30)}
    claims = await store.claim(100, None)
    for task_id in tasks:
        async with store.database.transaction() as conn:
            steps = [f'{{"stepId":"{step}","status":"processing","message":"m"}}'.encode() for step in ("b", "a")]
            await tell(conn, task_id, ["log", "log"], steps)
            await conn.execute("INSERT INTO task_steps VALUES ($1, 'z', 1, 'completed', 'x')", UUID(task_id))
    assert await store.free([(claim.id, claim.attempt) for claim in claims], lost=True) == (20, 10)
    assert await store.tally() == {"failed": 10, "open": 20}
    caught = [("log", {"message": LOST, "stepId": step, "status": "failed"}) for step in ("b", "a")]
    end = ("completion", {"message": LOST, "error": {"name": "Error", "message": LOST}})
    for task_id, n in tasks.items():
        told = (await events(store, task_id))[2:]
        strategy = strategies[n % 3]
        assert told == (
            [*caught, end] if strategy == "none" else [("recovered", {"recoverStrategy": strategy or "none"})]
        )
        began = (await store.followed(task_id)).began
        assert began == ((await store.events(UUID(task_id), 0))[-1].id if strategy == "startOver" else 0)
        assert len((await store.progress(UUID(task_id))).steps) == (0 if strategy == "startOver" else 1)
    assert await secrets(store) == 20
    assert [claim.resumed for claim in sorted(await store.claim(100, None), key=lambda claim: tasks[str(claim.id)])] == [
        True, False
    ] * 10  # fmt: skip


async def test_of_steps_that_are_not_shown_any_more_nobody_hears_that_they_failed(store: Store) -> None:
    task = await create(store, strategy="startOver")
    for step in ("forgotten", "known"):
        (claim,) = await store.claim(1, None)
        async with store.database.transaction() as conn:
            began = f'{{"stepId":"{step}","status":"processing"}}'
            await tell(conn, task, ["log"], [began.encode()])
        freed = await store.free([(claim.id, claim.attempt)], lost=True, most_losses=1)
    assert freed == (0, 1)
    failed = [body["stepId"] for _, body in await events(store, task) if body.get("status") == "failed"]
    assert failed == ["known"]


IN_THE_WAY = """
CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'in the way'; END $$;
CREATE TRIGGER in_the_way BEFORE INSERT ON task_events FOR EACH ROW WHEN (NEW.task_id = '{task}') EXECUTE FUNCTION in_the_way();
"""


@pytest.mark.parametrize("strategy", [None, "none"])
async def test_a_lost_task_that_cannot_be_given_back_keeps_no_other_from_it(
    store: Store, strategy: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [await create(store, strategy=strategy) for _ in range(5)]
    lost = [(claim.id, claim.attempt) for claim in await store.claim(5, None)]
    await store.database.execute(IN_THE_WAY.format(task=tasks[2]))
    assert sum(await store.free(lost, lost=True)) == 4
    statuses = [(await store.get(task)).status for task in tasks]
    assert [task for task, status in zip(tasks, statuses, strict=True) if status == "processing"] == [tasks[2]]
    assert await store.tally() == {"processing": 1, "failed" if strategy else "open": 4}
    assert [record.message for record in caplog.records] == [
        f"the task {tasks[2]} cannot be taken from its worker: in the way"
    ]


async def test_a_task_that_cannot_be_closed_keeps_no_other_open(store: Store) -> None:
    tasks = [await create(store) for _ in range(3)]
    await store.claim(3, None)
    await store.database.execute(IN_THE_WAY.format(task=tasks[0]))
    assert await store.close_stale(timedelta(0)) == 2
    assert await store.tally() == {"failed": 2, "processing": 1}


async def test_a_task_that_is_under_way_at_an_update_is_cancelled_at_its_step(
    database: Database, tmp_path: Path
) -> None:
    for path in sorted(MIGRATIONS.folder.glob("*.sql"))[:3]:
        copy(path, tmp_path)
    await migrate(database, [Migrations("scaffolder", tmp_path)])
    task = uuid4()
    await database.execute("INSERT INTO tasks (id, created_by, status) VALUES ($1, '', 'processing')", task)
    bodies = [b'{"stepId":"a","message":"\\u0000"}', b'{"message":"\\\\u0000"}']
    await database.execute(
        "INSERT INTO task_events (task_id, type, body) SELECT $1, 'log', * FROM unnest($2::json[])", task, bodies
    )
    await migrate(database, [MIGRATIONS])
    store = Store(database)
    await store.cancel(str(task))
    told = [row.body for row in await store.events(task, 0)]
    assert told == [*bodies, b'{"message":"Step a has been cancelled.","stepId":"a","status":"cancelled"}']
