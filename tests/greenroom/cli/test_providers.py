"""Where entities come from is seen, run and held back from a shell."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.cli.providers import _share
from tests.greenroom.cli.conftest import Pair, Run

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
        assert "is paused: resume it first" in refused.err
        shown = json.loads(online("catalog", "providers", "show", SHOPS, "-o", "json").out)
        assert (shown["state"], shown["pausedBy"], shown["nextRunAt"]) == ("paused", "tests", None)
    finally:
        assert online("catalog", "providers", "resume", SHOPS).code == 0
    assert online("catalog", "providers", "run", SHOPS).code == 0


def test_an_unknown_provider_is_named(online: Run) -> None:
    ended = online("catalog", "providers", "show", "git:none")
    assert ended.code != 0
    assert "No such entity provider: git:none" in ended.err


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
