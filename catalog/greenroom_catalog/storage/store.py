"""decisions -> rows: every write of the catalog, set by set, each method one transaction or a part of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Connection, Database, Record
from greenroom.plugin import Migrations
from greenroom.sql import Queries, load
from greenroom_catalog.storage.packing import pack, pack_processed, unpack, unpack_processed

MIGRATIONS = Migrations("catalog", Path(__file__).with_name("migrations"))

UNSTORABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What Postgres raises for text that it cannot hold (NUL) or index (over 2,700 bytes)."""

BULKY = ("search", "final_entities", "refresh_state", "processed", "refresh_state_references", "relations")
"""The tables that a bulk load fills."""

TO_PROCESS = "catalog.process"
TO_STITCH = "catalog.stitch"
TO_PROVIDE = "catalog.provide"
"""Topics (`greenroom.events`) that wake the loops; sent with the commit that gives them something to do."""


class Emitted(msgspec.Struct, frozen=True):
    """An unprocessed entity on its way into `refresh_state`; `hash` covers the document."""

    ref: str
    document: bytes
    hash: bytes
    location_key: str | None


class Held(msgspec.Struct, frozen=True):
    """What the catalog has of an entity, as far as a comparison needs it."""

    hash: bytes
    location_key: str | None
    id: int = 0


class Claimed(msgspec.Struct, frozen=True):
    """A due entity that this worker holds until `lease`; `waited` is how long it was overdue, in seconds."""

    id: int
    uid: UUID
    ref: str
    document: bytes
    hash: bytes
    result_hash: bytes | None
    location_key: str | None
    read_etags: bytes | None
    lease: datetime
    waited: float


class Good(msgspec.Struct, frozen=True):
    """The changed result of a processing that went well. `relations` are (source, type, target)."""

    claimed: Claimed
    document: bytes
    result_hash: bytes
    read_etags: bytes | None
    children: Sequence[Emitted]
    relations: Sequence[tuple[str, str, str]]
    refresh_keys: Sequence[str]


class Bad(msgspec.Struct, frozen=True):
    """The changed result of a processing that failed; `errors` is a JSON array of wire errors."""

    claimed: Claimed
    errors: bytes
    result_hash: bytes


class Conflict(msgspec.Struct, frozen=True):
    """An emission that was turned away because another location key holds the entity."""

    ref: str
    wanted_by: str | None
    held_by: str | None


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
    hash: str | None
    waited: float = 0.0


class Final(msgspec.Struct, frozen=True):
    """An entity as it is served and found. `search` holds the columns of the table `search`, in its order, after `id`."""

    id: int
    ref: str
    hash: str
    document: bytes
    values: bytes
    search: Sequence[str | None]


