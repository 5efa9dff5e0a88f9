"""A task's events as clients get them, and how they go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from greenroom.javascript.times import iso
from greenroom_scaffolder.storage.rows import EventRow
from greenroom_scaffolder.tasks.task import EventType

PIECE = 64 * 1024
"""Bytes of JSON, after which what goes together is enough: few writes for short events, no great copy of long ones while a slow
client reads."""


class TaskEvent(msgspec.Struct, frozen=True):
    """One event as clients get it."""

    id: int
    type: EventType
    body: msgspec.Raw
    created_at: datetime
    recoverable: bool
    """Whether the template lets the task begin anew: then a completion need not be the end."""
    json: bytes
    """The whole event, in upstream's order of keys."""

    @property
    def last(self) -> bool:
        """Whether nothing comes after it."""
        return self.type == "completion" and not self.recoverable


class Batch(list[TaskEvent]):
    """Events that go together, to all who have come as far."""

    def __init__(self, events: Iterable[TaskEvent] = ()) -> None:
        super().__init__(events)
        self.last = any(event.last for event in self)
        """Whether the end of the task is among them."""
        self._made: bytes | None = None

    def once(self, make: Callable[[Sequence[TaskEvent]], bytes]) -> bytes:
        """What `make` makes of them, made for the first who asks, and the same for all."""
        if self._made is None:
            self._made = make(self)
        return self._made


def batches(events: Iterable[TaskEvent]) -> Iterator[Batch]:
    """Some together, up to a piece; a long one alone."""
    together: list[TaskEvent] = []
    size = 0
    for event in events:
        together.append(event)
        size += len(event.json)
        if size >= PIECE:
            yield Batch(together)
            together, size = [], 0
    if together:
        yield Batch(together)


def trimmed(events: list[TaskEvent]) -> list[TaskEvent]:
    """Without what was before the task last began anew; nothing, as long as nothing has come since (upstream: trimEvents…)."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].type == "recovered":
            if not _anew(events[index]):
                return events
            return [] if index == len(events) - 1 else events[index:]
    return events


def _anew(event: TaskEvent) -> bool:
    body: Any = msgspec.json.decode(event.body)
    return bool(body.get("recoverStrategy") == "startOver")


def told(task_id: UUID, row: EventRow, recoverable: bool) -> TaskEvent:
    """An event of that task. `recoverable`: its template lets it begin anew by itself."""
    json = b'{"id":%d,"isTaskRecoverable":%s,"taskId":"%s","body":%s,"type":"%s","createdAt":"%s"}' % (
        row.id,
        b"true" if recoverable else b"false",
        str(task_id).encode(),
        row.body,
        row.type.encode(),
        iso(row.created_at).encode(),
    )
    return TaskEvent(row.id, cast(EventType, row.type), msgspec.Raw(row.body), row.created_at, recoverable, json)
