"""What has changed since? Asked by many at once -> few queries: one at a time, for all who came until it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from greenroom_catalog.query.shared import answer_with, fails_for_all


class Seen(NamedTuple):
    """Where something was read: a snapshot of the database, and the generation of the log of changes then."""

    snapshot: str
    generation: str


class Look(NamedTuple):
    """Changes of what is served, up to the snapshot `now`: MOST + 1 if there are more, -1 if nobody knows."""

    changes: int
    now: str


Read = Callable[[Sequence[Seen]], Awaitable[Sequence[Look]]]

Waiting = dict[Seen, list["asyncio.Future[Look]"]]


class Looks:
    """Looks into the log of changes. Nobody gets an answer from before he asked: whoever has written sees it."""

    def __init__(self, read: Read) -> None:
        """`read` looks, for each of some snapshots."""
        self._read = read
        self._waiting: Waiting = {}
        self._busy: asyncio.Task[None] | None = None

    async def since(self, seen: Seen) -> Look:
        """What has changed since then. Raises what `read` raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Look] = loop.create_future()
        if not self._waiting and self._busy is None:
            loop.call_soon(self._go)  # once others of this turn have asked too
        self._waiting.setdefault(seen, []).append(answer)
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._busy = asyncio.create_task(self._look(waiting))
        self._busy.add_done_callback(self._done)

    def _done(self, looked: asyncio.Task[None]) -> None:
        self._busy = None
        if self._waiting:
            self._go()

    async def _look(self, waiting: Waiting) -> None:
        with fails_for_all(answer for answers in waiting.values() for answer in answers):
            looks = await self._read(list(waiting))
            for answers, look in zip(waiting.values(), looks, strict=True):
                for answer in answers:
                    answer_with(answer, look)
