"""A worker runs what is open, writes down what comes of it, and loses nothing when it ends, in whatever way."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from greenroom.auth import NOBODY
from greenroom.db import Database
from greenroom.errors import ServiceUnavailableError
from greenroom_scaffolder.storage.store import MIGRATIONS
from greenroom_scaffolder.storage.writer import LostTaskError
from greenroom_scaffolder.tasks.acting import Act
from greenroom_scaffolder.tasks.journal import LITTLE
from greenroom_scaffolder.tasks.task import Checkpoint, Journal, Outcome, StepState, Task
from greenroom_scaffolder.tasks.worker import Watch
from greenroom_scaffolder.workspace.sealing import SealError
from greenroom_scaffolder.workspace.threads import Threads
from tests.scaffolder.tasks.house import SPEC, Process, Reversed, cut, cut_once, nothing, process, until
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def database(migrated_database: MigratedDatabase) -> Database:
    return await migrated_database([MIGRATIONS])


BEGAN = """INSERT INTO task_events (task_id, type, body, step_id, status)
    VALUES ($1, 'log', '{"stepId":"a","status":"processing"}', 'a', 'processing')"""


async def waiting(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
    """Until somebody cancels it."""
    journal.event({"message": "Beginning step a", "stepId": "a", "status": "processing"})
    journal.step("a", StepState("processing"))
    await cancel.wait()
    return Outcome("failed", error={"name": "Error", "message": "cancelled"})


async def began(one: Process, task_id: str) -> None:
    async def is_begun() -> bool:
        return "Beginning step a" in await one.messages(task_id)

    await until(is_begun)


async def count(database: Database, table: str) -> int:
    found: int = await database.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - of this file
    return found


async def test_a_task_that_is_created_is_run_and_its_secrets_are_gone(database: Database) -> None:
    given: list[Task] = []

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        given.append(task)
        assert await count(database, "task_secrets") == 1
        return await nothing(task, journal, cancel)

    async with process(database, run) as one:
        one.work()
        id_ = await one.create(secrets={"token": "s3cr3t"})
        assert await one.ended(id_) == "completed"
        assert (await one.messages(id_))[-1] == "Run completed with status: completed"
    assert given[0].secrets == {"token": "s3cr3t"}
    assert given[0].initiator.token == "token"
    assert await count(database, "task_secrets") == 0


async def test_a_template_that_names_the_token_of_its_user_has_it_among_the_secrets(database: Database) -> None:
    given: list[Task] = []

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        given.append(task)
        return await nothing(task, journal, cancel)

    async with process(database, run) as one:
        one.work()
        named = {**SPEC, "steps": [{"id": "a", "action": "x:y", "input": {"a": "${{ secrets.backstageToken }}"}}]}
        id_ = await one.create(spec=named, secrets={"a": "b", "backstageToken": "forged"})
        assert await one.ended(id_) == "completed"
    assert given[0].secrets == {"a": "b", "backstageToken": "token"}


async def test_many_tasks_at_once_are_all_done_and_counted(database: Database) -> None:
    async with process(database) as one, process(database) as two:
        one.work()
        two.work()
        ids = await asyncio.gather(*(one.create() for _ in range(100)))
        assert set(await asyncio.gather(*(two.ended(id_, 30) for id_ in ids))) == {"completed"}
        rows = await database.fetch("SELECT status, n FROM task_tallies WHERE n <> 0")
        assert [(row["status"], row["n"]) for row in rows] == [("completed", 100)]
        assert await count(database, "task_events") == 600


async def test_no_more_tasks_run_at_a_time_than_there_are_slots(database: Database) -> None:
    at_once = most = 0

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return Outcome("completed")

    async with process(database, run, slots=3) as one:
        one.work()
        ids = await asyncio.gather(*(one.create() for _ in range(12)))
        await asyncio.gather(*(one.ended(id_) for id_ in ids))
    assert most == 3


@pytest.mark.parametrize("kind", [ValueError, BaseException, BaseExceptionGroup, KeyboardInterrupt])
async def test_a_run_that_breaks_fails_its_task_and_no_other(database: Database, kind: type[BaseException]) -> None:
    async def broken_action() -> None:
        more = [[KeyboardInterrupt()]] if kind is BaseExceptionGroup else []
        raise kind("what was that", *more)

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        if task.spec.get("broken"):
            act = Act(broken_action)
            await act.over(10)
            act.answer()
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        broken, good = await one.create({**SPEC, "broken": True}), await one.create()
        assert (await one.ended(broken), await one.ended(good)) == ("failed", "completed")
        assert b"what was that" in bytes((await one.broker.events(broken))[-1].body)


def told(to: list[tuple[Task, Outcome]]) -> Watch:
    """Writes down how runs end."""
    return lambda task: lambda outcome: to.append((task, outcome))


async def test_of_a_task_that_fails_before_it_can_be_run_somebody_is_told(database: Database) -> None:
    heard: list[tuple[Task, Outcome]] = []
    async with process(database, watch=told(heard)) as one:
        broken, good = await one.create(), await one.create()
        await database.execute(
            "UPDATE task_secrets SET sealed = $2 WHERE task_id = $1", UUID(broken), b"gr1.of-a-key-that-is-gone"
        )
        one.worker._sealing = _Pickier()
        one.work()
        assert (await one.ended(broken), await one.ended(good)) == ("failed", "completed")
    task, outcome = next((task, outcome) for task, outcome in heard if task.id == broken)
    assert (task.spec, task.created_by, outcome.status) == (SPEC, "user:default/jo", "failed")
    assert [outcome.status for task, outcome in heard if task.id == good] == ["completed"]


async def test_who_audits_is_told_what_the_task_itself_says_in_the_end(database: Database) -> None:
    heard: list[tuple[Task, Outcome]] = []

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.step("a\0b", StepState("completed"))
        return Outcome("completed")

    async with process(database, run, watch=told(heard)) as one:
        one.work()
        assert await one.ended(await one.create()) == "failed"
    assert [outcome.status for _, outcome in heard] == ["failed"]


async def test_of_a_run_whose_task_went_on_elsewhere_nobody_hears_that_it_ended(database: Database) -> None:
    heard: list[tuple[Task, Outcome]] = []

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        await database.execute("UPDATE tasks SET attempt = attempt + 1")
        return Outcome("completed")

    async with process(database, run, watch=told(heard)) as one:
        one.work()
        id_ = await one.create()

        async def is_lost() -> bool:
            return (await one.broker.get(id_)).status == "processing" and not one.worker.busy

        await until(is_lost)
    assert heard == []


class _Pickier(Reversed):
    def open(self, sealed: str, task_id: str) -> bytes:
        if sealed.startswith("gr1"):
            raise SealError
        return super().open(sealed, task_id)


async def test_what_postgres_cannot_hold_fails_its_task_and_no_other(database: Database) -> None:
    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        if task.spec.get("broken"):
            journal.step("a\0b", StepState("completed"))
        journal.event({"message": "fine \0"})
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        tasks = await asyncio.gather(*(one.create({**SPEC, "broken": n == 3}) for n in range(6)))
        ends = await asyncio.gather(*(one.ended(id_) for id_ in tasks))
        assert [end for end in ends if end != "completed"] == ["failed"]
        assert b"cannot be stored" in bytes((await one.broker.events(tasks[3]))[-1].body)


async def test_what_cannot_be_stored_while_a_task_runs_ends_it_once(database: Database) -> None:
    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.checkpoint("a.k\0ey", Checkpoint(1))
        await journal.durable()
        raise AssertionError("unreachable: it cannot be stored")

    async with process(database, run) as one:
        one.work()
        id_ = await one.create()
        assert await one.ended(id_) == "failed"
        (end,) = await one.broker.events(id_)
        assert (end.type, b"cannot be stored" in bytes(end.body)) == ("completion", True)


@pytest.mark.parametrize("step", ["a", "a\0b"])
async def test_a_task_that_logs_what_postgres_makes_no_text_of_is_cancelled_and_found_like_any_other(
    database: Database, step: str
) -> None:
    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.event({"message": "Beginning step a", "stepId": step, "status": "processing"})
        journal.event({"message": "binary \0", "stepId": step})
        await journal.durable()
        await asyncio.sleep(3600)
        raise AssertionError("unreachable: it is cancelled before")

    async with process(database) as two:
        async with process(database, run) as one:
            one.work()
            id_ = await one.create({**SPEC, "EXPERIMENTAL_recovery": {"EXPERIMENTAL_strategy": "none"}})
            other = await one.create()
            await began(one, id_)
            await began(one, other)
            await one.broker.cancel(id_)
            await one.die()
        shown = step.replace("\0", "\ufffd")
        assert f"Step {shown} has been cancelled." in await two.messages(id_)
        await database.execute("UPDATE tasks SET cancelled = false")  # a cancelled one is gone on with, to be ended

        async def found() -> bool:
            await two.lookout.look()
            return [(await two.broker.get(task)).status for task in (id_, other)] == ["failed", "open"]

        await until(found)
        bodies = [bytes(event.body).decode() for event in await two.broker.events(id_)]
        assert f'"stepId":"{shown}","status":"failed"' in bodies[-2]


async def test_a_strategy_of_recovery_with_a_nul_is_none_that_there_is(database: Database) -> None:
    async with process(database) as one:
        one.work()
        recovery = {"EXPERIMENTAL_strategy": "startOver\0"}
        assert await one.ended(await one.create({**SPEC, "EXPERIMENTAL_recovery": recovery})) == "completed"


async def test_tasks_run_on_while_the_database_is_read_only_for_a_while(database: Database) -> None:
    go = asyncio.Event()

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.event({"message": "Beginning step a", "stepId": "a", "status": "processing"})
        await go.wait()
        return Outcome("completed")

    name = await database.fetchval("SELECT current_database()")
    became = f'BEGIN READ WRITE; ALTER DATABASE "{name}" SET default_transaction_read_only = '
    async with process(database, run) as one:
        one.work()
        id_ = await one.create()
        await began(one, id_)
        await database.execute(f"{became} on; COMMIT")
        await cut_once(database)
        await until(lambda: asyncio.sleep(0, "ReadOnly" in one.worker._writer.trouble))
        go.set()
        assert one.worker.busy == 1
        await database.execute(f"{became} off; COMMIT")
        await cut_once(database)

        async def is_done() -> bool:
            with suppress(ServiceUnavailableError):  # not each session that was cut is known to be
                return (await one.broker.get(id_)).status == "completed"
            return False

        await until(is_done)
        assert await database.fetchval("SELECT attempt FROM tasks") == 1


async def test_cancelling_reaches_the_run_in_whatever_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom_scaffolder.storage.writer.BEAT", 3600.0)  # and not with the next sign of life
    async with process(database, waiting) as one, process(database) as two:
        one.work()
        id_ = await two.create()
        await began(two, id_)
        await two.broker.cancel(id_)
        assert await two.ended(id_) == "failed"
        types = [event.type for event in await two.broker.events(id_)]
        assert types == ["log", "cancelled", "completion"]


async def test_a_cancel_of_which_the_worker_does_not_hear_comes_with_the_next_sign_of_life(database: Database) -> None:
    async with process(database, waiting) as one:
        one.worker._unsubscribe()
        one.work()
        id_ = await one.create()
        await began(one, id_)
        await one.broker.cancel(id_)
        assert await one.ended(id_) == "failed"


async def test_a_task_that_was_cancelled_while_open_is_told_so_at_once(database: Database) -> None:
    async with process(database, waiting) as one:
        id_ = await one.create()
        await one.broker.cancel(id_)
        one.work()
        assert await one.ended(id_) == "failed"


async def test_a_process_that_stops_waits_for_what_ends_soon_and_leaves_the_rest_to_others(database: Database) -> None:
    async def short(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.event({"message": "Beginning step a", "stepId": "a", "status": "processing"})
        await asyncio.sleep(0.1 if task.spec.get("short") else 3600)
        return Outcome("completed")

    async with process(database, nothing) as two:
        async with process(database, short, grace=60.0) as one:
            one.work()
            soon = await one.create({**SPEC, "short": True})
            await began(one, soon)
            await one.stop()
            assert (await two.broker.get(soon)).status == "completed"
        async with process(database, short, grace=0.01) as one:
            one.work()
            late = await one.create()
            await began(one, late)
            await one.stop()
            assert (await two.broker.get(late)).status == "open"
        two.work()
        assert await two.ended(late) == "completed"
        assert await database.fetchval("SELECT losses FROM tasks WHERE id = $1", UUID(late)) == 0


async def test_what_a_lost_worker_had_finished_is_not_done_again(database: Database) -> None:
    done: list[str] = []
    reached = asyncio.Event()

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        for step in ("a", "b", "c"):
            known = task.state.steps.get(step)
            if known is not None and known.status == "completed":
                assert known.output == {"of": step}
                continue
            done.append(step)
            journal.checkpoint(f"{step}.key", Checkpoint(step))
            journal.step(step, StepState("completed", {"of": step}))
            await journal.workspace(step.encode())
            await journal.durable()
            if step == "b" and not task.resumed:
                reached.set()
                await asyncio.sleep(3600)
        assert task.workspace == b"b"
        assert list(task.state.steps) == ["a", "b"]
        assert task.state.checkpoints["a.key"] == Checkpoint("a")
        return Outcome("completed")

    async with process(database, run) as two:
        async with process(database, run) as one:
            one.work()
            id_ = await one.create()
            await reached.wait()
            await one.die()
        two.work()

        async def found() -> bool:
            await two.lookout.look()
            return (await two.broker.get(id_)).status == "completed"

        await until(found)
        assert done == ["a", "b", "c"]
        assert "recovered" in [event.type for event in await two.broker.events(id_)]


async def test_a_worker_that_lives_keeps_its_task_while_others_look(database: Database) -> None:
    async with process(database, waiting) as one, process(database) as two:
        one.work()
        id_ = await one.create()
        await began(one, id_)
        for _ in range(6):
            await two.lookout.look()
            await asyncio.sleep(0.1)
        assert (await two.broker.get(id_)).status == "processing"
        await one.broker.cancel(id_)
        await one.ended(id_)


async def test_who_has_lost_a_task_writes_nothing_more_and_is_stopped(database: Database) -> None:
    told: list[BaseException] = []

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        journal.event({"message": "Beginning step a", "stepId": "a", "status": "processing"})
        await journal.durable()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            told.append(error)
            journal.event({"message": "too late"})
            try:
                await journal.durable()
            except LostTaskError as lost:
                told.append(lost)
            raise
        return Outcome("completed")

    async with process(database, run, slots=1) as one, process(database) as two:
        one.work()
        id_ = await one.create()
        await began(one, id_)
        (held,) = await two.store.held()
        assert await two.store.free([(held.id, held.attempt)], lost=True) == (1, 0)
        await two.worker._claim(1)
        await until(lambda: asyncio.sleep(0, len(told) == 2))
        assert isinstance(told[1], LostTaskError)
        assert await two.ended(id_) == "completed"
        assert "too late" not in await two.messages(id_)


async def test_a_task_that_takes_its_worker_with_it_each_time_fails_at_last(database: Database) -> None:
    async with process(database, waiting) as one:
        id_ = await one.create()
        for _ in range(4):
            await one.store.claim(1, None)
            await database.execute(BEGAN, UUID(id_))
            (held,) = await one.store.held()
            await one.store.free([(held.id, held.attempt)], lost=True)
        assert (await one.broker.get(id_)).status == "failed"
        events = [(event.type, bytes(event.body)) for event in await one.broker.events(id_)]
        assert [type_ for type_, _ in events] == ["log", "recovered"] * 3 + ["log", "log", "completion"]
        assert b"4 workers in a row were lost" in events[-1][1]
        assert b'"stepId":"a","status":"failed"' in events[-2][1]


async def test_a_template_can_ask_that_its_tasks_are_not_gone_on_with(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create({**SPEC, "EXPERIMENTAL_recovery": {"EXPERIMENTAL_strategy": "none"}})
        await one.store.claim(1, None)
        (held,) = await one.store.held()
        assert await one.store.free([(held.id, held.attempt)], lost=True) == (0, 1)
        assert (await one.messages(id_))[-1].startswith(
            "The task was cancelled because the task worker lost connection"
        )


async def test_the_janitor_fails_what_nobody_goes_on_with_in_the_words_of_upstream(database: Database) -> None:
    async with process(database) as one:
        id_ = await one.create()
        await one.store.claim(1, None)
        await database.execute("UPDATE tasks SET heartbeat_at = now() - interval '25 hours'")
        await database.execute(BEGAN, UUID(id_))
        from datetime import timedelta

        assert await one.store.close_stale(timedelta(hours=24)) == 1
        text = "This task was marked as stale as it exceeded its timeout"
        assert [bytes(event.body).decode() for event in (await one.broker.events(id_))[1:]] == [
            f'{{"message":"{text}","stepId":"a","status":"failed"}}',
            f'{{"message":"{text}"}}',
        ]


async def test_while_sessions_are_cut_again_and_again_nothing_is_lost_or_written_twice(database: Database) -> None:
    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        for n in range(20):
            journal.event({"message": f"line {n}"})
            if n % 5 == 0:
                await journal.durable()
            await asyncio.sleep(0.01)
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        ids = [await one.create() for _ in range(8)]
        async with cut(database):
            await asyncio.sleep(1.5)
        for id_ in ids:
            await one.ended(id_)
            assert await one.messages(id_) == [
                *(f"line {n}" for n in range(20)),
                "Run completed with status: completed",
            ]


async def test_a_claim_whose_answer_was_lost_is_given_back(database: Database) -> None:
    async with process(database) as one:
        ids = [await one.create() for _ in range(3)]
        await one.store.claim(3, one.presence.number)  # as by a claim that was committed as its session was cut
        one.worker._doubt = True
        one.work()
        assert [await one.ended(id_) for id_ in ids] == ["completed"] * 3


async def test_readiness_tells_of_a_journal_that_cannot_be_written(database: Database) -> None:
    async with process(database) as one:
        assert await one.worker.trouble() is None
        one.worker._writer.failing_since = monotonic() - 6
        one.worker._writer.trouble = "away"
        assert "away" in str(await one.worker.trouble())


async def test_a_large_workspace_keeps_no_other_task_waiting(database: Database) -> None:
    large: Any = bytes(range(256)) * 20_000

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        if task.spec.get("large"):
            await journal.workspace(large)
            journal.step("a", StepState("completed", {}))
            await journal.durable()
            journal.event({"message": "kept"})
            return Outcome("failed", error={"name": "Error", "message": "as wished"})
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        id_ = await one.create({**SPEC, "large": True})
        other = await one.create()
        assert (await one.ended(other), await one.ended(id_)) == ("completed", "failed")
        assert await count(database, "task_workspaces") == 1


async def test_a_large_workspace_is_opened_in_the_threads_of_tasks_and_not_in_those_that_look_up_names(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[int, str]] = []
    plainly = Reversed.open

    def watched(self: Reversed, sealed: str, task_id: str) -> bytes:
        opened.append((len(sealed), threading.current_thread().name))
        return plainly(self, sealed, task_id)

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        if not task.resumed:
            await journal.workspace(b"x" * LITTLE)
            journal.step("a", StepState("completed", {}))
            return Outcome("failed", error={"name": "Error", "message": "as wished"})
        assert task.workspace == b"x" * LITTLE
        return Outcome("completed")

    own = Threads(1, "threads-of-tasks", 15.0)
    monkeypatch.setattr(Reversed, "open", watched)
    async with process(database, run, threads=lambda: own) as one:
        one.work()
        id_ = await one.create()
        assert await one.ended(id_) == "failed"
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        assert await one.ended(id_) == "completed"
    assert [name for size, name in opened if size > LITTLE] == ["threads-of-tasks_0"]


async def test_a_retry_goes_on_from_the_step_that_failed_also_when_its_worker_is_lost_before_it_comes_there(
    database: Database,
) -> None:
    seen: list[dict[str, str]] = []
    asleep = 0
    """The attempt that has written down what it has to."""

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        nonlocal asleep
        seen.append({step: known.status for step, known in task.state.steps.items()})
        if len(seen) == 1:
            journal.step("a", StepState("completed", {}))
            journal.step("b", StepState("failed", attempts=2))
            journal.step("c", StepState("failed"))
            return Outcome("failed", error={"name": "Error", "message": "b"})
        if len(seen) == 3:
            journal.step("b", StepState("failed"))
            await journal.durable()
        if len(seen) < 5:
            asleep = len(seen)
            await asyncio.sleep(3600)
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        id_ = await one.create()
        assert await one.ended(id_) == "failed"
        await one.broker.retry(id_, secrets={}, initiator=NOBODY)
        for attempt in range(2, 5):
            await until(lambda attempt=attempt: asyncio.sleep(0, asleep == attempt))  # type: ignore[misc]
            (held,) = await one.store.held()
            await one.store.free([(held.id, held.attempt)], lost=False)
        assert await one.ended(id_) == "completed"
    again = {"a": "completed"}
    assert seen == [{}, again, again, {"a": "completed", "b": "failed"}, {"a": "completed", "b": "failed"}]


async def test_a_task_that_a_process_lost_and_claimed_itself_is_run_once_at_a_time(database: Database) -> None:
    at_once = most = runs = 0

    async def run(task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        nonlocal at_once, most, runs
        at_once, runs = at_once + 1, runs + 1
        most = max(most, at_once)
        journal.event({"message": "Beginning step a", "stepId": "a", "status": "processing"})
        try:
            await asyncio.sleep(3600 if runs == 1 else 0)
        finally:
            await asyncio.sleep(0.1)  # an end takes its time
            at_once -= 1
        return Outcome("completed")

    async with process(database, run) as one:
        one.work()
        id_ = await one.create()
        await began(one, id_)
        (held,) = await one.store.held()
        await one.store.free([(held.id, held.attempt)], lost=True)
        assert await one.ended(id_) == "completed"
    assert (runs, most) == (2, 1)
