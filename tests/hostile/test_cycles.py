"""Relations and locations in circles, chains without end, and groups that are crowds: all is served, and every question ends."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest

from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.query.seeding import emitted_by, entity, serve
from tests.hostile.conftest import World, breathes
from tests.support.catalog import Catalog
from tests.support.postgres import MigratedDatabase

MEMBERS = 5_000
"""Enough to be felt; `make bench` measures 50,000."""
CHAIN = 1_000


def _document(kind: str, name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def _group(name: str, **spec: Any) -> str:
    return _document("Group", name, **{"type": "team", "children": [], **spec})


def _component(name: str, **spec: Any) -> str:
    return _document("Component", name, type="service", lifecycle="production", owner="ring-0", **spec)


def _location(name: str, *targets: str) -> str:
    return _document("Location", name, type="url", targets=list(targets))


async def _ask_everything(world: World, ref: str) -> None:
    """Each question that follows relations or parents is answered."""
    kind, _, rest = ref.partition(":")
    for address in (
        f"/api/catalog/entities/by-name/{kind}/{rest}",
        f"/api/catalog/entities/by-name/{kind}/{rest}/ancestry",
        f"/api/catalog/locations/by-entity/{kind}/{rest}",
        f"/api/greenroom/catalog/explain?ref={ref}",
    ):
        async with asyncio.timeout(60):
            reply = await world.client.get(address)
        assert reply.status == 200, (address, reply.text)
    assert (await world.post("/refresh", {"entityRef": ref})).status == 200


async def test_groups_that_are_each_others_parents_are_served(world: World) -> None:
    many = 30
    parents = [
        _group(f"ring-{n}", parent=f"ring-{(n + 1) % many}", children=[f"ring-{(n + 2) % many}"]) for n in range(many)
    ]
    own = _group("own", parent="own", children=["own"])
    url = world.host.write("rings.yaml", "\n---\n".join([*parents, own]))
    async with world.answers_others():
        assert await world.registered(url) == []
        for ref in ("group:default/ring-0", f"group:default/ring-{many - 1}", "group:default/own"):
            await world.served(ref)
            await _ask_everything(world, ref)


async def test_components_that_depend_on_each_other_and_on_themselves_are_served(world: World) -> None:
    many = 30
    circle = [
        _component(f"c{n}", dependsOn=[f"component:c{(n + 1) % many}", f"component:c{n}"], subcomponentOf=f"c{n}")
        for n in range(many)
    ]
    url = world.host.write("circle.yaml", "\n---\n".join(circle))
    async with world.answers_others():
        assert await world.registered(url) == []
        found = await world.served("component:default/c0")
        await _ask_everything(world, "component:default/c0")
    targets = {one["targetRef"] for one in found.get("relations", ())}
    assert targets <= {
        "component:default/c0",
        "component:default/c1",
        f"component:default/c{many - 1}",
        "group:default/ring-0",
    }


async def test_a_location_that_points_at_itself_is_read_once(world: World) -> None:
    url = f"{world.host.address}/itself.yaml"
    world.host.write("itself.yaml", _location("itself", url, "./itself.yaml"))
    async with world.answers_others():
        assert await world.registered(url) == []
        await world.served("location:default/itself")
        await _ask_everything(world, "location:default/itself")
        reply = await world.post("/locations?dryRun=true", {"type": "url", "target": url})
    assert reply.status in (201, 400)


async def test_locations_that_point_at_each_other_are_read_once(world: World) -> None:
    one, two = f"{world.host.address}/one.yaml", f"{world.host.address}/two.yaml"
    world.host.write("one.yaml", _location("one", two))
    world.host.write("two.yaml", "\n---\n".join([_location("two", one), _component("between")]))
    async with world.answers_others():
        reply = await world.post("/locations?dryRun=true", {"type": "url", "target": one})
        assert reply.status in (201, 400), reply.text
        assert await world.registered(one) == []
        for ref in ("location:default/one", "location:default/two", "component:default/between"):
            await world.served(ref)
            await _ask_everything(world, ref)


async def test_the_parents_of_an_entity_are_told_however_many(world: World) -> None:
    names = [f"chain-{n}" for n in range(CHAIN)]
    ids = await serve(world.database, [entity(name, kind="Location", spec={"type": "url"}) for name in names])
    refs = [f"location:default/{name}" for name in names]
    for above, below in pairwise(refs):
        await emitted_by(world.database, ids[above], ids[below])
    await emitted_by(world.database, ids[refs[-1]], ids[refs[0]])  # and round
    async with world.answers_others():
        for ref in (refs[0], refs[-1], refs[CHAIN // 2]):
            async with asyncio.timeout(60):
                reply = await world.get(f"/entities/by-name/location/default/{ref.rpartition('/')[2]}/ancestry")
                assert reply.status == 200
                assert len(reply.json["items"]) == CHAIN
                reply = await world.client.get(f"/api/greenroom/catalog/explain?ref={ref}")
                assert reply.status == 200
                await world.post("/refresh", {"entityRef": ref})


async def test_a_chain_of_files_is_followed_to_its_end(migrated_database: MigratedDatabase) -> None:
    catalog, many = Catalog(await migrated_database([MIGRATIONS])), 150
    for number in range(many):
        url = f"https://git.test/o/r/blob/main/{number}.yaml"
        catalog.files.content[url] = _location(f"file-{number}", f"./{number + 1}.yaml")
    catalog.files.content[f"https://git.test/o/r/blob/main/{many}.yaml"] = _component("at-the-end")
    async with asyncio.timeout(60), breathes():
        await catalog.register("https://git.test/o/r/blob/main/0.yaml")
    assert "component:default/at-the-end" in await catalog.served()


@pytest.mark.parametrize("told_by", ["the group", "its members"])
async def test_a_group_that_is_a_crowd_is_served_while_others_are_answered(world: World, told_by: str) -> None:
    name = told_by.replace(" ", "-")
    users = [f"{name}-u{n}" for n in range(MEMBERS)]
    if told_by == "the group":
        content = _group(name, members=users)
    else:
        documents = [_document("User", user, memberOf=[name]) for user in users]
        content = "\n---\n".join([_group(name), *documents])
    url = world.host.write(f"{name}.yaml", content)
    async with world.answers_others():
        assert await world.registered(url) == []
        async with asyncio.timeout(60):
            while len((await world.served(f"group:default/{name}")).get("relations", ())) < MEMBERS:
                await asyncio.sleep(0.1)
    assert len((await world.served(f"group:default/{name}"))["relations"]) == MEMBERS
