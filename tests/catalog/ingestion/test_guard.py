"""Foreign code within bounds: what a plugin that hangs, blocks or raises may cost everybody else."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion import guard as module
from greenroom_catalog.ingestion.guard import AT_ONCE, ENOUGH, Alarm, BlockedError, Guard, HungError

SHORT = timedelta(milliseconds=30)


@pytest.fixture
def guard() -> Guard:
    return Guard("Processor acme", logging.getLogger("greenroom.catalog"), SHORT)


@pytest.fixture
def patient() -> Guard:
    """Which waits for who does return, however slow the machine."""
    return Guard("Processor acme", logging.getLogger("greenroom.catalog"), timedelta(minutes=1))


async def well() -> str:
    await asyncio.sleep(0)
    return "done"


async def hang() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_what_the_hook_returns_and_raises_is_the_callers(patient: Guard) -> None:
    async def raising() -> str:
        raise ValueError("no")

    assert await patient.call(well) == "done"
    with pytest.raises(ValueError, match="no"):
        await patient.call(raising)


async def test_a_hook_that_hangs_is_given_up_and_named(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HungError, match=r"did not return within 0\.03 s"):
        await guard.call(hang)
    assert "Processor acme did not return" in caplog.text


async def test_a_hook_that_does_not_heed_its_cancellation_is_not_waited_for(guard: Guard) -> None:
    end = asyncio.Event()

    async def stubborn() -> None:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(60):
        with pytest.raises(HungError):
            await guard.call(stubborn)
    end.set()
    await asyncio.sleep(0)


async def test_a_hook_that_cancels_itself_has_failed_and_nothing_else_is_cancelled(patient: Guard) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(GreenroomError, match="cancelled"):
        await patient.call(cancelled)


async def test_a_hook_is_cancelled_with_whoever_asked(guard: Guard) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def noticing() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(Guard("x", logging.getLogger("x")).call(noticing))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        await ended.wait()


async def test_timeouts_of_the_hooks_own_work_as_anywhere(patient: Guard) -> None:
    async def awaiting() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    assert await patient.call(awaiting) == "timed out"


async def test_only_so_many_calls_are_under_way_at_a_time() -> None:
    guard, going, most, gate = Guard("x", logging.getLogger("x")), 0, 0, asyncio.Event()

    async def counted() -> None:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await gate.wait()
        going -= 1

    calls = [asyncio.create_task(guard.call(counted)) for _ in range(AT_ONCE + 5)]
    while going < AT_ONCE:
        await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*calls)
    assert most == AT_ONCE


async def test_a_hook_that_keeps_hanging_is_not_called_for_a_while_and_then_again(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = await asyncio.gather(*(guard.call(hang) for _ in range(ENOUGH)), return_exceptions=True)
    assert all(isinstance(result, HungError) for result in results)
    called = 0

    async def counted() -> str:
        nonlocal called
        called += 1
        return await well()

    with pytest.raises(HungError, match=f"{ENOUGH} times in a row, and is not called for another"):
        await guard.call(counted)
    assert not called
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(guard, "_patience", 60.0)
    assert await guard.call(counted) == "done"


async def test_one_good_call_between_makes_up_for_the_hung_ones(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        await asyncio.gather(*(guard.call(hang) for _ in range(ENOUGH - 1)), return_exceptions=True)
        with monkeypatch.context() as patch:
            patch.setattr(guard, "_patience", 60.0)
            assert await guard.call(well) == "done"


async def test_a_hook_that_blocks_the_server_is_named_in_the_log(
    patient: Guard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCKING", 0.005)

    async def blocking() -> None:
        await asyncio.sleep(0)
        time.sleep(0.01)  # noqa: ASYNC251 - what it is about

    await patient.call(blocking)
    assert re.search(r"Processor acme blocked the server for \d+\.\d\d s", caplog.text)


# --- what never lets go of the event loop ----------------------------------------------------------------------------


def _compute() -> None:
    while True:
        pass


def _stubborn() -> None:
    while True:
        try:
            time.sleep(1000)
        except Exception:  # noqa: BLE001, S112 - as some do
            continue


BLOCKING_CALLS: dict[str, Callable[[], object]] = {
    "computing": _compute,
    "sleeping": lambda: time.sleep(1000),
    "swallowing": _stubborn,
    "matching": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "waiting": lambda: threading.Event().wait(1000),
}


@pytest.mark.parametrize("case", BLOCKING_CALLS)
@pytest.mark.parametrize("at_once", [True, False], ids=["before it awaits", "after it awaited"])
async def test_a_hook_that_blocks_for_ever_is_ended_and_not_called_for_a_while(
    guard: Guard, case: str, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK", 0.05)

    async def awaiting() -> None:
        await asyncio.sleep(0)
        BLOCKING_CALLS[case]()

    def blocking() -> Awaitable[None]:
        BLOCKING_CALLS[case]()
        return awaiting()

    began = time.perf_counter()
    with pytest.raises(BlockedError, match=r"did not return control to the server within 0\.05 s"):
        await guard.call(blocking if at_once else awaiting)
    assert time.perf_counter() - began < 60, "and not only after a thousand seconds"
    with pytest.raises(HungError, match="It did not return control to the server, and is not called for another"):
        await guard.call(well)


async def test_an_alarm_that_was_not_needed_never_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    with Alarm(0.05):
        pass
    time.sleep(0.1)  # noqa: ASYNC251 - past the alarm
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


async def test_an_alarm_of_somebody_else_is_left_alone() -> None:
    rung: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        with Alarm(0.05):
            time.sleep(0.1)  # noqa: ASYNC251 - past the alarm
        assert not rung
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


async def test_in_another_thread_there_is_no_alarm() -> None:
    def slow() -> str:
        with Alarm(0.05):
            time.sleep(0.1)
        return "done"

    assert await asyncio.to_thread(slow) == "done"
