"""Chores -> rows of the table `chores`: work that one process at a time does now and then."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from greenroom.db import Database
from greenroom.sql import Queries, load


class Chore(msgspec.Struct, frozen=True):
    """How a chore stands. `error` is that of its last run, None if that went well."""

    name: str
    next_run_at: datetime
    ended_at: datetime | None
    error: str | None


class Chores:
    """Claims and records chores."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def claim(self, name: str, every: timedelta) -> bool:
        """Whether the chore is due, and this process's to do; it is due again after `every`."""
        return await self._db.fetchval(self._sql.claim_chore, name, every) is not None

    async def ended(self, name: str, error: str | None) -> None:
        """Record how it went."""
        await self._db.execute(self._sql.end_chore, name, error)

    async def trigger(self, name: str) -> None:
        """Make it due now."""
        await self._db.execute(self._sql.trigger_chore, name)

    async def seconds_until(self, name: str) -> float:
        """Until it is due, not less than a tenth, and not more than a minute: clocks may be set back."""
        return min(60.0, max(0.1, await self._db.fetchval(self._sql.next_chore, name) or 0.0))

    async def get(self, name: str) -> Chore | None:
        """How it stands; None before it was first done."""
        row = await self._db.fetchrow(self._sql.get_chore, name)
        return Chore(*row) if row else None
