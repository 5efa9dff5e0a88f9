"""filters + order -> a page of tasks and how many match, without looking at all that match: from the heads of few lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from greenroom.db import Database
from greenroom.sql import Queries
from greenroom_scaffolder.storage.rows import TaskRow

Field = Literal["created_at", "status", "created_by"]
Direction = Literal["asc", "desc"]
Order = Sequence[tuple[Field, Direction]]

MOST_CREATORS = 200
"""Of more than so many, tasks are looked at one by one: their lists have too many heads."""

# $1 creators, $2 statuses (null: any), $3 limit, $4 offset; {way} is that of the time of creation.
STATUSES = "coalesce($2::text[], ARRAY['open', 'processing', 'completed', 'failed', 'cancelled', 'skipped'])"
COLUMNS = "t.id, t.created_by, t.created_at, t.status, t.heartbeat_at"
PAGE = """
SELECT t.*, s.spec FROM (
    SELECT * FROM ({found}) t ORDER BY {keys} LIMIT $3 OFFSET $4
) t JOIN task_specs s ON s.task_id = t.id ORDER BY {keys}
"""
ALL = f"""SELECT {COLUMNS} FROM tasks t
    WHERE ($1::text[] IS NULL OR created_by = ANY($1)) AND ($2::text[] IS NULL OR status = ANY($2))"""  # noqa: S608
NEWEST = f"SELECT {COLUMNS} FROM tasks t WHERE $1::text[] IS NULL AND $2::text[] IS NULL"  # noqa: S608
HEADS = f"""SELECT h.* FROM {{lists}} CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM tasks t WHERE {{one}} ORDER BY t.created_at {{way}}, t.id {{way}} LIMIT $3::bigint + $4::bigint
    ) h"""  # noqa: S608
BY_STATUS = HEADS.format(
    lists=f"unnest({STATUSES}) AS l (status)", one="t.status = l.status AND $1::text[] IS NULL", way="{way}"
)
BY_CREATOR = HEADS.format(
    lists=f"unnest($1::text[]) AS c (created_by) CROSS JOIN unnest({STATUSES}) AS l (status)",
    one="t.created_by = c.created_by AND t.status = l.status",
    way="{way}",
)
BY_TALLY = HEADS.format(
    lists="""(
        SELECT created_by, status, sum(n) OVER (ORDER BY {groups}) - sum(n) OVER (PARTITION BY {fields}) AS before
        FROM task_tallies t WHERE n > 0 AND $1::text[] IS NULL AND ($2::text[] IS NULL OR status = ANY($2))
    ) l""",
    one="t.created_by = l.created_by AND t.status = l.status AND l.before < $3::bigint + $4::bigint",
    way="{way}",
)
"""Where creators come in an order: the lists that the page can reach, for the tallies say how many tasks come before each."""


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
        creators = None if created_by is None else _possible(created_by)
        wanted = None if statuses is None else _possible(statuses)
        total: int = await self._db.fetchval(self._sql.count_tasks, creators, wanted)
        if limit == 0 or offset >= total:
            return [], total
        query = plan(creators, wanted, order, limit)
        most = None if limit is None else min(limit, total)
        return [TaskRow(*row) for row in await self._db.fetch(query, creators, wanted, most, offset)], total


def _possible(values: Sequence[str]) -> list[str]:
    """Those that a task may have: each once, and none with a NUL, which Postgres cannot even be asked for."""
    return sorted({value for value in values if "\0" not in value})


def plan(creators: Sequence[str] | None, statuses: Sequence[str] | None, order: Order, limit: int | None) -> str:
    """The query for a page; its arguments are creators, statuses, limit and offset."""
    needed = _needed(order)
    fields = [field for field, _ in needed]
    groups: Order = [(field, way) for field, way in needed if field != "created_at"]
    if limit is None or (creators is not None and len(creators) > MOST_CREATORS):
        found = ALL
    elif creators is not None:
        found = BY_CREATOR
    elif "created_by" in fields:
        found = BY_TALLY
    elif statuses is None and not groups:
        found = NEWEST
    else:
        found = BY_STATUS
    way = needed[-1][1] if fields[-1] == "created_at" else "desc"
    text = found.format(way=way, groups=_keys(groups), fields=", ".join(field for field, _ in groups))
    return PAGE.format(found=text, keys=f"{_keys(needed)}, t.id {way}")


def _needed(order: Order) -> Order:
    """Each field once, up to the time of creation, which decides among all that is left."""
    keys: list[tuple[Field, Direction]] = []
    for field, way in order:
        if field not in [key for key, _ in keys]:
            keys.append((field, way))
        if field == "created_at":
            return keys
    return [*keys, ("created_at", "desc")]


def _keys(order: Order) -> str:
    return ", ".join(_key(field, way) for field, way in order)


def _key(field: Field, way: Direction) -> str:
    """Services, which have no name, are greater than any (upstream: null)."""
    named = f"(t.created_by = '') {way}, " if field == "created_by" else ""
    return f"{named}t.{field} {way}"
