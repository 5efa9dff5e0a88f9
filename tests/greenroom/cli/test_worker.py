"""The API in one process and the work in another, which share a data folder and with it the embedded database."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
import yaml

from tests.greenroom.cli.conftest import Pair
from tests.support.asgi import TOKEN
from tests.support.called import Run
from tests.support.processes import until

SHOP = "/api/catalog/entities/by-name/component/default/shop"


def until_served(pair: Pair) -> None:
    until(lambda: pair.api.get(SHOP, TOKEN)[0] == 200)


def test_what_the_worker_brought_is_served_by_the_other_process(pair: Pair) -> None:
    until_served(pair)
    assert pair.api.get(SHOP, TOKEN)[1]["metadata"]["title"] == "The shop"


def test_the_provider_ran_once_by_itself_and_in_the_worker(pair: Pair) -> None:
    until_served(pair)
    runs = pair.api.get("/api/greenroom/catalog/providers/ndjson:shops/runs", TOKEN)[1]["items"]
    (first,) = [run for run in runs if run["cause"] != "trigger"]  # other tests, of the same pair, trigger more
    assert (first["cause"], first["found"], first["added"], first["failed"]) == ("start", 1, 1, 0)
    assert first["process"].endswith(f":{pair.worker.process.pid}")
    assert not any(message.startswith("Provider") for message in pair.api.messages())


def test_an_orchestrator_can_ask_after_a_worker_and_nobody_gets_anything_else_there(pair: Pair) -> None:
    pair.worker.until_ready()
    with urllib.request.urlopen(f"{pair.worker.url}/metrics") as answer:  # noqa: S310 (our own server)
        assert b"# TYPE catalog_" in answer.read()
    for path in (SHOP, "/.greenroom/docs"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(pair.worker.url + path)  # noqa: S310
        with refused.value as error:
            assert (error.code, error.read()) == (404, b"")


def test_the_status_is_read_from_the_database_and_tells_of_both(pair: Pair, greenroom: Run) -> None:
    until_served(pair)
    environ = {"GREENROOM_DATA": str(pair.data)}
    facts = greenroom("status", "--config", pair.config, "-o", "json", **environ).json
    assert facts["Database"]["kind"] == "embedded"
    assert facts["Database"]["migrations to apply"] == 0
    assert facts["Catalog"]["by kind"]["component"] >= 1
    assert "ndjson:shops" in {provider["name"] for provider in facts["Catalog"]["providers"]}
    assert set(yaml.safe_load(greenroom("status", "--config", pair.config, "-o", "yaml", **environ).out)) == set(facts)
    table = greenroom("status", "--config", pair.config, **environ)
    assert table.code == 0
    lines = table.out.splitlines()
    assert lines[0] == "Database"
    assert any(line.startswith("ndjson:shops") for line in lines)
