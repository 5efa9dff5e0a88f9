"""Single refs, asked for by many at once -> few queries: what one turn of the event loop brings goes to the database together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from greenroom_catalog.query.shared import answer_with, fails_for_all

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]

Waiting = list[tuple[str, "asyncio.Future[bytes | None]"]]

MOST = 100
"""Refs of one query."""


class Lookups:
    """Documents by ref. A lookup of its own costs more than the rest of the request; ten at once cost little more than one."""

    def __init__(self, read: Read) -> None:
        """`read` answers the documents of those refs that there are."""
        self._read = read
        self._waiting: Waiting = []
        self._reading: set[asyncio.Task[None]] = set()

    async def find(self, ref: str) -> bytes | None:
        """The document of that ref. Raises what `read` raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._go)
        self._waiting.append((ref, answer))
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST):
            task = asyncio.create_task(self._answer(waiting[start : start + MOST]))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def _answer(self, waiting: Waiting) -> None:
        with fails_for_all(answer for _, answer in waiting):
            found = await self._read([ref for ref, _ in waiting])
            for ref, answer in waiting:
                answer_with(answer, found.get(ref))
