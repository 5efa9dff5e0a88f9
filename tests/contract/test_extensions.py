"""Processors, placeholder resolvers and kinds of strangers, each from its own distribution; and one that does all of it wrong."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from greenroom.app import running
from greenroom.db import Database
from greenroom.settings import load
from greenroom_catalog.ingestion import custom_kinds, guard, runner
from tests.support.asgi import TOKEN, Client
from tests.support.installed import pretend_installed

HERE = Path(__file__).parent
PATIENCE = 60.0
SHORT = {"timeout": {"milliseconds": 300}}
AUTH = {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]}
OPTIONS = {"rogue": SHORT, "$rogue": SHORT}
GENTLE = ("raising", "hanging", "stubborn", "cancelling", "babbling", "endless")
BLOCKING = ("sleeping", "computing")
DEEDS = (*GENTLE, *BLOCKING)


class House:
    """A started Greenroom, and the files that it reads."""

    def __init__(self, client: Client, files: Path) -> None:
        self.client = client
        self.files = files

    async def entity(self, kind: str, name: str) -> Any:
        """What is served; None if there is none."""
        reply = await self.client.get(f"/api/catalog/entities/by-name/{kind}/default/{name}")
        return reply.json if reply.status == 200 else None

    async def until(self, kind: str, name: str, fits: Callable[[Any], bool] = lambda entity: entity is not None) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not fits(entity := await self.entity(kind, name)):
                await asyncio.sleep(0.02)
        return entity

    async def complaints(self) -> dict[str, str]:
        """What is wrong with the entities that were never right, by name."""
        reply = await self.client.get("/api/catalog/entities/unprocessed/pending")
        rows = reply.json["entities"]
        return {
            row["unprocessed_entity"]["metadata"]["name"]: row["errors"][0]["message"] for row in rows if row["errors"]
        }

    async def complaint(self, name: str) -> str:
        async with asyncio.timeout(PATIENCE):
            while name not in (found := await self.complaints()):
                await asyncio.sleep(0.05)
        return found[name]


Start = Callable[..., Awaitable[House]]


@pytest.fixture
async def start(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Start Greenroom with some of the distributions of this folder, and a file of entities."""
    async with AsyncExitStack() as stack:

        async def started(*plugins: str, entities: str, **config: Any) -> House:
            for name in plugins:
                project = tomllib.loads((HERE / name / "pyproject.toml").read_text())["project"]
                site = pretend_installed(
                    tmp_path / "site", project["entry-points"]["greenroom.plugins"], f"{name}_greenroom"
                )
                monkeypatch.syspath_prepend(str(site))
                monkeypatch.syspath_prepend(str(HERE / name))
            (files := tmp_path / "files").mkdir()
            (files / "all.yaml").write_text(entities)
            application = web.Application()
            application.router.add_static("/", files)
            server = await stack.enter_async_context(TestServer(application))
            catalog = {
                "locations": [{"type": "url", "target": str(server.make_url("/all.yaml"))}],
                "rules": [{"allow": ["Component", "Robot", "API", "Resource", "Group", "Riddle"]}],
                "processorOptions": OPTIONS,
            }
            reading = {"allow": [{"host": f"{server.host}:{server.port}"}]}
            backend = {"auth": AUTH, "reading": reading, "lifecycle": {"serverShutdownTimeout": {"seconds": 1}}}
            layers = load([], {}, {"backend": backend, "catalog": catalog, **config})
            data = {"GREENROOM_DATA": str(tmp_path / "data")}
            house = await stack.enter_async_context(running(layers, data, database=database))
            return House(Client(house.asgi), files)

        yield started


def described(kind: str, name: str, spec: str, version: str = "backstage.io/v1alpha1", does: str = "") -> str:
    annotations = f", annotations: {{rogue.example/does: {does}}}" if does else ""
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}{annotations}}}\nspec: {spec}\n"


def component(name: str, does: str = "") -> str:
    return described("Component", name, "{type: service, lifecycle: production, owner: crew}", does=does)


def api(name: str, definition: str) -> str:
    return described("API", name, f"{{type: text, lifecycle: production, owner: crew, definition: {definition}}}")


# --- what strangers add ----------------------------------------------------------------------------------------------


async def test_a_strangers_kind_is_known_by_its_json_schema(start: Start) -> None:
    version = "robots.example/v1"
    good = described("Robot", "good", "{legs: 2, owner: crew}", version)
    house = await start("robots", entities=good + described("Robot", "bad", "{legs: two, arms: 2}", version))
    robot = await house.until("robot", "good")
    assert robot["relations"] == [{"type": "ownedBy", "targetRef": "group:default/crew"}]
    complaint = await house.complaint("bad")
    assert "/spec/legs must be integer" in complaint
    assert "/spec must have required property 'owner'" in complaint
    assert "must NOT have additional properties" in complaint


