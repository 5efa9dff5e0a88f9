"""Results of processing -> rows: what is due is claimed, and what came of it is saved, as one transaction a batch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Connection, Database
from greenroom.errors import ServiceUnavailableError
from greenroom.sql import Queries
from greenroom_catalog.storage.claims import Conflict, Emitted
from greenroom_catalog.storage.emission import Emissions
from greenroom_catalog.storage.packing import pack_processed, unpack
from greenroom_catalog.storage.tickets import Tickets
from greenroom_catalog.storage.urgency import Urgency

LOCK_TIMEOUT = "700ms"
"""How long a worker waits for what another has locked: shorter than Postgres' deadlock_timeout of 1 s, so that of a worker
and a provider which wait for one another, it is the worker that loses, which can try again."""
GIVING_WAY = 45.0
"""Seconds for which it tries: half a lease."""


Holder = Callable[[], Awaitable[int | None]]


class Claimed(msgspec.Struct, frozen=True):
    """A due entity that this worker holds until `lease`; `waited` is how long it was overdue, in seconds."""

    id: int
    uid: UUID
    ref: str
    document: bytes
    hash: bytes
    result_hash: bytes | None
    location_key: str | None
    memory: bytes | None
    lease: datetime
    waited: float
    urgent: bool = False
    """Somebody waits for it."""


class Good(msgspec.Struct, frozen=True):
    """The changed result of a processing that went well. `relations` are (source, type, target)."""

    claimed: Claimed
    document: bytes
    result_hash: bytes
    memory: bytes | None
    children: Sequence[Emitted]
    relations: Sequence[tuple[str, str, str]]
    refresh_keys: Sequence[str]


class Bad(msgspec.Struct, frozen=True):
    """The changed result of a processing that failed; `errors` is a JSON array of wire errors."""

    claimed: Claimed
    errors: bytes
    result_hash: bytes
    memory: bytes | None = None


class Results:
    """What is due, and what its processing came to."""

    def __init__(
        self,
        database: Database,
        sql: Queries,
        emissions: Emissions,
        tickets: Tickets,
        urgency: Urgency,
        holder: Holder | None = None,
    ) -> None:
        """`holder` tells under which number (`Workers.me`) this process claims."""
        self._holder = holder
        self._db = database
        self._sql = sql
        self._emissions = emissions
        self._tickets = tickets
        self._urgency = urgency

    async def claim(self, limit: int, lease: timedelta, lanes: Sequence[int] = (0, 1, 2)) -> list[Claimed]:
        """Due entities of these lanes, held for the length of the lease: those that are urgent, or if none is the oldest."""
        holder = await self._holder() if self._holder else None
        rows = await self._db.fetch(self._sql.claim_due, limit, lease, list(lanes), holder)
        return [Claimed(id_, uid, ref, unpack(document), *rest) for id_, uid, ref, document, *rest in rows]

    async def prolong(self, claimed: Sequence[Claimed], lease: timedelta) -> dict[int, Claimed]:
        """Hold claimed entities for another length of time, unless somebody else has them by now. Returns those held, by id."""
        rows = await self._db.fetch(
            self._sql.prolong, [item.id for item in claimed], [item.lease for item in claimed], lease
        )
        leases = {row["id"]: row["lease"] for row in rows}
        return {item.id: msgspec.structs.replace(item, lease=leases[item.id]) for item in claimed if item.id in leases}

    async def set_lane(self, lane: int, kinds: Sequence[str] | None) -> None:
        """Put all entities of these kinds (in lower case; None: all) in a lane."""
        await self._db.execute(self._sql.set_lane, lane, kinds)

    async def save(
        self, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        """Store what a batch came to and let all its entities rest, as one transaction.

        A worker gives way: whoever else has locked what it wants, it lets go of everything and tries again; so it does while
        the database is away. Returns the conflicts met. Raises asyncpg.LockNotAvailableError or ServiceUnavailableError when
        that took longer than GIVING_WAY."""
        deadline = monotonic() + GIVING_WAY
        while True:
            try:
                return await self._db.retrying(lambda conn: self._save(conn, good, bad, rests))
            except (
                asyncpg.LockNotAvailableError,
                ServiceUnavailableError,
            ):  # a commit of which nobody heard does no harm
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - spreads rivals, hides nothing

    async def _save(
        self, conn: Connection, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        await conn.execute(self._sql.give_way, LOCK_TIMEOUT)
        conflicts: list[Conflict] = []
        neighbours: list[str] = []
        stored = await self._save_bad(conn, bad) if bad else set()
        if good:
            saved = await self._save_good(conn, good)
            stored |= saved.keys()
            kept = [item for item in good if item.claimed.id in saved]
            first = [item for item in kept if saved[item.claimed.id]]
            again = [item for item in kept if not saved[item.claimed.id]]
            parents = [item for item in first if item.children] + again
            children = {item.claimed.id: item.children for item in parents}
            conflicts, released, adopted = await self._emissions.from_entities(conn, children)
            neighbours = [*await self._add_relations(conn, first), *await self._replace_relations(conn, again)]
            await self._replace_refresh_keys(conn, [item for item in first if item.refresh_keys] + again)
            await self._emissions.let_go(conn, released)
            await self._tickets.request(conn, adopted, [])
        tried = {item.claimed.id for item in good} | {item.claimed.id for item in bad}
        await self._reschedule(conn, rests, tried - stored)
        await self._tickets.request(conn, sorted(stored), neighbours)
        await self._urgency.processed(conn, [item.id for item, _ in rests if item.urgent])
        return conflicts

    async def _reschedule(
        self, conn: Connection, rests: Sequence[tuple[Claimed, timedelta]], unstored: Collection[int]
    ) -> None:
        """Let entities rest; those whose result could not be stored are due again at once."""
        await conn.execute(
            self._sql.reschedule,
            [item.id for item, _ in rests],
            [item.lease for item, _ in rests],
            [item.hash for item, _ in rests],
            [timedelta(0) if item.id in unstored else rest for item, rest in rests],
        )

    async def _save_bad(self, conn: Connection, bad: Sequence[Bad]) -> set[int]:
        rows = await conn.fetch(
            self._sql.save_errors,
            [item.claimed.id for item in bad],
            [item.claimed.hash for item in bad],
            [item.claimed.lease for item in bad],
            [item.errors for item in bad],
            [item.result_hash for item in bad],
            [item.memory for item in bad],
        )
        return {row["id"] for row in rows}

    async def _save_good(self, conn: Connection, good: Sequence[Good]) -> dict[int, bool]:
        """By the id of each that was stored: whether nothing had come of its entity before."""
        own = [
            [(type_, target) for source, type_, target in item.relations if source == item.claimed.ref] for item in good
        ]
        rows = await conn.fetch(
            self._sql.save_processed,
            [item.claimed.id for item in good],
            [item.claimed.hash for item in good],
            [item.claimed.lease for item in good],
            [
                pack_processed(item.document, relations, item.claimed.document)
                for item, relations in zip(good, own, strict=True)
            ],
            [len(relations) for relations in own],
            [item.result_hash for item in good],
            [item.memory for item in good],
        )
        return {row["id"]: row["first"] for row in rows}

    async def _add_relations(self, conn: Connection, good: Sequence[Good]) -> Collection[str]:
        """Write the relations of others for the first time, and return the refs of those who have them."""
        others = _relations_of_others(good)
        if others:
            await conn.execute(self._sql.add_relations, *map(list, zip(*others, strict=True)))
        return {source for _, source, _, _ in others}

    async def _replace_relations(self, conn: Connection, good: Sequence[Good]) -> list[str]:
        """Write the relations of others, and return the refs of those whose relations changed."""
        if not good:
            return []
        others = _relations_of_others(good)
        columns = [[row[at] for row in others] for at in range(4)]
        rows = await conn.fetch(self._sql.replace_relations, [item.claimed.id for item in good], *columns)
        return [row["source_entity_ref"] for row in rows]

    async def _replace_refresh_keys(self, conn: Connection, good: Sequence[Good]) -> None:
        if not good:
            return
        keys = [(item.claimed.id, key) for item in good for key in item.refresh_keys]
        await conn.execute(
            self._sql.replace_refresh_keys,
            [item.claimed.id for item in good],
            [i for i, _ in keys],
            [k for _, k in keys],
        )


def _relations_of_others(good: Sequence[Good]) -> list[tuple[int, str, str, str | None]]:
    """(originating id, source, type, target), each once; a target of None is the entity that emitted it."""
    found = {
        (item.claimed.id, source, type_, None if target == item.claimed.ref else target)
        for item in good
        for source, type_, target in item.relations
        if source != item.claimed.ref
    }
    return [*found]
