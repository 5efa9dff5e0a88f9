"""Work that blocks -> the same in a thread, which nobody who is cancelled leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from greenroom_scaffolder.workspace.removal import delete

T = TypeVar("T")

_THREADS: ContextVar[Executor | None] = ContextVar("greenroom_task_threads", default=None)


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
def working_in(threads: Executor) -> Iterator[None]:
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
    begun = threads.submit(call) if threads else None
    running = asyncio.wrap_future(begun) if begun else asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if begun is None or not begun.cancel():
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # looked at; the cancellation is what counts
        raise
