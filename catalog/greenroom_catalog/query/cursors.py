"""Cursors of by-query: base64 JSON in upstream's shape, which the official client looks into (spec 02 §2.4)."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.json_text import json_text
from greenroom.web import explain, shapes
from greenroom_catalog.model.values import from_json
from greenroom_catalog.query.conditions import PREDICATE, Predicate, check_depth, from_search_filter
from greenroom_catalog.query.filters import After, Order, storable

Values = list[str | None]
"""`[sort value, id]`, or `[id]` without an order."""


class Cursor(msgspec.Struct, frozen=True):
    """Where a client is in the list it asked for, with all that it asked."""

    orders: tuple[Order, ...] = ()
    query: Predicate | None = None
    term: str | None = None
    fields: list[str] | None = None
    position: Values | None = None
    first: Values | None = None
    backwards: bool = False
    total: float | None = None

    @property
    def order(self) -> Order | None:
        """The only one that counts: the first."""
        return self.orders[0] if self.orders else None

    def after(self) -> After | None:
        """The row past which the page starts. Raises InputError for a position that no cursor of ours has."""
        if self.position is None:
            return None
        expected = 1 if self.order is None else 2
        if len(self.position) != expected:
            raise InputError(f"Malformed cursor: expected {expected} values in orderFieldValues")
        value, identifier = (None, *self.position) if self.order is None else self.position
        known = value is None if self.order is None else value is not None and storable(value)
        if not known or identifier is None or not _ID.fullmatch(identifier):
            raise InputError("Malformed cursor: orderFieldValues do not name a row")
        return After(value, int(identifier))


_ID = re.compile("[0-9]{1,18}")


def encode(cursor: Cursor) -> str:
    """Cursor -> text. `query` is there only if the client filtered: the official client then goes on by POST."""
    content: dict[str, Any] = {
        "orderFields": [{"field": order.key, "order": order.direction} for order in cursor.orders],
        "isPrevious": cursor.backwards,
    }
    if cursor.query is not None:
        content["query"] = cursor.query
    if cursor.term is not None:
        content["fullTextFilter"] = {"term": cursor.term} | ({"fields": cursor.fields} if cursor.fields else {})
    content["orderFieldValues"] = cursor.position or []
    if cursor.first is not None:
        content["firstSortFieldValues"] = cursor.first
    content["totalItems"] = cursor.total
    return to_base64(content)


_FILTERS = shapes.array(shapes.lazy(lambda: _SEARCH_FILTER))
_SEARCH_FILTER: shapes.Shape = shapes.union(
    shapes.union(
        shapes.union(
            shapes.fields({"key": shapes.STRING, "values": shapes.optional(shapes.array(shapes.STRING))}),
            shapes.fields({"not": shapes.lazy(lambda: _SEARCH_FILTER)}),
        ),
        shapes.fields({"anyOf": _FILTERS}),
    ),
    shapes.fields({"allOf": _FILTERS}),
)
_VALUES = shapes.array(shapes.union(shapes.STRING, shapes.NULL))
_CURSOR = shapes.fields(
    {
        "orderFields": shapes.array(shapes.fields({"field": shapes.STRING, "order": shapes.one_of("asc", "desc")})),
        "fullTextFilter": shapes.optional(
            shapes.fields({"term": shapes.STRING, "fields": shapes.optional(shapes.array(shapes.STRING))})
        ),
        "orderFieldValues": _VALUES,
        "filter": shapes.optional(_SEARCH_FILTER),
        "isPrevious": shapes.BOOLEAN,
        "query": shapes.optional(PREDICATE),
        "firstSortFieldValues": shapes.optional(_VALUES),
        "totalItems": shapes.optional(shapes.NUMBER),
    }
)


def decode(text: str) -> Cursor:
    """Text -> cursor. Raises InputError for anything that is not one."""
    data = from_base64(text).decode("utf-8", "replace")
    try:
        content = from_json(data)
    except InputError:
        raise InputError(f"Malformed cursor: SyntaxError: {explain(data)}") from None
    check_depth(content)
    found, issues = shapes.parse(_CURSOR, content)
    if issues:
        raise InputError(f"Malformed cursor: InputError: Malformed cursor: {shapes.listed(issues)}")
    orders = tuple(Order(order["field"].lower(), order["order"]) for order in found["orderFields"])
    search = found.get("fullTextFilter", {})
    return Cursor(
        orders=orders,
        query=_query(found),
        term=search.get("term"),
        fields=search.get("fields"),
        position=found["orderFieldValues"] or None,
        first=found.get("firstSortFieldValues"),
        backwards=found["isPrevious"],
        total=found.get("totalItems", 0),  # what the first page did not count is not counted later either
    )


def _query(found: dict[str, Any]) -> Predicate | None:
    """The predicate, joined with the older `filter` member if there is one."""
    query: Predicate | None = found.get("query")
    if not query and not isinstance(query, dict):
        query = None  # 0, false and "" have the shape of predicates, and say nothing
    if "filter" not in found:
        return query
    older = from_search_filter(found["filter"])
    return older if query is None else {"$all": [older, query]}


def to_base64(content: object) -> str:
    """JSON in base64: what every cursor is."""
    return base64.b64encode(_as_json(content)).decode()


_NOT_PLAIN = re.compile(rb"[:\[,]-?[0-9]+[.eE]|[0-9]{16}")


def _as_json(content: object) -> bytes:
    """As JavaScript prints it. Of what both know, msgspec prints all but fractions and giants alike, in a tenth of the time."""
    try:
        quick = msgspec.json.encode(content)
    except (UnicodeEncodeError, OverflowError):
        return json_text(content).encode()
    return quick if _NOT_PLAIN.search(quick) is None else json_text(content).encode()


def from_base64(text: str) -> bytes:
    """As Node decodes it: both alphabets, missing padding, and foreign characters skipped."""
    kept = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return base64.b64decode(kept + "=" * (-len(kept) % 4))
