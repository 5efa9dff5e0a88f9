"""What the routes need done by the rooms below, or by fakes in tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from greenroom.auth import Credentials
from greenroom_scaffolder.tasks.task import EventType, TaskStatus


class StoredTask(Protocol):
    """A task as it is told of: without its secrets and its state."""

    @property
    def id(self) -> str: ...

    @property
    def spec(self) -> Any:
        """The TaskSpec: JSON, or `msgspec.Raw` of it."""
        ...

    @property
    def status(self) -> TaskStatus: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def last_heartbeat_at(self) -> datetime | None: ...

    @property
    def created_by(self) -> str | None: ...


class TaskPage(Protocol):
    """Some of the tasks that match, and how many do."""

    @property
    def tasks(self) -> Sequence[StoredTask]: ...

    @property
    def total(self) -> int: ...


class StoredEvent(Protocol):
    """One event of a task."""

    @property
    def type(self) -> EventType: ...

    @property
    def json(self) -> bytes:
        """`{"id", "isTaskRecoverable", "taskId", "body", "type", "createdAt"}`"""
        ...

    @property
    def last(self) -> bool:
        """Whether nothing comes after it: a task that may begin anew by itself can go on after its completion."""
        ...


class Tasks(Protocol):
    """Tasks, from the first wish to the last event (`tasks.broker`)."""

    async def create(
        self,
        spec: Mapping[str, Any],
        *,
        created_by: str | None,
        secrets: Mapping[str, str],
        initiator: Credentials,
    ) -> str:
        """Have a task run. Returns its id."""
        ...

    async def get(self, task_id: str) -> StoredTask:
        """Raises NotFoundError (`No task with id '…' found`)."""
        ...

    async def list(
        self,
        *,
        created_by: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        order: Sequence[tuple[str, Literal["asc", "desc"]]] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> TaskPage:
        """Fields of `order` are `created_at`, `status` and `created_by`; without one, the newest come first."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Raises NotFoundError. Whatever state the task is in, it gets its event."""
        ...

    async def retry(
        self, task_id: str, *, secrets: Mapping[str, str], initiator: Credentials, start_over: bool = False
    ) -> None:
        """Go on from the step that failed. Raises NotFoundError, ConflictError (`Task with taskId … cannot be retried`)."""
        ...

    async def events(self, task_id: str, after: int | None = None) -> Sequence[StoredEvent]:
        """Events past an id, and the completion whatever its id, by id."""
        ...

    def follow(self, task_id: str, after: int | None = None) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """`events`, and then what comes, as it comes: lists that are never empty. It ends when the process stops.

        Close it to let go of everything."""
        ...


class DryFile(Protocol):
    """A file that a dry run has written."""

    @property
    def path(self) -> str: ...

    @property
    def executable(self) -> bool: ...

    @property
    def content(self) -> bytes: ...


class DryRunResult(Protocol):
    """What became of a dry run."""

    @property
    def log(self) -> Sequence[Mapping[str, Any]]:
        """`[{"body": {"message", "stepId"?, "status"?}}]`"""
        ...

    @property
    def files(self) -> Sequence[DryFile]: ...

    @property
    def output(self) -> Mapping[str, Any]: ...


class DryRuns(Protocol):
    """Tries templates out (`tasks.dry_run`)."""

    async def run(
        self,
        spec: Mapping[str, Any],
        *,
        files: Sequence[tuple[str, bytes]],
        secrets: Mapping[str, str],
        initiator: Credentials,
    ) -> DryRunResult:
        """Run a TaskSpec (`templateInfo` without `baseUrl`: that is where the files are) where it changes nothing.

        Raises the error of the first step that fails."""
        ...
