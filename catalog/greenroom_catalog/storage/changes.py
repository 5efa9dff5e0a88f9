"""The log of changes, kept short: counts that are remembered are brought up to date by what is in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from greenroom.db import Database
from greenroom.sql import Queries, load

AGE = timedelta(minutes=2)
"""A change stays at least that long, and less than twice that and REST: nobody who asks more often counts anew."""
MOST = 20_000
"""Changes that stay, however young they are."""
REST = 20.0
"""Seconds."""


class Changes:
    """Trims `search_changes`. Every process may; one at a time does."""

    def __init__(self, database: Database, age: timedelta = AGE, most: int = MOST) -> None:
        self._db = database
        self._age, self._most = age, most
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def trim(self) -> float:
        """Delete what nobody needs. Writes nothing where there is nothing to do. Returns the seconds to rest."""
        if not await self._db.fetchval(self._sql.changes_begun):
            await self._db.execute(self._sql.begin_changes)
        await self._db.fetchval(self._sql.trim_changes, self._age, self._most)
        return REST
