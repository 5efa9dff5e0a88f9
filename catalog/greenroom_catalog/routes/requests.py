"""Query parameters and bodies -> what is asked of `query`, with upstream's messages for what is wrong (spec 02 §1, §2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, quote_plus

import msgspec

from greenroom.errors import InputError
from greenroom.web import Asked, shapes
from greenroom_catalog.model.values import from_json, normalise
from greenroom_catalog.query.conditions import PREDICATE, Predicate, check_depth, from_filters
from greenroom_catalog.query.conditions import from_json as predicate_from_json
from greenroom_catalog.query.cursors import Cursor, decode, from_base64, to_base64
from greenroom_catalog.query.filters import Direction, Order
from greenroom_catalog.query.projection import parse_fields

Query = Mapping[str, Any]

LONGEST_PAGE = 2**53
MOST_ORDERS = 20
MOST_FACETS = 100


class PageRequest(msgspec.Struct, frozen=True):
    """A page of by-query."""

    cursor: Cursor
    limit: int | None
    offset: int
    fields: list[str] | None


class Window(msgspec.Struct, frozen=True):
    """A page of `GET /entities`."""

    limit: int | None
    offset: int

    def next(self) -> str:
        """The `after` parameter of the page behind this one."""
        return to_base64({"limit": self.limit, "offset": self.offset + (self.limit or 0)})


def body_of(ask: Asked) -> Any:
    """The JSON body, in which numbers beyond 64 bits are what JavaScript makes of them, so that it can be told again.

    Raises InputError for nesting that nobody needs, where it would be gone into."""
    try:
        msgspec.json.encode(ask.body)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        check_depth(ask.body)
        return normalise(ask.body)
    return ask.body


# --- by-query -----------------------------------------------------------------------------------------------------


def page_from_query(query: Query) -> PageRequest:
    """The parameters of `GET /entities/by-query`. A cursor overrules what it carries itself. Raises InputError."""
    fields = parse_fields(query.get("fields"))
    limit = query.get("limit")
    if query.get("cursor"):
        return PageRequest(decode(query["cursor"]), limit, 0, fields)
    predicate = from_filters(query.get("filter"))
    orders = tuple(_few_orders([_order_field(text) for text in query.get("orderField", ())]))
    cursor = Cursor(
        orders=orders,
        query=predicate,
        term=query.get("fullTextFilterTerm") or "",
        fields=query.get("fullTextFilterFields"),
        total=0 if query.get("totalItems") == "exclude" else None,
    )
    return PageRequest(cursor, limit, query.get("offset") or 0, fields)


def _order_field(text: str) -> Order:
    field, *rest = text.split(",")
    direction = rest[0] if rest else "asc"
    if direction not in ("asc", "desc"):
        raise InputError("Invalid order field order, must be asc or desc")
    return Order(field.lower(), cast(Direction, direction))


def page_from_body(body: Query) -> PageRequest:
    """The body of `POST /entities/by-query`, which fits the document already. Raises InputError."""
    limit, offset = _whole(body, "limit"), _whole(body, "offset") or 0
    if "cursor" in body:
        if not body["cursor"]:
            raise InputError("Cursor cannot be empty")
        return PageRequest(decode(body["cursor"]), limit, 0, parse_fields(body.get("fields")))
    query = predicate_from_json(body["query"]) if "query" in body else None
    orders = tuple(_few_orders([Order(item["field"].lower(), item["order"]) for item in body.get("orderBy", ())]))
    text = body.get("fullTextFilter")
    cursor = Cursor(
        orders=orders,
        query=query,
        term=None if text is None else text.get("term", ""),
        fields=None if text is None else text.get("fields"),
        total=0 if body.get("totalItems") == "exclude" else None,
    )
    return PageRequest(cursor, limit, offset, parse_fields(body.get("fields")))


def _whole(body: Query, name: Literal["limit", "offset"]) -> int | None:
    """A count. Upstream takes any number here, and fails on negative ones and fractions with a 500."""
    value = body.get(name)
    if value is None:
        return None
    if value != value or value < 0 or value != value // 1:
        raise InputError(f"Invalid {name}, must be a whole number that is not negative")
    return int(min(value, LONGEST_PAGE))


# --- GET /entities ------------------------------------------------------------------------------------------------


def orders_from_query(query: Query) -> list[Order]:
    """`order=asc:field` parameters; the field in its own letter case. Raises InputError."""
    return _few_orders([_order(text) for text in query.get("order", ())])


def _few_orders(orders: list[Order]) -> list[Order]:
    """The planner takes minutes over hundreds of them, which nobody can stop."""
    if len(orders) > MOST_ORDERS:
        raise InputError(f"Invalid order, there are more than {MOST_ORDERS} fields")
    return orders


def _order(text: str) -> Order:
    matched = re.match(r"(asc|desc):([^\n\r\u2028\u2029]+)\Z", text)
    if matched is None:
        raise InputError(f'Invalid order parameter "{text}", expected "<asc or desc>:<field name>"')
    return Order(matched[2], cast(Direction, matched[1]))


def window_from_query(query: Query) -> Window | None:
    """The page asked for by `limit` and `offset`, None for all entities. Raises InputError."""
    limit, offset, after = query.get("limit"), query.get("offset"), query.get("after")
    if limit is None and offset is None and after is None:
        return None
    if limit is not None and limit <= 0:
        raise InputError("Invalid limit, must be greater than zero")
    return Window(limit, offset or 0)


def window_after(query: Query, given: Window) -> Window:
    """What `after` says counts. Upstream reads it only for those who may read entities. Raises InputError."""
    after = query.get("after")
    if after is None:
        return given
    try:
        content = from_json(from_base64(after))
    except InputError:
        raise InputError("Malformed after cursor, could not be parsed") from None
    if content is None:
        raise InputError("Malformed after cursor, could not be parsed")
    held = content if isinstance(content, dict) else {}
    limit, offset = held.get("limit", given.limit), held.get("offset", given.offset)
    if "limit" in held and not _is_count(limit, least=1):
        raise InputError("Malformed after cursor, limit was not an number")
    if "offset" in held and not _is_count(offset, least=0):
        raise InputError("Malformed after cursor, offset was not a number")
    return Window(limit, offset)


def _is_count(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LONGEST_PAGE


def next_link(url: str, after: str) -> str:
    """The `Link` header to the next page: the same address, relative to the plugin, with another `after`."""
    path, _, query = url.partition("?")
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "offset"]
    position = next((i for i, (name, _) in enumerate(pairs) if name == "after"), len(pairs))
    kept = [pair for pair in pairs if pair[0] != "after"]
    kept.insert(position, ("after", after))
    return f'<{path}?{"&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in kept)}>; rel="next"'


def _quoted(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


# --- others -------------------------------------------------------------------------------------------------------

_BATCH = shapes.fields(
    {
        "entityRefs": shapes.array(shapes.STRING),
        "fields": shapes.optional(shapes.array(shapes.STRING)),
        "query": shapes.optional(PREDICATE),
    }
)


class Batch(msgspec.Struct, frozen=True):
    """What `POST /entities/by-refs` asks for."""

    refs: list[str]
    query: Predicate | None
    fields: list[str] | None


def batch(query: Query, body: Any) -> Batch:
    """Raises InputError."""
    check_depth(body)
    found, issues = shapes.parse(_BATCH, shapes.MISSING if body is None else body)
    if issues:
        hint = "did you remember to specify an application/json content type?"
        raise InputError(f"Malformed request body ({hint}), {shapes.describe(issues)}")
    predicates = [one for one in (from_filters(query.get("filter")), found.get("query")) if one is not None]
    combined = {"$all": predicates} if len(predicates) > 1 else predicates[0] if predicates else None
    return Batch(found["entityRefs"], combined, parse_fields(query.get("fields"), whole=found.get("fields")))


def facets_from_query(query: Query) -> list[str]:
    """The `facet` parameters. Raises InputError."""
    facets = [facet for facet in query.get("facet", ()) if facet]
    if not facets:
        raise InputError("Missing facet parameter")
    return _few_facets(facets)


def _few_facets(facets: list[str]) -> list[str]:
    distinct = list(dict.fromkeys(facets))
    if len(distinct) > MOST_FACETS:
        raise InputError(f"Invalid facets, there are more than {MOST_FACETS}")
    return distinct


def facets_from_body(body: Query) -> tuple[list[str], Predicate | None]:
    """The body of `POST /entity-facets`. Raises InputError."""
    facets = [facet for facet in body.get("facets", ()) if facet]
    if not facets:
        raise InputError("Missing or empty facets parameter")
    return _few_facets(facets), predicate_from_json(body["query"]) if "query" in body else None


def is_yes(text: str | None) -> bool:
    """`true`, `yes`, `y`, `on` or `1`, as the package yn has it."""
    return text is not None and text.strip().lower() in ("y", "yes", "true", "1", "on")


def only(values: Any) -> str | None:
    """A parameter that was given once."""
    return values if isinstance(values, str) else None


def filters(query: Query) -> Predicate | None:
    """The `filter` parameters. Raises InputError."""
    given: Sequence[str] | None = query.get("filter")
    return from_filters(given)
