"""Runs the loops of the parts for as long as the process lives: rests, wakes, backs off, counts, and stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

import msgspec

from greenroom.events import Events, Waiter
from greenroom.plugin import Loop

log = logging.getLogger(__name__)

Role = Literal["api", "worker"]

FIRST_REST = 0.5
LONGEST_REST = 30.0


class Beat(msgspec.Struct):
    """How a loop is doing; of a loop with several runners, all of them together."""

    name: str
    at: datetime | None = None
    """When a step last went well."""
    steps: int = 0
    """How many did, in this process."""
    error: str | None = None
    """The last error, None once a step has gone well again."""
    failures: int = 0
    """Failed steps in a row."""
    busy: int = 0
    """Steps under way."""


class Loops:
    """Supervises loops. A step that raises is tried again after a rest that doubles from half a second to 30 s."""

    def __init__(self, loops: Iterable[Loop], events: Events, roles: Collection[Role] = ("api", "worker")) -> None:
        """`roles` are those of this process; a loop with `runs_in="every"` runs in any."""
        self.loops = [loop for loop in loops if loop.runs_in == "every" or loop.runs_in in roles]
        self.events = events
        self._beats = {loop.name: Beat(loop.name) for loop in self.loops}
        if len(self._beats) < len(self.loops):
            raise ValueError("two loops have the same name")
        self._waiters: list[Waiter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()

    def start(self) -> None:
        """Begin all loops in the running event loop."""
        for loop in self.loops:
            for number in range(loop.concurrency):
                waiter = self.events.waiter(*loop.wakes)
                self._waiters.append(waiter)
                name = f"loop-{loop.name}-{number + 1}"
                self._tasks.append(asyncio.create_task(self._run(loop, waiter), name=name))

    def beats(self) -> list[Beat]:
        """How each loop of this process is doing."""
        return list(self._beats.values())

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 (what takes longer is cancelled here, not the caller)
        """Begin no more steps; wait that many seconds for those under way, then cancel them, and close. Says whether none was."""
        self._stop.set()
        for waiter in self._waiters:
            waiter.wake()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            log.warning("%s did not finish its step in time, and is cancelled", task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiter in self._waiters:
            waiter.close()
        for loop in self.loops:
            await _close(loop)
        return not running

    async def _run(self, loop: Loop, waiter: Waiter) -> None:
        beat = self._beats[loop.name]
        failures = 0
        while not self._stop.is_set():
            waiter.clear()
            if self._stop.is_set():  # it may have been the drain's wake that was cleared
                return
            beat.busy += 1
            try:
                rest = await loop.step()
            except Exception as error:  # noqa: BLE001 (a loop never ends: whatever it is, it is logged and tried again)
                failures += 1
                rest = self._failed(beat, error, failures)
                await self._back_off(rest)
                continue
            finally:
                beat.busy -= 1
            failures = 0
            _succeeded(beat)
            if rest > 0:
                await waiter.wait(rest)
            else:
                await asyncio.sleep(0)

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
            await asyncio.wait_for(self._stop.wait(), seconds)


async def _close(loop: Loop) -> None:
    if loop.close is not None:
        try:
            await loop.close()
        except Exception:
            log.exception("the loop %s could not be closed", loop.name)


def _succeeded(beat: Beat) -> None:
    if beat.failures:
        log.info("the loop %s works again", beat.name)
    beat.at, beat.error, beat.failures = datetime.now(UTC), None, 0
    beat.steps += 1
