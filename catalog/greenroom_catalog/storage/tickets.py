"""Tickets and what comes of them -> rows: whose served form may have changed, and what is served and found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from greenroom.db import Connection, Record
from greenroom.sql import Queries
from greenroom_catalog.storage.packing import unpack_processed
from greenroom_catalog.storage.waking import TO_STITCH, wake


class Ticket(msgspec.Struct, frozen=True):
    """An entity whose served form may have changed, held until the end of the transaction.

    `relations` are (type, target) as they are served: those that itself and others emitted, each once and sorted."""

    id: int
    uid: UUID
    ref: str
    processed: bytes | None
    relations: Sequence[tuple[str, str]]
    errors: bytes | None
    orphan: bool
    hash: bytes | None
    waited: float = 0.0


class Final(msgspec.Struct, frozen=True):
    """An entity as it is served and found. `search` holds the columns of the table `search`, in its order, after `id`."""

    id: int
    ref: str
    hash: bytes
    document: bytes
    values: bytes
    search: Sequence[str | None]


class Tickets:
    """Who is to be stitched, and what stitching came to. Each method is a part of a transaction."""

    def __init__(self, sql: Queries) -> None:
        self._sql = sql

    async def request(self, conn: Connection, ids: Sequence[int], refs: Sequence[str]) -> None:
        """Ask for a stitch of these entities."""
        if ids or refs:
            await conn.execute(self._sql.request_stitch, list(ids), list(set(refs)))
            await wake(conn, TO_STITCH)

    async def claim(
        self, conn: Connection, limit: int, age: timedelta, resting: Sequence[int] = ()
    ) -> tuple[list[int], list[Ticket]]:
        """Tickets that are urgent; or if there is none those that have waited at least `age`, but for entities that are `resting`.

        Returns all that were taken, and what is known of their entities."""
        found = await conn.fetch(self._sql.claim_tickets, limit, age, resting)
        waited: dict[int, float] = dict(found)  # type: ignore[arg-type]
        if not waited:
            return [], []
        rows = await conn.fetch(self._sql.claimed_entities, list(waited))
        incoming = await self._relations_to(conn, [row["entity_ref"] for row in rows])
        return list(waited), [_ticket(row, incoming.get(row["entity_ref"], ()), waited[row["id"]]) for row in rows]

    async def _relations_to(self, conn: Connection, refs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """(type, target) by ref, of the relations that other entities emitted."""
        found: dict[str, list[tuple[str, str]]] = {}
        for source, type_, target in await conn.fetch(self._sql.relations_to, refs):
            found.setdefault(source, []).append((type_, target))
        return found

    async def save(self, conn: Connection, finals: Sequence[Final]) -> None:
        """Serve these entities."""
        if not finals:
            return
        ids = [final.id for final in finals]
        await conn.execute(
            self._sql.save_final,
            ids,
            [final.ref for final in finals],
            [final.hash for final in finals],
            [final.document for final in finals],
            [final.values for final in finals],
        )
        await conn.execute(
            self._sql.save_search, ids, *map(list, zip(*(final.search for final in finals), strict=True))
        )

    async def drop(self, conn: Connection, ids: Sequence[int], failures: Mapping[int, str] | None = None) -> None:
        """The tickets are spent. `failures`: why those that could not be stitched could not."""
        await conn.execute(self._sql.drop_tickets, ids)
        if failures:
            await conn.execute(self._sql.note_stitch_failures, list(failures), list(failures.values()))


def _ticket(row: Record, incoming: Iterable[tuple[str, str]], waited: float) -> Ticket:
    id_, uid, ref, stored, base, errors, orphan, hash_ = row
    if stored is None:
        return Ticket(id_, uid, ref, None, [], errors, orphan, hash_, waited)
    document, own = unpack_processed(stored, base)
    return Ticket(id_, uid, ref, document, sorted({*own, *incoming}), errors, orphan, hash_, waited)
