"""A task as the worker has it, what is known of its steps, and where a run is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from greenroom.auth import Credentials

TaskStatus = Literal["open", "processing", "completed", "failed", "cancelled", "skipped"]
StepStatus = Literal["processing", "completed", "failed", "skipped", "cancelled"]
TOKEN = "backstageToken"  # noqa: S105 - its name
EventType = Literal["log", "completion", "cancelled", "recovered"]


class StepState(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is known of a step. It is kept until the task is deleted, so that finished steps are not run again."""

    status: StepStatus
    output: Mapping[str, Any] | None = None
    """Of a completed step."""
    error: Mapping[str, Any] | None = None
    """`{"name", "message"}` of a failed one, secrets redacted."""
    attempts: int = 0
    """How often the step was tried."""


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a checkpoint of a step answered."""

    value: Any = None


class TaskState(msgspec.Struct, omit_defaults=True):
    """All that a run needs to go on where another has ended."""

    steps: dict[str, StepState] = {}
    """By place (see `steps.places`)."""
    checkpoints: dict[str, Checkpoint] = {}
    """By `<place>.<key>`, with `[item]` behind the place in a round of an `each`; by `<place>[item]` the output of a finished
    round."""


def retried(state: TaskState) -> TaskState:
    """What a run starts from that somebody asked for: finished steps stay so, all others begin anew, with the checkpoints and
    the finished rounds that they have. (A run that goes on where a lost worker was takes the state as it is.)"""
    steps = {step_id: known for step_id, known in state.steps.items() if known.status == "completed"}
    return TaskState(steps, state.checkpoints)


class Task(msgspec.Struct, frozen=True):
    """A claimed task."""

    id: str
    spec: Mapping[str, Any]
    """The TaskSpec (spec 03 §2.3)."""
    created_by: str | None
    secrets: Mapping[str, str]
    """Opened; of what upstream hides among them no more than `with_token` says."""
    initiator: Any
    """The credentials of who started it: `greenroom.auth.Credentials`."""
    state: TaskState
    workspace: bytes | None = None
    """The archive of the workspace after the last finished step; None if there was nothing in it."""
    resumed: bool = False
    """Whether a worker was lost on it, or someone asked to go on from where it failed."""


def with_token(secrets: Mapping[str, str], initiator: object, spec: str) -> Mapping[str, str]:
    """Upstream has the token of the user who started the task among its secrets. It is there for templates that name it; what the
    others log need not be searched for it."""
    if TOKEN not in spec or not isinstance(initiator, Credentials) or initiator.user is None or initiator.token is None:
        return secrets
    return {**secrets, TOKEN: initiator.token}


class Journal(Protocol):
    """Where a run is written down: in the database for a task, in memory for a dry run.

    Writing is quick; what was written becomes durable, and visible to clients, in order and soon."""

    def event(self, body: Mapping[str, Any], kind: EventType = "log") -> None:
        """An event of the task, secrets redacted: `{"message", "stepId"?, "status"?, "output"?, "error"?}`."""
        ...

    def step(self, step_id: str, state: StepState) -> None:
        """What is now known of a step."""
        ...

    async def workspace(self, archive: bytes | None) -> None:
        """What the workspace holds after the step that is about to be written as finished. This alone may take its time: what is
        written at once when it returns goes with it."""
        ...

    def checkpoint(self, key: str, outcome: Checkpoint) -> None: ...

    async def durable(self) -> None:
        """Wait until all of the above is committed. Raises LostTaskError once the task is another worker's."""
        ...


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended. The completion event is the journal's last, and in the same transaction as the task's status."""

    status: Literal["completed", "failed"]
    output: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    """`{"name", "message", "stack"?}`, secrets redacted."""
