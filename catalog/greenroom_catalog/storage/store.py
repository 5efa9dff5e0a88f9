"""decisions -> rows: every write of the catalog, set by set, each method one transaction or a part of one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TypeVar
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Connection, Database, Record
from greenroom.errors import NotFoundError
from greenroom.plugin import Migrations
from greenroom.sql import Queries, load
from greenroom_catalog.storage.packing import pack, pack_processed, unpack, unpack_processed

MIGRATIONS = Migrations("catalog", Path(__file__).with_name("migrations"))

UNSTORABLE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What Postgres raises for text that it cannot hold (NUL) or index (over 2,700 bytes)."""

LOCK_TIMEOUT = "700ms"
"""How long a worker waits for what another has locked: shorter than Postgres' deadlock_timeout of 1 s, so that of a worker
and a provider which wait for one another, it is the worker that loses, which can try again."""
GIVING_WAY = 45.0
"""Seconds for which it tries: half a lease."""

BULKY = ("search", "final_entities", "refresh_state", "processed", "refresh_state_references", "relations")
"""The tables that a bulk load fills."""

T = TypeVar("T")

TO_PROCESS = "catalog.process"
TO_STITCH = "catalog.stitch"
TO_PROVIDE = "catalog.provide"
TO_DO = "catalog.chores"
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
    memory: bytes | None
    lease: datetime
    waited: float


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


class Conflict(msgspec.Struct, frozen=True):
    """An emission that was turned away because another location key holds the entity. `parent`: of which entity it was."""

    ref: str
    wanted_by: str | None
    held_by: str | None
    parent: int = 0


