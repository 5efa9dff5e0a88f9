"""The verdicts of a soak fall as they should: nobody waits an hour to find out that they never fail."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.soak.samples import Sample, Table, Waits
from tests.soak.verdicts import slope, verdicts

HOUR = 3600.0
STEP = 10.0
MEGABYTE = 1_000_000


def sample(at: float) -> Sample:
    """All as it should be."""
    return Sample(
        at=at,
        memory={"api": 100.0 + (at % 7) / 10, "postgres": 300.0},
        cpu={"api": at * 0.1},
        files={"api": 30},
        waits={"by name": Waits(300, 2.0, 4.0, 9.0)},
        problems=[],
        failed=0,
        tables={"search": Table(10 * MEGABYTE, 10 * MEGABYTE, 0, 20_000)},
        connections={"idle": 20, "active": 2},
        queues={"due": 0, "oldest_due": 1.0, "stitching": 0, "oldest_ticket": 1.0},
        errors=0,
        load=1.0,
    )


def hour(change: Callable[[Sample], dict[str, object]] = lambda one: {}) -> list[Sample]:
    """An hour of samples, each changed."""
    samples = [sample(number * STEP) for number in range(int(HOUR / STEP) + 1)]
    return [msgspec.structs.replace(one, **change(one)) for one in samples]


def failing(samples: list[Sample], differences: list[str] | None = None, errors: list[str] | None = None) -> list[str]:
    return [one.what for one in verdicts(samples, differences or [], errors or []) if not one.holds]


def test_a_good_hour_is_good() -> None:
    assert failing(hour()) == []


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda one: {"memory": {"api": 100 + one.at / 200, "postgres": 300.0}}, "flat memory of api"),
        (lambda one: {"memory": {"api": 100.0, "postgres": 300 + one.at / 60}}, "flat memory of postgres"),
        (lambda one: {"waits": {"by name": Waits(300, 2.0, 4 + one.at / 200, 30.0)}}, "flat latency of by name"),
        (lambda one: {"cpu": {"api": one.at * one.at / HOUR}}, "flat cost of a request"),
        (lambda one: {"tables": {"search": Table(int(1e7 + one.at * 5000), 10**7, 0, 20_000)}}, "bounded bloat"),
        (lambda one: {"connections": {"idle": 31}}, "connections to the database"),
        (lambda one: {"queues": {**one.queues, "oldest_due": one.at / 60}}, "seconds that the oldest due entity waits"),
        (lambda one: {"queues": {**one.queues, "oldest_ticket": 31.0}}, "seconds that the oldest ticket waits"),
        (lambda one: {"files": {"api": 30 + int(one.at / 100)}}, "no descriptors left open"),
        (
            lambda one: {"failed": int(one.at == HOUR), "problems": ["GET /: 500"] * (one.at == HOUR)},
            "no failed requests",
        ),
    ],
)
def test_whatever_grows_is_told(change: Callable[[Sample], dict[str, object]], verdict: str) -> None:
    assert failing(hour(change)) == [verdict]


def test_a_lost_entity_and_an_error_in_the_log_are_told() -> None:
    assert failing(hour(), ["entity lost (1): component:default/a"], ["the loop failed"]) == [
        "no lines of level error in the logs",
        "no differences from a fresh catalog of the same source",
    ]


def test_single_peaks_do_not_bend_the_line() -> None:
    times = [float(number) for number in range(100)]
    assert slope(times, [5.0 + (900 if number in (3, 60, 97) else 0) for number in range(100)]) == 0
    assert slope(times, [2 * time for time in times]) == pytest.approx(2)
