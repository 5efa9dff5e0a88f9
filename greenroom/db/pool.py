"""asyncpg's pool, with connections that are kept at hand between two uses: to give one back costs more than a small query."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import asyncpg

IDLE_SECONDS = 60.0
"""How long a connection is kept at hand that nobody takes; then the pool has it, which closes it some minutes later."""

CROWDED_SECONDS = 5.0
"""How long a connection is tried for while the server has too many."""

LONGEST_RUN = 10_000
"""Uses after which one is given back all the same: the pool replaces connections that have answered many queries."""

LIFETIME = 900.0
"""Seconds after which a session is ended, one each time that the pool is tidied: what Postgres holds for one only grows (plans,
catalog caches, memory in fragments), by some 3 MB an hour where it ingests."""


class Pool:
    """Lends connections. With asyncpg's own pool each return is a task, a timer and a new proxy."""

    def __init__(self, pool: Any) -> None:
        """`pool` is an open pool of asyncpg, which nobody else lends from."""
        self._pool = pool
        self._idle: list[Any] = []
        self._least = 0
        """Of those at hand, how many nobody has taken since the timer was set."""
        self._waiting = 0
        self._uses = 0
        self._timer: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[None]] = set()
        self._born: dict[int, float] = {}
        """By process id of the session: when it was first lent."""
        self._one_may_end = False
        """Whether the next session that comes back and whose time is over is ended: when the pool was tidied, none was at hand."""
        self._closed = False

    @property
    def at_hand(self) -> int:
        """How many connections are kept."""
        return len(self._idle)

    async def acquire(self) -> Any:
        """A connection, the last one that came back first; waits for one if need be. Raises what connecting raises."""
        while self._idle:
            connection = self._idle.pop()
            self._least = min(self._least, len(self._idle))
            if not is_gone(connection):
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._acquire()
        finally:
            self._waiting -= 1

    async def _acquire(self) -> Any:
        """When the server has no connection to spare, one of ours that comes back will do, or one that others give up."""
        until = monotonic() + CROWDED_SECONDS
        while True:
            try:
                connection = await self._pool.acquire()
                self._born.setdefault(connection.get_server_pid(), monotonic())
                return connection
            except asyncpg.TooManyConnectionsError:
                if monotonic() > until:
                    raise
                await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - spreads rivals, hides nothing

    def keep(self, connection: Any) -> bool:
        """Take a connection back in which nothing went wrong. False: it has to be released."""
        self._uses += 1
        if self._waiting or self._closed or self._uses % LONGEST_RUN == 0:
            return False
        if is_gone(connection) or connection.is_in_transaction():
            return False
        if self._one_may_end and self._is_over(connection):
            self._later(self._give_back((), end=self._forgotten(connection)))
            return True
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tidy)
        return True

    async def release(self, connection: Any) -> None:
        """Give a connection back, whatever state it is in."""
        await self._pool.release(connection)

    def _tidy(self) -> None:
        unused, self._idle = self._idle[: self._least], self._idle[self._least :]
        old = self._oldest()
        if old is not None:
            self._idle.remove(old)
        self._least = len(self._idle)
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tidy) if self._idle else None
        self._one_may_end = old is None
        if unused or old is not None:
            self._later(self._give_back(unused, end=old))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    def _oldest(self) -> Any:
        """One of those at hand whose time is over; None if there is none."""
        now = monotonic()
        # without those that have ended in another way
        self._born = {pid: at for pid, at in self._born.items() if now - at < 10 * LIFETIME}
        over = next((one for one in self._idle if self._is_over(one)), None)
        return None if over is None else self._forgotten(over)

    def _is_over(self, connection: Any) -> bool:
        now = monotonic()
        return now - self._born.get(connection.get_server_pid(), now) > LIFETIME

    def _forgotten(self, connection: Any) -> Any:
        self._one_may_end = False
        del self._born[connection.get_server_pid()]
        return connection

    async def _give_back(self, connections: Iterable[Any], end: Any = None) -> None:
        if end is not None:
            with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # it is cut then
                await end.close(timeout=IDLE_SECONDS)
            await self._pool.release(end)
        for connection in connections:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Give back what is at hand, and keep nothing from now on. The pool itself is its owner's to close."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        idle, self._idle = self._idle, []
        await self._give_back(idle)


def is_gone(connection: Any) -> bool:
    """Whether it was closed under our hands; the pool then has taken it back, and no question is allowed any more."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True
