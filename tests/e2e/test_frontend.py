"""The unmodified frontend in a real browser: the catalog's pages look and behave as they do over upstream.

Every step of the reference's driver is one test: it succeeds, shows the same alert, asks the same of the catalog with the
same outcome, and says no more on the console than over upstream.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.oracle import shared_folder
from tests.conformance.server import settle
from tests.support.house import at_an_address
from tests.support.postgres import TestServer

FRONTEND = shared_folder() / "frontend"
REFERENCE = FRONTEND / "reference"
CATALOG_STEPS = "^(sign-in|catalog-|entity-|api-docs)"
PORT = 7107

NOT_SERVED = {"kubernetes", "notifications", "signals", "user-settings"}
"""Plugins that the frontend asks and Greenroom does not have: what comes of that on a page is not the catalog's doing."""
EXCUSED = {
    "Failed to load resource: the server responded with a status of 404 (Not Found)",
    "PAGEERROR ResponseError: Request failed with 404 Not Found",
    (
        "WebSocket connection to 'ws://127.0.0.1:7208/api/signals' failed: "
        "Error during WebSocket handshake: Unexpected response code: 404"
    ),
}
"""What the browser says of them. A call to the catalog that fails with 404 is found by its status."""
OWN_WORDS = {
    "catalog-index-starred": "the starred filter is kept in user-settings",
    "entity-component-kubernetes": "the whole page is about Kubernetes",
}
"""Steps whose alert or address may be another, and why."""

PECULIAR = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|generated-[0-9a-f]{40}")

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")

Call = tuple[str, str, int]
"""Method, path without what is peculiar to a run, status."""


class Visit(NamedTuple):
    """What the driver saw: its report of each step, and the calls of each step by plugin."""

    steps: dict[str, dict[str, Any]]
    calls: dict[str, dict[str, set[Call]]]


def read(folder: Path, exchanges: str) -> Visit:
    calls: dict[str, dict[str, set[Call]]] = defaultdict(lambda: defaultdict(set))
    for line in (folder / exchanges).read_text().splitlines():
        found = json.loads(line)
        plugin = found["path"].split("/")[2] if found["path"].startswith("/api/") else ""
        calls[found["step"]][plugin].add((found["method"], PECULIAR.sub("…", found["path"]), found["status"]))
    return Visit({step["step"]: step for step in json.loads((folder / "steps.json").read_text())}, calls)


def _steps() -> list[str]:
    """The names of the catalog's steps, where the reference is."""
    if not (REFERENCE / "steps.json").exists():
        return ["the reference is not here"]
    return [name for name in read(REFERENCE, "frontend-requests.jsonl").steps if re.match(CATALOG_STEPS, name)]


@pytest.fixture(scope="module")
def expected() -> Visit:
    return read(REFERENCE, "frontend-requests.jsonl")


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def seen(
    postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Visit:
    """One visit of the browser to Greenroom."""
    for needed, where in (("node", "Node"), ("chromium", "Chromium: frontend.sh install")):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {where}")
    if not (FRONTEND / "frontend.sh").exists():
        pytest.skip(f"needs the stock frontend, {FRONTEND}")
    # The recording proxy keeps connections for the same 5 s as the server, and now and then loses the race to the last one.
    patch.setattr("greenroom.web.server.KEEP_ALIVE", 65)
    folder = tmp_path_factory.mktemp("frontend")
    text = (Path(__file__).parent / "frontend.yaml").read_text().replace("${fixtures}", str(FRONTEND / "fixtures"))
    async with at_an_address(postgres_server, folder, lambda address: text.replace("${self}", address), PORT) as opened:
        await settle(opened.house, opened.database)
        environ = {**os.environ, "OUT": str(folder), "BE": opened.address}
        await _frontend("serve", opened.address, environ=environ)
        try:
            await _frontend("drive", CATALOG_STEPS, environ=environ)
        finally:
            await _frontend("stop", environ=environ)
    return read(folder, "raw.jsonl")


async def _frontend(*arguments: str, environ: dict[str, str]) -> None:
    log = Path(environ["OUT"]) / f"{arguments[0]}.log"
    with log.open("w+") as out:  # a pipe would be held open by what `serve` leaves running
        process = await asyncio.create_subprocess_exec(
            str(FRONTEND / "frontend.sh"), *arguments, env=environ, cwd=environ["OUT"], stdout=out, stderr=out
        )
        assert await process.wait() == 0, log.read_text()


@pytest.mark.parametrize("step", _steps())
def test_a_page_of_the_catalog_is_as_over_upstream(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = seen.steps[step], expected.steps[step]
    assert ours["ok"], ours["msg"]
    if step not in OWN_WORDS:
        assert ours.get("alert") == theirs.get("alert")
    for plugin in ("auth", "catalog", "permission"):
        assert seen.calls[step][plugin] == expected.calls[step][plugin]
    assert sorted(set(ours["consoleErrors"]) - set(theirs["consoleErrors"]) - EXCUSED) == []


def test_only_plugins_that_are_not_served_are_excused(seen: Visit) -> None:
    outcomes = {
        plugin: status
        for calls in seen.calls.values()
        for plugin in NOT_SERVED & calls.keys()
        for _, _, status in calls[plugin]
    }
    assert set(outcomes.values()) == {404}
