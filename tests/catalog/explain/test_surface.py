"""The same over HTTP and on the command line."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import click
import httpx
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from greenroom.app import running
from greenroom.auth import Auth
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import MemoryKeyStore
from greenroom.cli.main import cli
from greenroom.db import Database
from greenroom.settings import BackendConfig, load
from greenroom.web.door import build_asgi
from greenroom.web.lifecycle import Lifecycle
from greenroom_catalog.model import Rules
from greenroom_catalog.query.explain import FAILURES, Explainer, Explanation, Setup, failures
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.routes.explain import explain_routes
from greenroom_catalog.routes.own import greenroom_routes
from greenroom_catalog.storage.runs import ProviderRuns
from tests.catalog.explain.conftest import SHOP, World
from tests.catalog.routes.conftest import TOKEN
from tests.support.asgi import Client
from tests.support.catalog import yaml_component
from tests.support.policy import Policy

REF = "component:default/shop"


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
async def http(world: World, policy: Policy) -> AsyncIterator[httpx.AsyncClient]:
    """`/api/greenroom/catalog`, asked by a service."""
    setup = Setup(Rules(), lambda: ["test"])
    explainer = Explainer(world.database, EntityQueries(world.database).sql, world.reader, setup)
    routes = greenroom_routes(ProviderRuns(world.database), permissions=policy, more=explain_routes(explainer, policy))
    token = ExternalToken(hashlib.sha256(TOKEN.encode()).digest(), "tests")
    auth = Auth(base_url="http://test", keys=MemoryKeyStore(), external_tokens=[token])
    state = Lifecycle()
    state.started()
    app = build_asgi([routes], config=BackendConfig(), auth=auth, state=state)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    base = "http://test/api/greenroom/catalog"
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        yield client


async def test_an_explanation_is_json_as_documented(world: World, http: httpx.AsyncClient) -> None:
    world.files[SHOP] = yaml_component("shop").replace("  owner: team-a\n", "")
    await world.register(SHOP)
    response = await http.get("/explain", params={"ref": "Component:Shop"})
    assert response.status_code == 200
    told = response.json()
    assert (told["ref"], told["state"], told["verdict"], told["problem"]) == (REF, "failed", "spec-invalid", True)
    first = told["findings"][0]
    assert (first["at"], first["line"], first["severity"]) == (f"{SHOP}:5:1", 5, "error")
    assert told["nextRefresh"].endswith("Z")
    assert told["chain"][-1] == {"stage": "serve", "ok": None, "what": "/api/catalog/entities"}


async def test_files_are_not_read_where_that_is_not_wanted(world: World, http: httpx.AsyncClient) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    world.files[SHOP] = yaml_component("shop", owner="team-b")
    assert (await http.get("/explain", params={"ref": REF})).json()["verdict"] == "changed-at-source"
    assert (await http.get("/explain", params={"ref": REF, "read": "false"})).json()["verdict"] == "served"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "request/query must have required property 'ref'"),
        (
            {"ref": "shop"},
            'Entity reference "shop" had missing or empty kind (e.g. did not start with "component:" or similar)',
        ),
        ({"ref": ":shop"}, 'Entity reference ":shop" was not on the form [<kind>:][<namespace>/]<name>'),
        ({"ref": REF, "read": "perhaps"}, "request/query/read must be boolean"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, query: dict[str, str], message: str
) -> None:
    response = await http.get("/explain", params=query)
    assert (response.status_code, response.json()["error"]["message"]) == (400, message)


async def test_what_the_asker_may_not_read_is_told_as_missing(
    world: World, http: httpx.AsyncClient, policy: Policy
) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    policy.denied = {"catalog.entity.read", "catalog.entities.unprocessed.read"}
    told = [
        (await http.get("/explain", params={"ref": f"component:default/{name}"})).json() for name in ("shop", "nope")
    ]
    assert str(told[0]).replace("shop", "nope") == str(told[1])
    policy.denied = {"catalog.entity.read"}
    assert (await http.get("/explain", params={"ref": REF})).json()["verdict"] == "not-permitted"
    assert ("catalog.entity.read", REF) in policy.asked


async def test_of_each_other_entity_it_is_asked_whether_it_may_be_told(
    world: World, http: httpx.AsyncClient, policy: Policy
) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    policy.denied = {"catalog.entities.unprocessed.read"}
    assert (await http.get("/explain", params={"ref": "api:default/shop"})).json()["verdict"] == "other-kind"
    assert ("catalog.entity.read", REF) in policy.asked


@pytest.mark.parametrize("missing", ["catalog.location.analyze", "catalog.entities.unprocessed.read"])
async def test_nobody_has_the_server_read_a_file_without_leave(
    world: World, http: httpx.AsyncClient, policy: Policy, missing: str
) -> None:
    world.files[SHOP] = yaml_component("shop")
    query = {"ref": REF, "at": SHOP}
    assert (await http.get("/explain", params=query)).json()["verdict"] == "location-not-registered"
    policy.denied = {missing}
    assert (await http.get("/explain", params=query)).status_code == 403


# --- the command --------------------------------------------------------------------------------------------------


async def _command(told: Explanation, *arguments: str) -> tuple[Result, list[dict[str, str]]]:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/greenroom/catalog/explain", answer)
    async with TestServer(app) as server:
        address = f"http://127.0.0.1:{server.port}"
        command = ["catalog", "explain", *arguments, "--server", address]
        return await asyncio.to_thread(CliRunner().invoke, cli, command), asked


async def test_the_command_tells_the_story_and_exits_with_1_for_a_problem(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    await world.write(SHOP, "kind: [\n")
    result, asked = await _command(await world.ask(REF), "Component:shop")
    assert result.exit_code == 1
    assert asked == [{"ref": REF}]
    text = result.output
    assert text.startswith(f"✗ {REF} is served as it last was: the file is not valid YAML.")
    for line in ("✓ provider", "✓ location", "✓ read", "✗ parse", "· rule", "✓ process", "✓ serve"):
        assert line in text
    parts = [
        f"  at    {SHOP}:",
        "  says  YAML error at",
        "  hint  ",
        "  run   greenroom catalog validate catalog-info.yaml",
    ]
    assert sorted(parts, key=text.index) == parts
    assert (
        text.index(parts[-1]) < text.index("✓ provider") < text.index("  ! it relates to entities that are not there")
    )


async def test_of_many_errors_only_the_first_are_told_at_length(world: World) -> None:
    world.files[SHOP] = "".join(f"kind: Component\nmetadata: {{name: a{number}}}\n---\n" for number in range(6))
    world.files[SHOP] += yaml_component("till")
    await world.register(SHOP)
    told = await world.ask(REF, at=SHOP)
    kept = {(one.message, one.at) for one in told.findings}
    assert 6 <= len(told.findings) == len(kept)
    result, _ = await _command(told, REF, "--at", SHOP)
    assert result.output.count("  says  ") == 3
    assert result.output.count("\n  ! ") == len(told.findings) - 3


async def test_what_is_told_is_never_cut_and_stands_below_its_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.files[SHOP] = yaml_component("shop").replace("  owner: team-a\n", "")
    await world.register(SHOP)
    monkeypatch.setattr("greenroom.cli.output.ENDLESS", 60)
    result, _ = await _command(await world.ask(REF), REF)
    lines = result.output.splitlines()
    says = next(number for number, line in enumerate(lines) if line.startswith("  says  "))
    assert lines[says + 1].startswith("        ")
    assert max(map(len, lines[says : says + 4])) <= 60
    assert f"  at    {SHOP}:5:1" in lines


async def test_the_command_exits_with_0_for_what_is_well_and_with_2_for_what_is_no_ref(world: World) -> None:
    world.files[SHOP] = yaml_component("shop")
    await world.register(SHOP)
    told = await world.ask(REF)
    result, asked = await _command(told, REF, "--at", SHOP, "--no-read", "-o", "json")
    assert result.exit_code == 0
    assert asked == [{"ref": REF, "at": SHOP, "read": "false"}]
    assert msgspec.json.decode(result.output) == msgspec.json.decode(msgspec.json.encode(told))
    result, _ = await _command(told, "shop")
    assert result.exit_code == 2
    assert 'Entity reference "shop" had missing or empty kind' in result.output


async def test_text_of_others_is_not_taken_for_markup(world: World) -> None:
    result, _ = await _command(await world.ask("component:default/[red]"), "component:default/[red]")
    assert "component:default/[red] is not in the catalog" in result.output


def test_the_guide_names_every_class() -> None:
    guide = Path(failures.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert [slug for slug in FAILURES if f"`{slug}`" not in guide] == []


def test_every_command_that_is_advised_is_one() -> None:
    advised = {command for failure in FAILURES.values() for command in failure.commands}
    assert advised
    for line in advised:
        found: click.Command = cli
        context = click.Context(cli, info_name="greenroom")
        for word in line.split()[1:]:
            if not isinstance(found, click.Group):
                break
            below = found.get_command(context, word)
            assert below is not None, line
            found, context = below, click.Context(below, info_name=word, parent=context)
        assert not isinstance(found, click.Group), line


async def test_the_whole_house_explains_what_a_person_committed(database: Database, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(yaml_component("shop").replace("  owner: team-a\n", ""))
    external = {"type": "static", "options": {"token": TOKEN, "subject": "tests"}}
    config = {
        "backend": {"auth": {"externalAccess": [external]}},
        "catalog": {"locations": [{"type": "file", "target": str(tmp_path / "shop.yaml")}]},
    }
    async with running(load([], {}, config), {"GREENROOM_DATA": str(tmp_path)}, database=database) as house:
        client = Client(house.asgi, token=TOKEN)
        async with asyncio.timeout(60):
            while (told := (await client.get(f"/api/greenroom/catalog/explain?ref={REF}")).json)["state"] != "failed":
                await asyncio.sleep(0.05)
    assert (told["verdict"], told["findings"][0]["at"]) == ("spec-invalid", f"{tmp_path}/shop.yaml:5:1")
    assert told["chain"][0] == {"stage": "provider", "ok": True, "what": "ConfigLocationProvider, catalog.locations[0]"}
