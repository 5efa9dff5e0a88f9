"""Runs the loops of the parts for as long as the process lives: rests, wakes, backs off, counts, watches, and stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Literal

import msgspec

from greenroom.errors import GreenroomError
from greenroom.events import Events, Waiter
from greenroom.plugin import Loop

log = logging.getLogger(__name__)

Role = Literal["api", "worker"]

FIRST_REST = 0.5
LONGEST_REST = 30.0
FAILURES_TOLERATED = 3
STANDSTILL = 15.0
"""Seconds. A loop that has failed this often in a row stands still, unless it did work within this time."""
GRACE = 5.0
"""Seconds for a step to end once it is cancelled; what does not heed that is left behind."""
WATCH = 2.0
"""Seconds between two looks at whether all loops still turn."""


class HungError(GreenroomError):
    """A step did not end"""


class Beat(msgspec.Struct):
    """How a loop is doing; of a loop with several runners, all of them together."""

    name: str
    worked: float | None = None
    """When a step last went well, by the monotonic clock."""
    steps: int = 0
    """How many did, in this process."""
    error: str | None = None
    """The last error, None once a step has gone well again."""
    failures: int = 0
    """Failed steps in a row."""
    busy: int = 0
    """Steps under way."""

    def standstill(self) -> str | None:
        """Why the loop has come to nothing for a while, None when it has not."""
        if self.failures < FAILURES_TOLERATED or (self.worked is not None and monotonic() - self.worked < STANDSTILL):
            return None
        return f"The loop {self.name} has failed {self.failures} times in a row: {self.error}"


class Runner:
    """One of those that turn a loop: its task, and since when it has been at its step (monotonic; None: it rests)."""

    def __init__(self, loop: Loop, name: str, waiter: Waiter) -> None:
        self.loop, self.name, self.waiter = loop, name, waiter
        self.task: asyncio.Task[None] | None = None
        self.since: float | None = None
        self.told = False

    @property
    def overdue(self) -> float | None:
        """For how many seconds it has been at a step that is taken for hung."""
        if self.since is None or self.loop.longest is None:
            return None
        seconds = monotonic() - self.since
        return seconds if seconds > self.loop.longest else None


class Loops:
    """Supervises loops. A step that raises is tried again after a rest that doubles from half a second to 30 s."""

    def __init__(self, loops: Iterable[Loop], events: Events, roles: Collection[Role] = ("api", "worker")) -> None:
        """`roles` are those of this process; a loop with `runs_in="every"` runs in any."""
        self.loops = [loop for loop in loops if loop.runs_in == "every" or loop.runs_in in roles]
        self.events = events
        self._beats = {loop.name: Beat(loop.name) for loop in self.loops}
        if len(self._beats) < len(self.loops):
            raise ValueError("two loops have the same name")
        self._runners: list[Runner] = []
        self._watch: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._draining: asyncio.Task[bool] | None = None

    def start(self) -> None:
        """Begin all loops in the running event loop."""
        for loop in self.loops:
            for number in range(loop.concurrency):
                runner = Runner(loop, f"loop-{loop.name}-{number + 1}", self.events.waiter(*loop.wakes))
                self._runners.append(runner)
                self._set_going(runner)
        self._watch = asyncio.create_task(self._watching(), name="loops-watch")

    def _set_going(self, runner: Runner) -> None:
        runner.since, runner.told = None, False
        runner.task = asyncio.create_task(self._run(runner), name=runner.name)

    def beats(self) -> list[Beat]:
        """How each loop of this process is doing."""
        return list(self._beats.values())

    def ails(self) -> Iterator[tuple[str, str]]:
        """The loops that do not work, by name and with what is wrong: they fail again and again, hang, or have ended."""
        for beat in self.beats():
            if reason := beat.standstill():
                yield beat.name, reason
        for runner in self._runners:
            if (seconds := runner.overdue) is not None:
                yield runner.loop.name, f"The loop {runner.loop.name} has been at one step for {seconds:.0f} s"
            elif runner.task is not None and runner.task.done() and not self._stop.is_set():
                yield runner.loop.name, f"The loop {runner.loop.name} has ended"
        if self._watch is not None and self._watch.done() and not self._stop.is_set():
            yield "watch", "Nobody watches the loops any more"

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 (what takes longer is cancelled here, not the caller)
        """Begin no more steps; wait that many seconds for those under way, then cancel them, and close. Says whether none was.

        Who calls it again waits for the same."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(timeout), name="loops-drain")
        return await asyncio.shield(self._draining)

    def hurry(self) -> None:
        """Wait for no step any more."""
        self._hurry.set()

    async def _drain(self, timeout: float) -> bool:  # noqa: ASYNC109
        self._stop.set()
        for runner in self._runners:
            runner.waiter.wake()
        tasks = [runner.task for runner in self._runners if runner.task is not None]
        hurried = asyncio.create_task(self._hurry.wait())
        waiting = {*tasks, hurried}
        until = monotonic() + timeout
        while len(waiting) > 1 and hurried in waiting and (left := until - monotonic()) > 0:
            _, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        running = [task for task in tasks if not task.done()]
        for task in running:
            log.warning("%s did not finish its step in time, and is cancelled", task.get_name())
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=GRACE)
        await self._end_watch()
        for runner in self._runners:
            runner.waiter.close()
        for loop in self.loops:
            await _close(loop)
        return not running

    async def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def _run(self, runner: Runner) -> None:
        beat, waiter = self._beats[runner.loop.name], runner.waiter
        failures = 0
        while not self._stop.is_set():
            waiter.clear()
            if self._stop.is_set():  # it may have been the drain's wake that was cleared
                return
            try:
                rest = await self._step(runner, beat)
            except Exception as error:  # noqa: BLE001 (a loop never ends: whatever it is, it is logged and tried again)
                failures += 1
                rest = self._failed(beat, error, failures)
                await self._back_off(rest)
                continue
            failures = 0
            _succeeded(beat)
            if rest > 0:
                await waiter.wait(rest)
            else:
                await asyncio.sleep(0)

    async def _step(self, runner: Runner, beat: Beat) -> float:
        """Raises HungError, and whatever the step does; but CancelledError only when it is this runner that is cancelled."""
        longest = runner.loop.longest
        limit = asyncio.timeout(None if longest is None else 2 * longest)
        beat.busy += 1
        runner.since, runner.told = monotonic(), False
        try:
            async with limit:
                return await runner.loop.step()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise HungError(f"A step was not done within {2 * (longest or 0):g} s") from error
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            raise HungError("A step was cancelled") from error
        finally:
            beat.busy -= 1
            runner.since = None

    async def _watching(self) -> None:
        """Tell of steps that hang, once each, with where; and set going again what has ended, which nothing should."""
        while True:
            await asyncio.sleep(WATCH)
            for runner in self._runners:
                if (seconds := runner.overdue) is not None and not runner.told:
                    runner.told = True
                    where = "".join(_where(runner.task))
                    log.error("the loop %s has been at one step for %.0f s:\n%s", runner.loop.name, seconds, where)
                if runner.task is not None and runner.task.done() and not self._stop.is_set():
                    self._restart(runner, runner.task)

    def _restart(self, runner: Runner, ended: asyncio.Task[None]) -> None:
        error = None if ended.cancelled() else ended.exception()
        beat = self._beats[runner.loop.name]
        beat.failures, beat.error = beat.failures + 1, f"it ended: {error}" if error else "it was cancelled"
        log.error("the loop %s had ended, and is begun again", runner.loop.name, exc_info=error)
        self._set_going(runner)

    def _failed(self, beat: Beat, error: Exception, failures: int) -> float:
        rest = min(FIRST_REST * 2.0 ** min(failures - 1, 10), LONGEST_REST) * random.uniform(0.5, 1.0)  # noqa: S311
        text = f"{type(error).__name__}: {error}"
        repeated = beat.failures > 0 and beat.error == text
        beat.failures, beat.error = beat.failures + 1, text
        if repeated:
            log.warning("the loop %s failed again (%d times), next attempt in %.1f s", beat.name, beat.failures, rest)
        else:
            log.error("the loop %s failed, next attempt in %.1f s", beat.name, rest, exc_info=error)
        return rest

    async def _back_off(self, seconds: float) -> None:
        """No event shortens this rest: what fails for everybody would otherwise be tried as fast as events come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


async def _close(loop: Loop) -> None:
    if loop.close is not None:
        try:
            await loop.close()
        except Exception:
            log.exception("the loop %s could not be closed", loop.name)


def _succeeded(beat: Beat) -> None:
    if beat.failures:
        log.info("the loop %s works again", beat.name)
    beat.worked, beat.error, beat.failures = monotonic(), None, 0
    beat.steps += 1


def _where(task: asyncio.Task[None] | None) -> Iterator[str]:
    """The lines at which a task waits, from the outermost await to the innermost."""
    waits_for: Any = task.get_coro() if task else None
    while waits_for is not None:
        frame = getattr(waits_for, "cr_frame", None) or getattr(waits_for, "gi_frame", None)
        if frame is not None:
            yield from traceback.format_list(traceback.extract_stack(frame, limit=1))
        waits_for = getattr(waits_for, "cr_await", None) or getattr(waits_for, "gi_yieldfrom", None)