async def test_without_the_plugin_its_kind_is_not_known(start: Start) -> None:
    house = await start(entities=described("Robot", "good", "{legs: 2, owner: crew}", "robots.example/v1"))
    assert "No processor recognized the entity robot:default/good as valid" in await house.complaint("good")


async def test_a_strangers_processor_changes_relates_and_emits(start: Start) -> None:
    house = await start("stamps", entities=component("letter") + api("notes", "text"), stamps={"office": "quay"})
    letter = await house.until("component", "letter")
    assert letter["metadata"]["labels"] == {"stamps.example/office": "quay"}
    assert {"type": "stampedAt", "targetRef": "resource:default/office"} in letter["relations"]
    office = await house.until("resource", "office")
    assert office["metadata"]["annotations"]["backstage.io/managed-by-location"] == "url:https://stamps.example/quay"
    assert "labels" not in (await house.until("api", "notes"))["metadata"]


async def test_a_strangers_placeholder_is_replaced_and_what_it_read_is_watched(start: Start) -> None:
    house = await start(
        "quotes", entities=api("quoted", "{$quote: './notes.txt#2'}") + api("none", "{$quote: './notes.txt#9'}")
    )
    (house.files / "notes.txt").write_text("one\ntwo\n")
    await house.client.post("/api/catalog/refresh", {"entityRef": "api:default/quoted"})
    assert (await house.until("api", "quoted"))["spec"]["definition"] == "two"
    (house.files / "notes.txt").write_text("one\nthree\n")
    await house.client.post("/api/catalog/refresh", {"entityRef": "api:default/quoted"})
    await house.until("api", "quoted", lambda entity: entity["spec"]["definition"] == "three")
    assert "Processor PlaceholderProcessor threw an error while preprocessing" in await house.complaint("none")


# --- what strangers do wrong -----------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "STUCK", 0.5)
    monkeypatch.setattr(guard, "PAUSE", 0.5)
    monkeypatch.setattr(custom_kinds, "LONGEST_CHECK", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stage", ["before", "check", "after"])
async def test_whatever_a_processor_does_costs_only_the_entity_it_does_it_to(start: Start, stage: str) -> None:
    wrong = [
        deed for deed in GENTLE if stage != "check" or deed not in ("babbling", "endless")
    ]  # whatever is true will do
    bad = "".join(component(f"of-{deed}", f"{stage} {deed}") for deed in wrong)
    house = await start("rogue", "stamps", entities=bad + component("bystander"), stamps={"office": "quay"})
    assert (await house.until("component", "bystander"))["metadata"]["labels"] == {"stamps.example/office": "quay"}
    for deed in wrong:
        assert "Processor rogue threw an error while" in await house.complaint(f"of-{deed}")
        assert await house.entity("component", f"of-{deed}") is None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("deed", BLOCKING)
async def test_a_processor_that_blocks_for_ever_is_ended_and_all_that_does_not_pass_it_goes_on(
    start: Start, deed: str
) -> None:
    house = await start("rogue", entities=component("stuck", f"before {deed}") + api("bystander", "text"))
    await house.until("api", "bystander")
    assert "did not return control to the server" in await house.complaint("stuck")


@pytest.mark.usefixtures("impatient")
async def test_whatever_a_resolver_does_costs_only_the_entity_with_its_placeholder(start: Start) -> None:
    bad = "".join(api(f"of-{deed}", f"{{$rogue: {deed}}}") for deed in DEEDS)
    entities = bad + api("bystander", "{$quote: './all.yaml#1'}") + component("other")
    house = await start("rogue", "quotes", entities=entities)
    assert (await house.until("api", "bystander"))["spec"]["definition"] == "---"
    await house.until("component", "other")
    for deed in DEEDS:
        assert "Processor PlaceholderProcessor threw an error" in await house.complaint(f"of-{deed}")


async def test_whatever_a_provider_does_costs_no_other_and_the_house_can_still_be_closed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BLOCKED", 0.6)
    monkeypatch.setattr(runner, "GRACE", 0.2)
    deeds = ["raising", "hanging", "stubborn", "cancelling", "sleeping", "computing"]
    wrong, well = {"providers": deeds}, {"teams": ["red"]}
    house = await start("rogue", "acme", entities=component("bystander"), rogue=wrong, acme=well)
    await house.until("component", "bystander")
    await house.until("group", "red")
    for deed in deeds:
        await house.until("group", f"by-{deed}")


@pytest.mark.usefixtures("impatient")
async def test_a_pattern_that_never_ends_costs_only_its_entity(start: Start) -> None:
    riddle = described("Riddle", "hard", f"{{text: {'a' * 60}b}}", "rogue.example/v1")
    began = time.perf_counter()
    house = await start("rogue", entities=riddle + component("bystander"))
    await house.until("component", "bystander")
    assert "it took longer than 0.2 s" in await house.complaint("hard")
    assert time.perf_counter() - began < PATIENCE
