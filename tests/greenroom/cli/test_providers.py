"""Where entities come from is seen, run and held back from a shell."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.cli import providers
from greenroom.cli.providers import _schedule, _share, _so_far
from tests.greenroom.cli.conftest import Pair
from tests.support.called import Run
from tests.support.catalog import component
from tests.support.processes import until

SHOPS = "ndjson:shops"


def test_providers_are_listed_with_what_their_last_run_did(online: Run) -> None:
    online("catalog", "providers", "run", SHOPS)
    found = {one["name"]: one for one in json.loads(online("catalog", "providers", "list", "-o", "json").out)}
    assert (found[SHOPS]["lastRun"]["status"], found[SHOPS]["lastRun"]["found"]) == ("succeeded", 1)
    assert SHOPS in online("catalog", "providers", "list").out


def test_a_provider_is_run_and_followed_to_its_end(online: Run) -> None:
    ended = online("catalog", "providers", "run", SHOPS, "-o", "json")
    run = json.loads(ended.out)
    assert (ended.code, run["status"], run["unchanged"]) == (0, "succeeded", 1)
    assert (run["cause"], run["causedBy"]) == ("trigger", "tests")


def test_a_run_in_which_something_failed_ends_with_1_and_says_what(online: Run, pair: Pair) -> None:
    file = pair.config.parent / "entities.ndjson"
    good = file.read_text()
    try:
        file.write_text(good + '{"kind": "Compo\n')
        ended = online("catalog", "providers", "run", SHOPS)
        assert ended.code == 1
        assert "entities.ndjson:2" in ended.out
        assert "entities.ndjson:2" in online("catalog", "providers", "show", SHOPS).out
    finally:
        file.write_text(good)
    assert online("catalog", "providers", "run", SHOPS).code == 0


def test_a_paused_provider_does_not_run_until_it_is_resumed(online: Run) -> None:
    assert online("catalog", "providers", "pause", SHOPS).code == 0
    try:
        refused = online("catalog", "providers", "run", SHOPS)
        assert refused.code != 0
        assert f"`greenroom catalog providers resume {SHOPS}`" in refused.err
        shown = json.loads(online("catalog", "providers", "show", SHOPS, "-o", "json").out)
        assert (shown["state"], shown["pausedBy"], shown["nextRunAt"]) == ("paused", "tests", None)
    finally:
        assert online("catalog", "providers", "resume", SHOPS).code == 0
    assert online("catalog", "providers", "run", SHOPS).code == 0


@pytest.mark.parametrize("command", ["show", "run", "pause", "resume"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ndjson:shop", f"did you mean {SHOPS}?"),
        ("x", f"there are ConfigLocationProvider, DefaultLocationStore, {SHOPS}"),
    ],
)
def test_an_unknown_provider_is_named_with_what_may_have_been_meant(
    online: Run, command: str, name: str, hint: str
) -> None:
    ended = online("catalog", "providers", command, name)
    assert (ended.code, ended.out) == (1, "")
    assert f"No such entity provider: {name} ({hint})" in ended.err


def test_a_run_is_asked_for_without_waiting_for_it(online: Run) -> None:
    before = json.loads(online("catalog", "providers", "show", SHOPS, "-o", "json").out)["lastRun"]["id"]
    ended = online("catalog", "providers", "run", "--no-wait", SHOPS)
    assert (ended.code, ended.out) == (0, f"{SHOPS} is asked to run\n")
    until(lambda: json.loads(online("catalog", "providers", "show", SHOPS, "-o", "json").out)["lastRun"]["id"] > before)


def test_what_failed_last_is_told_also_when_later_runs_went_well(online: Run, pair: Pair) -> None:
    file = pair.config.parent / "entities.ndjson"
    file.rename(file.with_suffix(".away"))
    try:
        ended = online("catalog", "providers", "run", SHOPS)
        assert ended.code == 1
        assert "entities.ndjson" in ended.err
    finally:
        file.with_suffix(".away").rename(file)
    assert online("catalog", "providers", "run", SHOPS).code == 0
    shown = online("catalog", "providers", "show", SHOPS).out
    assert next(line for line in shown.splitlines() if line.startswith("last error")).endswith(
        "entities.ndjson cannot be read: No such file or directory"
    )


def test_it_is_said_why_a_run_does_not_begin(online: Run, monkeypatch: pytest.MonkeyPatch, pair: Pair) -> None:
    monkeypatch.setattr(providers, "UNATTENDED", 0.0)
    say = providers._bar._wait

    def said(bar: providers._bar, state: str) -> None:
        say(bar, state)
        pair.worker.process.send_signal(signal.SIGCONT)

    monkeypatch.setattr(providers._bar, "_wait", said)
    pair.worker.process.send_signal(signal.SIGSTOP)
    try:
        ended = online("catalog", "providers", "run", SHOPS)
    finally:
        pair.worker.process.send_signal(signal.SIGCONT)
    assert ended.code == 0
    assert ended.err.startswith(f"{SHOPS} has not begun: no process takes it up: is a worker running")


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("progress", "expected", "share"),
    [
        ({"done": 1, "total": 4}, None, 0.25),
        ({"done": 9, "total": 4}, None, 1.0),
        ({"done": 1, "total": None}, None, None),
        (None, NOW + timedelta(seconds=30), 0.25),
        (None, None, None),
    ],
)
def test_a_bar_shows_what_is_known(progress: Any, expected: datetime | None, share: float | None) -> None:
    run = {
        "progress": progress,
        "startedAt": (NOW - timedelta(seconds=10)).isoformat(),
        "expectedAt": expected.isoformat() if expected else None,
    }
    assert _share(run, NOW) == share


@pytest.mark.parametrize(
    ("progress", "expected", "text"),
    [
        ({"done": 1, "total": 4}, NOW + timedelta(seconds=30), " (25%, 30 s left)"),
        (None, NOW - timedelta(seconds=1), " (100%, 0 s left)"),
        ({"done": 1, "total": None}, None, ""),
    ],
)
def test_a_list_tells_how_long_a_run_may_still_take(progress: Any, expected: datetime | None, text: str) -> None:
    run = {
        "status": "running",
        "progress": progress,
        "startedAt": (NOW - timedelta(seconds=10)).isoformat(),
        "expectedAt": expected.isoformat() if expected else None,
    }
    assert _so_far(run, NOW) == text
    assert _so_far({**run, "status": "succeeded"}, NOW) == ""


@pytest.mark.parametrize(("schedule", "text"), [("PT1H30M", "1 h 30 min"), ("PT0.5S", "0.5 s"), (None, "start")])
def test_a_schedule_is_told_in_words(schedule: str | None, text: str) -> None:
    assert _schedule({"schedule": schedule}) == text


def test_a_removal_that_nobody_refused_cannot_be_confirmed(online: Run) -> None:
    ended = online("catalog", "providers", "confirm", SHOPS)
    assert ended.code == 1
    assert "has nothing to confirm" in ended.err


def test_a_refused_removal_is_shown_and_confirmed_from_a_shell(online: Run, pair: Pair) -> None:
    file = pair.config.parent / "entities.ndjson"
    good = file.read_text()
    many = [json.dumps(component(f"guarded-{n}")) for n in range(150)]
    try:
        file.write_text("\n".join([good.strip(), *many, ""]))
        assert online("catalog", "providers", "run", SHOPS).code == 0
        file.write_text(good)
        refused = online("catalog", "providers", "run", SHOPS)
        assert refused.code == 1
        assert f"greenroom catalog providers confirm {SHOPS}" in refused.err
        assert "to remove 150 entities" in online("catalog", "providers", "show", SHOPS).out
    finally:
        file.write_text(good)
    confirmed = online("catalog", "providers", "confirm", SHOPS)
    assert (confirmed.code, "may remove 150 entities" in confirmed.out) == (0, True)

    def last() -> Any:
        return json.loads(online("catalog", "providers", "show", SHOPS, "-o", "json").out)["lastRun"]

    until(lambda: (last()["status"], last()["removed"]) == ("succeeded", 150))
