"""Greenroom answers what upstream was recorded to answer, request by request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

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

Replay = Callable[[Script], Awaitable[dict[str, Outcome]]]


@pytest.fixture(scope="session")
async def replay(request: pytest.FixtureRequest, postgres_server: TestServer) -> AsyncIterator[Replay]:
    """All answers of one data set, by request name. A set runs once, whole and in order, on a server and a database of its own.

    With the first all sets of this run begin, some at once, since a set mostly waits for the catalog to come to rest."""
    turn = asyncio.Semaphore(AT_ONCE)
    runs: dict[str, asyncio.Task[dict[str, Outcome]]] = {}

    async def run(script: Script) -> dict[str, Outcome]:
        async with turn, postgres_server.empty() as name, open_pool(postgres_server.to(name), size=5) as database:
            return {outcome.name: outcome for outcome in await ask_greenroom(script, database)}

    async def once(script: Script) -> dict[str, Outcome]:
        if not runs:
            runs.update({name: asyncio.create_task(run(SCRIPTS[name])) for name in _asked_for(request.session.items)})
        await asyncio.wait([runs[script.name]])
        if error := runs[script.name].exception():  # told to each of the set's tests, without another try
            raise AssertionError(f"the data set {script.name} did not run: {error!r}") from error
        return runs[script.name].result()

    yield once
    for task in runs.values():
        task.cancel()
    await asyncio.gather(*runs.values(), return_exceptions=True)


def _asked_for(items: Sequence[pytest.Item]) -> list[str]:
    """The data sets that the tests of this run are about."""
    params = [item.callspec.params for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    scripts = [script for one in params if isinstance(script := one.get("script"), Script)]
    return list(dict.fromkeys(script.name for script in scripts))


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
