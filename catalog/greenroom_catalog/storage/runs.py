"""Provider runs -> rows of `providers` and `provider_runs`: who is due, who is running, what each run did and has yet to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from greenroom.db import Database, Record
from greenroom.sql import Queries, load
from greenroom_catalog.storage.results import Holder

LONGEST_REST = 60.0
"""Seconds: a provider that another process triggers is noticed by then, should the wake-up be missed."""

KEPT = 50
"""Runs of each provider that are remembered."""

MOST_FAILURES = 50
"""Failed items of a run that are remembered by name; all are counted."""

LONGEST_TEXT = 2000
"""Characters of an error that are kept."""

Cause = Literal["start", "schedule", "trigger", "retry"]


class Failure(msgspec.Struct, frozen=True):
    """An item of a run that could not be made an entity."""

    what: str
    error: str


class Tally(msgspec.Struct):
    """What a run has done so far, in entities. `done` of `total` is the provider's own measure, None when it says nothing."""

    found: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    refreshed: int = 0
    failed: int = 0
    done: int | None = None
    total: int | None = None
    failures: list[Failure] = []


class RunClaim(msgspec.Struct, frozen=True):
    """A run that this process has begun. `by_hand`: a person asked for it; `confirmed`: and that it may remove so many entities."""

    name: str
    id: int
    by_hand: bool = False
    confirmed: int = 0


class Run(msgspec.Struct, frozen=True):
    """One run of a provider. `running`: somebody is at it; one that is not, and has no end, is lost. `usual` is how many
    seconds the good ones before it took, None before the first."""

    id: int
    provider: str
    cause: Cause
    caused_by: str | None
    process: str
    started_at: datetime
    finished_at: datetime | None
    running: bool
    tally: Tally
    error: str | None
    usual: float | None

    def expected_at(self, now: datetime) -> datetime | None:
        """When it will be done: by its own measure if the provider gave one, else by what earlier runs took; None: unknown."""
        if self.finished_at is not None:
            return None
        elapsed = (now - self.started_at).total_seconds()
        done, total = self.tally.done, self.tally.total
        if done and total:
            return self.started_at + timedelta(seconds=max(elapsed, elapsed * total / done))
        return self.started_at + timedelta(seconds=self.usual) if self.usual and self.usual > elapsed else None


class Standing(msgspec.Struct, frozen=True):
    """How a provider stands. `every` is None for one that runs once at each start; a run that takes longer than `longest` is
    ended, None if nobody has said; `last` is None before its first run; `refused` is how many entities that wanted to remove,
    and was not allowed to."""

    name: str
    every: timedelta | None
    longest: timedelta | None
    next_run_at: datetime | None
    paused_at: datetime | None
    paused_by: str | None
    triggered: bool
    running: bool
    refused: int | None
    last: Run | None


