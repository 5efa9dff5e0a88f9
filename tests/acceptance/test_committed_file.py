"""The main job, end to end: a team commits catalog-info.yaml to a Git repository, and the entity is served."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.app import running
from greenroom.db import Database
from greenroom.settings import load
from tests.support.asgi import TOKEN, Client
from tests.support.catalog import yaml_component
from tests.support.waiting import Wait, slowness

SECRET = "webhook-secret"
PATIENCE = 60.0
"""Seconds before a test gives up. The promise of two seconds is measured apart, on a warm server."""
PROMISE = 2.0


class Repository:
    """A bare repository and a working copy of it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "remotes" / "shop.git"
        self.work = folder / "work"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), cwd=folder)
        self.git("clone", "--quiet", str(self.bare), str(self.work), cwd=folder)

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    def git(self, *arguments: str, cwd: Path | None = None) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        subprocess.run(command, cwd=cwd or self.work, check=True, capture_output=True)

    def commit(self, message: str, **files: str | None) -> None:
        """Write files (None removes one) and push. A file is named with `__` for a slash and `_` for a dot or dash."""
        for name, content in files.items():
            path = self.work / NAMES[name]
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD:main")


NAMES = {"catalog": "catalog-info.yaml", "moved": "service/catalog-info.yaml"}


class Server:
    """A running Greenroom and a client of it."""

    def __init__(self, client: Client, repository: Repository) -> None:
        self.client = client
        self.repository = repository

    async def push_webhook(self) -> None:
        """What a Git host posts after a push."""
        body = json.dumps({"ref": "refs/heads/main", "repository": {"clone_url": self.repository.url}}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={signature}", "x-github-event": "push"}
        reply = await self.client.post("/api/events/http/git", body, **headers)
        assert (reply.status, reply.json) == (202, {"status": "accepted"})

    async def entity(self, name: str = "shop") -> dict[str, Any] | None:
        """The entity as served, None if it is not."""
        reply = await self.client.get(f"/api/catalog/entities/by-name/component/default/{name}")
        return reply.json if reply.status == 200 else None

    async def until(self, holds: Callable[[dict[str, Any] | None], bool]) -> dict[str, Any]:
        """Wait until the entity is as wished; it is returned, as {} when it is not served."""
        async with asyncio.timeout(PATIENCE):
            while True:
                entity = await self.entity()
                if holds(entity):
                    return entity or {}
                await asyncio.sleep(0.02)

    async def location_errors(self) -> list[str]:
        """Messages on the Location entities that are served."""
        reply = await self.client.get("/api/catalog/entities?filter=kind=location")
        return [item["message"] for entity in reply.json for item in entity.get("status", {}).get("items", [])]


@pytest.fixture
async def server(database: Database, tmp_path: Path) -> AsyncIterator[Server]:
    repository = Repository(tmp_path)
    config = {
        "backend": {"auth": {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]}},
        "catalog": {
            "providers": {
                "git": {
                    "shop": {
                        "repositories": [repository.url],
                        "paths": ["**/catalog-info.yaml"],
                        "schedule": {"frequency": {"hours": 1}},
                        "webhook": {"secret": SECRET},
                    }
                }
            }
        },
    }
    environ = {"GREENROOM_DATA": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}
    async with running(load([], environ, config), environ, database=database) as house:
        yield Server(Client(house.asgi), repository)


async def test_a_committed_file_is_served_follows_its_changes_and_goes_with_it(server: Server) -> None:
    repository = server.repository
    repository.commit("Describe the shop", catalog=yaml_component("shop", owner="team-a"))
    await server.push_webhook()
    shop = await server.until(lambda entity: entity is not None)
    assert shop["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]

    waits = []
    for owner in ("team-d", "team-e", "team-b"):
        repository.commit("Hand it over", catalog=yaml_component("shop", owner=owner))
        wait = Wait()
        await server.push_webhook()
        await server.until(lambda entity: entity is not None and entity["spec"]["owner"] == owner)  # noqa: B023 - now
        waits.append(wait.seconds())
    assert min(waits) < PROMISE * slowness()

    repository.commit("Tidy up", catalog=None, moved=yaml_component("shop", owner="team-b"))
    await server.push_webhook()
    place = "backstage.io/managed-by-location"
    await server.until(lambda entity: entity is not None and "/service/" in entity["metadata"]["annotations"][place])

    repository.commit("Break it", moved="kind: Component\n  metadata: {")
    await server.push_webhook()
    async with asyncio.timeout(PATIENCE):
        while not (errors := await server.location_errors()):
            await asyncio.sleep(0.02)
    assert "YAMLParseError" in errors[0]
    assert "service/catalog-info.yaml" in errors[0]
    assert (await server.entity() or {})["spec"]["owner"] == "team-b"

    repository.commit("Mend it", moved=yaml_component("shop", owner="team-c"))
    await server.push_webhook()
    await server.until(lambda entity: entity is not None and entity["spec"]["owner"] == "team-c")
    assert await server.location_errors() == []

    repository.commit("Close the shop", moved=None)
    await server.push_webhook()
    await server.until(lambda entity: entity is None)


async def test_a_webhook_that_nobody_signed_is_refused(server: Server) -> None:
    body = {"ref": "refs/heads/main", "repository": {"clone_url": server.repository.url}}
    reply = await server.client.post("/api/events/http/git", body)
    assert reply.status == 403
