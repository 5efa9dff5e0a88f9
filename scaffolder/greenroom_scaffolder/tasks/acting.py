"""One call of an action -> its answer. It can be told to end; what does not heed that is left behind, and nobody waits for it.

Whatever it raises is an Exception where it is looked at: only who runs tasks is asked to end by anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
        """Of one that has ended by itself. Raises what it raised, see `contained`."""
        answer: T
        with contained():
            answer, error = self.job.result()
            if error is not None:
                raise error
        return answer

    async def end(self, grace: float) -> None:
        """Tell it to end, and wait for that, but not forever: see `done`."""
        self.job.cancel()
        await asyncio.wait([self.job], timeout=grace)


class OddError(Exception):
    """What was raised is no Exception. It goes by the same name, and ends no more than any other error does"""


@contextmanager
def contained() -> Iterator[None]:
    """What is raised in the block by others than us is raised as an Exception: SystemExit and KeyboardInterrupt would end the
    process, what a library has of its own whoever waits for it, and CancelledError the run, for good. Who is asked to end, does."""
    try:
        yield
    except Exception:
        raise
    except asyncio.CancelledError as error:
        if _asked_to_end():
            raise
        raise GreenroomError("What the step called was cancelled from within") from error
    except BaseException as error:
        raise type(type(error).__name__, (OddError,), {})(str(error)) from error


def _asked_to_end() -> bool:
    """Nobody asks a thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


async def _told(work: Callable[[], Awaitable[T]]) -> tuple[Any, BaseException | None]:
    """What it came to: a task that raises SystemExit or KeyboardInterrupt would end the process."""
    try:
        return await work(), None
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - `answer` raises it
        return None, error
