"""A chatty task does not fill the memory with copies of what slow clients have not read."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from greenroom_scaffolder.routes.events import written
from greenroom_scaffolder.routes.wire import frame
from greenroom_scaffolder.tasks.events import PIECE, TaskEvent, batches
from greenroom_scaffolder.tasks.following import RECENT_BYTES, _Watched


def event(number: int, size: int) -> TaskEvent:
    body = b'{"message":"' + b"x" * size + b'"}'
    return TaskEvent(number, "log", msgspec.Raw(body), datetime.now(UTC), False, body)


def test_short_events_go_together_and_long_ones_alone() -> None:
    short, long = [event(number, 10) for number in range(50)], [event(number, PIECE) for number in range(3)]
    assert len(list(batches(short))) == 1
    assert len(list(batches(long))) == 3
    assert b"".join(map(written, batches([*short, *long]))) == b"".join(map(frame, [*short, *long]))
    assert list(batches([])) == []


def test_long_events_are_not_kept_for_followers_without_end() -> None:
    watched = _Watched(uuid4(), False, 0)
    for number in range(1, 100):
        watched.add(event(number, RECENT_BYTES // 10))
    assert sum(len(one.json) for one in watched.recent) <= RECENT_BYTES
    assert [one.id for one in watched.since(97) or []] == [98, 99]
    assert watched.since(10) is None, "who is further behind reads them from the database"
