"""The section `scaffolder` of `app-config.yaml`, as far as this part of the house reads it.

Names and defaults are upstream's, but for `secrets`, `workspace`, `events`, `scripts` and `shutdownGrace`, which are our own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec

from greenroom.settings import FieldError

SHORTEST_KEY = 16
"""Characters: keys are derived from a secret fast, so it must not be guessable."""
SHORTEST_LEASE = timedelta(seconds=5)
"""A worker gives a sign of life each second; some may be late."""


class Author(msgspec.Struct):
    """`scaffolder.defaultAuthor`"""

    name: str = "Scaffolder"
    email: str = "scaffolder@backstage.io"


class Environment(msgspec.Struct):
    """`scaffolder.defaultEnvironment`: `environment` in expressions."""

    parameters: dict[str, str] = {}
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Environment(parameters={self.parameters!r}, secrets=…)"


class Recovery(msgspec.Struct, rename="camel"):
    """`scaffolder.taskRecovery`"""

    enabled: bool = True
    stale_timeout: timedelta | None = None
    """Without a heartbeat for so long, a worker is lost, and another takes the task up. None: the scaffolder's own."""
    workspace_provider: str | None = None


class Auditing(msgspec.Struct, rename="camel"):
    """`scaffolder.auditor`"""

    task_parameter_max_length: int = 256
    """Characters; -1: any number."""

    def __post_init__(self) -> None:
        if self.task_parameter_max_length < -1:
            raise FieldError("taskParameterMaxLength", "expected 0 or more", hint="-1: texts are not cut")


class SealKey(msgspec.Struct):
    """`scaffolder.secrets.keys[]`"""

    secret: str

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_KEY:
            raise FieldError("secret", f"expected at least {SHORTEST_KEY} characters", hint="`openssl rand -base64 32`")

    def __repr__(self) -> str:
        return "SealKey(…)"


class Secrets(msgspec.Struct):
    """`scaffolder.secrets`: how the secrets of tasks are kept."""

    keys: list[SealKey] = []
    """The first one seals; the others only open what was sealed with them before. After these come those of
    `backend.auth.keys`, and last that of a file of this machine's own, which is made where there is no other key."""


class WorkspaceLimits(msgspec.Struct, rename="camel"):
    """`scaffolder.workspace`: how much a task may hold, and for how long that is kept."""

    max_bytes: int = 1024**3
    max_files: int = 100_000
    """Folders and links count too."""
    max_file_bytes: int = 256 * 1024**2
    retention: timedelta = timedelta(days=30)
    """For how long what a failed task's workspace held is kept, so that a retry can go on from the step that failed."""

    def __post_init__(self) -> None:
        limits = {"maxBytes": self.max_bytes, "maxFiles": self.max_files, "maxFileBytes": self.max_file_bytes}
        for name, value in limits.items():
            if value < 1:
                raise FieldError(name, "expected at least 1")
        if self.retention < timedelta(0):
            raise FieldError("retention", "expected 0 or more", hint="such as `30d`")


class EventStreams(msgspec.Struct, rename="camel"):
    """`scaffolder.events`: how clients are told of what tasks do."""

    heartbeat: timedelta = timedelta(seconds=15)
    """After so much silence a stream gets a comment, so that proxies keep it open."""
    long_poll: timedelta = timedelta(seconds=30)
    """How long `GET …/events` waits for something to tell."""

    def __post_init__(self) -> None:
        if self.heartbeat < timedelta(milliseconds=100):
            raise FieldError("heartbeat", "expected at least a tenth of a second", hint="such as `15s`")


