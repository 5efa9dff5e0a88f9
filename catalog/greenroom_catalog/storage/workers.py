"""Processes that claim work -> rows of `workers`; what one held that is gone -> anybody's, long before its lease ends."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection
from pathlib import Path

from greenroom.db import Connection, Database
from greenroom.presence import Presence
from greenroom.sql import Queries, load

LOOK = 1.0
"""Seconds between two looks at who is still there. Who is missed twice is gone: a session that was cut is soon replaced."""


class Workers:
    """This process among those that work, and what becomes of the others' claims."""

    def __init__(self, database: Database, presence: Presence, log: logging.Logger) -> None:
        self._db = database
        self._presence = presence
        self._log = log
        self._sql: Queries = load(Path(__file__).with_name("sql"))
        self._signed_on: int | None = None
        self._missed: set[int] = set()

    async def me(self) -> int | None:
        """The number under which this process claims; None when nobody could tell that it lives, and leases must do."""
        if (number := self._presence.number if self._signed_on else await self._presence.known()) is None:
            return None
        if number != self._signed_on:
            await self._sign_on(number)
        return number

    async def look(self) -> float:
        """One step: who was missed now and before is gone, and what it held is anybody's. Returns the seconds to rest."""
        if self._presence.number is not None:
            await self._sign_on(self._presence.number)
        known = {row["number"] for row in await self._db.fetch(self._sql.workers)}
        missing = (
            known - await self._presence.living() if known else set()
        )  # read in this order, nobody is missed who just came
        if gone := missing & self._missed:
            freed = await self._free(gone)
            self._log.warning("%d workers are gone: %d entities that they were at are anybody's", len(gone), freed)
        self._missed = missing - gone
        return LOOK

    async def leave(self) -> None:
        """Give up all that this process still holds, at once."""
        if self._signed_on is not None:
            await self._free([self._signed_on])

    async def _sign_on(self, number: int) -> None:
        await self._db.execute(self._sql.sign_on, number, this_process())
        self._signed_on = number

    async def _free(self, numbers: Collection[int]) -> int:
        async def free(conn: Connection) -> int:
            freed: int = await conn.fetchval(self._sql.free_claims, sorted(numbers))
            return freed

        return await self._db.retrying(free)


def this_process() -> str:
    """How people are told of it: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"
