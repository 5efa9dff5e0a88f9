"""Greenroom answers what upstream was recorded to answer, request by request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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

Replay = Callable[[Script], Awaitable[dict[str, Outcome]]]


@pytest.fixture(scope="session")
def replay(postgres_server: TestServer) -> Replay:
    """All answers of one data set, by request name. A set runs once, whole and in order, when the first of its requests asks."""
    answers: dict[str, dict[str, Outcome] | BaseException] = {}

    async def run(script: Script) -> dict[str, Outcome]:
        async with postgres_server.empty() as name, open_pool(postgres_server.to(name), size=5) as database:
            return {outcome.name: outcome for outcome in await ask_greenroom(script, database)}

    async def once(script: Script) -> dict[str, Outcome]:
        if script.name not in answers:
            try:
                answers[script.name] = await run(script)
            except Exception as error:  # noqa: BLE001  told to each of the set's tests, without another try
                answers[script.name] = error
        found = answers[script.name]
        if isinstance(found, BaseException):
            raise AssertionError(f"the data set {script.name} did not run: {found!r}") from found
        return found

    return once


@pytest.fixture(scope="session")
def recordings() -> dict[str, dict[str, Outcome]]:
    return {name: read(script) for name, script in SCRIPTS.items()}


@pytest.mark.parametrize(("script", "request_"), CASES)
async def test_the_answer_is_upstreams(
    script: Script, request_: Request, replay: Replay, recordings: dict[str, dict[str, Outcome]]
) -> None:
    recorded, answered = recordings[script.name][request_.name], (await replay(script))[request_.name]
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
