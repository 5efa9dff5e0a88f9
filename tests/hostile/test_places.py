"""URLs and paths that lead elsewhere: to this machine, its cloud, its files. None is reached, whichever way it is named."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from aiohttp.test_utils import TestServer as WebServer

from greenroom.errors import NotAllowedError
from greenroom.plugin import Deferred
from greenroom.settings import ReadingConfig, load
from greenroom.urls import Urls
from greenroom.urls.outgoing import open_outgoing
from greenroom.urls.reading import HttpReader
from greenroom_catalog.ingestion import reader as reader_module
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.storage.store import MIGRATIONS
from tests.hostile.conftest import World, refused
from tests.support.catalog import Catalog, yaml_component
from tests.support.postgres import MigratedDatabase


class Secret:
    """A service of this machine that answers everybody who can reach it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.reached.append(request.path)
        return web.Response(text=yaml_component("secret"))


@pytest.fixture(scope="module")
async def secret() -> AsyncIterator[Secret]:
    found = Secret()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    async with WebServer(app) as server:
        assert server.port is not None
        found.port = server.port
        yield found


@pytest.fixture(autouse=True)
def unreached(secret: Secret) -> Any:
    """No test of this file may end with the secret told."""
    secret.reached.clear()
    yield
    assert secret.reached == []


FORBIDDEN = [
    "http://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "http://LOCALHOST:{port}/x",
    "http://localhost.:{port}/x",
    "http://127.0.0.1.:{port}/x",
    "http://[::1]:{port}/x",
    "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[0:0:0:0:0:ffff:7f00:1]:{port}/x",
    "http://[64:ff9b::7f00:1]:{port}/x",
    "http://[fe80::1%25lo]:{port}/x",
    "http://[fd00:ec2::254]/x",
    "http://2130706433:{port}/x",
    "http://0x7f000001:{port}/x",
    "http://0x7f.1:{port}/x",
    "http://017700000001:{port}/x",
    "http://127.1:{port}/x",
    "http://0:{port}/x",
    "http://0.0.0.0:{port}/x",
    "http://①②⑦.⓪.⓪.①:{port}/x",
    "http://127。0。0。1:{port}/x",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://[::ffff:a9fe:a9fe]/x",
    "http://2852039166/x",
    "http://metadata.google.internal/x",
    "http://{host}@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}#@{host}/x",
    "http://127.0.0.1:{port}\\@{host}/x",
    "http://127.0.0.1:{port}/x?{host}",
    "http:127.0.0.1:{port}/x",
    "http:/\\127.0.0.1:{port}/x",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET%20/x",
    "ftp://127.0.0.1:{port}/x",
    "data:text/yaml,kind:%20Component",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "jar:http://127.0.0.1:{port}!/x",
    "",
    "/etc/passwd",
    "./x",
    "\\\\127.0.0.1\\share\\x",
]


def _filled(url: str, world: World, secret: Secret) -> str:
    return url.replace("{port}", str(secret.port)).replace("{host}", world.host.address.removeprefix("http://"))


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_no_location_that_is_tried_out_leads_inside(world: World, secret: Secret, url: str) -> None:
    target = _filled(url, world, secret)
    async with world.answers_others():
        refused(await world.post("/locations?dryRun=true", {"type": "url", "target": target}))


async def test_no_other_entrance_leads_inside(world: World, secret: Secret) -> None:
    for number, url in enumerate(FORBIDDEN):
        target = _filled(url, world, secret)
        entity = {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": f"l{number}"},
            "spec": {"type": "url", "targets": [target]},
        }
        quoting = yaml_component(f"q{number}") + f"  definition:\n    $text: {json.dumps(target)}\n"
        name = world.host.write(f"l{number}.yaml", json.dumps(entity))
        for operation, body in (
            ("/validate-entity", {"location": f"url:{world.host.address}/a", "entity": entity}),
            ("/locations?dryRun=true", {"type": "url", "target": name}),
            ("/locations?dryRun=true", {"type": "url", "target": world.host.write(f"q{number}.yaml", quoting)}),
            ("/analyze-location", {"location": {"type": "url", "target": target}}),
        ):
            reply = await world.post(operation, body)
            assert reply.status < 500, (operation, target, reply.text)
            assert "root:" not in reply.text


async def test_registered_locations_lead_inside_no_more_than_those_tried_out(world: World, secret: Secret) -> None:
    refs = []
    for url in FORBIDDEN:
        reply = await world.post("/locations", {"type": "url", "target": _filled(url, world, secret)})
        assert reply.status == 201 or refused(reply, 400, 409)
    async with world.answers_others():
        for row in (await world.get("/locations")).json:
            reply = await world.post("/locations/by-query", {"query": {"id": row["data"]["id"]}})
            refs += [item["entityRef"] for item in reply.json["items"]]
        assert all([await world.processed(ref) for ref in refs])


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:{port}/x",
        "//127.0.0.1:{port}/x",
        "http://localhost:{port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/x",
        "https://127.0.0.1:{port}/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/x",
        "http://{host}@127.0.0.1:{port}/x",
        "\\\\127.0.0.1:{port}\\x",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_of_an_allowed_host_leads_inside(
    world: World, secret: Secret, place: str, status: int
) -> None:
    target = _filled(place, world, secret)

    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": target})

    world.host.manners["/away"] = redirect
    reply = await world.post("/locations?dryRun=true", {"type": "url", "target": f"{world.host.address}/away"})
    assert "root:" not in refused(reply)


