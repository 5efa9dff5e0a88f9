"""The journal of a task that a worker runs: what the run writes, encoded and sealed, into the worker's book of it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from time import monotonic
from typing import Any, Protocol

import msgspec

from greenroom.errors import GreenroomError
from greenroom_scaffolder.storage.rows import Claim, Progress
from greenroom_scaffolder.storage.writer import Book, EventNote, Kept, StepNote
from greenroom_scaffolder.tasks.task import Checkpoint, EventType, Outcome, StepState, TaskState, retried

_encode = msgspec.json.Encoder().encode


class Sealing(Protocol):
    """Encrypts what a task keeps, for nobody but this task (`workspace.sealing.Keyring`)."""

    def seal(self, plain: bytes, task_id: str) -> str: ...

    def open(self, sealed: str, task_id: str) -> bytes:
        """Raises SealError for what was sealed with a key that is gone, or for another task."""
        ...


class TaskJournal:
    """Where one attempt at a task is written down (`tasks.task.Journal`)."""

    def __init__(self, task_id: str, book: Book, sealing: Sealing) -> None:
        self._id, self._book, self._sealing = task_id, book, sealing
        self._kept: bytes | None = None

    def event(self, body: Mapping[str, Any], kind: EventType = "log") -> None:
        step_id, status = body.get("stepId") or None, body.get("status")
        self._book.leaf.events.append(EventNote(kind, _encode(body), monotonic(), step_id, status))

    def step(self, step_id: str, state: StepState) -> None:
        self._book.leaf.steps[step_id] = StepNote(state.status, self._seal(_encode(state)))

    def workspace(self, archive: bytes | None) -> None:
        digest = blake2b(archive or b"", digest_size=16).digest()
        if digest == self._kept:
            return
        self._kept = digest
        self._book.leaf.workspace = Kept(self._seal(archive) if archive else None)

    def checkpoint(self, key: str, outcome: Checkpoint) -> None:
        self._book.leaf.checkpoints[key] = self._seal(_encode(outcome))

    async def durable(self) -> None:
        await self._book.durable()

    def _seal(self, plain: bytes) -> bytes:
        return self._sealing.seal(plain, self._id).encode()

    def complete(self, outcome: Outcome) -> None:
        """The last event, with which the task ends."""
        told: dict[str, Any] = {"message": f"Run completed with status: {outcome.status}"}
        if outcome.output is not None:
            told["output"] = outcome.output
        if outcome.error is not None:
            told["error"] = outcome.error
        leaf = self._book.leaf
        leaf.events.append(EventNote("completion", _encode(told), monotonic()))
        leaf.ended = outcome.status


class DroppedWorkspaceError(GreenroomError):
    """The task cannot go on: it failed so long ago that what its workspace held is not kept any more. It can begin anew"""


def read_progress(claim: Claim, progress: Progress, sealing: Sealing) -> tuple[TaskState, bytes | None]:
    """How far the task had come, and the archive of its workspace. Raises SealError for what cannot be opened any more,
    DroppedWorkspaceError for what is not kept any more."""
    if progress.dropped:
        raise DroppedWorkspaceError
    task_id = str(claim.id)

    def opened(sealed: bytes) -> bytes:
        return sealing.open(sealed.decode(), task_id)

    steps: dict[str, StepState] = {}
    for id_, (attempt, sealed) in progress.steps.items():
        state = {id_: msgspec.json.decode(opened(sealed), type=StepState)}
        steps |= retried(TaskState(state)).steps if attempt <= claim.retried else state
    checkpoints = {
        key: msgspec.json.decode(opened(value), type=Checkpoint) for key, value in progress.checkpoints.items()
    }
    return TaskState(steps, checkpoints), None if progress.archive is None else opened(progress.archive)
