from __future__ import annotations

from typing import Any

import msgspec
import pytest

from greenroom.db import Database
from greenroom.entity import Entity
from greenroom_catalog.query.conditions import from_filters, from_json
from greenroom_catalog.query.cursors import Cursor, decode, encode
from greenroom_catalog.query.filters import Order
from greenroom_catalog.query.query import EntityQueries, LentReader, Page
from greenroom_catalog.query.streams import Readings
from tests.catalog.query.seeding import emitted_by, entity, serve

BY_NAME = (Order("metadata.name"),)


def _names(documents: list[bytes]) -> list[str]:
    return [msgspec.json.decode(document)["metadata"]["name"] for document in documents]


def _some() -> list[Entity]:
    many_types = {"type": ["x", "Service"], "n": 5, "nothing": None, "long": "y" * 201, "list": ["One", "TWO"]}
    return [
        entity("Beta", spec={"type": "service", "lifecycle": "production"}, title="Zeta", tags=["java", "go"]),
        entity("alpha", spec={"type": "Service"}, tags=["java"], labels={"tier": "1"}),
        entity("gamma", spec=many_types, title="Été 100%", annotations={"a.b/c": "back\\slash"}),
        entity("api", kind="API", spec={"type": "openapi"}, namespace="prod", title="under_score"),
    ]


@pytest.mark.parametrize(
    ("predicate", "names"),
    [
        ({"kind": "component"}, {"Beta", "alpha", "gamma"}),
        ({"KIND": {"$in": ["API", "x"]}}, {"api"}),
        ({"kind": "a\0pi"}, set()),
        ({"spec.type": "SERVICE"}, {"Beta", "alpha", "gamma"}),
        ({"spec.type": {"$in": ["x", "openapi"]}}, {"gamma", "api"}),
        ({"$not": {"spec.type": "service"}}, {"api"}),
        ({"$not": {"metadata.title": {"$hasPrefix": "z"}}}, {"alpha", "gamma", "api"}),
        ({"metadata.tags": "java", "metadata.tags.go": "true"}, {"Beta"}),
        ({"spec.nothing": {"$exists": True}}, {"gamma"}),
        ({"spec.nothing": ""}, set()),
        ({"spec.long": {"$exists": True}}, {"gamma"}),
        ({"spec.long": "y" * 201}, set()),
        ({"spec.n": 5.0}, {"gamma"}),
        ({"spec.list": {"$hasPrefix": "tw"}}, {"gamma"}),
        ({"spec.type": {"$hasPrefix": "serv"}}, {"Beta", "alpha", "gamma"}),
        ({"metadata.title": {"$hasPrefix": "under\\_"}}, set()),
        ({"metadata.title": {"$hasPrefix": "UNDER_"}}, {"api"}),
        ({"metadata.title": {"$hasPrefix": "é"}}, {"gamma"}),
        ({"metadata.annotations.a.b/c": {"$hasPrefix": "back\\"}}, {"gamma"}),
        ({"metadata.tags": {"$hasPrefix": "jav"}}, {"Beta", "alpha"}),
        ({"metadata.namespace": "prod"}, {"api"}),
        ({"$any": []}, set()),
        ({"$all": []}, {"Beta", "alpha", "gamma", "api"}),
        (
            {"$any": [{"kind": "api"}, {"metadata.labels.tier": "1"}, {"metadata.title": "zeta"}]},
            {"Beta", "alpha", "api"},
        ),
        ({"$all": [{"kind": "component"}, {"$not": {"$any": [{"metadata.tags": "go"}, {"spec.n": 5}]}}]}, {"alpha"}),
    ],
)
async def test_a_predicate_finds_what_it_describes(
    small_catalog: EntityQueries, predicate: dict[str, Any], names: set[str]
) -> None:
    found = await small_catalog.page(Cursor(query=from_json(predicate), orders=BY_NAME))
    assert set(_names(found.documents)) == names
    assert found.total == len(names)


