"""Properties of lists, on generated questions: each match is visited exactly once, there and back, also while entities change, and
the walk, its total, the facets and both ways of filtering agree.

What holds while entities change: an entity that matches during the whole walk, and whose sorted value does not change meanwhile, is
visited exactly once, and once again on the way back. One that comes, goes or moves may be visited or not, but never twice under the
same value. Pages by offset (`GET /entities?after=`) promise it only if nothing changes before where the walk is: an offset counts
rows, and upstream's cursor is one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Literal

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from greenroom.db import Database, open_pool
from greenroom.entity import Entity, ref_of
from greenroom_catalog.query.conditions import from_filters, from_json
from greenroom_catalog.query.cursors import Cursor, decode, encode
from greenroom_catalog.query.filters import Direction, Order
from greenroom_catalog.query.query import EntityQueries, Page
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.query.seeding import change, entity, remove, serve
from tests.support.postgres import MigratedDatabase, TestServer

ASKING = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ENDLESS = 300
"""More pages than any of these walks can have."""

TYPES = ["service", "Service", "website", None, ["tool", "Service"], ["tool", None]]
TITLES = ["Zeta", "alpha", "Été", "a_b", "100%", None, None]
TAGS: list[list[str]] = [[], ["java"], ["java", "go"], ["go", "c++", "data"]]
KINDS = ["Component", "Component", "API", "Group"]


def _catalog() -> list[Entity]:
    """Sixty entities, in which every value comes with every other."""
    made = []
    for number in range(60):
        spec: dict[str, Any] = {"size": number % 7, "note": None if number % 3 else f"n{number % 5}"}
        spec |= {"type": TYPES[number % len(TYPES)]} if number % 11 else {}
        title = TITLES[number % len(TITLES)]
        more = {"title": title} if title else {}
        tags, kind = TAGS[number % len(TAGS)], KINDS[number % len(KINDS)]
        made.append(
            entity(
                f"e{number % 30}-{number}", kind, spec, namespace="prod" if number % 4 else "default", tags=tags, **more
            )
        )
    return made


CATALOG = _catalog()
KEYS = [
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.title",
    "metadata.tags",
    "spec.type",
    "spec.size",
    "spec.note",
    "nope",
]

Facts = dict[str, set[str]]


def facts(one: Entity) -> Facts:
    """Search key -> lower-cased values, written down again and simply: the judge of everything below."""
    metadata, spec = one["metadata"], one["spec"]
    found: Facts = {"kind": {one["kind"]}, **{f"metadata.{key}": {metadata[key]} for key in ("name", "namespace")}}
    if "title" in metadata:
        found["metadata.title"] = {metadata["title"]}
    for tag in metadata["tags"]:
        found.setdefault("metadata.tags", set()).add(tag)
        found[f"metadata.tags.{tag}"] = {"true"}
    for key, value in spec.items():
        values = value if isinstance(value, list) else [value]
        found[f"spec.{key}"] = {str(item) for item in values if item is not None}
        if isinstance(value, list):
            found |= {f"spec.{key}.{item}": {"true"} for item in value if item is not None}
    return {key.lower(): {text.lower() for text in values} for key, values in found.items()}


def holds(predicate: dict[str, Any], known: Facts) -> bool:
    """Whether a predicate is true of an entity."""
    if "$all" in predicate:
        return all(holds(part, known) for part in predicate["$all"])
    if "$any" in predicate:
        return any(holds(part, known) for part in predicate["$any"])
    if "$not" in predicate:
        return not holds(predicate["$not"], known)
    return all(_field_holds(known, key.lower(), said) for key, said in predicate.items())


def _field_holds(known: Facts, key: str, said: Any) -> bool:
    values = known.get(key, set())
    if not isinstance(said, dict):
        return str(said).lower() in values
    if "$exists" in said:
        return (key in known) is said["$exists"]
    if "$hasPrefix" in said:
        return any(value.startswith(said["$hasPrefix"].lower()) for value in values)
    return any(str(one).lower() in values for one in said["$in"])


_VALUES = sorted({value for one in CATALOG for values in facts(one).values() for value in values} | {"nope"})
_TEXT = st.sampled_from(_VALUES).flatmap(lambda text: st.sampled_from((text, text.upper())))
_KEY = st.sampled_from([*KEYS, "metadata.tags.java", "SPEC.TYPE", "spec.type.tool"])
_SAID = st.one_of(
    _TEXT,
    st.booleans().map(lambda yes: {"$exists": yes}),
    st.lists(_TEXT, max_size=3).map(lambda some: {"$in": some}),
    _TEXT.map(lambda text: {"$hasPrefix": text[:2]}),
)
PREDICATES = st.recursive(
    st.dictionaries(_KEY, _SAID, max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"$all": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"$any": parts}),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=4,
)
WAYS = st.sampled_from(("asc", "desc"))


@pytest.fixture(scope="session")
async def catalog(postgres_server: TestServer) -> AsyncIterator[EntityQueries]:
    """A catalog that nobody changes."""
    async with AsyncExitStack() as stack:
        name = await stack.enter_async_context(postgres_server.empty(await postgres_server.template([MIGRATIONS])))
        database = await stack.enter_async_context(open_pool(postgres_server.to(name), size=3))
        await serve(database, CATALOG)
        yield EntityQueries(database)


def _names(documents: list[bytes]) -> list[str]:
    return [msgspec.json.decode(document)["metadata"]["name"] for document in documents]


async def _page(queries: EntityQueries, cursor: Cursor, limit: int) -> Page:
    """As a client asks for it: the cursor as the text it was given."""
    return await queries.page(decode(encode(cursor)), limit=limit)


@given(predicate=PREDICATES, key=st.none() | st.sampled_from(KEYS), way=WAYS, limit=st.integers(1, 25))
@ASKING
async def test_each_match_is_visited_once_for_each_value_there_and_back(
    catalog: EntityQueries, predicate: dict[str, Any], key: str | None, way: Direction, limit: int
) -> None:
    matching = {one["metadata"]["name"]: facts(one) for one in CATALOG if holds(predicate, facts(one))}
    expected = Counter({name: 1 if key is None else len(known.get(key, ())) for name, known in matching.items()})
    page = await catalog.page(Cursor(query=from_json(predicate), orders=(Order(key, way),) if key else ()), limit=limit)
    forth = [page]
    while page.next:
        page = await _page(catalog, page.next, limit)
        forth.append(page)
        assert len(forth) < ENDLESS
    visited = [name for one in forth for name in _names(one.documents)]
    assert Counter(visited) == +expected
    assert {one.total for one in forth} == {sum(times > 0 for times in expected.values())}
    back = []
    while page.previous:
        page = await _page(catalog, page.previous, limit)
        back.append(page)
        assert len(back) < ENDLESS
    assert [one.documents for one in reversed(back)] == [one.documents for one in forth[:-1]]


@given(predicate=PREDICATES)
@ASKING
async def test_facets_the_total_and_the_walk_agree(catalog: EntityQueries, predicate: dict[str, Any]) -> None:
    query = from_json(predicate)
    matching = [facts(one) for one in CATALOG if holds(predicate, facts(one))]
    page = await catalog.page(Cursor(query=query), limit=100)
    assert page.total == len(page.documents) == len(matching)
    for key, values in (await catalog.facets(KEYS, query)).items():
        counted: Counter[str] = Counter()
        for one in values:
            counted[one.value.lower()] += one.count
        assert counted == Counter(value for known in matching for value in known.get(key, ())), key
        ordered = await catalog.page(Cursor(query=query, orders=(Order(key),)), limit=0)
        assert ordered.total == sum(bool(known.get(key)) for known in matching), key


_STATEMENTS = st.lists(st.tuples(_KEY, st.none() | _TEXT.filter(lambda text: "," not in text)), min_size=1, max_size=3)


@given(groups=st.lists(_STATEMENTS, min_size=1, max_size=3), blank=st.sampled_from(("", " ", "\t")))
@ASKING
async def test_filter_parameters_find_what_predicates_find(
    catalog: EntityQueries, groups: list[list[tuple[str, str | None]]], blank: str
) -> None:
    texts = [
        ",".join(f"{blank}{key}" if value is None else f"{key}{blank}={blank}{value}" for key, value in group)
        for group in groups
    ]
    predicate = {"$any": [{"$all": _in_words(group)} for group in groups]}
    by_filter = await catalog.page(Cursor(query=from_filters(texts)), limit=100)
    by_predicate = await catalog.page(Cursor(query=from_json(predicate)), limit=100)
    expected = [one["metadata"]["name"] for one in CATALOG if holds(predicate, facts(one))]
    assert _names(by_filter.documents) == _names(by_predicate.documents) == expected


def _in_words(group: list[tuple[str, str | None]]) -> list[dict[str, Any]]:
    """The values of one key are alternatives, and where there is one, the key alone says nothing more."""
    keys = dict.fromkeys(key for key, _ in group)
    values = {key: [value for other, value in group if other == key and value is not None] for key in keys}
    return [{key: {"$in": values[key]} if values[key] else {"$exists": True}} for key in keys]


@given(
    predicate=PREDICATES,
    keys=st.lists(
        st.tuples(st.sampled_from(["kind", "metadata.name", "metadata.title", "spec.size", "spec.note", "nope"]), WAYS),
        max_size=3,
    ),
    limit=st.integers(1, 25),
)
@ASKING
async def test_pages_by_offset_visit_each_match_once(
    catalog: EntityQueries, predicate: dict[str, Any], keys: list[tuple[str, Direction]], limit: int
) -> None:
    query, orders = from_json(predicate), [Order(key, way) for key, way in keys]
    whole = await catalog.listed(query, orders, None, 0)
    pages = [await catalog.listed(query, orders, limit, offset) for offset in range(0, len(whole) + 1, limit)]
    assert [one for page in pages for one in page] == whole
    assert len(set(whole)) == len(whole) == sum(holds(predicate, facts(one)) for one in CATALOG)


# --- while entities change ----------------------------------------------------------------------------------------

Change = tuple[Literal["come", "go", "move", "turn", "touch"], int]
CHANGES = st.lists(st.tuples(st.sampled_from(("come", "go", "move", "turn", "touch")), st.integers(0, 200)), max_size=3)
QUERIES: list[dict[str, Any]] = [
    {"spec.type": "service"},
    {"$not": {"spec.type": {"$in": ["website", "tool"]}}},
    {"spec.type": "service", "metadata.tags": "java"},
    {
        "$any": [
            {"metadata.title": {"$hasPrefix": "title 00"}},
            {"spec.type": "SERVICE", "metadata.tags.go": {"$exists": True}},
        ]
    },
    {},
]


class Moving:
    """A catalog in which entities come, go, move (get another title), turn (to another type, or back) and are touched (get another
    description)."""

    def __init__(self, database: Database) -> None:
        self.database, self.queries = database, EntityQueries(database)
        self.held: dict[str, tuple[int, Entity]] = {}
        self.disturbed: set[str] = set()
        self._numbers = itertools.count()

    async def come(self, number: int) -> None:
        """One more, somewhere."""
        name = f"m{next(self._numbers)}"
        made = entity(name, spec={"type": "service"}, title=f"title {number % 40:03}", tags=TAGS[number % 4])
        ids = await serve(self.database, [made])
        self.held[name] = ids[ref_of(made)], made
        self.disturbed.add(name)

    async def change(self, what: str, number: int) -> None:
        if what == "come" or not self.held:
            await self.come(number)
            return
        name = sorted(self.held)[number % len(self.held)]
        id_, one = self.held[name]
        if what == "go":
            del self.held[name]
            await remove(self.database, id_)
        elif what == "move":
            one["metadata"]["title"] = f"title {number % 40:03}"
            await change(self.database, id_, one)
        elif what == "turn":
            one["spec"]["type"] = "website" if one["spec"]["type"] == "service" else "service"
            await change(self.database, id_, one)
        else:
            one["metadata"]["description"] = f"touched {number}"
            await change(self.database, id_, one)
        if what != "touch":
            self.disturbed.add(name)


@pytest.fixture
async def moving(migrated_database: MigratedDatabase) -> Moving:
    """Twenty entities, with ties."""
    made = Moving(await migrated_database([MIGRATIONS]))
    for number in range(20):
        await made.come(number * 7)
    return made


@given(
    query=st.sampled_from(QUERIES),
    key=st.sampled_from([None, "metadata.title", "metadata.name", "spec.type", "metadata.tags"]),
    way=WAYS,
    limit=st.integers(1, 9),
    changes=st.lists(CHANGES, max_size=8),
)
@ASKING
async def test_what_stays_is_visited_once_there_and_once_back_while_others_come_go_and_move(
    moving: Moving, query: dict[str, Any], key: str | None, way: Direction, limit: int, changes: list[list[Change]]
) -> None:
    """Once for each value of the key: an entity without tags is not there when they are what is sorted by."""
    moving.disturbed.clear()
    for number in range(len(moving.held), 12):
        await moving.come(number)
    moving.disturbed.clear()
    coming = iter(changes)

    async def meanwhile() -> None:
        for what, number in next(coming, ()):
            await moving.change(what, number)

    cursor = Cursor(query=from_json(query), orders=(Order(key, way),) if key else ())
    page = await moving.queries.page(cursor, limit=limit)
    there = [_names(page.documents)]
    while page.next:
        await meanwhile()
        page = await _page(moving.queries, page.next, limit)
        there.append(_names(page.documents))
        assert len(there) < ENDLESS
    back = [there[-1]]
    while page.previous:
        await meanwhile()
        page = await _page(moving.queries, page.previous, limit)
        back.append(_names(page.documents))
        assert len(back) < ENDLESS
    steady = {name: facts(one) for name, (_, one) in moving.held.items() if name not in moving.disturbed}
    times = {
        name: 1 if key is None else len(known.get(key, ())) for name, known in steady.items() if holds(query, known)
    }
    forth = Counter(name for names in there for name in names)
    assert {name: forth[name] for name in times} == times
    returned = Counter(name for names in back for name in names)
    assert {name: returned[name] for name in times} == times
    if key in (None, "metadata.name"):  # nothing can move, so nothing is met twice
        assert max(forth.values(), default=1) == max(returned.values(), default=1) == 1


@given(limit=st.integers(1, 9), changes=st.lists(CHANGES, max_size=8))
@ASKING
async def test_pages_by_offset_visit_what_stays_once_while_what_lies_behind_them_changes(
    moving: Moving, limit: int, changes: list[list[Change]]
) -> None:
    for number in range(len(moving.held), 12):
        await moving.come(number)
    moving.disturbed.clear()
    ids = {id_: name for name, (id_, _) in moving.held.items()}
    order, coming, seen = [Order("metadata.name")], iter(changes), list[str]()
    while page := await moving.queries.listed(None, order, limit, len(seen)):
        known = {id_: name for name, (id_, _) in moving.held.items()}
        seen += [known[one] for one in page]
        for what, number in next(coming, ()):
            behind = sorted(name for name in moving.held if name > seen[-1])
            if what in ("move", "turn", "touch") and moving.held:
                await moving.change("touch", number)
            elif what == "go" and behind:
                id_, _ = moving.held.pop(behind[number % len(behind)])
                await remove(moving.database, id_)
    assert len(set(seen)) == len(seen)
    assert set(moving.held) <= set(seen) <= set(ids.values())
