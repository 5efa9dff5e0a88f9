"""a query that counts -> SQL for what it counts now, and for what has changed of that since a snapshot.

The log `search_changes` has what an entity was before each change. The query itself, word for word, is asked of two small
worlds: of the changed entities as they are now, and as they were in the snapshot. `WITH search AS (…)` puts such a world
in place of the table. What one count has more than the other is the difference.
"""

# ruff: noqa: S608 - pieces are fixed, or statements made by `filters`

from __future__ import annotations

from typing import Any

import msgspec

MOST = 2000
"""Changes that are looked at one by one; after more, counting anew costs less."""


class Counting(msgspec.Struct, frozen=True):
    """A query over `search s` for one number, or for `facet, value, count`."""

    sql: str
    arguments: tuple[Any, ...]
    reads_values: bool
    """It looks into `final_entities.search_values`."""
    lasting: bool
    """It looks at nothing else, so that the log tells all that can change its answer."""


NOTHING = Counting("0", (), reads_values=False, lasting=True)
"""Counted where only the snapshot matters."""


def changes(seen: str, generation: str) -> str:
    """An expression for the number of changes since a snapshot to what is counted, at most MOST + 1; null if nobody knows.

    `seen` and `generation` are placeholders of arguments: of the snapshot as text, and of the log's generation then."""
    return (
        f"(select (select count(*) from (select from search_changes c where {_unseen(seen)} limit {MOST + 1}) c)"
        f" from search_horizon h where h.generation = {generation}::text::uuid"
        f" and h.trimmed <= pg_snapshot_xmin({_snapshot(seen)}))"
    )


def number_now(counting: Counting, *, logged: bool = True) -> str:
    """An expression: `count snapshot generation`, without the generation if the log is not to be looked at."""
    return f"(select concat_ws(' ', ({counting.sql}), pg_current_snapshot(){_generation(logged)}))"


def number_since(counting: Counting | None, seen: str, generation: str) -> str:
    """An expression: `changes snapshot`, and with a query the difference too; changes are -1 if nobody knows."""
    difference = ""
    if counting is not None:
        now, was = _worlds(counting)
        difference = f", (with {_changed(seen)} select ({now}) - ({was}))"
    return f"(select concat_ws(' ', coalesce({changes(seen, generation)}, -1), pg_current_snapshot(){difference}))"


def facets_now(counting: Counting, *, logged: bool = True) -> str:
    """A query for `facet, value, count`. The facet -1 has `count snapshot generation` as its value, the count being 0."""
    head = f"concat_ws(' ', 0, pg_current_snapshot(){_generation(logged)})"
    return f"select -1 as facet, {head} as value, 0::bigint as count union all ({counting.sql})"


def facets_since(counting: Counting, seen: str, generation: str) -> str:
    """A query for `facet, value, difference`, without those that are 0. The facet -1 has `changes snapshot` as its value."""
    head = f"select -1 as facet, {number_since(None, seen, generation)} as value, 0::bigint as count"
    now, was = _worlds(counting)
    return (
        f"with {_changed(seen)} {head} union all select facet, value, sum(count)::bigint from (({now}) union all"
        f" (select facet, value, -count from ({was}) w)) d group by facet, value having sum(count) <> 0"
    )


def _generation(logged: bool) -> str:
    return ", (select h.generation from search_horizon h)" if logged else ""


def _snapshot(seen: str) -> str:
    """A subquery, so that the text is read once and not for each row."""
    return f"(select {seen}::text::pg_snapshot)"


def _unseen(seen: str) -> str:
    """Both bounds, though the upper one excludes nothing: without statistics, Postgres takes a range for narrow."""
    return (
        f"c.xid between pg_snapshot_xmin({_snapshot(seen)}) and pg_snapshot_xmax(pg_current_snapshot())"
        f" and not pg_visible_in_snapshot(c.xid, {_snapshot(seen)}) and c.part <> 'd'"
    )


def _changed(seen: str) -> str:
    """CTEs: what has changed, and the first of each entity's changes, which knows how it was in the snapshot."""
    return (
        f"changed as materialized (select c.* from search_changes c where {_unseen(seen)} limit {MOST + 1}),"
        " found as materialized (select distinct on (id) id, was from changed where part = 's' order by id, seq),"
        " valued as materialized (select distinct on (id) id, held from changed where part = 'f' order by id, seq)"
    )


def _worlds(counting: Counting) -> tuple[str, str]:
    """The query, asked of the changed entities as they are, and as they were."""
    found, valued = "select id from found", "select id from valued"
    then = "search as (select (w.was).* from found w where (w.was).id is not null"
    if not counting.reads_values:
        return f"with search as ({_of('search', found)}) {counting.sql}", f"with {then}) {counting.sql}"
    then += (
        f" union all {_of('search', f'{valued} except {found}')}),"
        f" final_entities as (select id, held as search_values from valued union all"
        f" select id, search_values from ({_of('final_entities', f'{found} except {valued}')}) f)"
    )
    return f"with search as ({_of('search', f'{found} union {valued}')}) {counting.sql}", f"with {then} {counting.sql}"


def _of(table: str, ids: str) -> str:
    """Rows by id, each looked up by itself: without statistics, Postgres would sooner take any other condition."""
    return f"select r.* from ({ids}) i cross join lateral (select t.* from {table} t where t.id = i.id offset 0) r"
