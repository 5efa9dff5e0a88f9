from __future__ import annotations

from datetime import timedelta

import pytest

from greenroom.settings import parse_duration


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        # Recorded from readDurationFromConfig + durationToMilliseconds.
        ("30m", 1_800_000),
        (" 2 days ", 172_800_000),
        ("1.5h", 5_400_000),
        (".5 hrs", 1_800_000),
        ("5 MINUTES", 300_000),
        ("100ms", 100),
        ("0s", 0),
        ("1.5", 1.5),
        ("1y", 31_536_000_000),
        ("2 years", 63_072_000_000),
        ("1.5y", 47_314_800_000),
        ("1w", 604_800_000),
        ("PT30M", 1_800_000),
        ("P1DT2H", 93_600_000),
        ("P1Y2M3W", 38_534_400_000),
        ("PT1.5H", 5_400_000),
        ("PT1,5S", 1_500),
        ("PT0S", 0),
        ({"minutes": 5, "seconds": 3}, 303_000),
        ({"hours": 1.5}, 5_400_000),
        ({"minutes": "10"}, 600_000),
        ({"minutes": "1e1", "seconds": None}, 600_000),
        ({"minutes": "0b1010"}, 600_000),
        ({"months": 1}, 2_592_000_000),
        ({"milliseconds": 250}, 250),
    ],
)
def test_durations_last_as_long_as_upstream(value: object, milliseconds: float) -> None:
    assert parse_duration(value) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("30", "a number needs a unit"),
        (30, "a number needs a unit"),
        ("", "expected a duration"),
        ("soon", "expected a duration"),
        ("5 fortnights", "expected a duration"),
        ("P", "expected an ISO duration"),
        ("PT", "expected an ISO duration"),
        ("PTM", "expected an ISO duration"),
        ("-5m", "negative"),
        ("PT-5M", "negative"),
        ({"minutes": -1}, "negative"),
        ({}, "expected some of years"),
        ({"minutes": None}, "expected some of years"),
        ({"minute": 1}, "unknown unit 'minute'"),
        ({"minutes": "x"}, "expected a number"),
        ({"minutes": " "}, "expected a number"),
        ({"minutes": "٣"}, "expected a number"),
        ({"minutes": 10**400}, "expected a number"),
        ({"minutes": "1" * 400}, "expected a number"),
        ({"minutes": True}, "expected a number"),
        ({"years": 10**9}, "too long"),
        (True, "expected a duration"),
        ([], "expected a duration"),
    ],
)
def test_what_is_no_duration_is_refused(value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_duration(value)
