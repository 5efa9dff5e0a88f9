"""The unmodified frontend in a real browser: the catalog's pages look and behave as they do over upstream.

Every step of the reference's driver is one test: it succeeds, ends at the same address, shows the same alert, asks the same of
the backend, gets the same answers from the catalog, and says no more on the console than over upstream.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.e2e.frontend import REFERENCE, Call, Visit, plain, read, visit
from tests.support.postgres import TestServer

CATALOG_STEPS = "^(sign-in|catalog-|entity-|api-docs)"

NOT_SERVED = {"kubernetes", "notifications", "signals", "user-settings"}
"""Plugins that the frontend asks and Greenroom does not have: what comes of that on a page is not the catalog's doing."""
EXCUSED = {
    "Failed to load resource: the server responded with a status of 404 (Not Found)",
    "PAGEERROR ResponseError: Request failed with 404 Not Found",
    (
        "WebSocket connection to 'ws://127.0.0.1:…/api/signals' failed: "
        "Error during WebSocket handshake: Unexpected response code: 404"
    ),
}
"""What the browser says of them. A call to the catalog that fails with 404 is found by its status."""
OWN_WORDS = {
    "catalog-index-starred": "the starred filter is kept in user-settings",
    "entity-component-kubernetes": "the whole page is about Kubernetes",
}
"""Steps whose alert or address may be another, and why."""

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")


def _steps() -> list[str]:
    """The names of the catalog's steps, where the reference is."""
    if not (REFERENCE / "steps.json").exists():
        return ["the reference is not here"]
    return [name for name in read(REFERENCE, "frontend-requests.jsonl").steps if re.match(CATALOG_STEPS, name)]


@pytest.fixture(scope="module")
def expected() -> Visit:
    return read(REFERENCE, "frontend-requests.jsonl")


@pytest.fixture(scope="module")
async def seen(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return await visit(postgres_server, tmp_path_factory.mktemp("frontend"), CATALOG_STEPS)


@pytest.mark.parametrize("step", _steps())
def test_a_page_of_the_catalog_is_as_over_upstream(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = seen.steps[step], expected.steps[step]
    assert ours["ok"], ours["msg"]
    if step not in OWN_WORDS:
        assert plain(ours.get("alert", "")) == plain(theirs.get("alert", ""))
        assert address(ours) == address(theirs)
    for plugin in ("auth", "catalog", "permission"):
        assert outcomes(seen.calls[step][plugin]) == outcomes(expected.calls[step][plugin])
    said = {plain(line) for line in theirs["consoleErrors"]} | EXCUSED
    assert [line for line in ours["consoleErrors"] if plain(line) not in said] == []


@pytest.mark.parametrize("step", _steps())
def test_the_frontend_is_told_by_the_catalog_what_upstream_tells(step: str, seen: Visit, expected: Visit) -> None:
    ours, theirs = answers_of(seen.calls[step]["catalog"]), answers_of(expected.calls[step]["catalog"])
    for question, answers in theirs.items():
        for answer in ours.get(question, []):
            assert answer in answers, question


def test_only_plugins_that_are_not_served_are_excused(seen: Visit) -> None:
    outcomes = {
        call.status for calls in seen.calls.values() for plugin in NOT_SERVED & calls.keys() for call in calls[plugin]
    }
    assert outcomes == {404}


def address(step: dict[str, Any]) -> str:
    """Where a step ended, but for the cursor in it, and the order in which the page happened to set its parameters."""
    place, _, query = re.sub(r"cursor=[^&]*", "cursor=…", plain(step["url"])).partition("?")
    return f"{place}?{'&'.join(sorted(query.split('&')))}"


def outcomes(calls: Sequence[Call]) -> set[tuple[str, str, int]]:
    """What was asked for and what came of it. How often, and with which parameters, depends on how fast pages are drawn."""
    return {(call.question[0], call.question[1], call.status) for call in calls}


def answers_of(calls: Sequence[Call]) -> dict[tuple[str, str, str, str], list[Any]]:
    """Every answer that a question got in one step, where it was recorded whole."""
    found: dict[tuple[str, str, str, str], list[Any]] = {}
    for call in calls:
        if call.body is not None:
            found.setdefault(call.question, []).append(call.body)
    return found