class Claim(msgspec.Struct, frozen=True):
    """That this entity be so. `parent` is the id of the entity that emitted it, 0 for a provider."""

    emitted: Emitted
    parent: int = 0


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

    def __init__(
        self, database: Database, *, keep_orphans: bool = False, lane: Callable[[str, bytes], int] = lambda ref, doc: 0
    ) -> None:
        """`keep_orphans`: entities that nothing refers to any more are marked, and not deleted. `lane`: what processing an
        entity (by ref and document) may wait for, as a number that `claim_due` is asked for."""
        self._lane = lane
        self._db = database
        self._keep_orphans = keep_orphans
        self.sql: Queries = load(Path(__file__).with_name("sql"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One connection inside BEGIN … COMMIT."""
        async with self._db.transaction() as conn:
            yield conn

    async def retrying(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do the work in a transaction, and again when it lost against another."""
        return await self._db.retrying(work)

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
        written, conflicts = await self._emit(conn, [Claim(item) for item in emitted], {})
        if written:
            await conn.execute(self.sql.own_by_source, source, list(written.values()))
        if conflicts:
            await conn.execute(self.sql.disown_by_source, source, [conflict.ref for conflict in conflicts])
        return conflicts

    async def _emit(
        self, conn: Connection, claims: Sequence[Claim], held: Mapping[str, Held]
    ) -> tuple[dict[str, int], list[Conflict]]:
        """Write unprocessed entities; return ids by ref, and what was turned away. `held`: what the catalog has of some."""
        if not claims:
            return {}, []
        winners, conflicts = arbitrate(claims, held)
        items = [claim.emitted for claim in winners.values()]
        rows = await conn.fetch(
            self.sql.emit,
            [item.ref for item in items],
            [pack(item.document) for item in items],
            [item.hash for item in items],
            [item.location_key for item in items],
            [self._lane(item.ref, item.document) for item in items],
        )
        written = {row["entity_ref"]: row["id"] for row in rows}
        if written:
            await self._wake(conn, TO_PROCESS)
        refused = {ref for ref in winners if ref not in written}
        if refused:
            holders = await self.held(conn, sorted(refused))
            conflicts = [conflict for conflict in conflicts if conflict.ref not in refused]
            conflicts += [
                _conflict(claim, holders[claim.emitted.ref]) for claim in claims if claim.emitted.ref in refused
            ]
        return written, conflicts

    async def note_conflicts_of_source(
        self, conn: Connection, source: str, conflicts: Sequence[Conflict], *, of: Sequence[str] | None
    ) -> None:
        """Remember which claims of a provider were turned away just now. `of`: only these refs were claimed; None: all that
        it claims."""
        await conn.execute(self.sql.settle_conflicts_of_source, source, of)
        if conflicts:
            await conn.execute(self.sql.note_conflicts, source, *_columns(conflicts))

    async def remove_from_source(self, conn: Connection, source: str, refs: Sequence[str]) -> int:
        """Let go of root entities: they and what only they held up are deleted. Returns how many went."""
        rows = await conn.fetch(self.sql.doomed_by_removal, source, refs)
        await self.delete(conn, [row["id"] for row in rows])
        await conn.execute(self.sql.disown_by_source, source, refs)
        return len(rows)

    async def delete(self, conn: Connection, ids: Sequence[int]) -> None:
        """Delete entities, and restitch those that had relations through them. Who claimed one in vain is made due."""
        if not ids:
            return
        rows = await conn.fetch(self.sql.related_to, ids)
        claimants = await conn.fetch(self.sql.delete_entities, ids)
        for topic in {row["topic"] for row in claimants}:
            await self._wake(conn, topic)
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

    async def delete_orphans(self) -> int:
        """Delete all that nothing refers to, and what only that held up. Returns how many there were."""

        async def delete(conn: Connection) -> int:
            orphans = [row["id"] for row in await conn.fetch(self.sql.orphans)]
            await self._let_go(conn, orphans)
            return len(orphans)

        return await self._db.retrying(delete)

    async def refresh_by_keys(self, keys: Sequence[str]) -> int:
        """Make due whatever was made from these refresh keys. Returns how many entities."""

        async def refresh(conn: Connection) -> int:
            await self._wake(conn, TO_PROCESS)
            return _count(await conn.execute(self.sql.refresh_by_keys, keys))

        return await self._db.retrying(refresh)

    async def source_keys(self) -> list[str]:
        """The providers that have something in the catalog."""
        return [row["source_key"] for row in await self._db.fetch(self.sql.source_keys)]

    # --- processing ----------------------------------------------------------------------------------------------

    async def claim_due(self, limit: int, lease: timedelta, lanes: Sequence[int] = (0, 1, 2)) -> list[Claimed]:
        """Due entities of these lanes, held for the length of the lease."""
        rows = await self._db.fetch(self.sql.claim_due, limit, lease, list(lanes))
        return [Claimed(id_, uid, ref, unpack(document), *rest) for id_, uid, ref, document, *rest in rows]

    async def prolong(self, claimed: Sequence[Claimed], lease: timedelta) -> dict[int, Claimed]:
        """Hold claimed entities for another length of time, unless somebody else has them by now. Returns those held, by id."""
        rows = await self._db.fetch(
            self.sql.prolong, [item.id for item in claimed], [item.lease for item in claimed], lease
        )
        leases = {row["id"]: row["lease"] for row in rows}
        return {item.id: msgspec.structs.replace(item, lease=leases[item.id]) for item in claimed if item.id in leases}

    async def set_lane(self, lane: int, kinds: Sequence[str] | None) -> None:
        """Put all entities of these kinds (in lower case; None: all) in a lane."""
        await self._db.execute(self.sql.set_lane, lane, kinds)

    async def save_results(
        self, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        """Store what a batch came to and let all its entities rest, as one transaction.

        A worker gives way: whoever else has locked what it wants, it lets go of everything and tries again. Returns the
        conflicts met. Raises asyncpg.LockNotAvailableError when that took longer than GIVING_WAY."""
        deadline = monotonic() + GIVING_WAY
        while True:
            try:
                return await self._db.retrying(lambda conn: self._save_results(conn, good, bad, rests))
            except asyncpg.LockNotAvailableError:
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - spreads rivals, hides nothing

    async def _save_results(
        self, conn: Connection, good: Sequence[Good], bad: Sequence[Bad], rests: Sequence[tuple[Claimed, timedelta]]
    ) -> list[Conflict]:
        await conn.execute(self.sql.give_way, LOCK_TIMEOUT)
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
            [item.memory for item in bad],
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
            [item.memory for item in good],
        )
        return {row["id"] for row in rows}

    async def _save_children(self, conn: Connection, good: Sequence[Good]) -> tuple[list[Conflict], list[int]]:
        """Write what these entities emitted. Returns the conflicts, and the children that were let go."""
        claims = [Claim(child, item.claimed.id) for item in good for child in item.children]
        held = await self.held(conn, [claim.emitted.ref for claim in claims]) if claims else {}
        fresh = [claim for claim in claims if is_news(claim.emitted, held.get(claim.emitted.ref))]
        written, conflicts = await self._emit(conn, fresh, held)
        lost = {(conflict.parent, conflict.ref) for conflict in conflicts}
        ids = {ref: row.id for ref, row in held.items()} | written
        pairs = [(claim.parent, ids[ref]) for claim in claims if (claim.parent, ref := claim.emitted.ref) not in lost]
        rows = await conn.fetch(
            self.sql.own_by_entities, [item.claimed.id for item in good], [p for p, _ in pairs], [c for _, c in pairs]
        )
        if conflicts:
            await conn.execute(self.sql.forget_results, sorted({conflict.parent for conflict in conflicts}))
            await conn.execute(self.sql.note_conflicts, None, *_columns(conflicts))
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
        """Make an entity and the locations above it due. Returns how many; 0: there is no such entity, or nothing refers to it.

        Raises NotFoundError where a location above it is an orphan (upstream: listAncestors)."""

        async def refresh(conn: Connection) -> int:
            chain = await conn.fetch(self.sql.ancestors, ref.lower())
            for row in chain[1:]:
                if row["is_orphan"]:
                    raise NotFoundError(f"Entity {ref} has a broken parent reference chain at {row['entity_ref']}")
            due = [row["id"] for row in chain if not row["is_orphan"] and (row["depth"] == 0 or row["reads"])]
            await self._wake(conn, TO_PROCESS)
            return _count(await conn.execute(self.sql.refresh_entities, due))

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
            await self.delete(conn, [found])
            if self._keep_orphans:
                await self.request_stitch(conn, children, [])
            await self._wake(conn, TO_PROCESS)
            return True

        return await self._db.retrying(delete)

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

    async def drop_tickets(
        self, conn: Connection, ids: Sequence[int], failures: Mapping[int, str] | None = None
    ) -> None:
        """The tickets are spent. `failures`: why those that could not be stitched could not."""
        await conn.execute(self.sql.drop_tickets, ids)
        if failures:
            await conn.execute(self.sql.note_stitch_failures, list(failures), list(failures.values()))

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


def arbitrate(claims: Sequence[Claim], held: Mapping[str, Held]) -> tuple[dict[str, Claim], list[Conflict]]:
    """Who wins each entity, one claim after another as if each was written before the next was looked at (spec 02 §4.7).

    Of two location keys the first wins; of two claims under one key the last; who has none holds nothing."""
    winners: dict[str, Claim] = {}
    conflicts: list[Conflict] = []
    for claim in claims:
        ref, key = claim.emitted.ref, claim.emitted.location_key
        before = winners[ref].emitted if ref in winners else held.get(ref)
        if before is None or before.location_key is None or before.location_key == key:
            winners[ref] = claim
        else:
            conflicts.append(Conflict(ref, key, before.location_key, claim.parent))
    return winners, conflicts


def _conflict(claim: Claim, holder: Held) -> Conflict:
    return Conflict(claim.emitted.ref, claim.emitted.location_key, holder.location_key, claim.parent)


def _columns(conflicts: Sequence[Conflict]) -> tuple[list[int | None], list[str], list[str | None], list[str | None]]:
    return (
        [conflict.parent or None for conflict in conflicts],
        [conflict.ref for conflict in conflicts],
        [conflict.wanted_by for conflict in conflicts],
        [conflict.held_by for conflict in conflicts],
    )


def is_news(emitted: Emitted, held: Held | None) -> bool:
    """Whether writing the emission would change anything (or meet a conflict)."""
    return held is None or held.hash != emitted.hash or held.location_key != emitted.location_key


def _count(status: str) -> int:
    """Rows touched, from a command's status such as `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
