"""Loops go on whatever happens, rest as told, wake when called, and finish what they began."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import pytest

from greenroom.db import Database, open_pool
from greenroom.events import Events
from greenroom.loops import LONGEST_REST, STANDSTILL, Beat, Loops, Role
from greenroom.plugin import Loop

FOREVER = 3600.0


@pytest.fixture
def events(database: Database) -> Events:
    """Not listening: what is published here is heard here at once."""
    return Events(Database(database.pool, direct=None))


@asynccontextmanager
async def running(events: Events, *loops: Loop, roles: tuple[Role, ...] = ("api", "worker")) -> AsyncIterator[Loops]:
    started = Loops(loops, events, roles)
    started.start()
    try:
        async with asyncio.timeout(60):
            yield started
    finally:
        await started.drain(0)


class Steps:
    """A step that counts, and takes its rests (or errors) from a list; after that it rests forever."""

    def __init__(self, *outcomes: float | Exception) -> None:
        self.outcomes = list(outcomes)
        self.count = 0
        self.done = asyncio.Condition()

    async def __call__(self) -> float:
        async with self.done:
            self.count += 1
            self.done.notify_all()
        outcome = self.outcomes.pop(0) if self.outcomes else FOREVER
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def times(self, count: int) -> None:
        """Wait until the step has begun that often."""
        async with self.done:
            await self.done.wait_for(lambda: self.count >= count)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.loops.FIRST_REST", 0.001)


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


async def test_a_step_rests_as_long_as_it_says(events: Events) -> None:
    steps = Steps(0, 0, 0.001)
    async with running(events, Loop("acme", steps)) as loops:
        await steps.times(4)
        await until(lambda: loops.beats()[0].steps == 4)
        (beat,) = loops.beats()
        assert beat.worked is not None
        assert (beat.name, beat.error, beat.busy) == ("acme", None, 0)


async def test_a_topic_ends_the_rest(events: Events) -> None:
    steps = Steps()
    async with running(events, Loop("acme", steps, wakes=("task", "other"))):
        await steps.times(1)
        await events.publish("unrelated")
        await events.publish("other")
        await steps.times(2)
        assert steps.count == 2


async def test_a_loop_lets_go_of_what_its_steps_left_behind_once_none_is_under_way(events: Events) -> None:
    order, begun = list[str](), asyncio.Event()

    async def step() -> float:
        begun.set()
        await asyncio.sleep(0.01)
        order.append("step")
        return FOREVER

    async def close() -> None:
        order.append("close")

    async def broken() -> None:
        raise ValueError("odd")

    loops = Loops([Loop("odd", Steps(), close=broken), Loop("acme", step, close=close)], events)
    loops.start()
    await begun.wait()
    assert await loops.drain(5)
    assert order == ["step", "close"]


async def test_an_event_during_a_step_is_followed_by_another_step(events: Events) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    steps = Steps()

    async def step() -> float:
        begun.set()
        await go_on.wait()
        return await steps()

    async with running(events, Loop("acme", step, wakes=("task",))):
        await begun.wait()
        await events.publish("task")
        go_on.set()
        await steps.times(2)


@pytest.mark.usefixtures("quick")
async def test_a_failing_step_is_tried_again_and_logged_once_with_its_traceback(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    steps = Steps(ValueError("odd"), ValueError("odd"), ValueError("odd"), KeyError("other"))
    async with running(events, Loop("acme", steps)) as loops:
        await until(lambda: loops.beats()[0].failures == 3)
        assert loops.beats()[0].error == "ValueError: odd"
        assert loops.beats()[0].worked is None
        await until(lambda: loops.beats()[0].steps == 1)
        assert loops.beats()[0].error is None
        assert loops.beats()[0].failures == 0
    traced = [record for record in caplog.records if record.exc_info]
    assert [record.levelno for record in traced] == [logging.ERROR] * 2
    assert "the loop acme works again" in caplog.text


async def test_an_event_does_not_hasten_a_failing_step(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.loops.FIRST_REST", FOREVER)
    monkeypatch.setattr("greenroom.loops.LONGEST_REST", FOREVER)
    steps = Steps(ValueError("odd"))
    async with running(events, Loop("acme", steps, wakes=("task",))) as loops:
        await until(lambda: loops.beats()[0].failures == 1)
        await events.publish("task")
        await asyncio.sleep(0.01)
        assert steps.count == 1


def test_the_rest_after_failures_grows_to_half_a_minute_at_most(events: Events) -> None:
    loops = Loops([Loop("acme", Steps())], events)
    (beat,) = loops.beats()
    rests = [loops._failed(beat, ValueError("odd"), failures) for failures in range(1, 40)]
    assert 0.25 <= rests[0] <= 0.5
    assert 2.0 <= rests[3] <= 4.0
    assert all(LONGEST_REST / 2 <= rest <= LONGEST_REST for rest in rests[7:])
    assert len(set(rests)) > 30, "processes do not try in step"


async def test_concurrent_runners_work_at_the_same_time(events: Events) -> None:
    meeting = asyncio.Barrier(3)

    async def step() -> float:
        await meeting.wait()
        return FOREVER

    async with running(events, Loop("acme", step, concurrency=3)) as loops:
        await until(lambda: loops.beats()[0].steps == 3)


async def test_a_process_runs_the_loops_of_its_roles_only(events: Events) -> None:
    loops = [Loop("w", Steps()), Loop("a", Steps(), runs_in="api"), Loop("e", Steps(), runs_in="every")]
    roles: dict[Role, list[str]] = {"worker": ["w", "e"], "api": ["a", "e"]}
    for role, expected in roles.items():
        assert [beat.name for beat in Loops(loops, events, (role,)).beats()] == expected


async def slow_step(begun: asyncio.Event, go_on: asyncio.Event, ended: list[str]) -> float:
    begun.set()
    try:
        await go_on.wait()
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    ended.append("finished")
    return 0


@pytest.mark.parametrize(("seconds", "outcome"), [(10, "finished"), (0.01, "cancelled")])
async def test_draining_finishes_steps_or_cancels_them_in_the_end(events: Events, seconds: float, outcome: str) -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), list[str]()
    resting = Steps()
    async with running(events, Loop("slow", lambda: slow_step(begun, go_on, ended)), Loop("resting", resting)) as loops:
        await begun.wait()
        await resting.times(1)
        draining = asyncio.create_task(loops.drain(seconds))
        await asyncio.sleep(0)
        if outcome == "finished":
            go_on.set()
        assert await draining == (outcome == "finished")
    assert ended == [outcome]
    assert resting.count == 1


@pytest.mark.usefixtures("quick")
async def test_a_lost_database_is_a_failure_like_any_other(events: Events, database: Database) -> None:
    outcomes: list[Callable[[], Awaitable[Any]]] = [unreachable, database.ping]

    async def step() -> float:
        await outcomes.pop(0)()
        return FOREVER

    async with running(events, Loop("acme", step)) as loops:
        await until(lambda: loops.beats()[0].failures == 1)
        assert "ServiceUnavailableError" in str(loops.beats()[0].error)
        await until(lambda: loops.beats()[0].steps == 1)


async def unreachable() -> None:
    async with open_pool({"host": "/nonexistent", "database": "x", "user": "x"}, patience=0):
        raise AssertionError("there is no such server")


def test_two_loops_of_one_name_are_refused(events: Events) -> None:
    with pytest.raises(ValueError, match="same name"):
        Loops([Loop("acme", Steps()), Loop("acme", Steps())], events)


@pytest.mark.parametrize(
    ("failures", "ago", "stands"),
    [
        (0, None, False),
        (2, None, False),
        (3, None, True),
        (9, 0.0, False),
        (9, STANDSTILL + 1, True),
        (0, 86_400.0, False),
    ],
)
def test_a_few_failures_or_a_long_rest_are_no_standstill(failures: int, ago: float | None, stands: bool) -> None:
    worked = None if ago is None else monotonic() - ago
    assert (Beat("steep", worked=worked, failures=failures).standstill() is not None) == stands


async def forever() -> float:
    await asyncio.Event().wait()
    return 0


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.loops.WATCH", 0.01)
    monkeypatch.setattr("greenroom.loops.FIRST_REST", 0.001)


@pytest.mark.usefixtures("watchful")
async def test_a_step_that_hangs_is_told_with_the_line_where_it_waits_and_then_tried_again(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[Callable[[], Awaitable[float]]] = [forever, Steps()]

    async def step() -> float:
        return await steps.pop(0)()

    async with running(events, Loop("acme", step, longest=0.1)) as loops:
        await until(lambda: bool(list(loops.ails())))
        ((name, reason),) = loops.ails()
        assert name == "acme"
        assert re.fullmatch(r"The loop acme has been at one step for \d+ s", reason)
        await until(lambda: loops.beats()[0].steps == 1)
        assert not list(loops.ails())
    assert re.search(r"the loop acme has been at one step for \d+ s", caplog.text)
    assert "await asyncio.Event().wait()" in caplog.text
    assert "HungError: A step was not done within 0.2 s" in caplog.text


@pytest.mark.usefixtures("watchful")
async def test_a_loop_that_may_take_any_time_does(events: Events) -> None:
    async with running(events, Loop("acme", forever, longest=None)) as loops:
        await asyncio.sleep(0.05)
        assert not list(loops.ails())


@pytest.mark.usefixtures("quick")
async def test_a_step_that_is_cancelled_by_somebody_else_does_not_end_the_loop(events: Events) -> None:
    outcomes = [asyncio.CancelledError(), None]

    async def step() -> float:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        return FOREVER

    async with running(events, Loop("acme", step)) as loops:
        await until(lambda: loops.beats()[0].steps == 1)


@pytest.mark.usefixtures("watchful")
async def test_a_loop_that_was_ended_is_told_and_begun_again(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    steps, told = Steps(), list[tuple[str, str]]()
    async with running(events, Loop("acme", steps)) as loops:
        await steps.times(1)
        task = loops._runners[0].task
        assert task is not None
        task.add_done_callback(lambda _: told.extend(loops.ails()))  # before the watch can have begun it again
        task.cancel()
        await asyncio.wait([task])
        assert told == [("acme", "The loop acme has ended")]
        await steps.times(2)
        await until(lambda: not list(loops.ails()))
    assert "the loop acme had ended, and is begun again" in caplog.text


async def test_a_step_that_does_not_heed_its_end_does_not_keep_the_process(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.loops.GRACE", 0.01)
    begun, free = asyncio.Event(), asyncio.Event()

    async def deaf() -> float:
        begun.set()
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()
        return FOREVER

    loops = Loops([Loop("acme", deaf)], events)
    loops.start()
    await begun.wait()
    async with asyncio.timeout(60):
        assert not await loops.drain(0)
    free.set()
