"""Tables that were filled -> statistics and a visibility map that are true of them, so that no plan depends on luck."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from greenroom.db import Database
from greenroom.sql import Queries, load

FILLED = (
    "search",
    "final_entities",
    "refresh_state",
    "processed",
    "refresh_state_references",
    "relations",
)
"""The tables that a bulk load fills, and whose values differ so much that a plan depends on them."""

PAGES = 400
"""Pages by which a table may grow before anybody looks at it anew: some 4,000 entities."""
REST = 5.0
"""Seconds between two looks, which take a millisecond."""
ANALYZE_AGAIN = 30.0
VACUUM_AGAIN = 900.0
"""Seconds for which this process does not do the same to a table again: it may be empty, or an old transaction keeps rows alive."""


class Upkeep:
    """Does at once what autovacuum gets to in its minute: ANALYZE while tables fill, at each doubling, or where statistics are
    missing, as after a restore; VACUUM when a bulk load is over, without which no scan is of an index alone.

    Any process may. Where one is at a table, the others leave it alone: Postgres keeps them apart (SKIP_LOCKED)."""

    def __init__(self, database: Database, pages: int = PAGES) -> None:
        self._db = database
        self._pages = pages
        self._sql: Queries = load(Path(__file__).with_name("sql"))
        self._done: dict[str, float] = {}

    async def look(self) -> float:
        """Do what there is to do. Returns the seconds to rest."""
        await self._do("ANALYZE (SKIP_LOCKED)", self._sql.unanalyzed, ANALYZE_AGAIN)
        await self._do("VACUUM (ANALYZE, SKIP_LOCKED)", self._sql.unvacuumed, VACUUM_AGAIN)
        return REST

    async def _do(self, command: str, query: str, again: float) -> None:
        for table in await self._found(query, FILLED):
            statement = f"{command} {table}"
            if monotonic() - self._done.get(statement, -again) >= again and await self._is_to_do(query, table):
                self._done[statement] = monotonic()
                await self._db.execute(statement)

    async def _is_to_do(self, query: str, table: str) -> bool:
        """Meanwhile another process may have been there. And where only a transaction that is not over has put anything, ANALYZE
        would find the table empty: every plan made after that would read it whole, once for each row."""
        if not await self._found(query, [table]):
            return False
        return bool(await self._db.fetchval(f"SELECT EXISTS (SELECT FROM {table})"))  # noqa: S608 - ours

    async def _found(self, query: str, tables: Sequence[str]) -> list[str]:
        return [row["relname"] for row in await self._db.fetch(query, tables, self._pages)]
