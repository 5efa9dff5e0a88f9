"""One run of one step, as its action sees it: its input, the workspace, the log, what it remembered, and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

import msgspec

from greenroom.errors import NotAllowedError
from greenroom.plugin import Files, TemplateInfo
from greenroom_scaffolder.tasks.answers import AnswerError, measured
from greenroom_scaffolder.tasks.keeping import Keeper
from greenroom_scaffolder.tasks.programs import ProgramLimits, run_program
from greenroom_scaffolder.tasks.scribe import Scribe, StepLog
from greenroom_scaffolder.tasks.task import Checkpoint, Journal
from greenroom_scaffolder.workspace.descent import OUTSIDE
from greenroom_scaffolder.workspace.threads import in_thread

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - of an action: its input

_KEYS = UUID("5e4c6d1c-6a57-4dd1-9d8f-6c0f2f2a7a10")
"""Where the keys of calls come from."""
MOST_CHECKPOINTS = 10_000
"""Of one run."""
_BREATH = 200
"""Lines of a program's output after which it waits until they are written down."""


class Allowance:
    """What the checkpoints of a run may still remember, in characters."""

    def __init__(self, left: int) -> None:
        self.left = left


class Frame(msgspec.Struct, frozen=True):
    """What all steps of a run share."""

    task_id: str
    workspace_name: str
    """What `context.task.id` says: the task's id, with `dry-run-` before it in a dry run."""
    secrets: Mapping[str, str]
    template: TemplateInfo
    user: Mapping[str, Any] | None
    initiator: object
    dry_run: bool
    keeper: Keeper
    scribe: Scribe
    journal: Journal
    checkpoints: dict[str, Checkpoint]
    durable: Callable[[], Awaitable[None]]
    most: int
    """Characters of what a checkpoint may remember."""
    allowance: Allowance
    programs: ProgramLimits


class StepContext(Generic[I]):
    """The `ActionContext` of one call of an action."""

    def __init__(self, frame: Frame, given: I, place: str, step_id: str, step_name: str) -> None:
        """`place` names the step in the task, with `[n]` in a round of its `each`."""
        self._frame, self._place = frame, place
        self.input = given
        self.step_id, self.step_name = step_id, step_name
        self.log = StepLog(frame.scribe, step_id)

    @property
    def workspace(self) -> Path:
        return self._frame.keeper.workspace.path

    @property
    def files(self) -> Files:
        return self._frame.keeper.workspace

    async def in_thread(self, work: Callable[[], T]) -> T:
        return await in_thread(work)

    @property
    def secrets(self) -> Mapping[str, str]:
        return self._frame.secrets

    @property
    def task_id(self) -> str:
        return self._frame.workspace_name

    @property
    def template(self) -> TemplateInfo:
        return self._frame.template

    @property
    def user(self) -> Mapping[str, Any] | None:
        return self._frame.user

    @property
    def initiator(self) -> object:
        return self._frame.initiator

    @property
    def dry_run(self) -> bool:
        return self._frame.dry_run

    @property
    def key(self) -> str:
        return str(uuid5(_KEYS, f"{self._frame.task_id}/{self._place}"))

    def inside(self, path: str, base: Path | None = None) -> Path:
        """Raises NotAllowedError."""
        workspace = self._frame.keeper.workspace
        if base is None:
            return workspace.inside(path)
        root = base.resolve()
        if not (root / path).resolve().is_relative_to(root):
            raise NotAllowedError(OUTSIDE)
        return root / path

    async def checkpoint(self, key: str, make: Callable[[], Awaitable[Any]]) -> Any:
        name = f"{self._place}.{key}"
        if (known := self._frame.checkpoints.get(name)) is not None:
            return known.value
        made = self._remembered(key, await make())
        self._frame.checkpoints[name] = made
        if not self._frame.dry_run:
            await self._frame.keeper.keep(self._frame.journal, self._frame.checkpoints)
        self._frame.journal.checkpoint(name, made)
        await self._frame.durable()
        return made.value

    def _remembered(self, key: str, value: Any) -> Checkpoint:
        """Raises AnswerError for more than a run may remember."""
        frame = self._frame
        if len(frame.checkpoints) >= MOST_CHECKPOINTS:
            raise AnswerError(f"The task has more than {MOST_CHECKPOINTS} checkpoints")
        kept, size = measured(value, min(frame.most, frame.allowance.left), f"The checkpoint '{key[:200]}'")
        frame.allowance.left -= size + len(key)
        return Checkpoint(kept)

    async def run(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes | None = None
    ) -> int:
        """Raises NotFoundError for a program that is not there, QuotaError for one that fills the workspace: it is ended."""
        running = asyncio.ensure_future(
            run_program(
                command, self._tell, cwd=cwd or self.workspace, env=env, stdin=stdin, limits=self._frame.programs
            )
        )
        watching = asyncio.ensure_future(self._frame.keeper.overflow())
        both: set[asyncio.Future[Any]] = {running, watching}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await watching
            return await running
        finally:
            for one in both:
                one.cancel()
            await asyncio.wait(both)

    async def _tell(self, line: str) -> None:
        """A program that talks faster than the log is written waits."""
        self.log.info(line)
        if self._frame.scribe.written % _BREATH == 0:
            await self._frame.durable()
        else:
            await asyncio.sleep(0)
