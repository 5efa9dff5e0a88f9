"""What blocks is done in threads, so many at a time, and nobody waits for what never ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from greenroom_scaffolder.workspace import threads
from greenroom_scaffolder.workspace.threads import Threads, in_thread, working_in

PATIENCE = 120.0


@pytest.fixture
def free() -> Iterator[threading.Event]:
    """What hangs in a thread hangs until this is set; at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


async def begun(pool: Threads, work: Callable[[], object]) -> asyncio.Task[object]:
    """A call whose thread is at it."""
    loop, at_it = asyncio.get_running_loop(), asyncio.Event()

    def doing() -> object:
        loop.call_soon_threadsafe(at_it.set)
        return work()

    with working_in(pool):
        call: asyncio.Task[object] = asyncio.create_task(in_thread(doing))
    await at_it.wait()
    return call


async def test_who_is_cancelled_while_it_waits_for_a_place_has_begun_nothing(free: threading.Event) -> None:
    pool, done = Threads(1, "one", 15.0), list[str]()
    async with asyncio.timeout(PATIENCE):
        first = await begun(pool, free.wait)
        with working_in(pool):
            second, third = (asyncio.create_task(in_thread(partial(done.append, name))) for name in ("second", "third"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        free.set()
        await asyncio.gather(first, third)
    assert done == ["third"]


async def test_who_is_cancelled_waits_for_the_end_of_what_has_begun(tmp_path: Path, free: threading.Event) -> None:
    pool, written = Threads(1, "one", 15.0), tmp_path / "a.txt"

    def write() -> None:
        free.wait()
        written.write_text("")

    async with asyncio.timeout(PATIENCE):
        call = await begun(pool, write)
        call.cancel()
        await asyncio.sleep(0)
        free.set()
        await asyncio.wait([call])
    assert call.cancelled()
    assert written.exists()
    assert pool.left == 0


async def test_no_more_calls_go_on_without_a_place_than_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, free: threading.Event
) -> None:
    monkeypatch.setattr(threads, "MOST_LEFT", 2)
    pool = Threads(1, "one", 0.0)
    async with asyncio.timeout(PATIENCE):
        calls = []
        for _ in range(3):
            calls.append(await begun(pool, free.wait))
            calls[-1].cancel()
        with working_in(pool):
            last = asyncio.create_task(in_thread(lambda: "done"))
        await asyncio.sleep(0.05)
        assert (pool.left, last.done()) == (2, False)
        free.set()
        await asyncio.wait(calls)
        assert await last == "done"
    assert pool.left == 0
