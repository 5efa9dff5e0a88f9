"""The other way in, end to end: somebody registers a file by its address, as the frontend does, and the catalog follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conformance.client import serving
from tests.support.catalog import yaml_component
from tests.support.house import at_an_address
from tests.support.postgres import TestServer

PATIENCE = 60.0
"""Seconds before a test gives up."""
CONFIG = """
backend:
  baseUrl: ${self}
  reading: {allow: [{host: '127.0.0.1:1024-65535'}]}
auth:
  environment: development
  providers: {guest: {userEntityRef: 'user:default/guest', dangerouslyAllowOutsideDevelopment: true}}
permission: {enabled: true}
catalog: {processingInterval: {seconds: ${interval}}, orphanStrategy: delete}
"""


class Team(NamedTuple):
    """Somebody who is signed in, with files that are served to the catalog."""

    session: aiohttp.ClientSession
    catalog: str
    folder: Path
    files: str

    def write(self, name: str, *components: str) -> str:
        """Writes a file; returns its address."""
        (self.folder / name).write_text("---\n".join(components))
        return f"{self.files}/{name}"

    async def ask(self, method: str, path: str, status: int, body: Any = None) -> Any:
        async with self.session.request(method, f"{self.catalog}{path}", json=body) as reply:
            assert reply.status == status, await reply.text()
            return await reply.json() if reply.content_type == "application/json" else None

    async def component(self, name: str) -> Any:
        """As it is served, None if it is not."""
        found = await self.ask("POST", "/entities/by-refs", 200, {"entityRefs": [f"component:default/{name}"]})
        return found["items"][0]

    async def until(self, name: str, holds: Callable[[Any], bool]) -> Any:
        """Wait until the component is as wished; it is returned."""
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.component(name)):
                await asyncio.sleep(0.02)
        return found


@pytest.fixture
async def team(request: pytest.FixtureRequest, postgres_server: TestServer, tmp_path: Path) -> AsyncIterator[Team]:
    """The parameter is after how many seconds a file is looked at again without anybody asking."""
    config = CONFIG.replace("${interval}", str(request.param))
    folder = tmp_path / "files"
    folder.mkdir()
    async with (
        serving(folder) as files,
        at_an_address(postgres_server, tmp_path, lambda address: config.replace("${self}", address)) as house,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{house.address}/api/auth/guest/refresh") as reply:
            token = (await reply.json())["backstageIdentity"]["token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield Team(session, f"{house.address}/api/catalog", folder, files)


@pytest.mark.parametrize("team", [1], indirect=True)
async def test_a_registered_file_is_served_followed_pointed_elsewhere_and_forgotten(team: Team) -> None:
    address = team.write("catalog-info.yaml", yaml_component("shop", owner="team-a"), yaml_component("till"))
    location = {"type": "url", "target": address}

    tried = await team.ask("POST", "/locations?dryRun=true", 201, location)
    assert sorted(entity["metadata"]["name"] for entity in tried["entities"][1:]) == ["shop", "till"]
    assert await team.ask("GET", "/locations", 200) == []

    made = (await team.ask("POST", "/locations", 201, location))["location"]
    shop = await team.until("shop", lambda entity: entity is not None)
    assert shop["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]
    assert await team.ask("GET", "/locations/by-entity/component/default/shop", 200) == made
    await team.ask("POST", "/locations", 409, location)

    team.write("catalog-info.yaml", yaml_component("shop", owner="team-b"))
    await team.until("shop", lambda entity: entity["spec"]["owner"] == "team-b")
    await team.until("till", lambda entity: entity is None)

    team.write("catalog-info.yaml", "kind: Component\n  metadata: {")
    where = made["entityRef"].removeprefix("location:default/")
    async with asyncio.timeout(PATIENCE):
        while "status" not in await team.ask("GET", f"/entities/by-name/location/default/{where}", 200):
            await asyncio.sleep(0.02)
    assert (await team.component("shop"))["spec"]["owner"] == "team-b"

    other = team.write("other.yaml", yaml_component("shop", owner="team-c"))
    await team.ask("PUT", f"/locations/{made['id']}", 200, {"type": "url", "target": other})
    shop = await team.until("shop", lambda entity: entity is not None and entity["spec"]["owner"] == "team-c")
    assert shop["metadata"]["annotations"]["backstage.io/managed-by-location"] == f"url:{other}"

    await team.ask("DELETE", f"/locations/{made['id']}", 204)
    await team.until("shop", lambda entity: entity is None)


@pytest.mark.parametrize("team", [3600], indirect=True)
async def test_who_does_not_want_to_wait_refreshes(team: Team) -> None:
    address = team.write("catalog-info.yaml", yaml_component("shop", owner="team-a"))
    await team.ask("POST", "/locations", 201, {"type": "url", "target": address})
    await team.until("shop", lambda entity: entity is not None)
    team.write("catalog-info.yaml", yaml_component("shop", owner="team-b"))
    await team.ask("POST", "/refresh", 200, {"entityRef": "component:default/shop"})
    await team.until("shop", lambda entity: entity["spec"]["owner"] == "team-b")
