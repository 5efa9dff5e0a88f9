"""Filters, predicates, facets, fields and cursors made to blow up, over a catalog that has something to look through."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.catalog.query.seeding import entity, serve
from tests.hostile.conftest import World, refused

MANY = 10_000
DEPTH = 1_000


@pytest.fixture(scope="module")
async def full(world: World) -> World:
    """With 5,000 components, so that a query that looks at each of them a thousand times is felt."""
    spec = {"type": "service", "owner": "team-a", "description": "a" * 150}
    await serve(world.database, [entity(f"c{n}", spec=spec, title=f"{'a' * 40} {n}") for n in range(5_000)])
    return world


def _nested(operator: str, depth: int) -> str:
    """A predicate in predicates, written by hand: `json` cannot."""
    opening, closing = ('{"$not":', "}") if operator == "$not" else (f'{{"{operator}":[', "]}")
    return opening * depth + '{"kind":"x"}' + closing * depth


ADDRESSES: dict[str, str] = {
    "10,000 terms": "/entities?filter=" + ",".join(f"spec.k{n}=v" for n in range(MANY)),
    "10,000 values of one key": "/entities?filter=" + ",".join(f"kind=v{n}" for n in range(MANY)),
    "900 filters": "/entities?" + "&".join(f"filter=kind=v{n},spec.type=x" for n in range(900)),
    "900 filters of a query": "/entities/by-query?" + "&".join(f"filter=spec.type=v{n}" for n in range(900)),
    "10,000 fields": "/entities?limit=20&fields=" + ",".join(f"spec.f{n}" for n in range(MANY)),
    "a field of 10,000 parts": "/entities?limit=20&fields=" + ".".join("a" * MANY),
    "900 orders": "/entities?limit=20&" + "&".join(f"order=asc:spec.o{n}" for n in range(900)),
    "900 order fields": "/entities/by-query?limit=20&" + "&".join(f"orderField=spec.o{n},asc" for n in range(900)),
    "900 facets": "/entity-facets?" + "&".join(f"facet=spec.f{n}" for n in range(900)),
    "900 fields of a term": "/entities/by-query?fullTextFilterTerm=a&fullTextFilterFields="
    + ",".join(f"spec.f{n}" for n in range(900)),
    "a term of 60,000 wildcards": "/entities/by-query?fullTextFilterTerm=" + "%25_" * 20_000,
    "a term that almost is there": "/entities/by-query?fullTextFilterTerm=" + "a" * 39 + "%25" * 20 + "b",
    "a term of letters that grow in lower case": "/entities/by-query?fullTextFilterTerm=" + "%C4%B0" * 20_000,
    "marks upon marks": "/entities/by-query?fullTextFilterTerm=a" + "%CC%81" * 20_000,
    "brackets in brackets of a name": "/entities?filter" + "[a]" * 10_000 + "=x",
    "a million parameters": "/entities?" + "a&" * 1_000_000,
    "an offset beyond all": "/entities/by-query?limit=1&offset=9007199254740991",
    "a negative limit": "/entities?limit=-1",
}


@pytest.mark.parametrize("bomb", ADDRESSES)
async def test_an_address_that_is_a_bomb_is_answered_or_refused(full: World, bomb: str) -> None:
    async with full.answers_others():
        reply = await full.get(ADDRESSES[bomb])
    assert reply.status == 200 or refused(reply)


PREDICATES: dict[str, str] = {
    "10,000 branches of $any": json.dumps({"$any": [{"kind": "a"}] * MANY}),
    "as many branches of $any as a body holds": json.dumps({"$any": [{"spec.type": f"v{n}"} for n in range(3_500)]}),
    "branches of all sorts": json.dumps(
        {"$any": [{f"spec.k{n}": {"$hasPrefix": "a"}, f"spec.l{n}": {"$exists": n % 2 == 0}} for n in range(1_200)]}
    ),
    "8,000 values of $in": json.dumps({"spec.type": {"$in": [f"v{n}" for n in range(8_000)]}}),
    "6,000 keys": json.dumps({f"k{n}": "v" for n in range(6_000)}),
    "200 prefixes": json.dumps({"$any": [{"metadata.title": {"$hasPrefix": "a" * 39 + "%" * n}} for n in range(200)]}),
    "$not 1,000 deep": _nested("$not", DEPTH),
    "$all 1,000 deep": _nested("$all", DEPTH),
    "$any 1,000 deep": _nested("$any", DEPTH),
    "$not 7,000 deep": _nested("$not", 7_000),
    "64 deep and twice as wide at each level": json.dumps({"$all": [{"$any": [{"kind": "a"}] * 50}] * 50}),
    "a prefix of wildcards": json.dumps({"metadata.title": {"$hasPrefix": "%_\\" * 20_000}}),
}


@pytest.mark.parametrize(
    "operation", ["/entities/by-query", "/entity-facets", "/entities/by-refs", "/locations/by-query"]
)
@pytest.mark.parametrize("bomb", PREDICATES)
async def test_a_predicate_that_is_a_bomb_is_answered_or_refused(full: World, operation: str, bomb: str) -> None:
    more = {
        "/entities/by-query": '"limit": 20, ',
        "/entity-facets": '"facets": ["spec.type"], ',
        "/entities/by-refs": '"entityRefs": ["component:default/c1"], ',
    }.get(operation, "")
    async with full.answers_others():
        reply = await full.post(operation, f'{{{more}"query": {PREDICATES[bomb]}}}'.encode())
    assert reply.status == 200 or refused(reply, 400, 413)


BODIES: dict[str, tuple[str, Any]] = {
    "3,000 facets": ("/entity-facets", {"facets": [f"spec.f{n}" for n in range(3_000)]}),
    "one facet 10,000 times": ("/entity-facets", {"facets": ["kind"] * MANY}),
    "7,000 fields": ("/entities/by-query", {"limit": 20, "fields": [f"s.f{n}" for n in range(7_000)]}),
    "3,000 orders": ("/entities/by-query", {"orderBy": [{"field": f"f{n}", "order": "asc"} for n in range(3_000)]}),
    "a reference 3,500 times": ("/entities/by-refs", {"entityRefs": ["component:default/c1"] * 3_500}),
    "3,500 references": ("/entities/by-refs", {"entityRefs": [f"component:default/c{n}" for n in range(3_500)]}),
    "references that are none": ("/entities/by-refs", {"entityRefs": [":" * 90_000]}),
    "a term in 3,000 fields": (
        "/entities/by-query",
        {"limit": 20, "fullTextFilter": {"term": "a", "fields": [f"spec.f{n}" for n in range(3_000)]}},
    ),
}


@pytest.mark.parametrize("bomb", BODIES)
async def test_a_request_for_too_much_is_answered_or_refused(full: World, bomb: str) -> None:
    operation, body = BODIES[bomb]
    async with full.answers_others():
        reply = await full.post(operation, body)
    assert reply.status == 200 or refused(reply, 400, 413)


CURSORS: dict[str, Any] = {
    "SQL for a field": {"orderFields": [{"field": "x'; drop table search; --", "order": "asc"}]},
    "SQL for an order": {"orderFields": [{"field": "kind", "order": "asc; drop table search"}]},
    "SQL for a value": {
        "orderFields": [{"field": "kind", "order": "asc"}],
        "orderFieldValues": ["'; drop table search; --", "1) or (1=1"],
    },
    "an object for a value": {"orderFields": [], "orderFieldValues": [{"a": 1}]},
    "an object for the orders": {"orderFields": {"field": "kind"}},
    "a text for the total": {"orderFields": [], "totalItems": "many"},
    "a total beyond any": {"orderFields": [], "totalItems": 10**400},
    "a filter in a filter": {"orderFields": [], "filter": {"not": {"not": {"not": {"key": "'"}}}}},
    "1,000 order fields": {"orderFields": [{"field": f"f{n}", "order": "asc"} for n in range(1_000)]},
    "a predicate that is none": {"orderFields": [], "query": {"$sql": "drop table search"}},
    "a list": [],
    "null": None,
}


@pytest.mark.parametrize("forged", CURSORS)
async def test_a_forged_cursor_reaches_no_table_it_should_not(full: World, forged: str) -> None:
    held = CURSORS[forged]
    whole = {"isPrevious": False, "orderFieldValues": ["c1"], **held} if isinstance(held, dict) else held
    cursor = base64.b64encode(json.dumps(whole).encode()).decode()
    async with full.answers_others():
        for reply in (
            await full.post("/entities/by-query", {"cursor": cursor, "limit": 2}),
            await full.get(f"/entities/by-query?limit=2&cursor={cursor.replace('+', '%2B').replace('=', '%3D')}"),
        ):
            assert reply.status == 200 or refused(reply)
    assert await full.database.fetchval("select count(*) from search") >= 5_000


async def test_a_cursor_that_is_a_bomb_is_refused(full: World) -> None:
    deep = base64.b64encode(b'{"query":' + b'{"$not":' * 6_000 + b"1" + b"}" * 6_001).decode()
    wide = base64.b64encode(b'{"filter":{"anyOf":[' + b'{"key":"a"},' * 5_000 + b'{"key":"a"}]}}').decode()
    async with full.answers_others():
        for cursor in (deep, wide, "A" * 90_000, "=" * 90_000):
            refused(await full.post("/entities/by-query", {"cursor": cursor}), 400, 413)


async def test_two_hundred_costly_questions_at_once_leave_room_for_a_cheap_one(full: World) -> None:
    costly = [
        full.get(f"/entities/by-query?limit=20&fullTextFilterTerm=b{n}&orderField=metadata.title,desc")
        for n in range(200)
    ]
    async with full.answers_others(bound=3.0):
        replies = await asyncio.gather(*costly)
    assert {reply.status for reply in replies} <= {200, 503}
