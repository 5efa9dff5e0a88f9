"""Can this process do its work? Asked of the database, the migrations, the loops and the parts, and answered within seconds.

However many ask, each question is put once at a time, over a session that is there anyway; and when it hangs, so do none of
those who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec

from greenroom.errors import GreenroomError, describe
from greenroom.events import Events
from greenroom.loops import Loops
from greenroom.migrate import APPLIED, Migration, difference
from greenroom.plugin import Check

OK = "ok"
PATIENCE = 2.0
"""Seconds for an answer of the database."""
FRESH = 1.0
"""Seconds for which that is still true."""
CHECKED = 5.0
"""Seconds for which the answers of the parts are."""

T = TypeVar("T")


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one look came to. `error` keeps the process from its work, `degraded` does not."""

    name: str
    status: str
    message: str | None = None


class NoAnswerError(GreenroomError):
    """There was no answer in time"""


class Asked(Generic[T]):
    """A question with one answer for all who ask at about the same time."""

    def __init__(self, question: Callable[[], Awaitable[T]], fresh: float, patience: float) -> None:
        self._question = question
        self._fresh, self._patience = fresh, patience
        self._task: asyncio.Task[T] | None = None
        self._began = self._ended = 0.0

    async def answer(self) -> T:
        """Raises NoAnswerError when it takes too long, and what the question raises. It is put again when it has an answer only."""
        task = self._task
        if task is None or (task.done() and monotonic() - self._ended > self._fresh):
            self._began = monotonic()
            self._task = task = asyncio.create_task(self._put(), name="health")
        await asyncio.wait([task], timeout=max(0.0, self._began + self._patience - monotonic()))
        if not task.done():
            raise NoAnswerError(f"There has been no answer for {monotonic() - self._began:.1f} s")
        return task.result()

    async def close(self) -> None:
        """Forget a question that is still open."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=self._patience)

    async def _put(self) -> T:
        try:
            return await self._question()
        finally:
            self._ended = monotonic()


class Health:
    """Looks at all that a started process needs (`greenroom.web.lifecycle.Examination`)."""

    def __init__(self, events: Events, migrations: Iterable[Migration], loops: Loops, checks: Iterable[Check]) -> None:
        self._events = events
        self._files = list(migrations)
        self._loops = loops
        self._checks = [(check, Asked(check.look, CHECKED, PATIENCE)) for check in checks]
        self._applied = Asked(lambda: events.ask(APPLIED), FRESH, PATIENCE)

    async def unfit(self) -> str | None:
        """The first thing that keeps this process from its work. Parts that only tell are not asked."""
        async for finding in self._all(serious_only=True):
            if finding.status == "error":
                return finding.message
        return None

    async def report(self) -> Mapping[str, Any]:
        """Everything, as JSON."""
        found = [finding async for finding in self._all(serious_only=False)]
        statuses = {finding.status for finding in found}
        worst = next((status for status in ("error", "degraded") if status in statuses), OK)
        return {"status": worst, "checks": msgspec.to_builtins(found)}

    async def close(self) -> None:
        """Ask no more."""
        await self._applied.close()
        for _, asked in self._checks:
            await asked.close()

    async def _all(self, *, serious_only: bool) -> AsyncIterator[Finding]:
        try:
            rows = await self._applied.answer()
        except asyncpg.UndefinedTableError:
            yield Finding("database", OK)
            yield Finding("migrations", "error", "The database has none of the tables that are needed")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            yield Finding("database", "error", f"The database does not answer: {describe(error)}")
        else:
            yield Finding("database", OK)
            yield self._migrations({(row["part"], row["name"]) for row in rows})
        if not self._events.listening:
            yield Finding("events", "degraded", "Events of other processes are not heard at once")
        for finding in self._of_loops():
            yield finding
        for check, asked in self._checks:
            if check.serious or not serious_only:
                yield await _of_part(check, asked)

    def _migrations(self, applied: set[tuple[str, str]]) -> Finding:
        """A newer database is no reason to stop: in a rolling update, the old processes serve until the new ones do."""
        missing, unknown = difference(self._files, applied)
        if missing:
            return Finding("migrations", "error", f"The database lacks {', '.join(file.label for file in missing)}")
        if unknown:
            return Finding(
                "migrations", "degraded", f"The database is newer than this program: it holds {', '.join(unknown)}"
            )
        return Finding("migrations", OK)

    def _of_loops(self) -> Iterable[Finding]:
        ailing = dict(reversed(list(self._loops.ails())))  # of several reasons, the first
        for beat in self._loops.beats():
            reason = ailing.pop(beat.name, None)
            if reason is not None:
                yield Finding(f"loop {beat.name}", "error", reason)
            elif beat.failures:
                yield Finding(f"loop {beat.name}", "degraded", f"Its last step failed: {beat.error}")
            else:
                yield Finding(f"loop {beat.name}", OK)
        for name, reason in ailing.items():
            yield Finding(f"loop {name}", "error", reason)


async def _of_part(check: Check, asked: Asked[str | None]) -> Finding:
    try:
        wrong = await asked.answer()
    except Exception as error:  # noqa: BLE001 - that nobody knows is the answer
        return Finding(check.name, "degraded", f"It could not be looked at: {describe(error)}")
    if wrong is None:
        return Finding(check.name, OK)
    return Finding(check.name, "error" if check.serious else "degraded", wrong)
