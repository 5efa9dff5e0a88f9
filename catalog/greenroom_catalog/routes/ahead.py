"""Chunks of documents as they are asked for, the next ones read already while somebody is busy with one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

from greenroom_catalog.query.streams import Readings

Chunks = AsyncGenerator[bytes, None]
"""Documents with commas between them, never none; closed when no more are wanted."""

Joined = Callable[[Sequence[bytes]], bytes]
"""Runs of documents -> all of them with commas between them, maybe cut down to some fields."""

WHOLE: Joined = b",".join

READ_AHEAD = 16
"""Chunks that are read before they are wanted, of all streams. They are memory, however slow the reader."""

EACH_AHEAD = 2
"""Of one stream. The second is for a stream that is nearly alone."""

READ_AT_ONCE = 3
"""Chunks that are being read at a time: streams take turns, and leave the rest of the database's connections to others."""


class Ahead:
    """What all streams may read before it is wanted, and their turns."""

    def __init__(self, most: int = READ_AHEAD, at_once: int = READ_AT_ONCE) -> None:
        self._most = self._free = most
        self._turns = asyncio.Semaphore(at_once)

    async def __call__(self, readings: Readings, joined: Joined = WHOLE) -> Chunks:
        """The chunks, joined, and read ahead unless that is done for enough others."""
        asking = asyncio.Lock()
        coming: deque[asyncio.Task[bytes | None]] = deque()

        async def following() -> bytes | None:
            async with self._turns:
                async with asking:  # whose turn came first gets the first
                    reading = await anext(readings, None)
                runs = None if reading is None else await reading()
            return None if runs is None else joined(runs)

        try:
            while True:
                chunk = await (coming[0] if coming else following())
                if coming:
                    coming.popleft()
                    self._free += 1
                if chunk is None:
                    return
                while self._more_than(len(coming)):
                    self._free -= 1
                    coming.append(asyncio.create_task(following()))
                held = [chunk]
                del chunk  # whoever it is for may take an hour over it
                if held[0]:  # not all of it was gone
                    yield held.pop()
        finally:
            await self._leave(coming)
            await readings.aclose()

    def _more_than(self, coming: int) -> bool:
        """Whether a stream that has so many chunks ahead may read another one."""
        if not coming:
            return self._free > 0
        return coming < EACH_AHEAD and self._free > self._most // 2 and not self._turns.locked()

    async def _leave(self, coming: deque[asyncio.Task[bytes | None]]) -> None:
        self._free += len(coming)
        for task in coming:
            task.cancel()
        if coming:
            await asyncio.wait(coming)
        for task in coming:
            _ = task.cancelled() or task.exception()  # what became of it concerns nobody any more
