"""Work that blocks -> the same in a thread, which nobody who is cancelled leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


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
