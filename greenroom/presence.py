"""Which processes live: each holds an advisory lock on a number of its own, which Postgres frees as soon as its session ends.

So nobody need wait for a lease to run out to know that a process is gone: a process that is killed closes its sockets, and
one whose machine vanished is noticed by the keep-alive of the session that hears events, which is the session that holds
the lock. A process whose session was cut is taken for gone too, until it has another: who relies on presence must bear
that, as it must bear a lease that ran out.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from greenroom.db import Database

CLASS = 4_711_002
"""The first key of these locks; the second is the number."""


class Presence:
    """This process among those that share the database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._number = _any_number()
        self._held: Any = None
        self._announced = asyncio.Event()

    @property
    def number(self) -> int | None:
        """What this process is known by; None while no session tells that it lives."""
        return self._number if self._held is not None and not self._held.is_closed() else None

    async def known(self, seconds: float = 2.0) -> int | None:
        """The number, for which a process that has just started waits so long."""
        if self._db.direct is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._announced.wait()
        return self.number

    async def announce(self, connection: Any) -> None:
        """Be known by this session from now on. Under another number, should the session before it still be thought alive."""
        while not await connection.fetchval("select pg_try_advisory_lock($1, $2)", CLASS, self._number):
            self._number = _any_number()
        self._held = connection
        self._announced.set()

    async def living(self) -> set[int]:
        """The numbers of all processes that live."""
        rows = await self._db.fetch(
            "select objid::bigint as number from pg_locks where locktype = 'advisory' and granted and objsubid = 2"
            " and classid = $1::bigint::oid"
            " and database = (select oid from pg_database where datname = current_database())",
            CLASS,
        )
        return {row["number"] for row in rows}


def _any_number() -> int:
    return random.randrange(1, 2**31)  # noqa: S311 - no secret, and taken anew if somebody has it
