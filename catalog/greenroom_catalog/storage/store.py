"""decisions -> rows: every write of the catalog, set by set: who emitted what, what processing came to, what is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg

from greenroom.db import Connection, Database
from greenroom.errors import NotFoundError
from greenroom.plugin import Migrations
from greenroom.sql import Queries, load
from greenroom_catalog.storage.emission import Emissions
from greenroom_catalog.storage.results import Holder, Results
from greenroom_catalog.storage.tickets import Tickets
from greenroom_catalog.storage.urgency import Urgency
from greenroom_catalog.storage.waking import TO_PROCESS, wake

MIGRATIONS = Migrations("catalog", Path(__file__).with_name("migrations"))

UNSTORABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What Postgres raises for text that it cannot hold (NUL) or index (over 2,700 bytes)."""

T = TypeVar("T")


class Store:
    """The catalog's tables, written. Reading for the sake of writing is here too; all other reading is `query`'s."""

    def __init__(
        self,
        database: Database,
        *,
        keep_orphans: bool = False,
        lane: Callable[[str, bytes], int] = lambda ref, doc: 0,
        holder: Holder | None = None,
        long_at_once: int = 5,
    ) -> None:
        """`keep_orphans`: entities that nothing refers to any more are marked, and not deleted. `lane`: what processing an
        entity (by ref and document) may wait for, as a number that `results.claim` is asked for. `holder`: who claims. At most
        `long_at_once` transactions wait for somebody outside."""
        self._long = asyncio.Semaphore(long_at_once)
        self._db = database
        self.sql: Queries = load(Path(__file__).with_name("sql"))
        self.tickets = Tickets(self.sql)
        self.emissions = Emissions(self.sql, self.tickets, keep_orphans=keep_orphans, lane=lane)
        self.urgency = Urgency(self.sql)
        self.results = Results(database, self.sql, self.emissions, self.tickets, self.urgency, holder)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One connection inside BEGIN … COMMIT."""
        async with self._db.transaction() as conn:
            yield conn

    @asynccontextmanager
    async def long_transaction(self) -> AsyncIterator[Connection]:
        """The same, for as long as somebody outside takes: there are so few of these that connections are left for all else."""
        async with self._long, self._db.transaction() as conn:
            yield conn

    async def retrying(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do the work in a transaction, and again when it lost against another."""
        return await self._db.retrying(work)

    async def delete_orphans(self) -> int:
        """Delete all that nothing refers to, and what only that held up. Returns how many there were."""

        async def delete(conn: Connection) -> int:
            orphans = [row["id"] for row in await conn.fetch(self.sql.orphans)]
            await self.emissions.let_go(conn, orphans)
            return len(orphans)

        return await self._db.retrying(delete)

    async def refresh(self, ref: str) -> int:
        """Make an entity and the locations above it due. Returns how many; 0: there is no such entity, or nothing refers to it.

        Raises NotFoundError where a location above it is an orphan (upstream: listAncestors)."""

        async def refresh(conn: Connection) -> int:
            chain = await conn.fetch(self.sql.ancestors, ref.lower())
            for row in chain[1:]:
                if row["is_orphan"]:
                    raise NotFoundError(f"Entity {ref} has a broken parent reference chain at {row['entity_ref']}")
            due = [row["id"] for row in chain if not row["is_orphan"] and (row["depth"] == 0 or row["reads"])]
            await wake(conn, TO_PROCESS)
            await self.urgency.mark(conn, due)
            return _count(await conn.execute(self.sql.refresh_entities, due))

        return await self._db.retrying(refresh)

    async def refresh_by_keys(self, keys: Sequence[str]) -> int:
        """Make due whatever was made from these refresh keys. Returns how many entities."""

        async def refresh(conn: Connection) -> int:
            await wake(conn, TO_PROCESS)
            await self.urgency.mark_made_from(conn, keys)
            return _count(await conn.execute(self.sql.refresh_by_keys, keys))

        return await self._db.retrying(refresh)

    async def delete_by_uid(self, uid: UUID) -> bool:
        """Delete an entity. Its parents are made due: what they still emit comes back.

        What only it held up is an orphan now, and swept in a while, unless the entity comes back before that.
        What a provider emitted comes back when that does so again, as upstream. Returns whether there was one."""

        async def delete(conn: Connection) -> bool:
            found = await conn.fetchval(self.sql.id_of, uid)
            if found is None:
                return False
            await conn.execute(self.sql.touch_parents, found)
            children = [row["target_id"] for row in await conn.fetch(self.sql.children_of, [found])]
            await self.emissions.delete(conn, [found], by_hand=True)
            await conn.execute(self.sql.forget_results, children)
            await wake(conn, TO_PROCESS)
            return True

        return await self._db.retrying(delete)

    async def source_keys(self) -> list[str]:
        """The providers that have something in the catalog."""
        return [row["source_key"] for row in await self._db.fetch(self.sql.source_keys)]

    async def backlog(self) -> tuple[int, int]:
        """How many entities are due, and how many wait for a stitch."""
        row = await self._db.fetchrow(self.sql.backlog)
        return (row["due"], row["stitching"]) if row else (0, 0)


def explain(error: Exception) -> str:
    """Why something cannot be stored, in words that help the author of the file."""
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return "a name, reference or address in it is too long to be stored: 2,000 bytes are the limit"
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return "a name, reference or address in it holds a NUL character"
    return str(error)


def _count(status: str) -> int:
    """Rows touched, from a command's status such as `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