class Store:
    """The catalog's tables, written. Reading for the sake of writing is here too; all other reading is `query`'s."""

    def __init__(self, database: Database, *, keep_orphans: bool = False) -> None:
        """`keep_orphans`: entities that nothing refers to any more are marked, and not deleted."""
        self._db = database
        self._keep_orphans = keep_orphans
        self.sql: Queries = load(Path(__file__).with_name("sql"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One connection inside BEGIN … COMMIT."""
        async with self._db.transaction() as conn:
            yield conn

    # --- what providers and parents emit -------------------------------------------------------------------------

    async def held_by_source(self, conn: Connection, source: str) -> dict[str, Held]:
        """Root entities of a provider, by ref."""
        rows = await conn.fetch(self.sql.held_by_source, source)
        return {row["entity_ref"]: Held(row["unprocessed_hash"], row["location_key"]) for row in rows}

    async def held(self, conn: Connection, refs: Sequence[str]) -> dict[str, Held]:
        """Entities by ref, whoever emitted them."""
        rows = await conn.fetch(self.sql.held, refs)
        return {row["entity_ref"]: Held(row["unprocessed_hash"], row["location_key"], row["id"]) for row in rows}

    async def emit_from_source(self, conn: Connection, source: str, emitted: Sequence[Emitted]) -> list[Conflict]:
        """Write root entities of a provider and make them due. A conflicting one is left to its holder."""
        written, conflicts = await self._emit(conn, emitted)
        if written:
            await conn.execute(self.sql.own_by_source, source, list(written.values()))
        if conflicts:
            await conn.execute(self.sql.disown_by_source, source, [conflict.ref for conflict in conflicts])
        return conflicts

    async def _emit(self, conn: Connection, emitted: Sequence[Emitted]) -> tuple[dict[str, int], list[Conflict]]:
        """Write unprocessed entities; return ids by ref, and what was turned away."""
        by_ref = {item.ref: item for item in emitted}
        if not by_ref:
            return {}, []
        items = list(by_ref.values())
        rows = await conn.fetch(
            self.sql.emit,
            [item.ref for item in items],
            [pack(item.document) for item in items],
            [item.hash for item in items],
            [item.location_key for item in items],
        )
        written = {row["entity_ref"]: row["id"] for row in rows}
        if written:
            await self._wake(conn, TO_PROCESS)
        turned_away = [item for item in items if item.ref not in written]
        if not turned_away:
            return written, []
        holders = await self.held(conn, [item.ref for item in turned_away])
        return written, [Conflict(item.ref, item.location_key, holders[item.ref].location_key) for item in turned_away]

    async def remove_from_source(self, conn: Connection, source: str, refs: Sequence[str]) -> int:
        """Let go of root entities: they and what only they held up are deleted. Returns how many went."""
        rows = await conn.fetch(self.sql.doomed_by_removal, source, refs)
        await self.delete(conn, [row["id"] for row in rows])
        await conn.execute(self.sql.disown_by_source, source, refs)
        return len(rows)

    async def delete(self, conn: Connection, ids: Sequence[int]) -> None:
        """Delete entities, and restitch those that had relations through them."""
        if not ids:
            return
        rows = await conn.fetch(self.sql.related_to, ids)
        await conn.execute(self.sql.delete_entities, ids)
        await self.request_stitch(conn, [row["id"] for row in rows], [])

    async def _let_go(self, conn: Connection, children: Sequence[int]) -> None:
        """Delete those of the children that nothing refers to now, then those whom that leaves alone, and so on."""
        pending = list(children)
        if self._keep_orphans:
            await self.request_stitch(conn, pending, [])
            return
        while pending:
            orphans = [row["id"] for row in await conn.fetch(self.sql.orphans_among, pending)]
            pending = [row["target_id"] for row in await conn.fetch(self.sql.children_of, orphans)]
            await self.delete(conn, orphans)

    async def refresh_by_keys(self, keys: Sequence[str]) -> int:
        """Make due whatever was made from these refresh keys. Returns how many entities."""
        async with self._db.transaction() as conn:
            await self._wake(conn, TO_PROCESS)
            return _count(await conn.execute(self.sql.refresh_by_keys, keys))

    async def source_keys(self) -> list[str]:
        """The providers that have something in the catalog."""
        return [row["source_key"] for row in await self._db.fetch(self.sql.source_keys)]

    # --- processing ----------------------------------------------------------------------------------------------

    async def claim_due(self, limit: int, lease: timedelta, *, reading: bool = True) -> list[Claimed]:
        """Due entities, held for the length of the lease; without `reading`, only those that wait for nothing outside."""
        rows = await self._db.fetch(self.sql.claim_due, limit, lease, reading)
        return [Claimed(id_, uid, ref, unpack(document), *rest) for id_, uid, ref, document, *rest in rows]

    async def save_results(
        self, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        """Store what a batch came to and let all its entities rest, as one transaction; deadlocks are tried again.

        Returns the conflicts met."""
        return await self._db.retrying(lambda conn: self._save_results(conn, good, bad, rests))

    async def _save_results(
        self, conn: Connection, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        conflicts: list[Conflict] = []
        neighbours: list[str] = []
        stored = await self._save_bad(conn, bad) if bad else set()
        if good:
            stored |= await self._save_good(conn, good)
            kept = [item for item in good if item.claimed.id in stored]
            conflicts, released = await self._save_children(conn, kept)
            neighbours = await self._replace_relations(conn, kept)
            await self._replace_refresh_keys(conn, kept)
            await self._let_go(conn, released)
        tried = {item.claimed.id for item in good} | {item.claimed.id for item in bad}
        await self._reschedule(conn, rests, tried - stored)
        await self.request_stitch(conn, sorted(stored), neighbours)
        return conflicts

    async def _reschedule(
        self, conn: Connection, rests: Sequence[tuple[Claimed, timedelta]], unstored: Collection[int]
    ) -> None:
        """Let entities rest; those whose result could not be stored are due again at once."""
        await conn.execute(
            self.sql.reschedule,
            [item.id for item, _ in rests],
            [item.lease for item, _ in rests],
            [item.hash for item, _ in rests],
            [timedelta(0) if item.id in unstored else rest for item, rest in rests],
        )

    async def _save_bad(self, conn: Connection, bad: Sequence[Bad]) -> set[int]:
        rows = await conn.fetch(
            self.sql.save_errors,
            [item.claimed.id for item in bad],
            [item.claimed.hash for item in bad],
            [item.claimed.lease for item in bad],
            [item.errors for item in bad],
            [item.result_hash for item in bad],
        )
        return {row["id"] for row in rows}

    async def _save_good(self, conn: Connection, good: Sequence[Good]) -> set[int]:
        own = [
            [(type_, target) for source, type_, target in item.relations if source == item.claimed.ref] for item in good
        ]
        rows = await conn.fetch(
            self.sql.save_processed,
            [item.claimed.id for item in good],
            [item.claimed.hash for item in good],
            [item.claimed.lease for item in good],
            [pack_processed(item.document, relations) for item, relations in zip(good, own, strict=True)],
            [len(relations) for relations in own],
            [item.result_hash for item in good],
            [item.read_etags for item in good],
        )
        return {row["id"] for row in rows}

    async def _save_children(self, conn: Connection, good: Sequence[Good]) -> tuple[list[Conflict], list[int]]:
        """Write what these entities emitted. Returns the conflicts, and the children that were let go."""
        refs = [child.ref for item in good for child in item.children]
        held = await self.held(conn, refs) if refs else {}
        fresh = [child for item in good for child in item.children if is_news(child, held.get(child.ref))]
        written, conflicts = await self._emit(conn, fresh)
        lost = {conflict.ref for conflict in conflicts}
        ids = {ref: row.id for ref, row in held.items()} | written
        pairs = [(item.claimed.id, ids[child.ref]) for item in good for child in item.children if child.ref not in lost]
        rows = await conn.fetch(
            self.sql.own_by_entities, [item.claimed.id for item in good], [p for p, _ in pairs], [c for _, c in pairs]
        )
        losers = [item.claimed.id for item in good if any(child.ref in lost for child in item.children)]
        if losers:
            await conn.execute(self.sql.forget_results, losers)
        return conflicts, [row["target_id"] for row in rows]

    async def _replace_relations(self, conn: Connection, good: Sequence[Good]) -> list[str]:
        """Write the relations of others, and return the refs of those whose relations changed."""
        others = [
            (item.claimed.id, *relation)
            for item in good
            for relation in item.relations
            if relation[0] != item.claimed.ref
        ]
        columns = [[row[at] for row in others] for at in range(4)]
        rows = await conn.fetch(self.sql.replace_relations, [item.claimed.id for item in good], *columns)
        return [row["source_entity_ref"] for row in rows]

    async def _replace_refresh_keys(self, conn: Connection, good: Sequence[Good]) -> None:
        keys = [(item.claimed.id, key) for item in good for key in item.refresh_keys]
        await conn.execute(
            self.sql.replace_refresh_keys,
            [item.claimed.id for item in good],
            [i for i, _ in keys],
            [k for _, k in keys],
        )

    async def refresh(self, ref: str) -> int:
        """Make an entity and the locations above it due. Returns how many; 0: there is no such entity."""
        async with self._db.transaction() as conn:
            await self._wake(conn, TO_PROCESS)
            return _count(await conn.execute(self.sql.refresh_with_ancestors, ref))

    async def delete_by_uid(self, uid: UUID) -> bool:
        """Delete an entity, and what only it held up. Its parents are made due: what they still emit comes back.

        Returns whether there was one."""
        async with self._db.transaction() as conn:
            found = await conn.fetchval(self.sql.id_of, uid)
            if found is None:
                return False
            await conn.execute(self.sql.touch_parents, found)
            children = [row["target_id"] for row in await conn.fetch(self.sql.children_of, [found])]
            await self.delete(conn, [found])
            await self._let_go(conn, children)
            await self._wake(conn, TO_PROCESS)
            return True

    # --- stitching -----------------------------------------------------------------------------------------------

    async def request_stitch(self, conn: Connection, ids: Sequence[int], refs: Sequence[str]) -> None:
        """Ask for a stitch of these entities."""
        if ids or refs:
            await conn.execute(self.sql.request_stitch, list(ids), list(set(refs)))
            await self._wake(conn, TO_STITCH)

    async def claim_tickets(self, conn: Connection, limit: int, age: timedelta) -> tuple[list[int], list[Ticket]]:
        """Tickets that have waited at least `age`, oldest first: all that were taken, and what is known of their entities."""
        waited: dict[int, float] = dict(await conn.fetch(self.sql.claim_tickets, limit, age))  # type: ignore[arg-type]
        if not waited:
            return [], []
        rows = await conn.fetch(self.sql.claimed_entities, list(waited))
        incoming = await self._relations_to(conn, [row["entity_ref"] for row in rows])
        return list(waited), [_ticket(row, incoming.get(row["entity_ref"], ()), waited[row["id"]]) for row in rows]

    async def _relations_to(self, conn: Connection, refs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """(type, target) by ref, of the relations that other entities emitted."""
        found: dict[str, list[tuple[str, str]]] = {}
        for source, type_, target in await conn.fetch(self.sql.relations_to, refs):
            found.setdefault(source, []).append((type_, target))
        return found

    async def save_final(self, conn: Connection, finals: Sequence[Final]) -> None:
        """Serve these entities."""
        if not finals:
            return
        ids = [final.id for final in finals]
        await conn.execute(
            self.sql.save_final,
            ids,
            [final.ref for final in finals],
            [final.hash for final in finals],
            [final.document for final in finals],
            [final.values for final in finals],
        )
        await conn.execute(self.sql.save_search, ids, *map(list, zip(*(final.search for final in finals), strict=True)))

    async def drop_tickets(self, conn: Connection, ids: Sequence[int]) -> None:
        """The tickets are spent."""
        await conn.execute(self.sql.drop_tickets, ids)

    async def tidy(self) -> None:
        """After a bulk load: bring the planner's statistics and the visibility map up to date, for which autovacuum would
        take its minute. Without the map, no scan is of an index only."""
        for table in BULKY:
            await self._db.execute(f"VACUUM (ANALYZE) {table}")

    async def _wake(self, conn: Connection, topic: str) -> None:
        """Tell the loops at commit. Equal messages of one transaction are sent once."""
        await conn.execute("SELECT pg_notify('greenroom', $1)", f"{topic} ")

    async def backlog(self) -> tuple[int, int]:
        """How many entities are due, and how many wait for a stitch."""
        row = await self._db.fetchrow(self.sql.backlog)
        return (row["due"], row["stitching"]) if row else (0, 0)


def _ticket(row: Record, incoming: Iterable[tuple[str, str]], waited: float) -> Ticket:
    id_, uid, ref, stored, errors, orphan, hash_ = row
    if stored is None:
        return Ticket(id_, uid, ref, None, [], errors, orphan, hash_, waited)
    document, own = unpack_processed(stored)
    return Ticket(id_, uid, ref, document, sorted({*own, *incoming}), errors, orphan, hash_, waited)


def explain(error: Exception) -> str:
    """Why something cannot be stored, in words that help the author of the file."""
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return "a name, reference or address in it is too long to be stored: 2,000 bytes are the limit"
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return "a name, reference or address in it holds a NUL character"
    return str(error)


def is_news(emitted: Emitted, held: Held | None) -> bool:
    """Whether writing the emission would change anything (or meet a conflict)."""
    return held is None or held.hash != emitted.hash or held.location_key != emitted.location_key


def _count(status: str) -> int:
    """Rows touched, from a command's status such as `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
