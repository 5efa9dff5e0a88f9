"""Tasks that are wanted again: after their secrets are gone, by several at once, while they are cancelled, by another release."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from greenroom.auth import NOBODY
from greenroom.db import Database
from greenroom.errors import ConflictError, NotFoundError
from greenroom.plugin import ActionContext
from greenroom_scaffolder.storage.store import MIGRATIONS
from greenroom_scaffolder.tasks.hiding import HIDDEN
from greenroom_scaffolder.tasks.worker import Janitor
from greenroom_scaffolder.workspace.quota import QuotaError
from greenroom_scaffolder.workspace.workspace import Workspace
from tests.scaffolder.tasks.house import Process, process, until
from tests.scaffolder.tasks.rehearsal import made, runner_of, spec_of
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


async def error_of(one: Process, task_id: str) -> str:
    completion = (await one.broker.events(task_id))[-1]
    return str(msgspec.json.decode(completion.body).get("error", {}).get("message"))


async def secrets_left(database: Database) -> int:
    left: int = await database.fetchval("SELECT count(*) FROM task_secrets")
    return left


async def test_an_action_that_only_a_newer_release_has_fails_here_and_is_done_there(
    database: Database, tmp_path: Path
) -> None:
    ran: list[str] = []

    async def count(ctx: ActionContext[Any]) -> None:
        ran.append(ctx.step_id)

    older, newer = made("test:count", count), made("test:newer", count)
    spec = spec_of({"action": "test:count"}, {"action": "test:newer"}, {"action": "test:count"})
    async with process(database, runner_of(tmp_path, older).run) as old:
        old.work()
        id_ = await old.create(spec)
        assert await old.ended(id_) == "failed"
        assert await error_of(old, id_) == (
            "Template action with ID 'test:newer' is not registered. "
            "See https://backstage.io/docs/features/software-templates/builtin-actions/ on how to add a new action module."
        )
        assert (await old.worker.trouble(), ran) == (None, ["step-1"])
    async with process(database, runner_of(tmp_path, older, newer).run) as new:
        new.work()
        await new.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await new.ended(id_) == "completed"
    assert ran == ["step-1", "step-2", "step-3"]


async def test_a_retry_is_given_secrets_anew_or_runs_without_any(database: Database, tmp_path: Path) -> None:
    seen: list[Mapping[str, str]] = []

    async def look(ctx: ActionContext[Any]) -> None:
        seen.append(dict(ctx.secrets))
        raise ValueError("again")

    async with process(database, runner_of(tmp_path, made("test:look", look, idempotent=True)).run) as one:
        one.work()
        id_ = await one.create(spec_of({"action": "test:look"}), {"TOKEN": "of-old"})
        for given in ({}, {"TOKEN": "of-new"}):
            await one.ended(id_)
            assert await secrets_left(database) == 0
            await one.broker.retry(id_, secrets=given, initiator=NOBODY)
        await one.ended(id_)
    assert seen == [{"TOKEN": "of-old"}, {}, {"TOKEN": "of-new"}]
    assert await secrets_left(database) == 0


async def test_of_two_retries_at_once_one_is_told_that_it_comes_too_late(database: Database, tmp_path: Path) -> None:
    async with process(database, runner_of(tmp_path).run) as one, process(database) as two:
        one.work()
        id_ = await one.create(spec_of({"action": "test:fail"}))
        assert await one.ended(id_) == "failed"
        await one.stop()
        tries = [
            each.broker.retry(id_, secrets={"BY": name}, initiator=NOBODY) for name, each in (("1", one), ("2", two))
        ]
        answers = await asyncio.gather(*tries, return_exceptions=True)
        (refused,) = [answer for answer in answers if answer is not None]
        assert str(refused) == f"Task with taskId {id_} cannot be retried"
        assert isinstance(refused, ConflictError)
        assert [event.type for event in await one.broker.events(id_)].count("recovered") == 1
        assert await secrets_left(database) == 1
        assert (await one.store.tally()) == {"open": 1}


@pytest.mark.parametrize("first", ["cancel", "retry"])
async def test_of_who_cancels_and_who_retries_the_last_word_counts(
    database: Database, tmp_path: Path, first: str
) -> None:
    runs = 0

    async def wait(ctx: ActionContext[Any]) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(3600 if runs > 1 else 0)
        raise ValueError("at first")

    async with process(database, runner_of(tmp_path, made("test:wait", wait, idempotent=True)).run) as one:
        one.work()
        id_ = await one.create(spec_of({"action": "test:wait"}))
        assert await one.ended(id_) == "failed"
        wishes = [one.broker.cancel(id_), one.broker.retry(id_, secrets={"TOKEN": "t"}, initiator=NOBODY)]
        await asyncio.gather(*(wishes if first == "cancel" else reversed(wishes)))
        types = [event.type for event in await one.broker.events(id_)]
        if "cancelled" not in types:  # the retry came last, and took it back
            await until(lambda: asyncio.sleep(0, runs == 2))
            assert await secrets_left(database) == 1
            await one.broker.cancel(id_)
        await until(lambda: over(one, id_))
        assert await secrets_left(database) == 0
        assert await one.store.tally() == {"failed": 1}


async def over(one: Process, task_id: str) -> bool:
    return (await one.broker.get(task_id)).status not in ("open", "processing")


async def test_a_task_that_was_cancelled_before_it_began_can_be_wanted_after_all(
    database: Database, tmp_path: Path
) -> None:
    async with process(database, runner_of(tmp_path).run) as one:
        id_ = await one.create(spec_of({"action": "test:answer"}))
        await one.broker.cancel(id_)
        one.work()
        assert await one.ended(id_) == "failed"
        assert "has been cancelled" in await error_of(one, id_)
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await one.ended(id_) == "completed"


async def test_a_task_whose_rows_somebody_deletes_ends_and_hurts_no_other(database: Database, tmp_path: Path) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(ctx: ActionContext[Any]) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async with process(database, runner_of(tmp_path, made("test:wait", wait)).run) as one:
        one.work()
        id_ = await one.create(spec_of({"action": "test:wait"}))
        await asyncio.wait_for(began.wait(), 60)
        for table, key in (("tasks", "id"), ("task_specs", "task_id"), ("task_events", "task_id")):
            await database.execute(f"DELETE FROM {table} WHERE {key} = $1", UUID(id_))  # noqa: S608 - of this test
        await asyncio.wait_for(ended.wait(), 60)
        with pytest.raises(NotFoundError):
            await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await one.ended(await one.create(spec_of({"action": "test:answer"}))) == "completed"
        assert await one.worker.trouble() is None


async def test_a_retry_goes_on_with_the_files_of_a_failed_task_for_as_long_as_they_are_kept(
    database: Database, tmp_path: Path
) -> None:
    broken = True

    async def fail(ctx: ActionContext[Any]) -> None:
        if broken:
            raise ValueError("not yet")
        assert ctx.inside("made.txt").read_text() == "of old"

    spec = spec_of(
        {"action": "test:write", "input": {"path": "made.txt", "content": "of old"}}, {"action": "test:fail2"}
    )
    async with process(database, runner_of(tmp_path, made("test:fail2", fail)).run) as one:
        one.work()
        kept, dropped, anew = [await one.create(spec) for _ in range(3)]
        for id_ in (kept, dropped, anew):
            assert await one.ended(id_) == "failed"
        await database.execute(
            "UPDATE tasks SET heartbeat_at = heartbeat_at - interval '31 days' WHERE id = ANY($1)",
            [UUID(dropped), UUID(anew)],
        )
        janitor = Janitor(one.store, timedelta(hours=24), timedelta(minutes=5), retention=timedelta(days=30))
        await janitor.step()
        assert await database.fetchval("SELECT count(*) FROM task_workspaces WHERE archive IS NOT NULL") == 1
        broken = False
        await one.broker.retry(kept, secrets={}, initiator=NOBODY)
        await one.broker.retry(dropped, secrets={}, initiator=NOBODY)
        await one.broker.retry(anew, secrets={}, initiator=NOBODY, start_over=True)
        assert [await over_with(one, id_) for id_ in (kept, dropped, anew)] == ["completed", "failed", "completed"]
        assert "is not kept any more. It can begin anew" in await error_of(one, dropped)
        await one.broker.retry(dropped, secrets={}, initiator=NOBODY, start_over=True)
        assert await over_with(one, dropped) == "completed"
        await janitor.step()


async def over_with(one: Process, task_id: str) -> str:
    """Once it has ended again."""
    await until(lambda: over(one, task_id))
    return (await one.broker.get(task_id)).status


async def test_what_a_task_that_is_tried_again_had_is_not_taken_from_it(database: Database, tmp_path: Path) -> None:
    spec = spec_of({"action": "test:write", "input": {"path": "made.txt"}}, {"action": "test:fail"})
    async with process(database, runner_of(tmp_path).run) as one:
        one.work()
        id_ = await one.create(spec)
        assert await one.ended(id_) == "failed"
        await one.stop()
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await one.store.drop_workspaces(timedelta(0)) == 0, "it is open"
        await database.execute("UPDATE tasks SET status = 'failed'")
        async with database.transaction() as conn:
            await conn.execute(one.store.sql.lock_task, UUID(id_))
            assert await one.store.drop_workspaces(timedelta(0)) == 0, "somebody is about to have it tried again"
        assert await one.store.drop_workspaces(timedelta(0)) == 1


SECRET = "correct-horse-battery-staple"
KEEPING = spec_of(
    {"id": "make", "action": "test:answer", "input": {"url": "https://x:${{ secrets.S }}@host"}},
    {"action": "test:write", "input": {"path": "made.txt", "content": "${{ secrets.S }}"}},
    {"action": "test:stop"},
    {
        "action": "debug:log",
        "input": {"message": "pushing to ${{ steps.make.output.url }}", "listWorkspace": "with-contents"},
    },
    output={"url": "${{ steps.make.output.url }}"},
)


async def hidden_left(database: Database) -> int:
    left: int = await database.fetchval("SELECT count(*) FROM task_checkpoints WHERE starts_with(key, $1)", HIDDEN)
    return left


@pytest.mark.parametrize("given", [{}, {"S": "another-secret-of-today"}])
async def test_a_retry_hides_the_secrets_of_before_which_are_kept_sealed_and_no_longer_than_they_are_needed(
    database: Database, tmp_path: Path, given: Mapping[str, str]
) -> None:
    broken = True

    async def stop(_ctx: ActionContext[Any]) -> None:
        if broken:
            raise ValueError("stop here")

    async with process(database, runner_of(tmp_path, made("test:stop", stop, idempotent=True)).run) as one:
        one.work()
        first, anew, dropped = [await one.create(KEEPING, {"S": SECRET}) for _ in range(3)]
        assert {await one.ended(id_) for id_ in (first, anew, dropped)} == {"failed"}
        assert (await secrets_left(database), await hidden_left(database)) == (0, 6), (
            "two for each: per step that hid more"
        )
        broken = False
        await one.broker.retry(first, secrets=given, initiator=NOBODY)
        assert await over_with(one, first) == "completed"
        told = [bytes(event.body).decode() for event in await one.broker.events(first)]
        assert any("pushing to " in body or "***" in body for body in told)
        assert not any(SECRET in body for body in told), told
        assert await hidden_left(database) == 4, "nobody goes on with what is completed"
        assert await one.store.drop_workspaces(timedelta(0)) == 2
        assert await hidden_left(database) == 0, "nobody goes on without the workspace"
        await one.broker.retry(anew, secrets=given, initiator=NOBODY, start_over=True)
        assert await over_with(one, anew) == "completed"
        assert await hidden_left(database) == 0


async def test_what_was_to_be_hidden_of_a_run_is_forgotten_where_the_task_begins_anew(
    database: Database, tmp_path: Path
) -> None:
    spec = spec_of({"action": "test:answer", "input": {"a": "${{ secrets.S }}"}}, {"action": "test:fail"})
    async with process(database, runner_of(tmp_path).run) as one:
        one.work()
        id_ = await one.create(spec, {"S": SECRET})
        assert (await one.ended(id_), await hidden_left(database)) == ("failed", 1)
        await one.stop()
        await one.broker.retry(id_, secrets={}, initiator=NOBODY, start_over=True)
        assert await hidden_left(database) == 0


@pytest.mark.parametrize("more", [[], [{"action": "test:write", "input": {"path": "large.txt"}}]])
async def test_secrets_of_a_task_that_failed_long_ago_are_forgotten_also_where_no_workspace_of_it_is_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[Mapping[str, Any]]
) -> None:
    """It never had one, or one that was too large."""

    def pack(self: Workspace, most: int = 0) -> bytes:
        raise QuotaError("too large to be kept")

    monkeypatch.setattr(Workspace, "pack", pack)
    spec = spec_of({"action": "test:answer", "input": {"a": "${{ secrets.S }}"}}, *more, {"action": "test:fail"})
    async with process(database, runner_of(tmp_path).run) as one:
        one.work()
        id_ = await one.create(spec, {"S": SECRET})
        assert (await one.ended(id_), await hidden_left(database)) == ("failed", 1)
        assert await database.fetchval("SELECT count(*) FROM task_workspaces WHERE archive IS NOT NULL") == 0
        assert (await one.store.drop_workspaces(timedelta(days=30)), await hidden_left(database)) == (0, 1)
        assert (await one.store.drop_workspaces(timedelta(0)), await hidden_left(database)) == (1, 0)
        assert await one.store.drop_workspaces(timedelta(0)) == 0, "there is nothing more to forget"
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await over_with(one, id_) == "failed"
        assert "is not kept any more. It can begin anew" in await error_of(one, id_)


@pytest.mark.parametrize(("secrets", "age"), [({}, 0), ({"S": SECRET}, 30)])
async def test_a_step_of_any_name_goes_on_from_its_checkpoints(
    database: Database, tmp_path: Path, secrets: Mapping[str, str], age: int
) -> None:
    """Also one that is called as that is which is kept beside them."""
    asked: list[str] = []

    async def create(ctx: ActionContext[Any]) -> None:
        async def ask() -> str:
            asked.append(ctx.step_id)
            return "made"

        assert await ctx.checkpoint("repo", ask) == "made"
        if len(asked) == len(ids) and not broken:
            broken.append(ctx.step_id)
            raise ValueError("it broke")

    ids, broken = ["hidden", "hidden", "%hidden", "%hidden", "%hidden#", "hidden"], list[str]()
    spec = spec_of(*({"id": id_, "action": "test:create"} for id_ in ids))
    async with process(database, runner_of(tmp_path, made("test:create", create)).run) as one:
        one.work()
        id_ = await one.create(spec, secrets)
        assert await one.ended(id_) == "failed"
        assert await one.store.drop_workspaces(timedelta(days=age)) == 0, "nothing is hidden, or not for long"
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert (await over_with(one, id_), asked) == ("completed", ids), await error_of(one, id_)