class ProviderRuns:
    """Claims and records the runs of entity providers."""

    def __init__(self, database: Database, holder: Holder | None = None) -> None:
        """`holder` tells under which number (`Workers.me`) this process claims."""
        self._db = database
        self._holder = holder
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def register(
        self, providers: Mapping[str, timedelta | None], longest: Mapping[str, timedelta] | None = None
    ) -> None:
        """Make providers known, with the time between their runs, and the `longest` that one may take; a new one is due at
        once, one that is gone is forgotten."""
        names, bounds = sorted(providers), longest or {}
        await self._db.execute(self._sql.forget_providers, names)
        times = [providers[name] for name in names], [bounds.get(name) for name in names]
        await self._db.execute(self._sql.register_providers, names, *times)

    async def restart(self, names: Sequence[str]) -> None:
        """Make these due."""
        await self._db.execute(self._sql.restart_providers, names)

    async def claim(self, names: Sequence[str], lease: timedelta, process: str) -> RunClaim | None:
        """Begin a run of one due provider among these, kept from other processes for the length of the lease."""
        holder = await self._holder() if self._holder else None
        row = await self._db.fetchrow(self._sql.claim_provider, names, lease, process, holder)
        return RunClaim(*row) if row else None

    async def extend(self, claim: RunClaim, lease: timedelta) -> bool:
        """Keep a provider that is still running. Returns whether it is still ours to run."""
        return await self._db.fetchval(self._sql.extend_lease, claim.name, lease, claim.id) is not None

    async def report(self, id_: int, tally: Tally) -> None:
        """Record how far a run has come."""
        failures = msgspec.json.encode(tally.failures) if tally.failures else None
        counts = (
            tally.found,
            tally.added,
            tally.changed,
            tally.removed,
            tally.unchanged,
            tally.refreshed,
            tally.failed,
        )
        await self._db.execute(self._sql.report_run, id_, *counts, tally.done, tally.total, failures)

    async def finish(
        self, claim: RunClaim, tally: Tally, error: str | None, rest: timedelta | None, refused: int | None = None
    ) -> None:
        """Record how a run went; the provider is due again after `rest` (None: not by itself), or at once if it was
        triggered meanwhile. `refused`: how many entities it was not allowed to remove."""
        await self.report(claim.id, tally)
        await self._db.execute(self._sql.finish_run, claim.id, error, KEPT)
        await self._db.execute(self._sql.rest_provider, claim.name, claim.id, error is not None, rest, refused)

    async def trigger(self, name: str, by: str | None, *, by_hand: bool = False) -> bool:
        """Make a provider due now, and wake whoever runs it. Returns whether it is known."""
        return await self._db.fetchval(self._sql.trigger_provider, name, by, by_hand) is not None

    async def confirm(self, name: str, by: str | None) -> bool:
        """Make a provider due now, and let that run remove what the last one was not allowed to. Returns whether it wanted to."""
        return await self._db.fetchval(self._sql.confirm_removal, name, by) is not None

    async def pause(self, name: str, by: str | None) -> bool:
        """Begin no more runs of a provider; one that is under way goes on. Returns whether it is known."""
        return await self._db.fetchval(self._sql.pause_provider, name, by) is not None

    async def resume(self, name: str) -> bool:
        """Begin runs again, at once if one fell due meanwhile. Returns whether the provider is known."""
        return await self._db.fetchval(self._sql.resume_provider, name) is not None

    async def cancel(self, name: str) -> bool:
        """Have whoever runs the provider stop, soon. Returns whether anybody does."""
        return await self._db.fetchval(self._sql.cancel_provider, name) is not None

    async def is_cancelled(self, name: str) -> bool:
        """Whether a run is to stop."""
        return bool(await self._db.fetchval(self._sql.is_cancelled, name))

    async def seconds_until_next(self, names: Sequence[str]) -> float:
        """How long until the next of these is due, at most a minute."""
        seconds = await self._db.fetchval(self._sql.next_provider_run, names)
        return LONGEST_REST if seconds is None else min(max(seconds, 0.1), LONGEST_REST)

    async def standings(self, name: str | None = None) -> list[Standing]:
        """How each provider stands, by name, or that one alone."""
        rows = await self._db.fetch(self._sql.provider_standings, name)
        lasts = await self._db.fetch(self._sql.runs_by_id, [row["run"] for row in rows if row["run"] is not None])
        runs = {row["id"]: _run(row) for row in lasts}
        return [_standing(row, runs.get(row["run"])) for row in rows]

    async def runs(self, name: str, limit: int = KEPT) -> list[Run]:
        """The last runs of a provider, newest first."""
        return [_run(row) for row in await self._db.fetch(self._sql.runs_of_provider, name, limit)]


def _standing(row: Record, last: Run | None) -> Standing:
    return Standing(**{name: row[name] for name in Standing.__struct_fields__ if name != "last"}, last=last)


def _run(row: Record) -> Run:
    failures = msgspec.json.decode(row["failures"], type=list[Failure]) if row["failures"] else []
    counts = {name: row[name] for name in Tally.__struct_fields__ if name != "failures"}
    facts = {name: row[name] for name in Run.__struct_fields__ if name != "tally"}
    return Run(**facts, tally=Tally(**counts, failures=failures))
