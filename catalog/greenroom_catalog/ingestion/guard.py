"""Calls of foreign code, held within bounds: so long, so many at a time, and for a while not at all once it keeps hanging."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from time import perf_counter
from typing import Any, Generic, TypeVar

from greenroom.errors import GreenroomError, describe

PATIENCE = timedelta(seconds=30)
"""For one call, unless the config says otherwise."""
AT_ONCE = 16
"""Calls under way at the same time, of one plugin's hooks."""
ENOUGH = 16
"""Hung calls in a row after which no more are begun."""
PAUSE = 60.0
"""Seconds until they are begun again."""
BLOCKING = 0.25
"""Seconds without letting go of the event loop that are worth a warning: all else stands still meanwhile."""

T = TypeVar("T")


class HungError(GreenroomError):
    """The call took too long"""


class Guard:
    """Makes the calls of one contribution. `name` is told in errors and in the log."""

    def __init__(self, name: str, log: logging.Logger, patience: timedelta | None = None) -> None:
        self.name = name
        self._log = log
        self._patience = (patience or PATIENCE).total_seconds()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._left: set[asyncio.Future[Any]] = set()
        self._hung = 0
        self._hung_at = 0.0

    async def call(self, hook: Callable[[], Awaitable[T]]) -> T:
        """What the hook returns or raises, in a task of its own. Raises HungError in due time, whatever the hook does but
        block the event loop."""
        async with self._slots:
            self._let_down()
            task = asyncio.ensure_future(self._run(hook))
            try:
                done, _ = await asyncio.wait([task], timeout=self._patience)
            except asyncio.CancelledError:
                task.cancel()
                raise
            if not done:
                self._give_up(task)
                raise HungError(f"It did not return within {self._patience:g} s")
        self._hung = 0
        if task.cancelled():
            raise GreenroomError("It was cancelled")
        return task.result()

    async def _run(self, hook: Callable[[], Awaitable[T]]) -> T:
        return await _Watched(hook(), self._blocked)

    def _let_down(self) -> None:
        rest = self._hung_at + PAUSE - perf_counter()
        if self._hung >= ENOUGH and rest > 0:
            raise HungError(
                f"It did not return {self._hung} times in a row, and is not called for another {rest:.0f} s"
            )

    def _give_up(self, task: asyncio.Future[Any]) -> None:
        """Leave the call alone; one that does not heed its cancellation must not be waited for."""
        self._hung, self._hung_at = self._hung + 1, perf_counter()
        self._left.add(task)
        task.add_done_callback(self._forget)
        task.cancel()
        self._log.warning("%s did not return within %g s", self.name, self._patience)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._left.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.warning("%s raised after its time was over: %s", self.name, describe(error))

    def _blocked(self, seconds: float) -> None:
        self._log.warning("%s blocked the server for %.2f s: it should await, or use a thread", self.name, seconds)


class _Watched(Generic[T]):
    """An awaitable that is the given one, step by step, so that a step that blocks is noticed."""

    def __init__(self, awaitable: Awaitable[T], blocked: Callable[[float], None]) -> None:
        self._awaitable = awaitable
        self._blocked = blocked

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaitable.__await__()
        resume: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            began = perf_counter()
            try:
                waited_for = resume()
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            finally:
                if (seconds := perf_counter() - began) > BLOCKING:
                    self._blocked(seconds)
            try:
                yield waited_for
                resume = lambda: next(steps)  # noqa: E731
            except BaseException as error:  # noqa: BLE001 - it is the awaitable's to handle
                resume = _thrower(steps, error)


def _thrower(steps: Generator[Any, Any, T], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)
