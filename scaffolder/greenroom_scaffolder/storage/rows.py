"""Tasks and their events as Postgres has them; JSON and what is sealed as bytes that nobody here looks into."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from greenroom.errors import NotFoundError


class NewTask(msgspec.Struct, frozen=True):
    """A task on its way into the database. `created_by` is a user's ref, "" for a service."""

    id: UUID
    created_by: str
    strategy: str | None
    """`EXPERIMENTAL_strategy` of the template."""
    spec: bytes
    sealed: bytes


class TaskRow(msgspec.Struct, frozen=True):
    """A task as it is told of."""

    id: UUID
    created_by: str
    created_at: datetime
    status: str
    heartbeat_at: datetime | None
    spec: bytes


class Followed(msgspec.Struct, frozen=True):
    """Of a task that somebody begins to follow."""

    strategy: str | None
    began: int
    """The event before which none is shown any more."""
    last: int
    """Its last event; 0: there is none."""


class Claim(msgspec.Struct, frozen=True):
    """A task that is this worker's now, under the number of the attempt. `sealed` is None once its secrets are wiped."""

    id: UUID
    created_by: str
    attempt: int
    resumed: bool
    retried: int
    """The last attempt before somebody wished that the task be tried again."""
    cancelled: bool
    spec: bytes
    sealed: bytes | None


class Progress(msgspec.Struct, frozen=True):
    """How far a task had come: its steps, checkpoints, and what its workspace held; all sealed."""

    steps: dict[str, tuple[int, bytes]]
    """With the attempt of which the state is."""
    checkpoints: dict[str, bytes]
    archive: bytes | None
    dropped: bool = False
    """Whether the archive is not kept any more, as the task failed long ago."""


class EventRow(msgspec.Struct, frozen=True):
    """One event."""

    id: int
    type: str
    body: bytes
    created_at: datetime


class Held(msgspec.Struct, frozen=True):
    """A task that a worker is at, and the last sign of life."""

    id: UUID
    attempt: int
    holder: int | None
    heartbeat_at: datetime | None
    silent: float = 0.0
    """Seconds since then, or since the database has been there."""


def storable(text: str | None) -> str | None:
    """A text as Postgres can hold it; where a NUL was, there is the sign for what cannot be shown."""
    return text and text.replace("\0", "\ufffd")


def read_id(task_id: str) -> UUID:
    """Raises NotFoundError for what no task can be called."""
    try:
        return UUID(task_id)
    except ValueError as error:
        raise NotFoundError(f"No task with id '{task_id}' found") from error