class _Turning(ThreadedResolver):
    """A name server that tells of a harmless address first, and of this machine ever after."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self.first, self.asked = first, 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        address = self.first if self.asked == 1 else "127.0.0.1"
        return [{"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]


async def test_a_name_that_turns_to_this_machine_after_it_was_looked_at_is_refused_each_time(secret: Secret) -> None:
    host = f"turning.test:{secret.port}"
    config = load([], {}, {"backend.reading.allow": [{"host": host}]}).section("backend.reading", ReadingConfig)
    resolver = _Turning("127.0.0.1")
    async with open_outgoing(resolver=resolver) as outgoing:
        for _ in range(3):
            with pytest.raises(NotAllowedError, match=r"it means 127\.0\.0\.1, which is a loopback address"):
                await Urls([HttpReader(outgoing, config)]).read(f"http://{host}/x")
    assert resolver.asked == 3


# --- paths


async def _file_location(catalog: Catalog, folder: Path, target: str) -> list[str]:
    """Make a folder's file a location of the config, which points at `target`; the messages of what went wrong."""
    here = folder / "catalog-info.yaml"
    location = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "here"},
        "spec": {"type": "file", "targets": [target]},
    }
    here.write_text(json.dumps(location))
    await catalog.source().full([Deferred(location_entity(Location("file", str(here))), f"file:{here}")])
    async with asyncio.timeout(60):
        await catalog.settle()
    rows = await catalog.database.fetch("select errors from refresh_state where errors is not null")
    return [one["message"] for row in rows for one in json.loads(row["errors"])]


@pytest.mark.parametrize(
    "target",
    [
        "./missing.yaml",
        "./%2e%2e/%2e%2e/etc/passwd",
        "./a\0b.yaml",
        f"./{'a' * 5_000}.yaml",
        f"./{'a/' * 5_000}b.yaml",
        f"./{'../' * 2_000}nowhere/x.yaml",
        "./ring/x.yaml",
        "./ring",
        "./pipe",
        "/dev/zero",
        "/dev/tcp",
        "./huge.yaml",
        "/etc/passwd",
        "..\\..\\etc\\passwd",
        f"./{'**/' * 200}nothing.yaml",
        f"./{'{a,b}' * 40}.yaml",
        f"./{'*' * 5_000}nothing.yaml",
        "./[",
        "./folder/",
        "./folder",
    ],
)
async def test_no_path_of_a_file_location_hangs_or_crashes(
    migrated_database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(reader_module, "LARGEST_FILE", 1_000_000)
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    (tmp_path / "folder").mkdir()
    (tmp_path / "huge.yaml").write_bytes(b"#" * 1_000_001)
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    os.mkfifo(tmp_path / "pipe")
    [message] = await _file_location(catalog, tmp_path, target)
    assert "unexpectedly" not in message
    assert "root:" not in message


async def test_a_ring_of_folders_is_walked_once(migrated_database: MigratedDatabase, tmp_path: Path) -> None:
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    deep = tmp_path.joinpath(*["d"] * 60)
    deep.mkdir(parents=True)
    (deep / "x.yaml").write_text(yaml_component("deep"))
    (deep / "up").symlink_to(tmp_path)
    assert await _file_location(catalog, tmp_path, "./**/x.yaml") == []
    assert list(await catalog.served()) == ["component:default/deep"]


async def test_nobody_but_the_operator_reads_the_disk(world: World, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(yaml_component("stolen"))
    location = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "disk"},
        "spec": {"type": "file", "target": str(tmp_path / "x.yaml")},
    }
    refused(await world.post("/locations", {"type": "file", "target": str(tmp_path / "x.yaml")}))
    refused(await world.post("/locations?dryRun=true", {"type": "file", "target": str(tmp_path / "x.yaml")}))
    reply = await world.post("/validate-entity", {"location": f"file:{tmp_path}/x.yaml", "entity": location})
    assert reply.status == 400
    url = world.host.write("disk.yaml", json.dumps(location))
    assert "allowed type" in refused(await world.post("/locations?dryRun=true", {"type": "url", "target": url}))
    forged = {"backstage.io/managed-by-location": f"file:{tmp_path}/x.yaml"}
    url = world.host.write("forged.yaml", json.dumps({**location, "metadata": {"name": "d", "annotations": forged}}))
    assert "allowed type" in refused(await world.post("/locations?dryRun=true", {"type": "url", "target": url}))
    for name in ("managed-by-location", "managed-by-origin-location"):
        for target in (str(tmp_path / "x.yaml"), "/etc/passwd", "./x.yaml", str(tmp_path / "nowhere.yaml")):
            marks = {f"backstage.io/{name}": f"file:{tmp_path}/catalog-info.yaml"}
            spec = {"type": "file", "target": target}
            entity = {**location, "metadata": {"name": "d", "annotations": marks}, "spec": spec}
            reply = await world.post("/validate-entity", {"location": "url:https://git.test/a", "entity": entity})
            assert reply.status == 400
            assert not any(word in reply.text for word in ("stolen", "root:", "nowhere.yaml does not exist", "YAML"))
