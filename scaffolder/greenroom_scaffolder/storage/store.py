"""decisions -> rows: every write of tasks but the journal of those that run, and all reading of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Connection, Database, Record
from greenroom.errors import ConflictError, NotFoundError
from greenroom.plugin import Migrations
from greenroom.sql import Queries, load
from greenroom_scaffolder.storage.gathering import PASSING, Gatherer
from greenroom_scaffolder.storage.listing import Listing
from greenroom_scaffolder.storage.rows import Claim, EventRow, Followed, Held, NewTask, Progress, TaskRow, read_id

log = logging.getLogger("greenroom.scaffolder")

MIGRATIONS = Migrations("scaffolder", Path(__file__).with_name("migrations"))

TO_CLAIM = "scaffolder.open"
TO_CANCEL = "scaffolder.cancel"
"""With the id of the task."""
TO_FOLLOW = "scaffolder.event"
"""With the id of the task, a space, and the id of its last event."""

DROPPED_AT_ONCE = 100
"""How many tasks' kept workspaces one transaction drops, with what was to be hidden of those tasks."""
ENDED = ("cancelled", "completed", "failed", "skipped")

Move = tuple[str, str, str]
"""Of a task: its creator, the status it had, and the one it has."""
Attempt = tuple[UUID, int]
"""A task, and how often it was claimed."""
Freeing = Callable[[Connection, Sequence[Attempt]], Awaitable[tuple[int, int]]]
"""Takes tasks from their workers; answers how many are open again, and how many failed."""

_encode = msgspec.json.Encoder().encode


class Reopening(msgspec.Struct, frozen=True):
    """A task that is to be claimed again, and what its event says of that."""

    id: UUID
    strategy: str
    """`startOver`: what was told before is not shown any more."""
    anew: bool
    """Whether all that it had come to is forgotten."""


