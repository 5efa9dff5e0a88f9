"""Events of tasks -> any number of followers: one subscription a process, one query for all news."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from greenroom.events import Events
from greenroom_scaffolder.storage.gathering import PASSING
from greenroom_scaffolder.storage.rows import EventRow, Followed, read_id
from greenroom_scaffolder.storage.store import TO_FOLLOW, Store
from greenroom_scaffolder.tasks.task import EventType, iso

log = logging.getLogger("greenroom.scaffolder")

PAGE = 200
"""Events that are read at once: each follower who is behind holds as many while its client reads."""
RECENT = 1000
"""Events of a task that are kept for its followers; who is further behind reads them from the database."""
RECENT_BYTES = 1024 * 1024
"""The same, in JSON."""
REST = 1.0


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


class _Watched:
    """A task that is followed."""

    def __init__(self, task_id: UUID, recoverable: bool, seen: int) -> None:
        """`seen`: the last event that there was before it was followed."""
        self.id, self.recoverable = task_id, recoverable
        self.recent: deque[TaskEvent] = deque()
        self._bytes = 0
        self.floor = seen
        """All events after this one are in `recent`."""
        self.seen = seen
        self.followers = 0
        self.changed = asyncio.Event()

    def add(self, event: TaskEvent) -> None:
        self.recent.append(event)
        self.seen = event.id
        self._bytes += len(event.json)
        while len(self.recent) > RECENT or (self._bytes > RECENT_BYTES and len(self.recent) > 1):
            old = self.recent.popleft()
            self.floor, self._bytes = old.id, self._bytes - len(old.json)

    def since(self, after: int) -> list[TaskEvent] | None:
        """The events past an id; None if they are not all here."""
        if after < self.floor:
            return None
        found: list[TaskEvent] = []
        for event in reversed(self.recent):
            if event.id <= after:
                break
            found.append(event)
        return found[::-1]

    def wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class TaskEvents:
    """The events of tasks, as they come."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._watched: dict[UUID, _Watched] = {}
        self._changed: set[UUID] = set()
        self._reading: asyncio.Task[None] | None = None
        self._closed = False
        self._end = events.subscribe(TO_FOLLOW, self._hear)

    def close(self) -> None:
        """End all that is followed."""
        self._closed = True
        self._end()
        for watched in self._watched.values():
            watched.wake()
        if self._reading is not None:
            self._reading.cancel()

    async def now(self, task_id: str, after: int | None = None) -> Sequence[TaskEvent]:
        """The events past an id, and the completion whatever its id. Raises NotFoundError."""
        id_, task = read_id(task_id), await self._store.followed(task_id)
        return await self._first(id_, task, after, None)

    async def follow(self, task_id: str, after: int | None = None) -> AsyncGenerator[Sequence[TaskEvent], None]:
        """What `now` answers, and then what comes, in lists that are never empty; ends with the task, and with the process.

        Raises NotFoundError."""
        id_, task = read_id(task_id), await self._store.followed(task_id)
        watched = self._watched.setdefault(id_, _Watched(id_, _recoverable(task), task.last))
        watched.followers += 1
        try:
            batch = await self._first(id_, task, after, PAGE)
            last = max(after or 0, task.began - 1)
            while not self._closed:
                if batch:
                    last = max(last, batch[-1].id)
                    yield batch
                    if any(event.last for event in batch):  # a task that is done can be cancelled, which comes after it
                        return
                changed = watched.changed
                new = watched.since(last)
                if new is None:
                    rows = await self._store.events(id_, last, PAGE)
                    new = [_told(id_, row, watched.recoverable) for row in rows]
                batch = trimmed(new)
                if not batch:
                    await changed.wait()
        finally:
            watched.followers -= 1
            if not watched.followers and self._watched.get(id_) is watched:
                del self._watched[id_]

    async def _first(self, id_: UUID, task: Followed, after: int | None, limit: int | None) -> list[TaskEvent]:
        rows = await self._store.events(id_, max(after or 0, task.began - 1), limit)
        if after is not None:
            rows = [*await self._store.completion(id_, after), *rows]
        return trimmed([_told(id_, row, _recoverable(task)) for row in rows])

    def _hear(self, payload: str | None) -> None:
        if payload is None:
            self._changed.update(self._watched)
        else:
            task_id, _, last = payload.partition(" ")
            watched = self._watched.get(UUID(task_id))
            if watched is None or (last and int(last) <= watched.seen):
                return
            self._changed.add(watched.id)
        if self._changed and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read(), name="scaffolder-events")

    async def _read(self) -> None:
        """Until nothing has changed: what comes while a query is under way is for the next."""
        while self._changed:
            watched = [self._watched[id_] for id_ in self._changed if id_ in self._watched]
            self._changed = set()
            try:
                rows = await self._store.news({one.id: one.seen for one in watched}, PAGE)
            except PASSING as error:
                log.warning("events of %d tasks are late: %s", len(watched), error)
                self._changed.update(one.id for one in watched)
                await asyncio.sleep(REST)
                continue
            self._add(rows)

    def _add(self, rows: Sequence[tuple[UUID, EventRow]]) -> None:
        counts: dict[UUID, int] = {}
        for id_, row in rows:
            counts[id_] = counts.get(id_, 0) + 1
            watched = self._watched.get(id_)
            if watched is not None and row.id > watched.seen:
                watched.add(_told(id_, row, watched.recoverable))
        for id_, count in counts.items():
            if watched := self._watched.get(id_):
                watched.wake()
            if count == PAGE:
                self._changed.add(id_)


def trimmed(events: list[TaskEvent]) -> list[TaskEvent]:
    """Without what was before the task last began anew; nothing, as long as nothing has come since (upstream: trimEvents…)."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].type == "recovered":
            if not _anew(events[index]):
                return events
            return [] if index == len(events) - 1 else events[index:]
    return events


def _recoverable(task: Followed) -> bool:
    """Whether its template lets it begin anew by itself."""
    return task.strategy == "startOver"


def _anew(event: TaskEvent) -> bool:
    body: Any = msgspec.json.decode(event.body)
    return bool(body.get("recoverStrategy") == "startOver")


def _told(task_id: UUID, row: EventRow, recoverable: bool) -> TaskEvent:
    json = b'{"id":%d,"isTaskRecoverable":%s,"taskId":"%s","body":%s,"type":"%s","createdAt":"%s"}' % (
        row.id,
        b"true" if recoverable else b"false",
        str(task_id).encode(),
        row.body,
        row.type.encode(),
        iso(row.created_at).encode(),
    )
    return TaskEvent(row.id, cast(EventType, row.type), msgspec.Raw(row.body), row.created_at, recoverable, json)
