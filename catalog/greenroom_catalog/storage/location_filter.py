"""Predicate JSON over registered locations -> SQL, put together from fixed pieces only (spec 02 §6).

The language is that of entity queries, but its corners are upstream's own: an empty `$all` matches nothing, and an empty
object says nothing at all, so that even its negation is no condition.
"""

# ruff: noqa: S608 - pieces are fixed: columns from _COLUMNS, and `$n`

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from greenroom.errors import InputError
from greenroom.javascript.values import text_of

_COLUMNS = {"id": "id", "type": "type", "target": "target", "entityref": "entity_ref"}
_FOLDED = {column: f'upper({column}::text collate "default")' for column in _COLUMNS.values()}
_NOTHING = "false"

Statement = tuple[Any, ...]
"""A query and its arguments."""


class LocationFilter:
    """One predicate, compiled."""

    def __init__(self, query: Mapping[str, Any] | None) -> None:
        """`query` has the shape of a predicate. Raises InputError for fields that locations do not have."""
        self._arguments: list[object] = []
        self._where = (self._condition(query) if query is not None else None) or "true"

    def page(self, limit: int, after: UUID | None) -> Statement:
        """The first so many that match, past an id, by id."""
        arguments: list[object] = [*self._arguments, limit]
        start = ""
        if after is not None:
            arguments.append(after)
            start = f" and id > ${len(arguments)}"
        columns = "select id, type, target, entity_ref from locations"
        return (
            f"{columns} where ({self._where}){start} order by id limit ${len(self._arguments) + 1}::bigint",
            *arguments,
        )

    def count(self) -> Statement:
        """How many match."""
        return f"select count(*) from locations where {self._where}", *self._arguments

    def _condition(self, query: Any) -> str | None:
        """A boolean expression; None for a predicate that says nothing. Raises InputError."""
        if not isinstance(query, Mapping):
            raise InputError("Invalid filter predicate, expected an object")
        if "$all" in query:
            return _joined(" and ", map(self._condition, query["$all"])) if query["$all"] else _NOTHING
        if "$any" in query:
            return _joined(" or ", map(self._condition, query["$any"])) if query["$any"] else _NOTHING
        if "$not" in query:
            inner = self._condition(query["$not"])
            return inner and f"not ({inner})"
        return _joined(" and ", (self._field(key, value) for key, value in query.items()))

    def _field(self, key: str, value: Any) -> str:
        column = _COLUMNS.get(key.lower())
        if column is None:
            expected = "expected key to be 'id', 'type', 'target', or 'entityRef'"
            raise InputError(f"Invalid filter predicate, {expected}, got '{key}'")
        if not isinstance(value, Mapping):
            return self._among(column, [value])
        if "$exists" in value:
            return "true" if value["$exists"] else _NOTHING  # every location has all of them
        if "$in" in value:
            return self._among(column, value["$in"])
        return self._prefixed(column, value["$hasPrefix"]) if "$hasPrefix" in value else _NOTHING

    def _among(self, column: str, values: Iterable[Any]) -> str:
        known = [text for text in map(text_of, values) if "\0" not in text]
        if not known:
            return _NOTHING
        return (
            f'{_FOLDED[column]} in (select upper(v collate "default") from unnest({self._argument(known)}::text[]) v)'
        )

    def _prefixed(self, column: str, prefix: str) -> str:
        if "\0" in prefix:
            return _NOTHING
        return f'starts_with({_FOLDED[column]}, upper({self._argument(prefix)}::text collate "default"))'

    def _argument(self, value: object) -> str:
        self._arguments.append(value)
        return f"${len(self._arguments)}"


def _joined(operator: str, conditions: Iterable[str | None]) -> str | None:
    """The conditions that say something; None when none does."""
    return operator.join(f"({condition})" for condition in conditions if condition is not None) or None
