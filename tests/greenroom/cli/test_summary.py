"""What is told of the start: as much as there is to tell, and never at the cost of the server."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from greenroom.app import Running, Services
from greenroom.cli import summary
from greenroom.errors import ServiceUnavailableError
from greenroom.plugin import Status


def house(read: Callable[[], Awaitable[Mapping[str, Any]]]) -> Running:
    """A house whose catalog has this to say."""
    services = Services()
    services.add("catalog", Status("Catalog", read))
    services.add("broken", Status("Other", never))
    backend = SimpleNamespace(base_url="http://localhost:7007")
    return cast(Running, SimpleNamespace(house=SimpleNamespace(services=services, backend=backend)))


async def never() -> Mapping[str, Any]:
    raise AssertionError("nobody asked for this part")


@pytest.mark.parametrize(
    "trouble", [KeyError("waiting"), asyncpg.UndefinedTableError("no table"), ServiceUnavailableError("gone")]
)
async def test_trouble_with_the_summary_is_logged_and_does_not_end_the_server(
    trouble: Exception, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def read() -> Mapping[str, Any]:
        raise trouble

    with caplog.at_level(logging.WARNING):
        await summary.summarise(house(read))
    assert "There is no summary of the start" in caplog.text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("facts", [{}, {"by kind": 3, "failures": [1], "providers": {"a": 1}}, {"providers": [{}]}])
async def test_facts_in_other_words_are_left_out(facts: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    async def read() -> Mapping[str, Any]:
        return facts

    await summary.summarise(house(read))
    told = capsys.readouterr().out
    assert "Entities   0 served: none yet" in told
    assert "http://localhost:7007/api/catalog/entities" in told


async def test_what_does_not_settle_is_told_as_far_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(summary, "SETTLING", 0.05)

    async def read() -> Mapping[str, Any]:
        return {"entities": 2, "waiting to be processed": 7, "by kind": {"api": 2}}

    await summary.summarise(house(read))
    assert "Entities   2 served: 2 api" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        ({"waiting to be processed": 0, "providers": []}, False),  # the first round has not begun
        ({"waiting to be processed": 0, "providers": [{"last run": "never", "running": False}]}, False),
        ({"waiting to be processed": 0, "providers": [{"last run": "now", "running": True}]}, False),
        ({"waiting to be processed": 1, "providers": [{"last run": "now", "running": False}]}, False),
        ({"waiting to be processed": 0, "providers": [{"last run": "now", "running": False}]}, True),
    ],
)
def test_nothing_is_summed_up_before_the_first_round_is_over(facts: dict[str, Any], settled: bool) -> None:
    assert summary._is_settled(facts) is settled