class ScaffolderConfig(msgspec.Struct, rename="camel"):
    """`scaffolder`"""

    concurrent_tasks_limit: int = 10
    """Tasks that a process runs at a time; 0: none at all."""
    default_author: Author = msgspec.field(default_factory=Author)
    default_commit_message: str = "initial commit"
    default_commit_signing_key: str | None = None
    default_environment: Environment = msgspec.field(default_factory=Environment)
    task_timeout: timedelta = timedelta(hours=24)
    """After so long without a heartbeat a task has failed, if nobody has taken it up."""
    task_timeout_janitor_frequency: timedelta = timedelta(minutes=5)
    task_recovery: Recovery | None = None
    require_scm_user_credentials: bool = False
    auditor: Auditing = msgspec.field(default_factory=Auditing)
    graceful_shutdown: bool | None = msgspec.field(name="EXPERIMENTAL_gracefulShutdown", default=None)
    recover_tasks: bool | None = msgspec.field(name="EXPERIMENTAL_recoverTasks", default=None)
    recover_tasks_timeout: timedelta | None = msgspec.field(name="EXPERIMENTAL_recoverTasksTimeout", default=None)
    serialize_workspace: bool | None = msgspec.field(name="EXPERIMENTAL_workspaceSerialization", default=None)
    serialize_workspace_to: str | None = msgspec.field(name="EXPERIMENTAL_workspaceSerializationProvider", default=None)
    secrets: Secrets = msgspec.field(default_factory=Secrets)
    workspace: WorkspaceLimits = msgspec.field(default_factory=WorkspaceLimits)
    events: EventStreams = msgspec.field(default_factory=EventStreams)
    scripts: list[str] = []
    """Folders of programs that are actions, each with its description beside it."""
    shutdown_grace: timedelta = timedelta(seconds=10)
    """How long a process that stops waits for the tasks that it runs, before it leaves them to others."""

    def __post_init__(self) -> None:
        if self.concurrent_tasks_limit < 0:
            raise FieldError("concurrentTasksLimit", "expected 0 or more", hint="0: this process runs no tasks")
        if self.task_timeout <= timedelta(0):
            raise FieldError("taskTimeout", "a task takes some time")
        if self.shutdown_grace < timedelta(0):
            raise FieldError("shutdownGrace", "expected 0 or more", hint="such as `10s`")
        if self.task_timeout_janitor_frequency < timedelta(seconds=1):
            raise FieldError("taskTimeoutJanitorFrequency", "expected at least a second", hint="such as `5m`")

    @property
    def stale_after(self) -> timedelta | None:
        """After which silence a worker counts as lost; None: the scaffolder's own."""
        _, given = self._lease
        return None if given is None else max(given, SHORTEST_LEASE)

    @property
    def _lease(self) -> tuple[str, timedelta | None]:
        """Where it is given, and what."""
        if self.task_recovery is not None and self.task_recovery.stale_timeout is not None:
            return "taskRecovery.staleTimeout", self.task_recovery.stale_timeout
        return "EXPERIMENTAL_recoverTasksTimeout", self.recover_tasks_timeout

    def cautions(self) -> Iterable[str]:
        """What is accepted, and does not do what it does upstream."""
        recovery = self.task_recovery
        if self.recover_tasks is False or (recovery is not None and not recovery.enabled):
            yield "taskRecovery: tasks outlive the process that runs them in any case; this setting has no effect"
        place, lease = self._lease
        if lease is not None and lease < SHORTEST_LEASE:
            seconds = SHORTEST_LEASE.total_seconds()
            yield f"{place}: workers that live would be taken for lost; {seconds:g} s are waited, which is the least"
        if (recovery is not None and recovery.workspace_provider) or self.serialize_workspace_to:
            yield "taskRecovery.workspaceProvider: workspaces are kept in the database; this setting has no effect"
        if self.serialize_workspace is False:
            yield "EXPERIMENTAL_workspaceSerialization: workspaces are kept in any case; this setting has no effect"
        if self.graceful_shutdown is False:
            yield "EXPERIMENTAL_gracefulShutdown: steps that run are waited for in any case; this setting has no effect"
        if self.default_commit_signing_key is not None:
            yield "defaultCommitSigningKey: commits are not signed yet; this setting has no effect"
