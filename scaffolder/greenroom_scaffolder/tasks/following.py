"""Events of tasks -> any number of followers: one subscription a process, one query for all news, and what those who have come as
far are told is put together once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from greenroom.events import Events
from greenroom_scaffolder.storage.gathering import PASSING
from greenroom_scaffolder.storage.rows import EventRow, Followed, read_id
from greenroom_scaffolder.storage.store import TO_FOLLOW, Store
from greenroom_scaffolder.tasks.events import Batch, TaskEvent, batches, told, trimmed

log = logging.getLogger("greenroom.scaffolder")

PAGE = 200
"""Events read at once for a follower who is behind, and the most it holds while its client reads."""
NEWS = 500
"""Events of a task that are read at once for all who follow it."""
RECENT = 1000
"""Events of a task that are kept for its followers; who is further behind reads them from the database."""
RECENT_BYTES = 1024 * 1024
"""The same, in JSON."""
SHARED = 16
"""Batches of a task that are kept as they were put together."""
REST = 1.0
"""Seconds until news are asked for again where the database does not answer."""
REST_EACH, LONGEST_REST = 0.0001, 0.03
"""Seconds between two times that the followers of a task are told, for each of them: to tell one takes a third of that. Without a
rest a task that tells much, and is told to many, would have its process do nothing else."""


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
        self.feeds: dict[Feed, None] = {}
        self.resting = False
        """Whether its followers have just been told."""
        self._batches: dict[int, Batch] = {}
        """By the event that they follow."""

    @property
    def followers(self) -> int:
        return len(self.feeds)

    def add(self, event: TaskEvent) -> None:
        self.recent.append(event)
        self.seen = event.id
        self._bytes += len(event.json)
        while len(self.recent) > RECENT or (self._bytes > RECENT_BYTES and len(self.recent) > 1):
            old = self.recent.popleft()
            self.floor, self._bytes = old.id, self._bytes - len(old.json)
        if event.type == "recovered":  # what was before it may not be shown any more
            self._batches = {}

    def after(self, last: int) -> Batch | None:
        """The next events past an id, as many as go together; None if they are not all here."""
        if last < self.floor:
            return None
        if last >= self.seen:
            return Batch()
        if last not in self._batches:
            batch = next(batches(trimmed(self.since(last) or [])), None)
            if batch is None:
                return Batch()
            self._batches[last] = batch
            if len(self._batches) > SHARED:
                del self._batches[next(iter(self._batches))]
        return self._batches[last]

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

    def wake(self) -> float:
        """Have all followers look for news. Returns the seconds for which they, and this process, are to rest from it."""
        for feed in self.feeds:
            feed.wake()
        return min(len(self.feeds) * REST_EACH, LONGEST_REST)


class Feed:
    """What one follower has yet to hear: past events, and then what comes. Close it to let go of everything."""

    def __init__(self, hub: TaskEvents, task_id: str, after: int | None) -> None:
        self.over = False
        """Whether nothing more is to come."""
        self._hub, self._task_id, self._after = hub, task_id, after
        self._last = after or 0
        """The event that was told last."""
        self._watched: _Watched | None = None
        self._ready: deque[Batch] = deque()
        self._ended = False
        """Whether the end of the task is told, or ready."""
        self._reading: asyncio.Task[list[TaskEvent]] | None = None
        self._read_at: tuple[int, int] | None = None
        self._wait: asyncio.Future[bool] | None = None

    async def next(self, seconds: float | None = None) -> Batch | None:
        """What comes next; None at the end (`over`), or if nothing comes in so many seconds.

        Raises NotFoundError where there is no such task, and what the database raises."""
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        while not self.over:
            if batch := self._some():
                self._last = max(self._last, batch[-1].id)
                self._ended = self._ended or batch.last
                self.over = self._ended and not self._ready
                return batch
            if not await self._woken(until):
                break
        return None

    def _some(self) -> Batch | None:
        """What is there at the moment; what is not is asked for."""
        if self._reading is not None:
            if not self._reading.done():
                return None
            read, self._reading = self._reading, None
            self._ready.extend(batches(read.result()))
        if self._ready:
            return self._ready.popleft()
        watched = self._watched
        batch = None if watched is None else watched.after(self._last)
        here = (self._last, -1 if watched is None else watched.seen)
        if batch is None and here != self._read_at:
            self._read_at = here
            self._reading = asyncio.create_task(self._read(), name="scaffolder-follower")
            self._reading.add_done_callback(self.wake)
        return batch

    async def _read(self) -> list[TaskEvent]:
        """A page from the database."""
        if self._watched is None:
            task = await self._hub.followed(self._task_id)
            self._last = max(self._last, task.began - 1)
            self._watched = self._hub.watch(self, self._task_id, task)
            page = await self._hub.first(self._watched.id, task, self._after, PAGE)
        else:
            page = await self._hub.past(self._watched, self._last)
        shown = trimmed(page)
        if page and not shown:  # once something comes after it, it is what is shown first
            self._last = page[-1].id - 1
        return shown

    async def _woken(self, until: float | None) -> bool:
        """Wait until there may be something; False: it took too long."""
        loop = asyncio.get_running_loop()
        self._wait = wait = asyncio.Future[bool](loop=loop)
        timer = None if until is None else loop.call_at(until, _settle, wait, False)
        try:
            return await wait
        finally:
            self._wait = None
            if timer is not None:
                timer.cancel()

    def wake(self, *_cause: object) -> None:
        """There may be something."""
        if self._wait is not None:
            _settle(self._wait, True)

    def end(self, *_cause: object) -> None:
        """Nothing more is to come."""
        self.over = True
        self.wake()

    async def close(self) -> None:
        """Let go of everything."""
        self.end()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._watched is not None:
            self._hub.leave(self, self._watched)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        batch = await self.next()
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


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
            for feed in watched.feeds:
                feed.end()
        if self._reading is not None:
            self._reading.cancel()

    # --- what followers ask for --------------------------------------------------------------------------------------

    async def now(self, task_id: str, after: int | None = None) -> Sequence[TaskEvent]:
        """The events past an id, and the completion whatever its id. Raises NotFoundError."""
        id_, task = read_id(task_id), await self.followed(task_id)
        return trimmed(await self.first(id_, task, after, None))

    def follow(self, task_id: str, after: int | None = None) -> Feed:
        """What `now` answers, and then what comes; ends with the task, and with the process."""
        return Feed(self, task_id, after)

    async def followed(self, task_id: str) -> Followed:
        """Raises NotFoundError."""
        return await self._store.followed(task_id)

    def watch(self, feed: Feed, task_id: str, task: Followed) -> _Watched:
        """Have a follower told when something comes."""
        id_ = read_id(task_id)
        watched = self._watched.setdefault(id_, _Watched(id_, _recoverable(task), task.last))
        watched.feeds[feed] = None
        if self._closed:
            feed.end()
        return watched

    def leave(self, feed: Feed, watched: _Watched) -> None:
        """It is not to be told any more."""
        watched.feeds.pop(feed, None)
        if not watched.feeds and self._watched.get(watched.id) is watched:
            del self._watched[watched.id]

    async def first(self, id_: UUID, task: Followed, after: int | None, limit: int | None) -> list[TaskEvent]:
        """The events past an id, and the completion whatever its id."""
        rows = await self._store.events(id_, max(after or 0, task.began - 1), limit)
        if after is not None:
            rows = [*await self._store.completion(id_, after), *rows]
        return [told(id_, row, _recoverable(task)) for row in rows]

    async def past(self, watched: _Watched, last: int) -> list[TaskEvent]:
        """A page of events past an id."""
        rows = await self._store.events(watched.id, last, PAGE)
        return [told(watched.id, row, watched.recoverable) for row in rows]

    # --- what comes --------------------------------------------------------------------------------------------------

    def _hear(self, payload: str | None) -> None:
        if payload is None:
            self._changed.update(self._watched)
        else:
            task_id, _, last = payload.partition(" ")
            watched = self._watched.get(UUID(task_id))
            if watched is None or (last and int(last) <= watched.seen):
                return
            self._changed.add(watched.id)
        self._look()

    def _look(self) -> None:
        if self._due() and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read(), name="scaffolder-events")

    def _due(self) -> list[_Watched]:
        """The tasks of which there is news, and whose followers may be told."""
        self._changed.intersection_update(self._watched)
        return [self._watched[id_] for id_ in self._changed if not self._watched[id_].resting]

    async def _read(self) -> None:
        """Until nothing has changed: what comes while a query is under way is for the next."""
        while due := self._due():
            self._changed.difference_update([one.id for one in due])
            try:
                rows = await self._store.news({one.id: one.seen for one in due}, NEWS)
            except PASSING as error:
                log.warning("events of %d tasks are late: %s", len(due), error)
                self._changed.update(one.id for one in due)
                await asyncio.sleep(REST)
                continue
            self._add(rows)

    def _add(self, rows: Sequence[tuple[UUID, EventRow]]) -> None:
        counts: dict[UUID, int] = {}
        for id_, row in rows:
            counts[id_] = counts.get(id_, 0) + 1
            watched = self._watched.get(id_)
            if watched is not None and row.id > watched.seen:
                watched.add(told(id_, row, watched.recoverable))
        for id_, count in counts.items():
            if count == NEWS:
                self._changed.add(id_)
            if watched := self._watched.get(id_):
                watched.resting = True
                asyncio.get_running_loop().call_later(watched.wake(), self._rested, watched)

    def _rested(self, watched: _Watched) -> None:
        watched.resting = False
        self._look()


def _recoverable(task: Followed) -> bool:
    """Whether its template lets it begin anew by itself."""
    return task.strategy == "startOver"


def _settle(wait: asyncio.Future[bool], result: bool) -> None:
    if not wait.done():
        wait.set_result(result)
