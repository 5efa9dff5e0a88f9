"""What the scaffolder says of its config at the start."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.errors import ConfigError
from greenroom.permissions import Permissions
from greenroom.plugin import DataFolder
from greenroom.settings import BackendConfig, load
from greenroom_scaffolder.plugin import Workshop, lone_key
from greenroom_scaffolder.settings import SHORTEST_LEASE, ScaffolderConfig
from greenroom_scaffolder.storage.writer import BEAT
from tests.support.policy import Policy

OUTSIDE = {"database": {"client": "pg", "connection": "postgres://db.test/greenroom"}}
KEY = {"secrets": {"keys": [{"secret": "0123456789abcdef"}]}}


class Machine:
    log = logging.getLogger("greenroom.scaffolder")

    def get(self, service: type[Any]) -> Any:
        if service is Permissions:
            return Policy()
        return service(Path("/var/lib/greenroom")) if service is DataFolder else service()

    def all(self, contribution: type[Any]) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("backend", "config", "warned"),
    [
        (OUTSIDE, {}, True),
        ({}, {}, False),
        (OUTSIDE, KEY, False),
        ({**OUTSIDE, "auth": {"keys": [{"secret": "s"}]}}, {}, False),
    ],
)
def test_a_key_that_may_vanish_before_the_database_does_is_warned_of(
    caplog: pytest.LogCaptureFixture, backend: Any, config: Any, warned: bool
) -> None:
    given = msgspec.convert(config, ScaffolderConfig), msgspec.convert(backend, BackendConfig)
    lone_key(*given, Machine())
    assert bool(caplog.messages) is warned
    if warned:
        assert caplog.messages[0].startswith("scaffolder.secrets.keys: none is configured")
        assert "/var/lib/greenroom/scaffolder.key" in caplog.messages[0]
        assert "openssl rand -base64 32" in caplog.messages[0]


def read(folder: Path, given: Any) -> tuple[ScaffolderConfig, list[str]]:
    """The section as it stands in a file, and what is said of it."""
    layer = folder / "app-config.yaml"
    layer.write_bytes(msgspec.yaml.encode({"scaffolder": given}))
    config = load([layer], {})
    return config.section("scaffolder", ScaffolderConfig), config.warnings


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"taskTimeoutJanitorFrequency": "0s"}, "taskTimeoutJanitorFrequency"),
        ({"auditor": {"taskParameterMaxLength": -2}}, "auditor.taskParameterMaxLength"),
        ({"concurrentTasksLimit": -1}, "concurrentTasksLimit"),
        ({"workspace": {"maxFiles": 0}}, "workspace.maxFiles"),
        ({"events": {"heartbeat": "1ms"}}, "events.heartbeat"),
        ({"shutdownGrace": "-1s"}, "shutdownGrace"),
        ({"secrets": {"keys": [*KEY["secrets"]["keys"], {"secret": "short!"}]}}, r"secrets.keys\[1\].secret"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(tmp_path: Path, given: Any, place: str) -> None:
    with pytest.raises(ConfigError, match=f"scaffolder.{place}") as caught:
        read(tmp_path, given)
    assert "short!" not in str(caught.value)


@pytest.mark.parametrize("place", ["taskRecovery.staleTimeout", "EXPERIMENTAL_recoverTasksTimeout"])
@pytest.mark.parametrize(("given", "stale"), [("0s", 5), ("1s", 5), ("5s", 5), ("30s", 30)])
def test_workers_that_live_are_not_taken_for_lost_however_short_a_time_is_configured(
    tmp_path: Path, place: str, given: str, stale: int
) -> None:
    first, _, second = place.partition(".")
    config, warnings = read(tmp_path, {first: {second: given} if second else given})
    assert config.stale_after == timedelta(seconds=stale)
    assert timedelta(seconds=5 * BEAT) <= SHORTEST_LEASE
    clamped = f"scaffolder.{place}: workers that live would be taken for lost; 5 s are waited, which is the least"
    assert any(clamped in one for one in warnings) is (given in ("0s", "1s"))


def test_a_key_that_nothing_reads_is_told_of(tmp_path: Path) -> None:
    _, warnings = read(tmp_path, {"actions": {"a": 1}})
    assert ["scaffolder.actions" in one and "unknown key" in one for one in warnings] == [True]


@pytest.mark.parametrize(("level", "shown"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_what_actions_log_for_debugging_is_shown_where_the_whole_house_tells_that_much(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, level: int, shown: bool
) -> None:
    caplog.set_level(level, "greenroom.scaffolder")
    workshop = Workshop(ScaffolderConfig(), Machine())
    workshop.open(tmp_path)
    assert workshop.runner.verbose is shown
