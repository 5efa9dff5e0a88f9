"""Every method of upstream's own clients gets from Greenroom what it gets from upstream."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.clients.driving import CLIENTS, FOLDER, Driven, driven, driven_upstream
from tests.conformance.client import serving
from tests.conformance.oracle import shared_folder
from tests.conformance.script import HERE
from tests.support.house import at_an_address
from tests.support.node import node_modules
from tests.support.postgres import TestServer

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")


@pytest.fixture(scope="module", params=list(CLIENTS.values()), ids=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> Driven:
    one: Driven = request.param
    return one


@pytest.fixture(scope="module")
def recorded(client: Driven) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(client.recorded.read_text())
    return answers


@pytest.fixture(scope="module")
async def found(
    client: Driven, postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the client got from Greenroom."""
    modules = node_modules(client.package)
    folder: Path = tmp_path_factory.mktemp("client")
    async with serving(FOLDER / "files") as files, at_an_address(postgres_server, folder, _config) as greenroom:
        return await driven(client, greenroom.address, files, modules)


def _config(address: str) -> str:
    return (HERE / "base.yaml").read_text().replace("${self}", address)


def test_no_method_of_the_client_is_left_out(found: dict[str, Any]) -> None:
    assert found["undriven"] == []


def test_nothing_fails_by_our_fault_or_the_scripts(found: dict[str, Any]) -> None:
    assert [name for name, answer in found["answers"].items() if _failed(answer)] == []


def test_every_answer_is_upstreams(found: dict[str, Any], recorded: dict[str, Any]) -> None:
    assert sorted(found["answers"]) == sorted(recorded)
    for name, answer in recorded.items():
        assert found["answers"][name] == answer, name


async def test_upstream_still_answers_as_recorded(client: Driven, recorded: dict[str, Any]) -> None:
    if not (shared_folder() / "oracle" / "oracle.sh").exists():
        pytest.skip("there is no upstream here: see GREENROOM_SHARED")
    theirs = await driven_upstream(client, node_modules(client.package))
    assert (theirs["answers"], theirs["undriven"]) == (recorded, [])


def _failed(answer: Any) -> bool:
    return isinstance(answer, dict) and "thrown" in answer and not 400 <= answer.get("status", 0) < 500
