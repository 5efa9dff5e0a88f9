"""Provider runs -> rows of the table `providers`: who is due, who is running, how it went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from greenroom.db import Database
from greenroom.sql import Queries, load

LONGEST_REST = 60.0
"""Seconds: a provider that another process triggers is noticed by then, should the wake-up be missed."""


class RunClaim(msgspec.Struct, frozen=True):
    """A provider that this process is to run now."""

    name: str
    started_at: datetime


class Run(msgspec.Struct, frozen=True):
    """How a provider stands. `outcome` is a JSON `Mutation`."""

    name: str
    next_run_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    outcome: bytes | None
    running: bool | None


class ProviderRuns:
    """Claims and records the runs of entity providers."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def register(self, names: Sequence[str]) -> None:
        """Make providers known; a new one is due at once."""
        await self._db.execute(self._sql.register_providers, names)

    async def restart(self, names: Sequence[str]) -> None:
        """Make these due."""
        await self._db.execute(self._sql.restart_providers, names)

    async def claim(self, names: Sequence[str], lease: timedelta) -> RunClaim | None:
        """One due provider among these, kept from other processes for the length of the lease."""
        row = await self._db.fetchrow(self._sql.claim_provider, names, lease)
        return RunClaim(*row) if row else None

    async def extend(self, name: str, lease: timedelta) -> None:
        """Keep a provider that is still running."""
        await self._db.execute(self._sql.extend_lease, name, lease)

    async def finish(self, name: str, started_at: datetime, error: str | None, outcome: bytes, rest: timedelta) -> None:
        """Record how a run went. One that was triggered meanwhile is due again."""
        await self._db.execute(self._sql.finish_provider, name, started_at, error, outcome, rest)

    async def trigger(self, name: str) -> bool:
        """Make a provider due now, and wake whoever runs it. Returns whether it is known."""
        return await self._db.fetchval(self._sql.trigger_provider, name) is not None

    async def seconds_until_next(self, names: Sequence[str]) -> float:
        """How long until the next of these is due, at most a minute."""
        seconds = await self._db.fetchval(self._sql.next_provider_run, names)
        return LONGEST_REST if seconds is None else min(max(seconds, 0.1), LONGEST_REST)

    async def all(self) -> list[Run]:
        """How each provider stands, by name."""
        return [Run(*row) for row in await self._db.fetch(self._sql.provider_runs)]
