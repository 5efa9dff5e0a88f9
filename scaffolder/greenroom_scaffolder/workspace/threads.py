"""Work that blocks -> the same in a thread, which nobody who is cancelled leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from greenroom_scaffolder.workspace.removal import delete

T = TypeVar("T")


@asynccontextmanager
async def folder_for(what: str) -> AsyncIterator[Path]:
    """An empty folder, in no workspace, for as long as the context lasts. To delete what it holds may take long, and is
    done in a thread, however deep it is."""
    made = await in_thread(lambda: Path(mkdtemp(prefix=f"greenroom-{what}-")).resolve())
    try:
        yield made
    finally:
        await in_thread(lambda: delete(made))


async def in_thread(work: Callable[[], T]) -> T:
    """Call it in a thread. Who is cancelled waits for its end: nothing shall write behind a step's back."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at; the cancellation is what counts
        raise
