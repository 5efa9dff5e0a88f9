"""Hypothesis strategies: requests about entities that are known, most of which hit, with the order in which answers compare."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import hypothesis.strategies as st
import msgspec

from tests.conformance.fuzz.sides import uid_variable
from tests.conformance.fuzz.vocabulary import Vocabulary
from tests.conformance.script import Order, Request

T = TypeVar("T")

Text = tuple[str, list[str] | None]
"""A full text term, and the fields to look into."""

Made = st.SearchStrategy[Request]

DIRECTIONS = ("asc", "desc")
JUNK = (
    "",
    " ",
    ",",
    "=",
    "=x",
    "x=",
    "nope",
    "nope=1",
    "a=b=c",
    "%",
    "_",
    "\\",
    "[",
    "]",
    "kind[",
    "*",
    "$in",
    "spec.",
    ".",
    "..",
    "0",
)
PROTOTYPE = ("constructor", "length", "toString", "metadata.name.length", "spec.constructor", "__proto__")
ODD_TEXT = st.sampled_from(JUNK) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
MANY = 1000
"""More rows than any fuzzed catalog has."""


def mostly(usual: st.SearchStrategy[T], rare: st.SearchStrategy[T], of: int = 10) -> st.SearchStrategy[T]:
    """The rare one is drawn once in so many times."""
    return st.sampled_from(range(of)).flatmap(lambda drawn: rare if drawn == of - 1 else usual)


class Ask:
    """Strategies about one vocabulary."""

    def __init__(self, known: Vocabulary, spelled: Sequence[str] | None = None) -> None:
        """`spelled` are the keys that are asked for; else those that any entity has."""
        self.known = known
        self._values: dict[str, st.SearchStrategy[str]] = {}
        self._fields: dict[str, st.SearchStrategy[tuple[str, Any]]] = {}
        common = [
            "kind",
            "metadata.name",
            "metadata.namespace",
            "spec.type",
            "spec.owner",
            "metadata.tags",
            "relations.ownedBy",
        ]
        self.spelled = spelled or [*common, *known.values]
        self.keys = st.sampled_from(self.spelled) | st.sampled_from(known.sortable or self.spelled)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def key(self) -> st.SearchStrategy[str]:
        """A search key, mostly one that some entity has, in some letter case."""
        cased = st.builds(lambda key, case: case(key), self.keys, st.sampled_from([str, str, str.lower, str.upper]))
        return mostly(cased, ODD_TEXT)

    def value(self, key: str) -> st.SearchStrategy[str]:
        """A value of the key, mostly one that some entity has, in some letter case."""
        if key not in self._values:  # Hypothesis looks long at every new strategy
            self._values[key] = self._value(key)
        return self._values[key]

    def _value(self, key: str) -> st.SearchStrategy[str]:
        held = self.known.values.get(key) or ["nope"]
        cased = st.builds(_cased, st.sampled_from(held), st.sampled_from([str, str, str.lower, str.upper]))
        return mostly(cased, st.sampled_from(held).map(lambda text: text[:2]) | ODD_TEXT)

    def pair(self) -> st.SearchStrategy[tuple[str, str]]:
        return self.key().flatmap(lambda key: st.tuples(st.just(key), self.value(key)))

    def filters(self) -> st.SearchStrategy[list[str]]:
        """`filter` parameters."""
        pad = st.sampled_from(("", "", "", " ", "\t"))
        statement = mostly(
            st.builds(lambda pair, a, b: f"{a}{pair[0]}{b}={a}{pair[1]}{b}", self.pair(), pad, pad),
            self.key() | self.key().map("{}=".format) | ODD_TEXT,
            4,
        )
        return st.lists(st.lists(statement, min_size=1, max_size=3).map(",".join), min_size=1, max_size=3)

    def primitive(self, key: str) -> st.SearchStrategy[Any]:
        return (
            self.value(key)
            | self.value(key).map(_as_json)
            | st.booleans()
            | st.integers(-2, 12)
            | st.floats(allow_nan=False, allow_infinity=False)
        )

    def field(self) -> st.SearchStrategy[tuple[str, Any]]:
        """One member of a field expression."""

        def of(key: str) -> st.SearchStrategy[tuple[str, Any]]:
            if key not in self._fields:
                self._fields[key] = st.tuples(st.just(key), self._said_of(key))
            return self._fields[key]

        return self.key().flatmap(of)

    def _said_of(self, key: str) -> st.SearchStrategy[Any]:
        primitive = self.primitive(key)
        return st.one_of(
            primitive,
            primitive,
            st.booleans().map(lambda yes: {"$exists": yes}),
            st.lists(primitive, max_size=3).map(lambda some: {"$in": some}),
            self.value(key).map(lambda text: {"$hasPrefix": text[:3]}),
            primitive.map(lambda one: {"$contains": one}),
        )

    def related(self) -> st.SearchStrategy[dict[str, Any]]:
        """The object form of `$contains`, mostly right."""
        type_ = st.sampled_from([*self.known.relations, "OWNEDBY", "nope", ""])
        ref = st.sampled_from([*self.known.refs, "group:default/nope"]).flatmap(
            lambda ref: st.sampled_from((ref, ref.upper()))
        )
        target = st.one_of(ref, st.lists(ref, max_size=3).map(lambda some: {"$in": some}), st.just(1))
        right = st.fixed_dictionaries({"type": type_}, optional={"targetRef": target})
        wrong = st.fixed_dictionaries(
            {}, optional={"Type": type_, "type": type_ | st.just(1), "targetref": target, "targetRef": target, "x": ref}
        )
        asked = mostly(right, wrong, 5)
        return st.builds(
            lambda key, what: {key: {"$contains": what}},
            st.sampled_from(("relations", "relations", "Relations", "spec")),
            asked,
        )

    def predicate(self) -> st.SearchStrategy[Any]:
        """Predicate JSON, mostly right."""
        leaf = mostly(st.lists(self.field(), min_size=1, max_size=2).map(dict), self.related() | st.just({}), 5)
        right = st.recursive(
            leaf,
            lambda inner: st.one_of(
                st.lists(inner, max_size=3).map(lambda parts: {"$all": parts}),
                st.lists(inner, max_size=3).map(lambda parts: {"$any": parts}),
                inner.map(lambda part: {"$not": part}),
            ),
            max_leaves=4,
        )
        return mostly(right, self.wrong_predicate(right))

    def wrong_predicate(self, right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        """Something that looks like one."""
        odd: st.SearchStrategy[Any] = (
            st.none() | st.booleans() | st.integers() | ODD_TEXT | st.lists(right, max_size=2) | st.just({})
        )
        operator = st.sampled_from(
            ("$all", "$any", "$not", "$in", "$exists", "$contains", "$hasPrefix", "$nope", "kind", "$")
        )
        inner = st.dictionaries(operator, odd | right, min_size=1, max_size=2)
        return st.one_of(odd, inner, inner.map(lambda what: {"kind": what}), inner.map(lambda what: {"$all": [what]}))

    def fields(self) -> st.SearchStrategy[list[str]]:
        """`fields`, mostly paths that exist."""
        other = st.one_of(
            st.builds(lambda key, n: f"{key}.{n}", self.keys, st.integers(0, 2)),
            st.sampled_from(JUNK),
            st.sampled_from(PROTOTYPE),
            self.keys.map(str.upper),
        )
        above = st.builds(lambda key, n: key.rsplit(".", n)[0], self.keys, st.integers(1, 2))
        return st.lists(mostly(self.keys | above, other), min_size=1, max_size=3)

    def order(self, key: str, cut: bool) -> Order:
        """How rows sorted by a key compare: place by place as far as the key tells them apart."""
        spelled = next((one for one in self.known.sortable if one.lower() == key.lower()), None)
        if spelled is None:
            return "count" if cut else "any"
        return {"values": spelled} if cut else {"ties": spelled}

    # --- requests -----------------------------------------------------------------------------------------------------

    def requests(self) -> Made:
        """Any question."""
        right = st.one_of(
            self.listed(), self.paged(), self.by_query_get(), self.by_query_post(), self.walked(), self.facets_get(),
            self.facets_post(), self.by_refs(), self.named(), self.by_uid(), self.sorted_only(),
        )  # fmt: skip
        return mostly(right, self.bad() | self.forged(), 6)

    def listed(self) -> Made:
        """`GET /entities` without a page."""

        def made(filters: list[str] | None, fields: list[str] | None, orders: list[tuple[str, str]]) -> Request:
            query = _query(filter=filters, fields=fields, order=[f"{way}:{key}" for way, key in orders])
            order = self.order(orders[0][1], cut=False) if orders else "any"
            return Request(get="/entities", query=query, order=_seen(order, fields))

        return st.builds(made, st.none() | self.filters(), st.none() | self.fields(), self.orders(0, 2))

    def orders(self, least: int, most: int) -> st.SearchStrategy[list[tuple[str, str]]]:
        return st.lists(st.tuples(st.sampled_from(DIRECTIONS), self.key()), min_size=least, max_size=most)

    def paged(self) -> Made:
        """`GET /entities` with a page. Only keys as they are stored, in lower case, sort it."""

        def made(
            filters: list[str] | None,
            orders: list[tuple[str, str]],
            limit: int | None,
            offset: int | None,
            after: str | None,
        ) -> Request:
            query = _query(
                filter=filters, order=[f"{way}:{key}" for way, key in orders], limit=limit, offset=offset, after=after
            )
            cut = (limit or MANY) < MANY or bool(offset) or after is not None
            order: Order = self.order(orders[0][1], cut) if orders else "exact" if cut or limit is not None else "any"
            if orders and orders[0][1] != orders[0][1].lower():
                order = "count" if cut else "any"
            return Request(get="/entities", query=query, order=order)

        after = st.builds(
            lambda some: _encoded(json.dumps(some)),
            st.fixed_dictionaries({}, optional={"limit": st.integers(1, 9), "offset": st.integers(0, 40)}),
        )
        return st.builds(
            made, st.none() | self.filters(), self.orders(0, 3), st.none() | st.integers(0, 12) | st.just(MANY),
            st.none() | st.integers(0, 30), mostly(st.none(), after | ODD_TEXT, 4),
        )  # fmt: skip

    def text(self) -> st.SearchStrategy[Text]:
        """A full text term and the fields to look into."""
        part = st.builds(
            lambda text, a, b: text[a : a + b],
            self.pair().map(lambda pair: pair[1]),
            st.integers(0, 3),
            st.integers(1, 4),
        )
        return st.tuples(mostly(part, ODD_TEXT), st.none() | st.lists(self.key(), max_size=3))

    def _told(self, text: Text | None, sorted_: bool) -> bool:
        """Whether the answer can be foreseen: without fields and order the term is looked for in uids, which are chance."""
        return text is None or text[1] is not None or sorted_ or not text[0].strip() or "z" in text[0]

    def by_query_get(self) -> Made:

        def made(
            filters: list[str] | None,
            fields: list[str] | None,
            order: tuple[str, str] | None,
            limit: int | None,
            offset: int | None,
            text: Text | None,
            total: str | None,
        ) -> Request:
            text = text if self._told(text if text is None or text[1] else (text[0], None), order is not None) else None
            field = None if order is None else order[1] if order[0] == "" else f"{order[1]},{order[0]}"
            term, places = text or (None, None)
            query = _query(
                filter=filters, fields=fields, orderField=[field] if field else None, limit=limit, offset=offset,
                fullTextFilterTerm=term, fullTextFilterFields=places, totalItems=total,
            )  # fmt: skip
            cut = (MANY if limit is None else limit) < MANY or bool(offset)
            return Request(get="/entities/by-query", query=query, order=_seen(self._row_order(order, cut), fields))

        order = st.tuples(st.sampled_from(("asc", "desc", "")), self.key().filter(lambda key: "," not in key))
        return st.builds(
            made, st.none() | self.filters(), st.none() | self.fields(), st.none() | order, st.none() | st.integers(0, 9),
            st.none() | st.integers(0, 20), st.none() | self.text(), st.sampled_from((None, None, "include", "exclude")),
        )  # fmt: skip

    def _row_order(self, order: tuple[str, str] | None, cut: bool) -> Order:
        if order is None:
            return "count" if cut else "any"
        return self.order(order[1], cut)

    def by_query_post(self) -> Made:

        def made(body: dict[str, Any], order: list[tuple[str, str]], text: Text | None) -> Request:
            if order:
                body["orderBy"] = [{"field": key, "order": way} for way, key in order]
            if text and self._told(text, bool(order)):
                body["fullTextFilter"] = {"term": text[0]} | ({} if text[1] is None else {"fields": text[1]})
            cut = body.get("limit", MANY) < MANY or bool(body.get("offset"))
            rows = self._row_order(order[0] if order else None, cut)
            return Request(post="/entities/by-query", json=body, order=_seen(rows, body.get("fields")))

        body = st.fixed_dictionaries(
            {},
            optional={
                "query": self.predicate(), "fields": self.fields(), "limit": st.integers(0, 9), "offset": st.integers(0, 20),
                "totalItems": st.sampled_from(("include", "exclude")),
            },
        )  # fmt: skip
        return st.builds(made, body, self.orders(0, 2), st.none() | self.text())

    def walked(self) -> Made:
        """Pages to the end and back, by either method."""

        def made(
            way: str,
            key: str | None,
            limit: int,
            filters: list[str] | None,
            query: Any,
            post: bool,
            text: Text | None,
        ) -> Request:
            order: Order = "any" if key is None else self.order(key, cut=False)
            if post:
                body: dict[str, Any] = {"limit": limit} | (
                    {"orderBy": [{"field": key, "order": way}]} if key is not None else {}
                )
                if isinstance(query, dict):
                    body["query"] = query
                if text:
                    body["fullTextFilter"] = {"term": text[0], "fields": text[1] or []}
                return Request(post="/entities/by-query", json=body, order=order, walk=True)
            asked = _query(limit=limit, filter=filters, orderField=[f"{key},{way}"] if key is not None else None)
            return Request(get="/entities/by-query", query=asked, order=order, walk=True)

        key = self.key().filter(lambda key: "," not in key)
        return st.builds(
            made, st.sampled_from(DIRECTIONS), st.none() | key, st.integers(4, 15), st.none() | self.filters(),
            st.none() | self.predicate(), st.booleans(), st.none() | self.text(),
        )  # fmt: skip

    def sorted_only(self) -> Made:
        """Nothing but the sorted field is asked for, so that rows compare one by one wherever a page is cut."""

        def made(key: str, way: str, limit: int, offset: int, post: bool, upper: bool) -> Request:
            said = key.upper() if upper else key
            if post:
                body = {"orderBy": [{"field": said, "order": way}], "limit": limit, "offset": offset, "fields": [key]}
                return Request(post="/entities/by-query", json=body, order={"values": key})
            query = _query(order=[f"{way}:{key.lower()}"], limit=max(limit, 1), offset=offset, fields=[key])
            return Request(get="/entities", query=query, order={"values": key})

        key = st.sampled_from(self.known.sortable or ["kind"])
        return st.builds(
            made, key, st.sampled_from(DIRECTIONS), st.integers(0, 30), st.integers(0, 20), st.booleans(), st.booleans()
        )

    def facets_get(self) -> Made:
        return st.builds(
            lambda facets, filters: Request(get="/entity-facets", query=_query(facet=facets, filter=filters)),
            st.lists(self.key(), max_size=3), st.none() | self.filters(),
        )  # fmt: skip

    def facets_post(self) -> Made:
        body = st.fixed_dictionaries({"facets": st.lists(self.key(), max_size=3)}, optional={"query": self.predicate()})
        return body.map(lambda said: Request(post="/entity-facets", json=said))

    def by_refs(self) -> Made:
        def made(body: dict[str, Any], filters: list[str] | None, fields: list[str] | None) -> Request:
            return Request(post="/entities/by-refs", query=_query(filter=filters, fields=fields), json=body)

        body = st.fixed_dictionaries(
            {"entityRefs": st.lists(self.ref(), max_size=5)},
            optional={"fields": self.fields(), "query": self.predicate()},
        )
        return st.builds(made, body, st.none() | self.filters(), st.none() | self.fields())

    def ref(self) -> st.SearchStrategy[str]:
        known = st.sampled_from(self.known.refs or ["component:default/nope"])
        return mostly(known, known.map(str.title) | known.map(lambda ref: ref.partition(":")[2]) | ODD_TEXT, 4)

    def named(self) -> Made:
        """By name, and what is above it."""

        def made(ref: str, case: Any, tail: str) -> Request:
            kind, _, rest = ref.partition(":")
            namespace, _, name = rest.partition("/")
            path = "/".join(quote(case(part), safe="") for part in (kind, namespace, name))
            return Request(get=f"/entities/by-name/{path}{tail}", order="any" if tail else "exact")

        known = st.sampled_from([*self.known.refs, "component:default/nope"])
        return st.builds(
            made, known, st.sampled_from((str, str.upper)), st.sampled_from(("", "", "/ancestry", "/", "?x=1"))
        )

    def by_uid(self) -> Made:
        known = [f"${{{uid_variable(ref)}}}" for ref in self.known.refs]
        uid = st.sampled_from([*known, "00000000-0000-4000-8000-000000000000", "nope"])
        return uid.map(lambda one: Request(get=f"/entities/by-uid/{one}"))

    def bad(self) -> Made:
        """Parameters and bodies that are wrong."""
        odd: st.SearchStrategy[Any] = (
            st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | ODD_TEXT
        )
        odd = odd | st.lists(odd, max_size=2) | st.dictionaries(ODD_TEXT, odd, max_size=2)
        names = (
            "query",
            "fields",
            "limit",
            "offset",
            "orderBy",
            "fullTextFilter",
            "totalItems",
            "cursor",
            "facets",
            "entityRefs",
            "x",
        )
        body = st.dictionaries(st.sampled_from(names), odd, max_size=3) | odd
        where = st.sampled_from(("/entities/by-query", "/entity-facets", "/entities/by-refs", "/refresh"))
        posted = st.builds(lambda path, said: Request(post=path, json=said, order=_loose(path)), where, body)
        parameters = (
            "filter",
            "fields",
            "limit",
            "offset",
            "order",
            "orderField",
            "cursor",
            "after",
            "facet",
            "totalItems",
            "x",
        )
        query = st.dictionaries(
            st.sampled_from(parameters),
            ODD_TEXT | st.integers(-2, 5).map(str) | st.lists(ODD_TEXT, max_size=2),
            min_size=1,
            max_size=3,
        )
        path = st.sampled_from(
            ("/entities", "/entities/by-query", "/entity-facets", "/entities/by-name/a/b/c", "/locations")
        )
        asked = st.builds(lambda path, said: Request(get=path, query=said, order=_loose(path)), path, query)
        raw = st.builds(
            lambda path, text, kind: Request(post=path, raw=text, headers={"Content-Type": kind}, order=_loose(path)),
            where,
            st.sampled_from(
                ("", "{", "[]", "null", '"x"', "1", '{"facets":["kind"]}', '{"limit":1}', "{}", '{"a":1,}')
            ),
            st.sampled_from(("application/json", "application/json; charset=utf-8", "text/plain")),
        )
        return st.one_of(posted, asked, raw)

    def forged(self) -> Made:
        """Cursors that nobody was given."""

        def made(content: dict[str, Any], post: bool, limit: int | None, alphabet: str) -> Request:
            cursor = _encoded(json.dumps(content))
            cursor = (
                cursor.rstrip("=")
                if alphabet == "short"
                else cursor.replace("+", "-").replace("/", "_")
                if alphabet == "url"
                else cursor
            )
            if post:
                return Request(
                    post="/entities/by-query",
                    json={"cursor": cursor} | ({} if limit is None else {"limit": limit}),
                    order="count",
                )
            return Request(get="/entities/by-query", query=_query(cursor=cursor, limit=limit), order="count")

        order = st.fixed_dictionaries({"field": self.key(), "order": st.sampled_from(DIRECTIONS)})
        search = st.fixed_dictionaries(
            {"key": self.key()}, optional={"values": st.lists(st.sampled_from(("component", "a", "1")), max_size=2)}
        )
        older = st.recursive(search, lambda inner: st.one_of(
            inner.map(lambda one: {"not": one}), st.lists(inner, max_size=2).map(lambda some: {"anyOf": some}),
            st.lists(inner, max_size=2).map(lambda some: {"allOf": some}),
        ), max_leaves=3)  # fmt: skip
        right = st.fixed_dictionaries(
            {"orderFields": st.lists(order, max_size=1), "isPrevious": st.just(False), "orderFieldValues": st.just([])},
            optional={
                "query": self.predicate(), "filter": older, "totalItems": st.integers(0, 5),
                "fullTextFilter": st.fixed_dictionaries({"term": ODD_TEXT, "fields": st.lists(self.key(), max_size=2)}),
            },
        )  # fmt: skip
        spoilt = st.builds(
            lambda content, key, value: {**content, key: value}, right,
            st.sampled_from(("orderFields", "isPrevious", "query", "filter", "totalItems", "fullTextFilter", "x")),
            st.none() | st.integers(0, 3) | st.booleans() | ODD_TEXT | st.just([]) | st.just({}) | st.just([1]),
        )  # fmt: skip
        return st.builds(
            made,
            mostly(right, spoilt, 4),
            st.booleans(),
            st.none() | st.integers(0, 9),
            st.sampled_from(("", "", "short", "url")),
        )


def _cased(text: str, case: Callable[[str], str]) -> str:
    """In another letter case; a variable as it is."""
    return text if text.startswith("${") else case(text)


def _query(**given: Any) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None and value != []}


def _loose(path: str) -> Order:
    """Where a page may be cut anywhere, only the number of rows can be compared."""
    return "count" if path in ("/entities", "/entities/by-query") else "exact"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _as_json(text: str) -> Any:
    """`5` -> 5, where the text is a JSON scalar that can be printed again; else the text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float) and abs(found) < 1e300 else text


def _seen(order: Order, fields: Sequence[str] | None) -> Order:
    """Rows compare by a field only if they show it: else as many of the same, in any order."""
    if not fields or not isinstance(order, dict):
        return order
    kind: Literal["count", "any"] = "count" if "values" in order else "any"
    return kind


def clone(request: Request) -> str:
    """What tells a request from all others."""
    return msgspec.json.encode(request).decode()
