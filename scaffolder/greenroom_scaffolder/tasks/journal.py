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
from greenroom_scaffolder.tasks.hiding import HIDDEN
from greenroom_scaffolder.tasks.task import Checkpoint, EventType, Outcome, StepState, TaskState, retried
from greenroom_scaffolder.workspace.threads import aside

LITTLE = 256 * 1024
"""Bytes that are sealed, or opened, in passing."""

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

    async def workspace(self, archive: bytes | None) -> None:
        changed = await aside(len(archive or b"") <= LITTLE, lambda: self._changed(archive or b""))
        if changed is not None:
            self._kept, self._book.leaf.workspace = changed

    def _changed(self, archive: bytes) -> tuple[bytes, Kept] | None:
        """What to write, and its digest, by which it is known when it comes again."""
        digest = blake2b(archive, digest_size=16).digest()
        return None if digest == self._kept else (digest, Kept(self._seal(archive) if archive else None))

    def checkpoint(self, key: str, outcome: Checkpoint) -> None:
        self._book.leaf.checkpoints[key] = self._seal(_encode(outcome))

    async def durable(self) -> None:
        await self._book.durable()

    def _seal(self, plain: bytes) -> bytes:
        return self._sealing.seal(plain, self._id).encode()

    def complete(self, outcome: Outcome) -> None:
        """The last event, with which the task ends. One that is completed is never gone on with."""
        told: dict[str, Any] = {"message": f"Run completed with status: {outcome.status}"}
        if outcome.output is not None:
            told["output"] = outcome.output
        if outcome.error is not None:
            told["error"] = outcome.error
        leaf = self._book.leaf
        leaf.events.append(EventNote("completion", _encode(told), monotonic()))
        leaf.ended = outcome.status
        if outcome.status == "completed":
            for key in [key for key in leaf.checkpoints if key.startswith(HIDDEN)]:
                del leaf.checkpoints[key]


class DroppedWorkspaceError(GreenroomError):
    """The task cannot go on: it failed so long ago that what its workspace held is not kept any more. It can begin anew"""


async def read_progress(claim: Claim, progress: Progress, sealing: Sealing) -> tuple[TaskState, bytes | None]:
    """How far the task had come, and the archive of its workspace. Raises SealError for what cannot be opened any more,
    DroppedWorkspaceError for what is not kept any more."""
    if progress.dropped:
        raise DroppedWorkspaceError
    sealed = [progress.archive or b"", *(state for _, state in progress.steps.values()), *progress.checkpoints.values()]
    return await aside(sum(map(len, sealed)) <= LITTLE, lambda: _opened(claim, progress, sealing))


def _opened(claim: Claim, progress: Progress, sealing: Sealing) -> tuple[TaskState, bytes | None]:
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
