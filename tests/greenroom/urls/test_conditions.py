"""What a server says of when to ask again, whatever it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from greenroom.urls.conditions import patience


def test_a_server_that_asks_for_seconds_is_understood() -> None:
    assert patience({"Retry-After": " 120 "}) == 120


def test_a_server_that_names_a_time_is_understood() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    assert patience({"Retry-After": soon}) == pytest.approx(120, abs=5)
    assert patience({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0


@pytest.mark.parametrize(
    "said",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "٣",
        "9" * 5000,
        "Fri, 31 Dec 1999 23:59:59 +9999",
        "Fri, 31 Dec 1999 23:59:59 -99999999999",
        "Fri, 31 Dec 1999 23:59:59 " + "9" * 30,
        "Fri, 99 Dec 99999 23:59:59 GMT",
    ],
)
def test_what_nobody_can_mean_is_no_request_and_no_crash(said: str) -> None:
    assert patience({"Retry-After": said}) is None
    assert patience({}) is None
