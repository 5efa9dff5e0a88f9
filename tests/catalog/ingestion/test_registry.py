"""Registered locations on a real database: found by predicates, pointed elsewhere, and by what came from them."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID, uuid4

import pytest

from greenroom.errors import ConflictError, GreenroomError, InputError, NotFoundError
from greenroom_catalog.ingestion.providers import Source
from greenroom_catalog.ingestion.registry import REGISTERED_LOCATIONS, RegisteredLocations
from greenroom_catalog.storage.locations import LocationTable
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog, yaml_component
from tests.support.postgres import MigratedDatabase

A, B = "https://git.test/a.yaml", "https://git.test/b.yaml"


class Registry:
    """A catalog with its registry."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        source = Source(REGISTERED_LOCATIONS, catalog.store, logging.getLogger("greenroom.catalog"))
        table = LocationTable(catalog.database)
        self.locations = RegisteredLocations(table, source, catalog.store, catalog.processor, conflict="reject")

    async def targets(self, query: Any, limit: int = 100, after: UUID | None = None) -> list[str]:
        page = await self.locations.find(query, limit, after)
        return [row.target for row in page.rows]


@pytest.fixture
async def registry(migrated_database: MigratedDatabase) -> Registry:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    catalog.files.content.update({A: yaml_component("from-a"), B: yaml_component("from-b")})
    return Registry(catalog)


async def test_a_location_that_is_pointed_elsewhere_brings_the_new_and_loses_the_old(registry: Registry) -> None:
    made = await registry.locations.create("url", A)
    await registry.catalog.settle()
    assert list(await registry.catalog.served()) == ["component:default/from-a"]
    moved = await registry.locations.update(str(made.id), "url", B)
    await registry.catalog.settle()
    assert (moved.id, moved.target, moved.entity_ref) == (made.id, B, made.entity_ref)
    assert list(await registry.catalog.served()) == ["component:default/from-b"]
    again = await registry.locations.update(str(made.id), "url", B)
    assert again == moved


async def test_a_location_is_not_pointed_at_what_another_has_even_if_it_is_not_there(registry: Registry) -> None:
    made = await registry.locations.create("url", A)
    other = await registry.locations.create("url", B)
    for id_ in (str(made.id), str(uuid4()), "no-uuid"):
        with pytest.raises(ConflictError, match=rf"^Location url:{B} already exists$"):
            await registry.locations.update(id_, "url", B)
    with pytest.raises(NotFoundError, match=r"^Found no location with ID no-uuid$"):
        await registry.locations.update("no-uuid", "url", "https://git.test/c.yaml")
    with pytest.raises(InputError, match="allowed type"):
        await registry.locations.update(str(other.id), "file", "/x")


async def test_an_entity_knows_the_location_it_came_from_through_any_number_of_files(registry: Registry) -> None:
    nested = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: nested}\nspec: {target: ./a.yaml}\n"
    registry.catalog.files.content["https://git.test/root.yaml"] = nested
    made = await registry.locations.create("url", "https://git.test/root.yaml")
    await registry.catalog.settle()
    assert await registry.locations.of_entity("component:default/from-a") == made
    with pytest.raises(NotFoundError, match=r"^found no entity for ref component:default/nobody$"):
        await registry.locations.of_entity("component:default/nobody")


async def test_an_entity_that_no_registered_location_brought_says_which_one_is_not_there(registry: Registry) -> None:
    await registry.catalog.register(A)
    with pytest.raises(NotFoundError, match=f"^Found no location with type url and target {A}$"):
        await registry.locations.of_entity("component:default/from-a")


async def test_an_entity_that_is_not_served_yet_has_no_origin(registry: Registry) -> None:
    registry.catalog.files.content[A] = yaml_component("a b")
    made = await registry.locations.create("url", A)
    with pytest.raises(NotFoundError, match=r"^found no origin annotation for ref"):
        await registry.locations.of_entity(made.entity_ref)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, "ABE"),
        ({}, "ABE"),
        ({"$not": {}}, "ABE"),
        ({"$all": []}, ""),
        ({"$not": {"$all": []}}, "ABE"),
        ({"$any": []}, ""),
        ({"$any": [{}, {"type": "file"}]}, ""),
        ({"$any": [{"target": A}, {"target": B}]}, "AB"),
        ({"$all": [{"type": "URL"}, {"$not": {"target": A}}]}, "BE"),
        ({"type": "url", "target": A.upper()}, "A"),
        ({"target": "https://git.test/été.yaml"}, "E"),
        ({"target": {"$in": [A, 1, True]}}, "A"),
        ({"target": {"$in": []}}, ""),
        ({"target": {"$hasPrefix": "HTTPS://git.test/B"}}, "B"),
        ({"target": {"$hasPrefix": "%"}}, ""),
        ({"target": {"$contains": A}}, ""),
        ({"id": {"$exists": True}}, "ABE"),
        ({"id": {"$exists": False}}, ""),
        ({"id": "no-uuid"}, ""),
        ({"target": "\0"}, ""),
        ({"EntityRef": {"$hasPrefix": "location:default/generated-"}}, "ABE"),
    ],
)
async def test_locations_are_found_as_upstream_finds_them(registry: Registry, query: Any, found: str) -> None:
    for target in (A, B, "https://git.test/ÉTÉ.yaml"):
        await registry.locations.create("url", target)
    first = [target.partition("test/")[2][0].upper().replace("É", "E") for target in await registry.targets(query)]
    assert "".join(sorted(first)) == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"foo": 1}, "expected key to be 'id', 'type', 'target', or 'entityRef', got 'foo'"),
        ({"$any": [{"type": "url"}, {"foo": 1}]}, "got 'foo'"),
        ({"$not": "x"}, "Invalid filter predicate, expected an object"),
    ],
)
async def test_what_locations_do_not_have_cannot_be_asked_for(registry: Registry, query: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        await registry.targets(query)


async def test_pages_of_locations_meet_each_once_also_while_others_come_and_go(registry: Registry) -> None:
    rows = [await registry.locations.create("url", f"https://git.test/{n}.yaml") for n in range(7)]
    seen: list[str] = []
    after: UUID | None = None
    while (page := await registry.locations.find({"type": "url"}, 2, after)).rows:
        seen += [row.target for row in page.rows]
        after = page.rows[-1].id
        if len(seen) == 2:
            gone = next(row for row in rows if row.target not in seen)
            await registry.locations.delete(str(gone.id))
            rows.remove(gone)
    assert sorted(seen) == [f"https://git.test/{n}.yaml" for n in range(7) if f"/{n}." in str(rows)]


async def test_a_location_that_cannot_be_one_is_refused_before_it_is_stored(registry: Registry) -> None:
    made = await registry.locations.create("url", A)
    for target in ("", "a\0b", "x" * 3000):
        with pytest.raises(GreenroomError):
            await registry.locations.update(str(made.id), "url", target)
    assert await registry.locations.all() == [made]