@pytest.fixture
async def small_catalog(catalog_database: Database) -> EntityQueries:
    await serve(catalog_database, _some())
    return EntityQueries(catalog_database)


@pytest.mark.parametrize(
    ("term", "fields", "names"),
    [
        ("ETA", ["metadata.title"], ["Beta"]),
        (" ta ", ["metadata.name", "metadata.title"], ["Beta"]),
        ("%", ["metadata.title"], ["Beta", "api", "gamma"]),
        ("100\\%", ["metadata.title"], ["gamma"]),
        ("_", ["spec.type"], ["Beta", "alpha", "api", "gamma"]),
        ("w", ["spec.list"], ["gamma"]),
        ("v", ["metadata.tags"], ["Beta", "alpha"]),
        ("a", [], []),
        ("p", None, ["alpha", "api"]),
        ("x\0", ["metadata.name"], []),
    ],
)
async def test_text_is_searched_in_the_fields_that_were_named(
    small_catalog: EntityQueries, term: str, fields: list[str] | None, names: list[str]
) -> None:
    page = await small_catalog.page(Cursor(term=term, fields=fields, orders=BY_NAME))
    assert sorted(_names(page.documents)) == sorted(names)
    assert page.total == len(names)


async def _walk(queries: EntityQueries, cursor: Cursor, limit: int) -> tuple[list[Page], list[Page]]:
    """All pages to the end, and from there all pages back; cursors go through their text each time."""
    forth = [await queries.page(cursor, limit=limit)]
    while (following := forth[-1].next) is not None:
        forth.append(await queries.page(decode(encode(following)), limit=limit))
    back: list[Page] = []
    current = forth[-1]
    while (previous := current.previous) is not None:
        current = await queries.page(decode(encode(previous)), limit=limit)
        back.append(current)
    return forth, back


