"""A running server's catalog from the shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.greenroom.cli.conftest import Pair
from tests.support.asgi import TOKEN
from tests.support.called import Run
from tests.support.processes import Result, run_on_terminal, until


@pytest.fixture
def shop(online: Run) -> Run:
    """The command line, once the shop is served."""
    until(lambda: online("catalog", "get", "component:shop").code == 0)
    return online


def register(online: Run, url: str) -> dict[str, Any]:
    added = online("locations", "add", url, "-o", "json")
    assert added.code == 0, added.err
    location: dict[str, Any] = added.json["location"]
    return location


# --- catalog ---------------------------------------------------------------------------------------------------------


def test_entities_are_listed_as_a_table_with_their_number(shop: Run) -> None:
    listed = shop("catalog", "list", "kind=component,metadata.name=shop")
    head, row, number = listed.out.splitlines()
    assert head.split() == ["KIND", "NAMESPACE", "NAME", "TYPE", "OWNER", "TITLE"]
    assert row.split() == ["Component", "default", "shop", "service", "team-a", "The", "shop"]
    assert number == "1 of 1 entities"


def test_entities_are_listed_for_programs(shop: Run) -> None:
    as_json = shop("catalog", "list", "metadata.name=shop", "-o", "json")
    as_yaml = shop("catalog", "list", "metadata.name=shop", "-o", "yaml")
    assert [entity["metadata"]["name"] for entity in as_json.json] == ["shop"]
    assert yaml.safe_load(as_yaml.out) == as_json.json


def test_no_entities_are_no_failure(shop: Run) -> None:
    listed = shop("catalog", "list", "kind=nothing")
    assert (listed.code, listed.out) == (0, "nothing\n0 of 0 entities\n")


def test_a_list_goes_on_over_pages_up_to_the_limit(shop: Run, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("page-a", "page-b", "page-c"):
        register(shop, f"{pair.files}/{name}.yaml")
    monkeypatch.setattr("greenroom.cli.catalog.PAGE", 2)

    def names(*options: str) -> list[str]:
        listed = shop("catalog", "list", "kind=component", "-o", "json", *options)
        return [entity["metadata"]["name"] for entity in listed.json]

    until(lambda: len(names()) == 4)
    assert names() == ["page-a", "page-b", "page-c", "shop"]
    assert names("--limit", "3") == ["page-a", "page-b", "page-c"]
    assert "3 of 4 entities" in shop("catalog", "list", "kind=component", "--limit", "3").out


def test_one_entity_is_printed_as_it_is_served(shop: Run) -> None:
    as_yaml, as_json = (
        shop("catalog", "get", "component:shop"),
        shop("catalog", "get", "Component:default/Shop", "-o", "json"),
    )
    assert yaml.safe_load(as_yaml.out) == as_json.json
    assert as_json.json["relations"] == [{"type": "ownedBy", "targetRef": "group:default/team-a"}]


def test_an_entity_that_is_not_there_fails(shop: Run) -> None:
    ended = shop("catalog", "get", "component:nobody")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(
        "NotFoundError: GET /api/catalog/entities/by-name/component/default/nobody was answered "
    )
    assert ended.err.count("NotFoundError") == 1, "it is told once"


@pytest.mark.parametrize("command", ["get", "refresh"])
def test_a_malformed_reference_is_a_wrong_usage(online: Run, command: str) -> None:
    ended = online("catalog", command, "shop")
    assert ended.code == 2
    assert 'Entity reference "shop" had missing or empty kind' in ended.err


def test_entities_are_refreshed(shop: Run) -> None:
    assert shop("catalog", "refresh", "component:shop").out == "1 due for a refresh\n"
    assert shop("catalog", "refresh", "component:nobody").code == 1


def test_long_work_shows_a_bar_on_a_terminal_and_leaves_no_trace_of_it_in_a_pipe(shop: Run, pair: Pair) -> None:
    command = ("catalog", "refresh", "component:shop", "component:shop")
    shown = run_on_terminal(*command, GREENROOM_SERVER=pair.api.url, GREENROOM_TOKEN=TOKEN)
    assert shown.code == 0
    assert "Refreshing" in shown.out
    assert shop(*command) == Result(0, "2 due for a refresh\n", "")


# --- locations -------------------------------------------------------------------------------------------------------


def test_a_location_is_registered_listed_and_removed(shop: Run, pair: Pair) -> None:
    url = f"{pair.files}/kiosk.yaml"
    location = register(shop, url)
    assert location["target"] == url
    listed = shop("locations", "list")
    assert listed.out.splitlines()[0].split() == ["ID", "TYPE", "TARGET", "ENTITYREF"]
    assert next(line for line in listed.out.splitlines() if url in line).startswith(location["id"])
    until(lambda: shop("catalog", "get", "component:kiosk").code == 0)
    assert shop("locations", "rm", location["id"]) == Result(0, "1 unregistered\n", "")
    assert url not in shop("locations", "list", "-o", "json").out
    until(lambda: shop("catalog", "get", "component:kiosk").code == 1)


def test_a_location_can_be_tried_without_being_stored(shop: Run, pair: Pair) -> None:
    url = f"{pair.files}/trial.yaml"
    tried = shop("locations", "add", url, "--dry-run")
    assert tried.code == 0
    assert any("trial" in line.split() for line in tried.out.splitlines())
    assert url not in shop("locations", "list", "-o", "json").out


def test_a_location_is_not_registered_twice(shop: Run, pair: Pair) -> None:
    url = f"{pair.files}/twice.yaml"
    register(shop, url)
    again = shop("locations", "add", url)
    assert again.code == 1
    assert "was answered with 409, ConflictError" in again.err


# --- the way to the server -------------------------------------------------------------------------------------------


def test_a_server_that_wants_a_token_says_how_to_give_one(greenroom: Run, pair: Pair) -> None:
    ended = greenroom("catalog", "list", "--server", pair.api.url)
    assert ended.code == 1
    assert ended.err.endswith("AuthenticationError: Missing credentials (give a token by --token or GREENROOM_TOKEN)\n")


def test_the_address_is_that_of_the_config_unless_told(greenroom: Run, pair: Pair, tmp_path: Any) -> None:
    (tmp_path / "app-config.yaml").write_text(json.dumps({"backend": {"baseUrl": pair.api.url}}))
    found = greenroom("locations", "list", "--config", tmp_path / "app-config.yaml", "--token", TOKEN, "-o", "json")
    assert found.code == 0
    assert isinstance(found.json, list)


def test_a_server_that_is_not_there_cannot_be_reached(greenroom: Run) -> None:
    ended = greenroom("catalog", "list", "--server", "http://127.0.0.1:1")
    assert ended.code == 3
    assert ended.err.startswith("Not available: No server answers at http://127.0.0.1:1 ")
    assert len(ended.err.splitlines()) == 1


def test_something_else_than_the_backend_is_told_apart(greenroom: Run, pair: Pair) -> None:
    ended = greenroom("catalog", "list", "--server", pair.files)
    assert (ended.code, ended.out) == (1, "")
    assert f"was not answered with JSON: is {pair.files} the backend?" in ended.err


@pytest.mark.parametrize("given", ["localhost", "localhost:7007", "127.0.0.1:7007", "ftp://localhost", "http://:7007"])
def test_an_address_that_is_none_is_a_wrong_usage_and_no_server_is_looked_for(greenroom: Run, given: str) -> None:
    ended = greenroom("catalog", "list", "--server", given)
    assert ended.code == 2
    assert f"--server: {given} is not the address of a server" in ended.err
    assert "http:// or https://" in ended.err
    assert (f"such as http://{given}" in ended.err) is ("://" not in given)


def test_an_address_of_the_config_that_is_none_is_told_as_the_configs(greenroom: Run, tmp_path: Path) -> None:
    config = tmp_path / "app-config.yaml"
    config.write_text("backend: {baseUrl: 'localhost:7007'}")
    ended = greenroom("catalog", "list", "--config", config)
    assert (ended.code, "backend.baseUrl: localhost:7007 is not the address of a server" in ended.err) == (2, True)
