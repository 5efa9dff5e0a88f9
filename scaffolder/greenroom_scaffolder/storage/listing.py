"""filters + order -> a page of tasks and how many match, without looking at all that match: from the heads of few lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from greenroom.db import Database, Record
from greenroom.sql import Queries
from greenroom_scaffolder.storage.rows import TaskRow

Field = Literal["created_at", "status", "created_by"]
Direction = Literal["asc", "desc"]
Order = Sequence[tuple[Field, Direction]]

STATUSES = ("open", "processing", "completed", "failed", "cancelled", "skipped")
MOST_CREATORS = 200
"""Of more than so many, tasks are looked at one by one: their lists have too many heads."""

COLUMNS = "t.id, t.created_by, t.created_at, t.status, t.heartbeat_at"
PAGE = """
SELECT t.*, s.spec FROM (
    SELECT * FROM ({found}) t ORDER BY {keys} LIMIT $3 OFFSET $4
) t JOIN task_specs s ON s.task_id = t.id ORDER BY {keys}
"""
ALL = f"""SELECT {COLUMNS} FROM tasks t
    WHERE ($1::text[] IS NULL OR created_by = ANY($1)) AND ($2::text[] IS NULL OR status = ANY($2))"""  # noqa: S608
NEWEST = f"SELECT {COLUMNS} FROM tasks t WHERE $1::text[] IS NULL AND $2::text[] IS NULL"  # noqa: S608
BY_STATUS = f"""SELECT h.* FROM unnest($2::text[]) AS s (status)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM tasks t WHERE t.status = s.status AND $1::text[] IS NULL
        ORDER BY t.created_at {{way}}, t.id {{way}} LIMIT $3::bigint + $4::bigint
    ) h"""  # noqa: S608
BY_CREATOR = f"""SELECT h.* FROM unnest($1::text[]) AS c (created_by) CROSS JOIN unnest($2::text[]) AS s (status)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM tasks t WHERE t.created_by = c.created_by AND t.status = s.status
        ORDER BY t.created_at {{way}}, t.id {{way}} LIMIT $3::bigint + $4::bigint
    ) h"""  # noqa: S608


class Listing:
    """Pages of tasks. What it costs grows with the page and the filter, not with the number of tasks."""

    def __init__(self, database: Database, sql: Queries) -> None:
        self._db, self._sql = database, sql

    async def page(
        self,
        created_by: Sequence[str] | None,
        statuses: Sequence[str] | None,
        order: Order,
        limit: int | None,
        offset: int,
    ) -> tuple[list[TaskRow], int]:
        """The tasks, and how many there are without paging. None: any creator, any status; no order: the newest first."""
        creators = None if created_by is None else sorted(set(created_by))
        wanted = None if statuses is None else sorted(set(statuses))
        total: int = await self._db.fetchval(self._sql.count_tasks, creators, wanted)
        if limit == 0 or offset >= total:
            return [], total
        query, arguments = await self._plan(creators, wanted, _needed(order), limit, offset)
        return [_read(row) for row in await self._db.fetch(query, *arguments)], total

    async def _plan(
        self,
        creators: Sequence[str] | None,
        statuses: Sequence[str] | None,
        order: Order,
        limit: int | None,
        offset: int,
    ) -> tuple[str, tuple[object, ...]]:
        """The query, and its arguments."""
        fields = [field for field, _ in order]
        if limit is not None and creators is None and fields[0] == "created_by":
            creators = await self._first(order[0][1], statuses or STATUSES, limit + offset)
        if limit is None or (creators is not None and len(creators) > MOST_CREATORS):
            found = ALL
        elif creators is not None:
            found, statuses = BY_CREATOR, statuses or STATUSES
        elif statuses is None and fields == ["created_at"]:
            found = NEWEST
        elif "created_by" not in fields:
            found, statuses = BY_STATUS, statuses or STATUSES
        else:
            found = ALL
        keys = ", ".join(_key(field, way) for field, way in order)
        way = order[-1][1] if fields[-1] == "created_at" else "desc"
        text = PAGE.format(found=found.format(way=way), keys=keys + f", t.id {way}")
        return text, (creators, statuses, limit, offset)

    async def _first(self, way: Direction, statuses: Sequence[str], count: int) -> list[str]:
        query = self._sql.first_creators if way == "asc" else self._sql.last_creators
        return [row["created_by"] for row in await self._db.fetch(query, statuses, count)]


def _needed(order: Order) -> Order:
    """Each field once, up to the time of creation, which decides among all that is left."""
    keys: list[tuple[Field, Direction]] = []
    for field, way in order:
        if field not in [key for key, _ in keys]:
            keys.append((field, way))
        if field == "created_at":
            return keys
    return [*keys, ("created_at", "desc")]


def _key(field: Field, way: Direction) -> str:
    """Services, which have no name, are greater than any (upstream: null)."""
    named = f"(t.created_by = '') {way}, " if field == "created_by" else ""
    return f"{named}t.{field} {way}"


def _read(row: Record) -> TaskRow:
    id_, created_by, created_at, status, heartbeat_at, spec = row
    return TaskRow(id_, created_by, created_at, status, heartbeat_at, spec)
