"""Work that blocks -> the same in a thread, which nobody who is cancelled leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

from greenroom_scaffolder.workspace.removal import delete

T = TypeVar("T")

MOST_LEFT = 500
"""Calls of one pool that go on without a place: each has a thread, and its memory, until the process ends."""

_THREADS: ContextVar[Threads | None] = ContextVar("greenroom_task_threads", default=None)


class Threads:
    """So many places for calls, in threads of their own. A call that goes on though it was told to end keeps its thread, since
    nobody can stop that, but not its place: others would wait for it forever."""

    def __init__(self, places: int, name: str, grace: float) -> None:
        """`grace`: seconds for a call to end once it is told to."""
        self._free = asyncio.Semaphore(places)
        self._threads = ThreadPoolExecutor(places + MOST_LEFT, name)
        self._grace = grace
        self._left: set[asyncio.Future[Any]] = set()

    @property
    def left(self) -> int:
        """How many calls go on without a place."""
        return len(self._left)

    async def begin(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Begin it, once there is a place. Who is cancelled until then has begun nothing."""
        await self._free.acquire()
        try:
            running = asyncio.wrap_future(self._threads.submit(call))
        except RuntimeError:  # the system has no more threads
            self._free.release()
            raise
        running.add_done_callback(self._ended)
        return running

    def told_to_end(self, running: asyncio.Future[Any]) -> None:
        """Nobody needs any more what it comes to."""
        leaving = asyncio.get_running_loop().call_later(self._grace, self._leave, running)
        running.add_done_callback(lambda _: leaving.cancel())

    def _leave(self, running: asyncio.Future[Any]) -> None:
        if not running.done() and len(self._left) < MOST_LEFT:
            self._left.add(running)
            self._free.release()

    def _ended(self, running: asyncio.Future[Any]) -> None:
        if running in self._left:
            self._left.remove(running)
        else:
            self._free.release()


@asynccontextmanager
async def folder_beside(workspace: Path, what: str) -> AsyncIterator[Path]:
    """An empty folder for as long as the context lasts. Its name begins as that of the workspace: what a killed process leaves of
    it is swept away with that. To delete it may take long, and is done in a thread, however deep it is."""
    made = await in_thread(lambda: Path(mkdtemp(prefix=f"{workspace.name}.{what}-", dir=workspace.parent)).resolve())
    try:
        yield made
    finally:
        await in_thread(lambda: delete(made))


@contextmanager
def working_in(threads: Threads) -> Iterator[None]:
    """Whatever is done `in_thread` for the block, and by tasks that it starts, is done in these threads. What tasks of templates do
    may take long: the other threads of the process, which look up names and process the catalog, are not theirs to fill."""
    before = _THREADS.set(threads)
    try:
        yield
    finally:
        _THREADS.reset(before)


async def aside(passing: bool, work: Callable[[], T]) -> T:
    """Do what nobody notices in passing, and all else in a thread."""
    return work() if passing else await in_thread(work)


async def in_thread(work: Callable[[], T]) -> T:
    """Call it in a thread. Who is cancelled waits for its end, if it has begun: nothing shall write behind a step's back."""
    call = partial(copy_context().run, work)
    threads = _THREADS.get()
    running = await (threads.begin(call) if threads else _begin(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if threads:
            threads.told_to_end(running)
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at; the cancellation is what counts
        raise


async def _begin(call: Callable[[], T]) -> asyncio.Future[T]:
    """In the threads that all of the process shares."""
    return asyncio.get_running_loop().run_in_executor(None, call)
