"""The database's clock is put back -> all that was set by it is set back as well, so that nothing waits for a time long gone by."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from greenroom.db import Connection, Database
from greenroom.sql import Queries, load
from greenroom_catalog.storage.waking import TO_PROCESS, TO_PROVIDE, TO_STITCH, wake

LOOK = 5.0
"""Seconds between two looks at the clock."""
NOTE = 10.0
"""Seconds after which what it shows is written down again."""
TOLERATED = 5.0
"""Seconds by which it may go back without anybody minding: corrections of the network's time are far smaller."""


class Clock:
    """Looks whether the database's clock was put back, as by a failover to a machine that is right, and sees to what follows.

    A clock that is put forward needs no help: all is due a little early."""

    def __init__(self, database: Database, log: logging.Logger) -> None:
        self._db = database
        self._log = log
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def look(self) -> float:
        """One step. Returns the seconds to rest."""
        row = await self._db.fetchrow(self._sql.read_clock)
        noted, since = row or (None, None)
        if noted is None or noted > NOTE:
            await self._db.execute(self._sql.note_clock)
        if since is not None and since < -TOLERATED:
            back = await self._db.retrying(self._put_back)
            if back is not None:
                self._log.warning(
                    "The clock of the database was put back by some %s: all that it set is due so much earlier", back
                )
        return LOOK

    async def _put_back(self, conn: Connection) -> timedelta | None:
        """By how much, at most; None when another process was faster."""
        await conn.execute(self._sql.lock_clock)
        back: timedelta | None = await conn.fetchval(self._sql.reset_clock, TOLERATED, NOTE + LOOK)
        if back is not None:
            sql = self._sql
            await conn.execute(sql.put_back_runs)
            for set_back in (sql.put_back_providers, sql.put_back_chores, sql.put_back_schedule, sql.put_back_tickets):
                await conn.execute(set_back, back)
            for topic in (TO_PROVIDE, TO_PROCESS, TO_STITCH):
                await wake(conn, topic)
        return back