@pytest.mark.parametrize(
    "key", [None, "metadata.name", "metadata.title", "spec.type", "metadata.tags", "metadata.uid", "kind"]
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_show_each_row_once_there_and_back(
    small_catalog: EntityQueries, key: str | None, direction: Any
) -> None:
    cursor = Cursor(orders=(Order(key, direction),) if key else ())
    whole = await small_catalog.page(cursor)
    forth, back = await _walk(small_catalog, cursor, 2)
    assert [row for page in forth for row in page.documents] == whole.documents
    assert [page.documents for page in reversed(back)] == [page.documents for page in forth[:-1]]
    assert {page.total for page in forth + back} == {whole.total}
    assert forth[0].previous is None


async def test_an_entity_without_the_sorted_field_is_neither_listed_nor_counted(small_catalog: EntityQueries) -> None:
    page = await small_catalog.page(Cursor(orders=(Order("metadata.title", "desc"),)))
    assert (_names(page.documents), page.total) == (["gamma", "Beta", "api"], 3)
    page = await small_catalog.page(Cursor(orders=(Order("spec.nothing"),)))
    assert (page.documents, page.total) == ([], 0)


async def test_an_entity_with_several_values_is_listed_for_each_and_counted_once(small_catalog: EntityQueries) -> None:
    page = await small_catalog.page(Cursor(orders=(Order("metadata.tags"),)))
    assert (_names(page.documents), page.total) == (["Beta", "Beta", "alpha"], 2)


async def test_the_total_is_right_where_the_page_is_empty(small_catalog: EntityQueries) -> None:
    assert (await small_catalog.page(Cursor(), limit=0)).total == 4
    assert (await small_catalog.page(Cursor(orders=BY_NAME), offset=50)).total == 4
    assert (await small_catalog.page(Cursor(total=0), limit=0)).total == 0


async def test_facets_count_values_as_they_were_written(small_catalog: EntityQueries) -> None:
    names = ["kind", "Spec.Type", "metadata.tags", "metadata.labels.tier", "spec.nothing", "nope", "spec.list", "a\0"]
    found = await small_catalog.facets(names, None)
    assert {name: [(one.value, one.count) for one in values] for name, values in found.items()} == {
        "kind": [("API", 1), ("Component", 3)],
        "Spec.Type": [("Service", 2), ("openapi", 1), ("service", 1), ("x", 1)],
        "metadata.tags": [("go", 1), ("java", 2)],
        "metadata.labels.tier": [("1", 1)],
        "spec.nothing": [],
        "nope": [],
        "spec.list": [("One", 1), ("TWO", 1)],
        "a\0": [],
    }
    filtered = await small_catalog.facets(["spec.type", "metadata.uid"], from_filters(["kind=api"]))
    assert [len(values) for values in filtered.values()] == [1, 1]


async def test_paged_lists_put_entities_without_a_value_last(small_catalog: EntityQueries) -> None:
    async def listed(orders: list[Order], limit: int | None = None, offset: int = 0) -> list[str]:
        ids = await small_catalog.listed(None, orders, limit, offset)
        return _names([document for chunk in await _read(small_catalog.read(ids)) for document in chunk])

    assert await listed([Order("metadata.title", "desc")]) == ["gamma", "Beta", "api", "alpha"]
    assert await listed([Order("kind", "desc"), Order("metadata.name")], 3, 1) == ["Beta", "gamma", "api"]
    assert await listed([]) == ["api", "alpha", "Beta", "gamma"]
    assert await listed([Order("metadata.NAME")]) == ["Beta", "alpha", "gamma", "api"]


async def test_documents_are_read_in_the_order_of_their_ids_without_those_that_are_gone(
    small_catalog: EntityQueries,
) -> None:
    ids = await small_catalog.listed(None, [Order("metadata.name")], None, 0)
    gone = max(ids) + 1
    chunks = await _read(small_catalog.read([ids[3], ids[0], ids[0], gone, gone, gone, ids[2]], chunk=2))
    assert list(map(_names, chunks)) == [["gamma", "alpha"], ["alpha"], [], ["Beta"]]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", [None, "metadata.name", "metadata.tags"])
async def test_a_long_page_has_what_short_ones_have_there_and_back(
    large_catalog: Database, key: str | None, direction: Any
) -> None:
    queries = EntityQueries(large_catalog)
    start = Cursor(query={"spec.type": "service"}, orders=(Order(key, direction),) if key else ())

    async def whole(cursor: Cursor, limit: int) -> tuple[list[bytes], Page]:
        page = await queries.page(cursor, limit=limit)
        return page.documents + [one for chunk in await _read(queries.read(page.unread)) for one in chunk], page

    first, _ = await whole(start, 200)
    more, short = await whole((await queries.page(start, limit=200)).next or start, 500)
    found, long = await whole(start, 700)
    assert (found, long.documents, len(long.unread)) == (first + more, [], 700)
    assert (long.next and long.next.position, long.total) == (short.next and short.next.position, short.total)
    assert long.next is not None
    rest, last = await whole(long.next, 10_000_000)
    assert last.previous is not None
    assert (await whole(last.previous, 10_000_000))[0] == found
    assert len(found + rest) >= long.total


@pytest.mark.parametrize("order", [None, Order("metadata.name", "desc"), Order("metadata.tags")])
async def test_a_stream_in_chunks_brings_what_one_page_brings(
    small_catalog: EntityQueries, order: Order | None
) -> None:
    chunks = await _read(small_catalog.stream(None, order, chunk=2))
    page = await small_catalog.page(Cursor(orders=(order,) if order else ()))
    assert [document for chunk in chunks for document in chunk] == page.documents
    assert all(len(chunk) in (1, 2) for chunk in chunks)


@pytest.mark.parametrize("order", [None, Order("metadata.name", "desc"), Order("metadata.tags")])
async def test_a_long_stream_brings_each_document_once_and_in_order(
    large_catalog: Database, order: Order | None
) -> None:
    queries = EntityQueries(large_catalog)
    for asked in ({}, {"spec.type": "service"}, {"metadata.name": "nobody"}):
        chunks = await _read(queries.stream(asked, order))
        page = await queries.page(Cursor(query=asked, orders=(order,) if order else ()), limit=1_000_000)
        whole = await _read(queries.read(page.unread))
        assert [one for chunk in chunks for one in chunk] == page.documents + [one for chunk in whole for one in chunk]


async def test_the_chunks_of_a_stream_can_be_read_in_any_order(large_catalog: Database) -> None:
    queries = EntityQueries(large_catalog)
    readings = [reading async for reading in queries.stream(None, None)]
    assert len(readings) > 3
    late = [await reading() for reading in reversed(readings)]
    assert list(reversed(late)) == [await reading() for reading in [one async for one in queries.stream(None, None)]]


async def test_large_documents_come_in_small_chunks(catalog_database: Database) -> None:
    await serve(catalog_database, [entity(f"large-{number}", "API") for number in range(120)])
    padding = "x" * 200_000
    await catalog_database.execute(
        "update final_entities set final_entity = json_build_object('padding', $1::text, 'id', id)", padding
    )
    chunks = await _read(EntityQueries(catalog_database).stream(None, None))
    assert [len(chunk) for chunk in chunks[1:]] == [2] * 35
    assert [msgspec.json.decode(one)["id"] for chunk in chunks for one in chunk] == sorted(
        msgspec.json.decode(one)["id"] for chunk in chunks for one in chunk
    )
    assert sum(map(len, chunks)) == 120


async def test_single_entities_are_found_by_ref_and_by_uid_in_any_case(small_catalog: EntityQueries) -> None:
    document = await small_catalog.by_ref("api:prod/api")
    assert document is not None
    uid = msgspec.json.decode(document)["metadata"]["uid"]
    assert await small_catalog.by_uid(uid.upper()) == document
    for other in (uid.replace("-", ""), f"{{{uid}}}", "zzz", "\0"):
        assert await small_catalog.by_uid(other) is None
    assert await small_catalog.by_ref("api:prod/\0") is None


async def test_refs_are_answered_in_the_order_they_were_asked_in(small_catalog: EntityQueries) -> None:
    refs = ["x", "component:default/beta", "api:prod/api", "component:default/beta", "Component:default/beta", "a\0"]
    found = await small_catalog.by_refs(refs)
    assert [document and _names([document])[0] for document in found] == [None, "Beta", "api", "Beta", None, None]
    found = await small_catalog.by_refs(refs, {"kind": "api"})
    assert [document is not None for document in found] == [False, False, True, False, False, False]
    entities = await LentReader(small_catalog).by_refs(["api:prod/api", "x"])
    assert [one and one["kind"] for one in entities] == ["API", None]


async def test_ancestry_goes_up_to_every_location_once(catalog_database: Database) -> None:
    names = ["root", "left", "right", "leaf"]
    ids = await serve(catalog_database, [entity(name, "Location") for name in names])
    root, left, right, leaf = (ids[f"location:default/{name}"] for name in names)
    await emitted_by(catalog_database, root, left, right)
    await emitted_by(catalog_database, left, leaf, root)
    await emitted_by(catalog_database, right, leaf)
    found = await EntityQueries(catalog_database).ancestry("location:default/leaf")
    assert found is not None
    short = [(one.ref.partition("/")[2], [parent.partition("/")[2] for parent in one.parents]) for one in found]
    assert short == [("leaf", ["left", "right"]), ("right", ["root"]), ("root", ["left"]), ("left", ["root"])]
    assert await EntityQueries(catalog_database).ancestry("location:default/nope") is None


async def _read(readings: Readings) -> list[list[bytes]]:
    """The documents of each chunk, one by one."""
    chunks = [await reading() async for reading in readings]
    return [
        [bytes(one) for run in chunk for one in msgspec.json.decode(b"[%b]" % run, type=list[msgspec.Raw])]
        for chunk in chunks
    ]
