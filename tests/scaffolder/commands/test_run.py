"""A task is watched from a terminal through all that happens to its server, and to whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from greenroom.cli.client import Client
from greenroom.errors import ServiceUnavailableError
from greenroom_scaffolder.commands import run as running
from greenroom_scaffolder.commands.run import ask, run, watch
from tests.scaffolder.commands.test_following import event
from tests.support.processes import run as greenroom

LINE, END = event(1, "two files"), event(2, "Run completed with status: completed", "completion", output={})
FAILED = event(2, "Run completed with status: failed", "completion", error={"name": "Error", "message": "no"})
STALE = event(2, "This task was marked as stale as it exceeded its timeout", "completion")


class Server:
    """One whose event streams are what a test says: events, or that nobody answers; and so is what the task has become
    whenever it is looked at again, the last of `statuses` from then on."""

    def __init__(self, *streams: Sequence[Any], statuses: Sequence[Any] = ("completed",)) -> None:
        self.streams = iter(streams)
        self.statuses = ["open", *statuses]
        self.after: list[str] = []

    async def call(self, method: str, path: str) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise ServiceUnavailableError
        return {"status": status, "spec": {"steps": [{"id": "a", "name": "A"}]}}

    async def events(self, path: str, *, query: Sequence[tuple[str, str]]) -> AsyncIterator[Any]:
        self.after.append(dict(query)["after"])
        for one in next(self.streams):
            if one is None:
                raise ServiceUnavailableError
            if one is ...:
                await asyncio.Event().wait()
            yield one


def follow(server: Server) -> int:
    return asyncio.run(watch(cast("Client", server), "t1", as_json=False))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "REST", 0)


def test_a_server_that_starts_anew_is_waited_for_and_nothing_is_told_twice(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server([LINE, None], [None], [], [LINE, END])
    assert follow(server) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == ["Task t1", "    two files", "✔ Done"]
    assert told.err == "The server has gone; waiting for it …\n"
    assert server.after == ["0", "1", "1", "1"]


def test_a_server_that_stays_away_is_given_up() -> None:
    with pytest.raises(ServiceUnavailableError):
        follow(Server(*[[None]] * (running.PATIENCE + 1)))


def test_a_task_that_failed_is_told_by_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(Server([FAILED], statuses=["failed"])) == 1
    assert capsys.readouterr().out.endswith("✘ Error: no\n")


def test_a_task_that_was_given_up_as_stale_is_not_told_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(Server([STALE], statuses=["failed"])) == 1
    assert capsys.readouterr().out.splitlines() == ["Task t1", f"✘ {STALE['body']['message']}"]
    assert asyncio.run(watch(cast("Client", Server([STALE], statuses=["failed"])), "t1", as_json=True)) == 1


def test_a_server_that_goes_when_the_task_has_ended_is_asked_again_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(Server([LINE, END], [], [], statuses=[None, "failed"])) == 1
    with pytest.raises(ServiceUnavailableError):
        follow(Server([END], *[[]] * running.PATIENCE, statuses=[None]))


def test_a_task_that_is_tried_again_as_soon_as_it_failed_is_watched_on(capsys: pytest.CaptureFixture[str]) -> None:
    again = [event(3, "", "recovered"), event(4, "Run completed with status: completed", "completion", output={})]
    assert follow(Server([LINE, FAILED], again, statuses=["open", "completed"])) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["↻ The task goes on", "✔ Done"]


async def test_who_stops_watching_is_told_that_the_task_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    watching = asyncio.ensure_future(watch(cast("Client", Server([LINE, ...])), "t1", as_json=False))
    while "two files" not in capsys.readouterr().out:
        await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert capsys.readouterr().err == "The task goes on: greenroom template follow t1\n"


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "integer"}, "[1\n8080\n", 8080),
        ({"type": "string", "title": "Name"}, "007\n", "007"),
        ({"type": "integer", "enum": [80, 443]}, "81\n443\n", 443),
        ({"type": "string", "ui:field": "Secret"}, "abc\n", "abc"),
    ],
)
def test_a_value_is_asked_for_until_it_can_be_read(schema: dict[str, Any], typed: str, value: Any) -> None:
    with CliRunner().isolation(typed) as (_, told, _all):
        assert ask("field", schema) == value
    assert (b"Error" in told.getvalue()) == (typed.count("\n") > 1)
    assert (b"abc" in told.getvalue()) is False


def test_nobody_at_home_and_nonsense_are_told_apart(tmp_path: Path) -> None:
    away = greenroom("template", "run", "greeting", "--server", "http://127.0.0.1:1", cwd=tmp_path)
    assert (away.code, away.err.startswith("Not available: No server answers at http://127.0.0.1:1")) == (3, True)
    assert CliRunner().invoke(run, ["", "--server", "http://127.0.0.1:1"]).exit_code == 2


def test_a_task_without_an_id_is_wrong_usage() -> None:
    assert CliRunner().invoke(running.follow, [""]).exit_code == 2
