"""condition -> documents: every question that is asked of the catalog's tables. Documents stay the bytes they are stored as."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from greenroom.db import Database
from greenroom.entity import Entity
from greenroom.javascript.texts import trim
from greenroom.sql import Queries, load
from greenroom_catalog.query.conditions import EVERYTHING, Condition, Like, Predicate, both, condition
from greenroom_catalog.query.cursors import Cursor
from greenroom_catalog.query.differences import MOST
from greenroom_catalog.query.filters import MOST_ROWS, After, Order, Statement, storable
from greenroom_catalog.query.looks import Look, Looks, Seen
from greenroom_catalog.query.lookups import Lookups
from greenroom_catalog.query.pages import Way
from greenroom_catalog.query.statements import Sought, Statements, Total
from greenroom_catalog.query.streams import CHUNK, Readings, Streams
from greenroom_catalog.query.tallies import ANEW, ROOM, Answer, Ask, Tallies, Tally
from greenroom_catalog.storage.packing import unpack, unpack_processed

V = TypeVar("V")

PAGE = 200
"""Entities of a page whose length nobody asked for (upstream's default)."""


class Page(msgspec.Struct, frozen=True):
    """Some documents of a list, its length, and where the pages beside it are."""

    documents: list[bytes]
    total: float
    next: Cursor | None = None
    previous: Cursor | None = None
    unread: Sequence[int] = ()
    """If more than CHUNK were asked for: the ids of the documents, still to be read (`EntityQueries.read`)."""
    seen: Seen | None = None
    """Where all of it was read, if that was asked for and can be told."""


class Ancestor(msgspec.Struct, frozen=True):
    """An entity and the entities that emitted it."""

    ref: str
    document: bytes
    parents: list[str]


class FacetValue(msgspec.Struct, frozen=True):
    """A value as it was written, and how many entities have it."""

    value: str
    count: int


Facets = list[list[FacetValue]]
"""Of each facet that was asked for, its values in order. Never changed: others may be reading them."""


class _Counted(Answer[int]):
    """A total, and the page beside which it was found. `seen` and `generation` are true of both if the page is `lasting`."""

    rows: Sequence[Any] = ()
    lasting: bool = False


class _Window(msgspec.Struct, frozen=True):
    """What a page is of, and where it starts."""

    sought: Sought
    after: After | None = None
    offset: int = 0


class Pending(msgspec.Struct, frozen=True):
    """What is known of an entity that was found but never served."""

    unprocessed_entity: msgspec.Raw
    processed_entity: msgspec.Raw | None
    errors: msgspec.Raw | None
    location_key: str | None
    last_discovery_at: datetime
    result_hash: bytes | None
    unprocessed_hash: bytes
    next_update_at: datetime | None


class EntityQueries:
    """Reads entities. Refs are canonical: lower-case and full."""

    def __init__(self, database: Database, room: int = ROOM) -> None:
        """`database`: one whose patience has an end (`Database.within`). `room`: bytes for what is remembered of totals, and as
        many for facets."""
        self._db = database
        self._statements = Statements()
        self._totals: Tallies[int] = Tallies(lambda total: 0, room)
        self._facets: Tallies[Facets] = Tallies(_bytes_of, room)
        self.sql: Queries = load(Path(__file__).with_name("sql"))
        self._lookups = Lookups(self._documents)
        self._streams = Streams(database, self._statements, self.sql)
        self.looks = Looks(self._look)

    # --- single entities ------------------------------------------------------------------------------------------

    async def by_ref(self, ref: str) -> bytes | None:
        """The document of one entity."""
        return await self._lookups.find(ref) if storable(ref) else None

    async def _documents(self, refs: Sequence[str]) -> dict[str, bytes]:
        rows: list[Any] = await self._db.fetch(self.sql.entities_by_refs, refs)
        return dict(rows)

    async def by_uid(self, uid: str) -> bytes | None:
        """The document of the entity whose `metadata.uid` this is, in any letter case."""
        known = as_uid(uid)
        return await self._db.fetchval(self.sql.entity_by_uid, known) if known else None

    async def by_refs(self, refs: Sequence[str], query: Predicate | None = None) -> list[bytes | None]:
        """One document or None for each ref, in order. Those that the predicate is not true of count as missing.

        Without refs nobody looks at the predicate."""
        wanted = [ref for ref in refs if storable(ref)]
        if query is None or not refs:
            rows: list[Any] = await self._db.fetch(self.sql.entities_by_refs, wanted)
        else:
            statement = Statement()
            rows = await self._fetch(statement, statement.among(wanted, condition(query)))
        found: dict[str, bytes] = dict(rows)
        return [found.get(ref) for ref in refs]

    async def ancestry(self, ref: str) -> list[Ancestor] | None:
        """The entity and what is above it, in upstream's order: from each entity on to the last of its parents first.

        None when there is no such entity. A parent that is not served hides what only it leads to."""
        if not storable(ref):
            return None
        rows: list[Any] = await self._db.fetch(self.sql.ancestry, ref)
        if not rows:
            return None
        served = {row["id"]: (row["entity_ref"], row["final_entity"]) for row in rows}
        parents = {row["id"]: [source for source in row["parents"] if source in served] for row in rows}
        return _upward(rows[0]["id"], served, parents)

    # --- lists ----------------------------------------------------------------------------------------------------

    async def page(self, cursor: Cursor, *, limit: int | None = None, offset: int = 0, way: Way = "once") -> Page:
        """One page of by-query: of `cursor.total` None it counts too, in the same round trip."""
        wanted = PAGE if limit is None else limit
        if wanted <= 0:  # nobody looks at what else is asked, unless something is to be counted
            return Page([], await self._total(cursor))
        asked, like = _conditions(cursor), _sorted_text(cursor)
        sought = Sought(
            asked if like is None else _condition(cursor.query),
            cursor.order,
            min(wanted + (0 if cursor.backwards else 1), MOST_ROWS),
            like,
            cursor.backwards,
            wanted <= CHUNK,
        )
        window = _Window(sought, cursor.after(), min(offset, MOST_ROWS))
        if cursor.total is None:
            counting = self._statements.counting(asked, cursor.order)
            found = await self._totals.current(counting, lambda ask: self._page(window, asked, ask, way))
            return _as_page(cursor, found, wanted, found.value or 0)
        told: Total = "unread" if way == "once" or not sought.documents else "uncounted"
        return _as_page(cursor, await self._rows(window, told, ANEW), wanted, cursor.total)

    async def _page(self, window: _Window, asked: Condition, ask: Ask[int], way: Way) -> _Counted:
        if way == "changed" and ask.look == "holds":  # that much is known
            return _Counted(1, "", None, None)
        found = await self._rows(window, asked, ask)
        if not found.rows and (window.offset or window.after):
            return await self._number(asked, window.sought.order, ask)
        return found

    async def _rows(self, window: _Window, counted: Total, ask: Ask[int]) -> _Counted:
        """A page, and what is told beside it; 0 of an empty one."""
        compiled = self._statements.page(window.sought, window.after, window.offset, counted, ask.look)
        late = () if window.after is None else window.after.values
        if window.offset:
            late = (*late, window.offset)
        rows = await self._db.fetch(compiled.sql, *compiled.arguments, *late, *ask.arguments)
        if not rows or counted == "unread":
            return _Counted(0, "", None, 0, rows)
        return _counted(ask, rows[0]["told"], rows, lasting=compiled.lasting)

    async def _total(self, cursor: Cursor) -> float:
        if cursor.total is not None:
            return cursor.total
        asked, order = _conditions(cursor), cursor.order
        counting = self._statements.counting(asked, order)
        return (await self._totals.current(counting, lambda ask: self._number(asked, order, ask))).value or 0

    async def _number(self, asked: Condition, order: Order | None, ask: Ask[int]) -> _Counted:
        if ask.tally is not None and not ask.difference:
            return _Counted(*await self._still(ask.tally))
        compiled = self._statements.number(asked, order, ask.look)
        return _counted(ask, await self._db.fetchval(compiled.sql, *compiled.arguments, *ask.arguments))

    async def _still(self, tally: Tally[V]) -> tuple[int, str, None, V | None]:
        """An answer: whether the tally holds, where nothing is read beside it."""
        look = await self.looks.since(Seen(tally.seen, tally.generation))
        return look.changes, look.now, None, None if look.changes else tally.value

    async def _look(self, seen: Sequence[Seen]) -> list[Look]:
        rows = await self._db.fetch(self.sql.looks, *map(list, zip(*seen, strict=True)), MOST + 1)
        return [Look(*row) for row in rows]

    async def listed(
        self, query: Predicate | None, orders: Sequence[Order], limit: int | None, offset: int
    ) -> list[int]:
        """Ids as paged `GET /entities` sorts them: by ref, or by some keys, entities without a value last."""
        statement = Statement()
        window = None if limit is None else min(limit, MOST_ROWS)
        sql = statement.listed(_condition(query), orders, window, min(offset, MOST_ROWS))
        return [row[0] for row in await self._fetch(statement, sql)]

    def read(self, ids: Sequence[int], chunk: int = CHUNK) -> Readings:
        """The documents of entities in the order of the ids, in chunks. What is gone is left out."""
        return self._streams.read(ids, chunk)

    def stream(self, query: Predicate | None, order: Order | None, chunk: int = CHUNK) -> Readings:
        """All documents, by id or by one key, in chunks. A change meanwhile may or may not show."""
        return self._streams.stream(_condition(query), order, chunk)

    async def facets(self, names: Sequence[str], query: Predicate | None) -> dict[str, list[FacetValue]]:
        """The values of some search keys (in any letter case) with the number of entities for each, by value."""
        keys, asked = tuple(name.lower() for name in names), _condition(query)
        counting = self._statements.facets_counting(keys, asked)
        found = await self._facets.current(counting, lambda ask: self._counted_facets(keys, asked, ask))
        return dict(zip(names, found.value or (), strict=True))

    async def _counted_facets(self, keys: tuple[str, ...], asked: Condition, ask: Ask[Facets]) -> Answer[Facets]:
        if ask.tally is not None and not ask.difference:
            return Answer(*await self._still(ask.tally))
        compiled = self._statements.facets(keys, asked, ask.look)
        head, *rows = await self._db.fetch(compiled.sql, *compiled.arguments, *ask.arguments)
        return _facets(ask, len(keys), head["value"], rows)

    # --- entities that are not served -----------------------------------------------------------------------------

    async def pending(self) -> list[Pending]:
        """Entities that were found and never served."""
        return [_as_pending(row) for row in await self._db.fetch(self.sql.pending_entities)]

    async def _fetch(self, statement: Statement, sql: str) -> list[Any]:
        return await self._db.fetch(sql, *statement.arguments)


class LentReader:
    """What other plugins may read (`greenroom.plugin.CatalogReader`)."""

    def __init__(self, queries: EntityQueries) -> None:
        self._queries = queries

    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        """One entity or None per canonical reference, in order."""
        documents = await self._queries.by_refs(refs)
        return [None if document is None else msgspec.json.decode(document) for document in documents]


def _counted(ask: Ask[int], told: str, rows: Sequence[Any] = (), *, lasting: bool = False) -> _Counted:
    """`told` as `differences` has it: a count or changes, the snapshot, and the generation or the difference."""
    number, seen, *rest = told.split(" ")
    if ask.tally is None:
        return _Counted(0, seen, rest[0] if rest else None, int(number), rows, lasting)
    changes = int(number)
    value = ask.tally.value if changes == 0 else ask.tally.value + int(rest[0]) if rest else None
    return _Counted(changes, seen, None, value, rows, lasting)


def _facets(ask: Ask[Facets], facets: int, told: str, rows: Sequence[Any]) -> Answer[Facets]:
    """`told` as above, without a difference, for that is in the rows."""
    number, seen, *rest = told.split(" ")
    if ask.tally is None:
        found: Facets = [[] for _ in range(facets)]
        for facet, value, count in rows:
            found[facet].append(FacetValue(value, count))
        ordered = [sorted(values, key=_value) for values in found]
        return Answer(0, seen, rest[0] if rest else None, ordered)
    return Answer(int(number), seen, None, _adjusted(ask.tally.value, rows))


def _adjusted(facets: Facets, differences: Sequence[Any]) -> Facets:
    """The facets with some counts more or less. A value that nobody has any more goes."""
    adjusted = list(facets)
    for number in {row["facet"] for row in differences}:
        adjusted[number] = list(adjusted[number])
    for number, value, difference in differences:
        values = adjusted[number]
        place = bisect_left(values, value, key=_value)
        known = place < len(values) and values[place].value == value
        count = difference + (values[place].count if known else 0)
        values[place : place + known] = [FacetValue(value, count)] if count else []
    return adjusted


def _value(facet: FacetValue) -> str:
    return facet.value


def _bytes_of(facets: Facets) -> int:
    return sum(150 + len(facet.value.encode()) for values in facets for facet in values)


def as_uid(text: str) -> UUID | None:
    """A uid as it is written in `metadata.uid`, in any letter case; None for any other text."""
    try:
        uid = UUID(text)
    except ValueError:
        return None
    return uid if str(uid) == text.lower() else None


def _condition(query: Predicate | None) -> Condition:
    return EVERYTHING if query is None else condition(query)


def _conditions(cursor: Cursor) -> Condition:
    """What a by-query request asks for, in words and in text."""
    pattern = _pattern(cursor)
    if pattern is None:
        return _condition(cursor.query)
    fields = cursor.fields if cursor.fields is not None else [cursor.order.key if cursor.order else "metadata.uid"]
    return both(_condition(cursor.query), Like(tuple(field.lower() for field in fields), pattern))


def _sorted_text(cursor: Cursor) -> str | None:
    """The pattern of a text that is looked for in the sorted field alone: of an entity with several values only the rows of
    those that match are shown, and it is counted if one does."""
    alone = cursor.order is not None and cursor.fields in (None, [cursor.order.key])
    return _pattern(cursor) if alone else None


def _pattern(cursor: Cursor) -> str | None:
    term = trim(cursor.term or "").lower()
    return f"%{term}%" if term else None


def _as_page(cursor: Cursor, found: _Counted, limit: int, total: float) -> Page:
    """Put rows in reading order, and find where the pages before and after them are (spec 02 §2.4)."""
    rows = found.rows
    more = cursor.backwards or len(rows) > limit
    shown = list(rows[:limit])
    if cursor.backwards:
        shown.reverse()
    if not shown:  # a client that went back past what is gone can go forward again, from the start
        start = msgspec.structs.replace(cursor, position=None, backwards=False, total=total)
        return Page([], total, start if cursor.backwards else None)
    unread = [row["id"] for row in shown] if limit > CHUNK else []
    documents = [] if unread else [row["final_entity"] for row in shown]
    ends = [_position(cursor.order, row) for row in (shown[0], shown[-1])]
    first = ends[0] if cursor.first is None else cursor.first
    around = msgspec.structs.replace(cursor, first=first, total=total)
    following = msgspec.structs.replace(around, position=ends[1], backwards=False) if more else None
    is_first = cursor.first is None or ends[0] == cursor.first
    before = None if is_first else msgspec.structs.replace(around, position=ends[0], backwards=True)
    seen = Seen(found.seen, found.generation) if found.generation and found.lasting and not unread else None
    return Page(documents, total, following, before, unread, seen)


def _position(order: Order | None, row: Any) -> list[str | None]:
    return [str(row["id"])] if order is None else [row["value"], str(row["id"])]


def _upward(start: int, served: dict[int, tuple[str, bytes]], parents: dict[int, list[int]]) -> list[Ancestor]:
    found: list[Ancestor] = []
    seen, todo = {start}, [start]
    while todo:
        current = todo.pop()
        ref, document = served[current]
        above = parents[current]
        fresh = [parent for parent in above if parent not in seen]
        seen.update(fresh)
        todo.extend(fresh)
        found.append(Ancestor(ref, document, [served[parent][0] for parent in above]))
    return found


def _as_pending(row: Any) -> Pending:
    def raw(value: Any) -> msgspec.Raw | None:
        return None if value is None else msgspec.Raw(value)

    unprocessed, processed, base, errors, *rest = row
    document = None if processed is None else unpack_processed(processed, base)[0]
    return Pending(msgspec.Raw(unpack(unprocessed)), raw(document), raw(errors), *rest)
