"""Emissions -> rows: what providers and entities put into the catalog, and what goes when they let go of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from greenroom.db import Connection
from greenroom.sql import Queries
from greenroom_catalog.storage.claims import Claim, Conflict, Emitted, Held, arbitrate, columns, is_news, turned_away
from greenroom_catalog.storage.packing import pack
from greenroom_catalog.storage.tickets import Tickets
from greenroom_catalog.storage.waking import TO_PROCESS, wake

MANY = 2000
"""Documents from which on they are packed in a thread, so that requests are answered."""

HELD_AT_A_TIME = 5000
"""Rows of what a provider has, fetched at once."""


class Emissions:
    """Who emitted what. Each method is a part of a transaction."""

    def __init__(
        self, sql: Queries, tickets: Tickets, *, keep_orphans: bool, lane: Callable[[str, bytes], int]
    ) -> None:
        self._sql = sql
        self._tickets = tickets
        self._keep_orphans = keep_orphans
        self._lane = lane

    async def held_by_source(self, conn: Connection, source: str) -> dict[str, Held]:
        """Root entities of a provider, by ref. There may be a million: they are fetched a few at a time, and kept small."""
        held: dict[str, Held] = {}
        keys: dict[str, str] = {}
        rows = await conn.cursor(self._sql.held_by_source, source)
        while some := await rows.fetch(HELD_AT_A_TIME):
            for ref, hash_, key in some:
                held[ref] = Held(hash_, key and keys.setdefault(key, key))
        return held

    async def held(self, conn: Connection, refs: Sequence[str]) -> dict[str, Held]:
        """Entities by ref, whoever emitted them."""
        rows = await conn.fetch(self._sql.held, refs)
        return {row["entity_ref"]: Held(row["unprocessed_hash"], row["location_key"], row["id"]) for row in rows}

    async def from_source(self, conn: Connection, source: str, emitted: Sequence[Emitted]) -> list[Conflict]:
        """Write root entities of a provider and make them due. A conflicting one is left to its holder."""
        written, conflicts = await self._emit(conn, [Claim(item) for item in emitted], {})
        if written:
            await conn.execute(self._sql.own_by_source, source, list(written.values()))
        if conflicts:
            await conn.execute(self._sql.disown_by_source, source, [conflict.ref for conflict in conflicts])
        return conflicts

    async def from_entities(
        self, conn: Connection, emitted: Mapping[int, Sequence[Emitted]]
    ) -> tuple[list[Conflict], list[int], list[int]]:
        """Write what these entities (by id) emitted, which is now all that they do. What comes as it was, and reads something,
        is read again, as upstream: a change up here may be one of several.

        Returns the conflicts; the children that were let go, for `let_go`; and those that came as they were, and had another
        parent before or none."""
        if not emitted:
            return [], [], []
        claims = [Claim(child, parent) for parent, children in emitted.items() for child in children]
        held = await self.held(conn, [claim.emitted.ref for claim in claims]) if claims else {}
        news = {claim.emitted.ref for claim in claims if is_news(claim.emitted, held.get(claim.emitted.ref))}
        fresh = [
            claim for claim in claims if claim.emitted.ref in news
        ]  # of a name that comes twice both: the last counts
        written, conflicts = await self._emit(conn, fresh, held)
        lost = {(conflict.parent, conflict.ref, conflict.wanted_by) for conflict in conflicts}
        ids = {ref: row.id for ref, row in held.items()} | written
        kept = [claim for claim in claims if (claim.parent, claim.emitted.ref, claim.emitted.location_key) not in lost]
        pairs = [(claim.parent, ids[claim.emitted.ref]) for claim in kept]
        await self._hasten(conn, [claim.emitted for claim in kept if claim.emitted.ref not in written], ids)
        rows = await conn.fetch(self._sql.own_by_entities, list(emitted), [p for p, _ in pairs], [c for _, c in pairs])
        if conflicts:
            await conn.execute(self._sql.forget_results, sorted({conflict.parent for conflict in conflicts}))
            await conn.execute(self._sql.note_conflicts, None, *columns(conflicts))
        adopted = {row["target_id"] for row in rows if row["adopted"]} - set(written.values())
        return conflicts, [row["target_id"] for row in rows if not row["adopted"]], sorted(adopted)

    async def _hasten(self, conn: Connection, emitted: Sequence[Emitted], ids: Mapping[str, int]) -> None:
        """Make those of them due whose processing waits for something. That of the others would come to the same."""
        waiting = [ids[item.ref] for item in emitted if self._lane(item.ref, item.document)]
        if waiting:
            await conn.execute(self._sql.hasten, waiting)
            await wake(conn, TO_PROCESS)

    async def _emit(
        self, conn: Connection, claims: Sequence[Claim], held: Mapping[str, Held]
    ) -> tuple[dict[str, int], list[Conflict]]:
        """Write unprocessed entities; return ids by ref, and what was turned away. `held`: what the catalog has of some."""
        if not claims:
            return {}, []
        winners, conflicts = arbitrate(claims, held)
        items = [claim.emitted for claim in winners.values()]
        rows = await conn.fetch(
            self._sql.emit,
            [item.ref for item in items],
            await _packed(items),
            [item.hash for item in items],
            [item.location_key for item in items],
            [self._lane(item.ref, item.document) for item in items],
        )
        written = {row["entity_ref"]: row["id"] for row in rows}
        if written:
            await wake(conn, TO_PROCESS)
        refused = {ref for ref in winners if ref not in written}
        if refused:
            holders = await self.held(conn, sorted(refused))
            conflicts = [conflict for conflict in conflicts if conflict.ref not in refused]
            conflicts += [
                turned_away(claim, holders[claim.emitted.ref]) for claim in claims if claim.emitted.ref in refused
            ]
        return written, conflicts

    async def note_conflicts_of_source(
        self, conn: Connection, source: str, conflicts: Sequence[Conflict], *, of: Sequence[str] | None
    ) -> None:
        """Remember which claims of a provider were turned away just now. `of`: only these refs were claimed; None: all that
        it claims."""
        await conn.execute(self._sql.settle_conflicts_of_source, source, of)
        if conflicts:
            await conn.execute(self._sql.note_conflicts, source, *columns(conflicts))

    async def remove_from_source(
        self, conn: Connection, source: str, refs: Sequence[str], *, by_hand: bool = False
    ) -> int:
        """Let go of root entities: they and what only they held up are deleted. Returns how many went."""
        if not refs:
            return 0
        doomed = await self.doomed(conn, source, refs)
        await self.delete(conn, doomed, by_hand=by_hand)
        await conn.execute(self._sql.disown_by_source, source, refs)
        return len(doomed)

    async def doomed(self, conn: Connection, source: str, refs: Sequence[str]) -> list[int]:
        """What would go if a provider let go of these refs: they, and all below them that nothing else holds up."""
        return [row["id"] for row in await conn.fetch(self._sql.doomed_by_removal, source, refs)]

    async def delete(self, conn: Connection, ids: Sequence[int], *, by_hand: bool = False) -> None:
        """Delete entities, and restitch those that had relations through them.

        Who claimed one in vain is made due, so that an entity may move from one file to another in one commit; but not for
        a deletion by hand, as upstream, after which who still emits it has the first word."""
        if not ids:
            return
        rows = await conn.fetch(self._sql.related_to, ids)
        claimants = await conn.fetch(self._sql.delete_entities, ids, not by_hand)
        for topic in {row["topic"] for row in claimants}:
            await wake(conn, topic)
        await self._tickets.request(conn, [row["id"] for row in rows], [])

    async def let_go(self, conn: Connection, children: Sequence[int]) -> None:
        """Delete those of the children that nothing refers to now, then those whom that leaves alone, and so on.

        Orphans that are kept are marked as such after their next turn, as upstream: who an entity's parents are is a part of
        what its processing comes to."""
        pending = list(children)
        if self._keep_orphans:
            await conn.execute(self._sql.forget_results, pending)
            return
        while pending:
            orphans = [row["id"] for row in await conn.fetch(self._sql.orphans_among, pending)]
            pending = [row["target_id"] for row in await conn.fetch(self._sql.children_of, orphans)]
            await self.delete(conn, orphans)


async def _packed(items: Sequence[Emitted]) -> list[bytes]:
    def packed() -> list[bytes]:
        return [pack(item.document) for item in items]

    return await asyncio.to_thread(packed) if len(items) > MANY else packed()