class Store:
    """The tables of the scaffolder."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sql: Queries = load(Path(__file__).with_name("sql"))
        self.listing = Listing(database, self.sql)
        self._creations: Gatherer[NewTask] = Gatherer(self._create)

    async def create(self, task: NewTask) -> None:
        """Have a task claimed by whoever is free."""
        await self._creations.put(task)

    async def _create(self, tasks: Sequence[NewTask]) -> None:
        await self.database.execute(
            self.sql.create_tasks,
            [task.id for task in tasks],
            [task.created_by for task in tasks],
            [task.strategy for task in tasks],
            [task.spec for task in tasks],
            [task.sealed for task in tasks],
        )

    async def get(self, task_id: str) -> TaskRow:
        """Raises NotFoundError (`No task with id '…' found`)."""
        row = await self.database.fetchrow(self.sql.get_task, read_id(task_id))
        if row is None:
            raise _unknown(task_id)
        return TaskRow(*row)

    async def followed(self, task_id: str) -> Followed:
        """What a follower begins with. Raises NotFoundError."""
        row = await self.database.fetchrow(self.sql.following, read_id(task_id))
        if row is None:
            raise _unknown(task_id)
        return Followed(*row)

    async def cancel(self, task_id: str) -> None:
        """Tell whoever runs the task, or will, to stop. Its event names the step it was at (upstream: broker.cancel).

        Raises NotFoundError."""
        id_ = read_id(task_id)

        async def cancel(conn: Connection) -> None:
            task = await conn.fetchrow(self.sql.lock_task, id_)
            if task is None:
                raise _unknown(task_id)
            step = await conn.fetchval(self.sql.newest_step, id_, task["began"]) or 0
            await conn.execute(self.sql.mark_cancelled, id_)
            body = {"message": f"Step {step} has been cancelled.", "stepId": step, "status": "cancelled"}
            await conn.execute(self.sql.tell_cancelled, id_, _encode(body))

        await self.database.retrying(cancel)

    async def retry(self, task_id: str, sealed: bytes, *, start_over: bool) -> None:
        """Have a task that has ended claimed again. What was completed, and what its template lets begin anew, does so.

        Raises NotFoundError, ConflictError (`Task with taskId … cannot be retried`)."""
        id_ = read_id(task_id)

        async def retry(conn: Connection) -> None:
            task = await conn.fetchrow(self.sql.lock_task, id_)
            if task is None:
                raise _unknown(task_id)
            if task["status"] not in ENDED:
                raise ConflictError(f"Task with taskId {task_id} cannot be retried")
            anew = start_over or task["strategy"] == "startOver" or task["status"] == "completed"
            strategy = "startOver" if start_over else task["strategy"] or "none"
            await conn.execute(self.sql.forget_outcome, id_)
            await conn.execute(self.sql.entrust, id_, sealed)
            await self._reopen(conn, [Reopening(id_, strategy, anew)], loss=None)
            await self._recount(conn, [(task["created_by"], task["status"], "open")])

        await self.database.retrying(retry)

    async def events(self, task_id: UUID, after: int, limit: int | None = None) -> list[EventRow]:
        """Events past an id, in their order."""
        return read_events(await self.database.fetch(self.sql.events_after, task_id, after, limit))

    async def completion(self, task_id: UUID, until: int) -> list[EventRow]:
        """How it ended, if that was said up to an event."""
        return read_events(await self.database.fetch(self.sql.completion_until, task_id, until))

    async def ended(self, tasks: Sequence[UUID]) -> set[UUID]:
        """Those of these tasks that nobody runs any more, nor will."""
        return {row["id"] for row in await self.database.fetch(self.sql.ended_tasks, tasks)}

    async def tally(self) -> dict[str, int]:
        """How many tasks there are of each status that some have."""
        rows = await self.database.fetch(self.sql.tally)
        return {row["status"]: row["tasks"] for row in rows}

    async def news(self, seen: Mapping[UUID, int], limit: int) -> list[tuple[UUID, EventRow]]:
        """The events of several tasks, of each at most `limit` past an id."""
        rows = await self.database.fetch(self.sql.news, list(seen), list(seen.values()), limit)
        return list(zip((row["task_id"] for row in rows), read_events(rows), strict=True))

    async def claim(self, limit: int, holder: int | None) -> list[Claim]:
        """At most so many open tasks, in turn by creator, which are this worker's now."""
        return [Claim(*row) for row in await self.database.fetch(self.sql.claim_tasks, limit, holder)]

    async def progress(self, task_id: UUID) -> Progress:
        """How far a task had come."""
        steps = await self.database.fetch(self.sql.steps_of, task_id)
        checkpoints = await self.database.fetch(self.sql.checkpoints_of, task_id)
        workspace = await self.database.fetchrow(self.sql.workspace_of, task_id)
        return Progress(
            {id_: (attempt, state) for id_, attempt, state in steps},
            {key: value for key, value in checkpoints},  # noqa: C416 - a row is no tuple
            None if workspace is None else workspace["archive"],
            dropped=workspace is not None and workspace["dropped"],
        )

    async def held(self) -> list[Held]:
        """The tasks that workers are at."""
        return [Held(*row) for row in await self.database.fetch(self.sql.held)]

    async def free(self, tasks: Sequence[Attempt], *, lost: bool, most_losses: int = 3) -> tuple[int, int]:
        """Have tasks that a worker was at (in that attempt) claimed again; returns how many are, and how many failed instead.

        Those do of which a worker was lost (`lost`) more than `most_losses` times since they last got on, or whose template
        says that they must not go on (strategy `none`)."""

        async def free(conn: Connection, some: Sequence[Attempt]) -> tuple[int, int]:
            reopened: list[Reopening] = []
            failed: list[tuple[UUID, str]] = []
            moved: list[Move] = []
            for id_, created_by, strategy, losses, cancelled in await self._locked(conn, some):
                text = None if cancelled or not lost else _hopeless(strategy, losses, most_losses)
                if text is not None:
                    failed.append((id_, text))
                else:
                    reopened.append(Reopening(id_, strategy or "none", strategy == "startOver"))
                moved.append((created_by, "processing", "open" if text is None else "failed"))
            await self._reopen(conn, reopened, loss=int(lost))
            await self._fail(conn, failed)
            await self._recount(conn, moved)
            return len(reopened), len(failed)

        return await self._freed(tasks, free)

    async def close_stale(self, age: timedelta) -> int:
        """Fail the tasks from which nothing was heard for that long, in upstream's words. Returns how many."""

        async def close(conn: Connection, some: Sequence[Attempt]) -> tuple[int, int]:
            found = await self._locked(conn, some)
            await self._fail(conn, [(row["id"], STALE) for row in found], told=False)
            await self._recount(conn, [(row["created_by"], "processing", "failed") for row in found])
            return 0, len(found)

        stale = await self.database.fetch(self.sql.overdue, age)
        _, failed = await self._freed([(row["id"], row["attempt"]) for row in stale], close)
        return failed

    async def _locked(self, conn: Connection, tasks: Sequence[Attempt]) -> list[Record]:
        return await conn.fetch(self.sql.lock_lost, [id_ for id_, _ in tasks], [attempt for _, attempt in tasks])

    async def _freed(self, tasks: Sequence[Attempt], free: Freeing) -> tuple[int, int]:
        """All in one transaction; each in its own where one is in the way, so that it does not keep the others."""
        if not tasks:
            return 0, 0
        try:
            return await self.database.retrying(lambda conn: free(conn, tasks))
        except PASSING:
            raise
        except asyncpg.PostgresError as error:
            if len(tasks) == 1:
                log.error("the task %s cannot be taken from its worker: %s", tasks[0][0], error)
                return 0, 0
        counts = [await self._freed([task], free) for task in tasks]
        return sum(reopened for reopened, _ in counts), sum(failed for _, failed in counts)

    async def drop_workspaces(self, age: timedelta) -> int:
        """Forget what the workspaces of tasks held that ended so long ago, and what was to be hidden of these. Returns how many
        they are."""
        dropped = 0
        while (some := await self.database.fetchval(self.sql.drop_workspaces, age, DROPPED_AT_ONCE)) > 0:
            dropped += some
        return dropped

    async def _fail(self, conn: Connection, tasks: Sequence[tuple[UUID, str]], *, told: bool = True) -> None:
        """End tasks that nobody runs, and say why. `told`: the completion says the error too, as that of a task that ran."""
        bodies = [
            {"message": message, "error": {"name": "Error", "message": message}} if told else {"message": message}
            for _, message in tasks
        ]
        ids, messages = [id_ for id_, _ in tasks], [message for _, message in tasks]
        await conn.execute(self.sql.fail_tasks, ids, messages, [_encode(body) for body in bodies])

    async def _reopen(self, conn: Connection, tasks: Sequence[Reopening], *, loss: int | None) -> None:
        """`loss`: 1 if a worker was lost, 0 if it was not, None: somebody wishes that they be tried again."""
        await conn.execute(
            self.sql.reopen_tasks,
            [task.id for task in tasks],
            [_encode({"recoverStrategy": task.strategy}) for task in tasks],
            [task.strategy == "startOver" for task in tasks],
            [task.anew for task in tasks],
            loss,
        )

    async def _recount(self, conn: Connection, moved: Sequence[Move]) -> None:
        """Last in a transaction, and all at once: who waits for a tally holds none that others wait for."""
        if moved:
            await conn.execute(self.sql.recount, *([move[n] for move in moved] for n in range(3)))


STALE = "This task was marked as stale as it exceeded its timeout"
LOST = "The task was cancelled because the task worker lost connection to the task broker"


def _hopeless(strategy: str | None, losses: int, most: int) -> str | None:
    """Why a task of which the worker was lost is not tried again; None if it is."""
    if strategy == "none":
        return LOST
    if losses >= most:
        return f"The task is not tried again: {losses + 1} workers in a row were lost while they ran it"
    return None


def _unknown(task_id: str) -> NotFoundError:
    """In upstream's words."""
    return NotFoundError(f"No task with id '{task_id}' found")


def read_events(rows: Sequence[Any]) -> list[EventRow]:
    """Rows whose columns are those of an event."""
    return [EventRow(row["id"], row["type"], row["body"], row["created_at"]) for row in rows]
