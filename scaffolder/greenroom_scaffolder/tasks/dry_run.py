"""A TaskSpec and files -> what a run of it would log, write and answer; nothing outside a temporary folder changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from greenroom.errors import GreenroomError, error_name
from greenroom_scaffolder.tasks.answers import said
from greenroom_scaffolder.tasks.keeping import Keeper
from greenroom_scaffolder.tasks.runner import Run, Runner
from greenroom_scaffolder.tasks.task import Checkpoint, EventType, StepState, Task, TaskState, with_token
from greenroom_scaffolder.workspace.redaction import Redactor, refuse_large
from greenroom_scaffolder.workspace.threads import in_thread, working_in
from greenroom_scaffolder.workspace.workspace import Content


class DryRun(msgspec.Struct, frozen=True):
    """What a dry run came to."""

    log: Sequence[Mapping[str, Any]]
    """`[{"body": {"stepId"?, "status"?, "message"}}]`, members in upstream's order."""
    files: Sequence[Content]
    """What the workspace held at the end."""
    output: Mapping[str, Any]
    error: Exception | None = None
    """Of the first step that failed, without secrets."""


class MemoryJournal:
    """A `Journal` that keeps the lines of the log, as a dry run shows them."""

    def __init__(self) -> None:
        self.log: list[Mapping[str, Any]] = []

    def event(self, body: Mapping[str, Any], kind: EventType = "log") -> None:
        told = {key: body[key] for key in ("stepId", "status", "message") if key in body}
        self.log.append({"body": told})

    def step(self, step_id: str, state: StepState) -> None:
        pass

    async def workspace(self, archive: bytes | None) -> None:
        pass

    def checkpoint(self, key: str, outcome: Checkpoint) -> None:
        pass

    async def durable(self) -> None:
        pass


class DryRuns:
    """Tries task specs out, without database or server."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def run(
        self,
        spec: Mapping[str, Any],
        *,
        files: Sequence[tuple[str, bytes]] = (),
        secrets: Mapping[str, str] | None = None,
        initiator: object = None,
    ) -> DryRun:
        """`files` are what lies beside the template, by their paths from there; `spec` is of a template there (what it says of
        `templateInfo.baseUrl` does not count).

        Raises the error of the first step that fails, without secrets, NotAllowedError for files that lie elsewhere, and
        LargeSecretsError."""
        refuse_large(secrets or {})
        name = f"dry-run-content-{uuid4()}"
        beside = Keeper(self._runner.root, name, self._runner.bounds.quota)
        try:
            if files:
                with working_in(self._runner.dry_threads):
                    await in_thread(lambda: _lay_out(beside, files))
            base = f"file://{self._runner.root.resolve() / name}/template.yaml"
            found = await self.rehearse(spec, base=base, secrets=secrets, initiator=initiator)
        finally:
            await self._runner.removals.remove(beside)
        if found.error is not None:
            raise found.error
        return found

    async def rehearse(
        self,
        spec: Mapping[str, Any],
        *,
        base: str,
        root: str | None = None,
        secrets: Mapping[str, str] | None = None,
        initiator: object = None,
    ) -> DryRun:
        """The same of a template that lies at the URL `base`; what failed is told, not raised. `root` is `TemplateInfo.root`."""
        given = spec.get("templateInfo") or {"entityRef": "template:default/dry-run"}
        info = {**given, "baseUrl": base, "root": root}
        journal = MemoryJournal()
        known = with_token(secrets or {}, initiator, str(spec.get("steps")))
        task = Task(str(uuid4()), {**spec, "templateInfo": info}, None, known, initiator, TaskState())
        secrets_known = await self._runner.redactor(task, dry=True)
        run = _Rehearsal(self._runner, task, journal, asyncio.Event(), secrets_known, dry=True)
        outcome = await run.outcome()
        error = shown(run.error or GreenroomError(), run.redactor) if outcome.status == "failed" else None
        return DryRun(journal.log, run.files, outcome.output or {}, error)


class _Rehearsal(Run):
    """A run that looks at what its workspace holds before it is gone."""

    files: Sequence[Content] = ()
    extra = 1
    """Upstream counts the step that looks, without showing it."""

    async def _wind_up(self) -> None:
        if self.keeper.made:
            self.files = await in_thread(self.keeper.workspace.contents)


def _lay_out(beside: Keeper, files: Sequence[tuple[str, bytes]]) -> None:
    for path, content in files:
        beside.workspace.write(path, content)


def shown(error: Exception, redactor: Redactor) -> Exception:
    """An error without secrets, of the same name and status."""
    message = redactor.redact(said(error))
    if not isinstance(error, GreenroomError):
        name = redactor.redact(error_name(error))
        told: GreenroomError = type(name, (GreenroomError,), {"name": name})(message)
        return told
    if message == said(error) and not error.details:
        return error
    told = type(error).__new__(type(error))
    told.__dict__.update(error.__dict__)
    told.message, told.args = message, (message,)
    told.details = redactor.redact_tree(error.details)
    told.cause = told.__cause__ = None
    return told
