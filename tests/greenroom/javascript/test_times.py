"""Times are written as `Date.prototype.toISOString` writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from greenroom.javascript.times import iso


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 8, 10, 53, tzinfo=UTC), "2026-11-21T08:10:53.000Z"),
        (datetime(2026, 11, 21, 8, 10, 53, 999_999, tzinfo=UTC), "2026-11-21T08:10:53.999Z"),
        (datetime(2026, 11, 21, 23, 40, 0, 5_999, tzinfo=timezone(timedelta(hours=-1))), "2026-11-22T00:40:00.005Z"),
        (datetime(500, 1, 1, tzinfo=UTC), "0500-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_in_utc_and_cut_to_its_millisecond(moment: datetime, text: str) -> None:
    assert iso(moment) == text
