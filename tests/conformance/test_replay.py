"""Greenroom answers what upstream was recorded to answer, request by request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from greenroom.db import open_pool
from tests.conformance import listing
from tests.conformance.compare import Outcome, differences
from tests.conformance.differences import documented, intended
from tests.conformance.record import read
from tests.conformance.script import Request, Script, load, names
from tests.conformance.server import ask_greenroom
from tests.support.postgres import TestServer

SCRIPTS = {name: load(name) for name in names()}
DIFFERENCES = documented()
CASES = [
    pytest.param(script, request, id=f"{script.name}/{request.name}")
    for script in SCRIPTS.values()
    for request in script.requests
]
LINES = 12
AT_ONCE = 4

Answers = Mapping[str, dict[str, Outcome] | BaseException]
"""By data set: its answers by the name of the request, or why it did not run."""


@pytest.fixture(scope="session")
async def answers(request: pytest.FixtureRequest, postgres_server: TestServer) -> Answers:
    """Of all data sets that the tests of this run are about. Each runs once, whole and in order, on a server and a database of its
    own; some at once, since a set mostly waits for the catalog to come to rest."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(script: Script) -> dict[str, Outcome]:
        async with turn, postgres_server.empty() as name, open_pool(postgres_server.to(name), size=5) as database:
            return {outcome.name: outcome for outcome in await ask_greenroom(script, database)}

    sets = _asked_for(request.session.items)
    found = await asyncio.gather(*(run(SCRIPTS[name]) for name in sets), return_exceptions=True)
    return dict(zip(sets, found, strict=True))


def _asked_for(items: Sequence[pytest.Item]) -> list[str]:
    """The data sets that the tests of this run are about."""
    params = [item.callspec.params for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    scripts = [script for one in params if isinstance(script := one.get("script"), Script)]
    return list(dict.fromkeys(script.name for script in scripts))


@pytest.fixture(scope="session")
def recordings() -> dict[str, dict[str, Outcome]]:
    return {name: read(script) for name, script in SCRIPTS.items()}


@pytest.mark.parametrize(("script", "request_"), CASES)
def test_the_answer_is_upstreams(
    script: Script, request_: Request, answers: Answers, recordings: dict[str, dict[str, Outcome]]
) -> None:
    of_set = answers[script.name]
    if isinstance(of_set, BaseException):
        raise AssertionError(f"the data set {script.name} did not run: {of_set!r}") from of_set
    recorded, answered = recordings[script.name][request_.name], of_set[request_.name]
    found = differences(recorded, answered, request_.order)
    row = intended(f"{script.name}/{request_.name}", DIFFERENCES)
    if row is None:
        assert not found, _told(found)
        return
    assert found, "DIFFERENCES.md says that this answer differs, but it is upstream's: remove the row"
    surprise = row.found_in(answered)
    assert surprise is None, surprise


def _told(found: list[str]) -> str:
    lines = found[:LINES] + ([f"… and {len(found) - LINES} more"] if len(found) > LINES else [])
    return "\n".join(["the answer is not upstream's:", *lines])


def test_every_documented_difference_is_about_a_request_that_is_asked() -> None:
    asked = [f"{script.name}/{request.name}" for script in SCRIPTS.values() for request in script.requests]
    used = {row.request for name in asked if (row := intended(name, DIFFERENCES))}
    assert set(DIFFERENCES) == used


def test_every_recording_is_of_a_request_that_is_asked(recordings: dict[str, dict[str, Outcome]]) -> None:
    for name, script in SCRIPTS.items():
        assert list(recordings[name]) == [request.name for request in script.requests], f"record {name} again"


def test_the_recordings_are_as_many_as_promised() -> None:
    assert len(SCRIPTS) >= 20
    assert len(CASES) >= 1500


def test_the_readme_tells_of_every_set_and_counts_right() -> None:
    assert listing.told() == listing.listing(), "python -m tests.conformance.listing"
