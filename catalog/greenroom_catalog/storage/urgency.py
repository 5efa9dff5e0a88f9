"""What somebody waits for -> rows of `urgent`: it overtakes whatever else is due, a bulk load above all."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.db import Connection
from greenroom.sql import Queries

FEW = 100
"""New or changed entities of a mutation, up to which somebody may wait for them; more of them are a bulk load."""
MOST = 1000
"""Entities that are made urgent at once by a refresh, or by what an urgent one emits."""


class Urgency:
    """Who goes before others, until stitched (`drop_tickets`). Each method is a part of a transaction."""

    def __init__(self, sql: Queries) -> None:
        self._sql = sql

    async def mark(self, conn: Connection, ids: Sequence[int]) -> None:
        """These go before others, unless they are too many."""
        if 0 < len(ids) <= MOST:
            await conn.execute(self._sql.mark_urgent, ids)

    async def mark_made_from(self, conn: Connection, keys: Sequence[str]) -> None:
        """What was made from these refresh keys goes before others: at most so many of it."""
        await conn.execute(self._sql.mark_urgent_by_keys, keys, MOST)

    async def mark_changes(self, conn: Connection, refs: Sequence[str]) -> None:
        """What a mutation wrote goes before others, if that is little."""
        if 0 < len(refs) <= FEW:
            await conn.execute(self._sql.mark_refs_urgent, refs)

    async def processed(self, conn: Connection, ids: Sequence[int]) -> None:
        """These were urgent, and have been processed: what they emitted is urgent now; those that came to nothing are no more."""
        if ids:
            await conn.execute(self._sql.mark_children_urgent, ids, MOST)
            await conn.execute(self._sql.settle_urgent, ids)
