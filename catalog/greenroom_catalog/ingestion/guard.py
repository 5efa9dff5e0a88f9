"""Calls of foreign code, held within bounds: so long, so many at a time, and for a while not at all once it keeps hanging."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from functools import partial
from time import perf_counter
from types import FrameType, TracebackType
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
STUCK = 5.0
"""Seconds of that after which the call is ended."""
AGAIN = 1.0
"""Seconds until what ignores it is ended once more."""

T = TypeVar("T")


class HungError(GreenroomError):
    """The call took too long"""


class BlockedError(HungError):
    """The call did not let go of the event loop"""


class _Enough(BaseException):
    """Ends whatever is going on; no `except Exception` stops it."""


class Alarm:
    """A block of code that is ended when it has taken too long, whatever it is doing: computing, matching, sleeping, waiting.

    It cannot be helped where signals are not ours: outside the main thread, on Windows, where somebody else uses SIGALRM."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_set = False

    def __enter__(self) -> None:
        if self._is_possible():
            self._is_set = True
            signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Raises BlockedError in place of what ended the block."""
        if self._is_set:
            self._is_set = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if isinstance(error, _Enough):
            raise BlockedError(f"It did not return control to the server within {self._seconds:g} s") from None

    def _is_possible(self) -> bool:
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            return False
        return signal.getsignal(signal.SIGALRM) is signal.SIG_DFL

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._is_set:
            raise _Enough


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
        self._why = ""

    async def call(self, hook: Callable[[], Awaitable[T]]) -> T:
        """What the hook returns or raises, in a task of its own. Raises HungError in due time, whatever the hook does."""
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
        if task.cancelled():
            raise GreenroomError("It was cancelled")
        if isinstance(task.exception(), BlockedError):
            self._hung, self._hung_at, self._why = ENOUGH, perf_counter(), "It did not return control to the server"
        else:
            self._hung = 0
        return task.result()

    async def _run(self, hook: Callable[[], Awaitable[T]]) -> T:
        return await Watched(hook, self._blocked)

    def _let_down(self) -> None:
        rest = self._hung_at + PAUSE - perf_counter()
        if self._hung >= ENOUGH and rest > 0:
            raise HungError(f"{self._why}, and is not called for another {rest:.0f} s")

    def _give_up(self, task: asyncio.Future[Any]) -> None:
        """Leave the call alone; one that does not heed its cancellation must not be waited for."""
        self._hung, self._hung_at = self._hung + 1, perf_counter()
        self._why = f"It did not return {self._hung} times in a row"
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


class Watched(Generic[T]):
    """An awaitable that does what a hook does, step by step, so that a step that blocks is noticed, and in the end stopped."""

    def __init__(
        self, hook: Callable[[], Awaitable[T]], blocked: Callable[[float], None], stuck: float | None = None
    ) -> None:
        """`blocked` is told how many seconds; after `stuck` of them (default: STUCK) the step is ended."""
        self._hook = hook
        self._blocked = blocked
        self._stuck = stuck

    def __await__(self) -> Generator[Any, Any, T]:
        steps: Generator[Any, Any, T] | None = None
        resume: Callable[[Generator[Any, Any, T]], Any] = next
        while True:
            began = perf_counter()
            try:
                with Alarm(self._stuck or STUCK):
                    steps = self._hook().__await__() if steps is None else steps
                    waited_for = resume(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            finally:
                if (seconds := perf_counter() - began) > BLOCKING:
                    self._blocked(seconds)
            try:
                yield waited_for
                resume = next
            except BaseException as error:  # noqa: BLE001 - it is the awaitable's to handle
                resume = partial(_throw, error)


def _throw(error: BaseException, steps: Generator[Any, Any, T]) -> Any:
    return steps.throw(error)
