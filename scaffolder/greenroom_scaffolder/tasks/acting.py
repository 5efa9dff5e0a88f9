"""One call of an action -> its answer. It can be told to end; what does not heed that is left behind, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from greenroom.errors import GreenroomError

T = TypeVar("T")

GRACE = 15.0
"""Seconds for an action to end once it is told to. A program that it runs may take five of them (`programs.GRACE`)."""


class Act(Generic[T]):
    """A call under way, in a task of its own: who awaits a coroutine cannot turn away from it."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self.job = asyncio.ensure_future(_told(work))
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.job.add_done_callback(self.stop)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.job.done()

    def stop(self, *_job: object) -> None:
        """`over` is not to wait any longer."""
        if not self._over.done():
            self._over.set_result(None)

    async def over(self, seconds: float | None) -> None:
        """Wait until it has ended, but no longer than so, and no longer than until somebody calls `stop`."""
        if seconds is None:
            await self._over
        else:
            await asyncio.wait([self._over], timeout=seconds)

    def answer(self) -> T:
        """Of one that has ended by itself. Raises what it raised."""
        if self.job.cancelled():
            raise GreenroomError("The action was cancelled from within")
        answer: T
        answer, error = self.job.result()
        if error is not None:
            raise error
        return answer

    async def end(self, grace: float) -> None:
        """Tell it to end, and wait for that, but not forever: see `done`."""
        self.job.cancel()
        await asyncio.wait([self.job], timeout=grace)


async def _told(work: Callable[[], Awaitable[T]]) -> tuple[Any, BaseException | None]:
    """What it came to: a task that raises SystemExit would end the process."""
    try:
        return await work(), None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - `answer` raises it
        return None, error
