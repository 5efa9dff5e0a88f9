"""A runner over a few small actions, and a journal that remembers all that was written into it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.plugin import Action, ActionContext, action
from greenroom_scaffolder.actions.debug import debug_actions
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.tasks.runner import Runner
from greenroom_scaffolder.tasks.task import Checkpoint, EventType, Outcome, StepState, Task, TaskState
from greenroom_scaffolder.templating import Engine

Body = Mapping[str, Any]


class Died(BaseException):
    """The process is killed here."""


class Notebook:
    """A `Journal` in memory. What was not yet durable when a process dies is lost: see `survived`."""

    def __init__(self) -> None:
        self.events: list[Body] = []
        self.entries: list[tuple[str, Any]] = []
        self.commits = 0
        self._kept = 0
        self.on_durable: Callable[[], None] = lambda: None

    def event(self, body: Body, kind: EventType = "log") -> None:
        self.events.append(body)
        self.entries.append(("event", body))

    def step(self, step_id: str, state: StepState) -> None:
        self.entries.append(("step", (step_id, state)))

    async def workspace(self, archive: bytes | None) -> None:
        self.entries.append(("workspace", archive))

    def checkpoint(self, key: str, outcome: Checkpoint) -> None:
        self.entries.append(("checkpoint", (key, outcome)))

    async def durable(self) -> None:
        await asyncio.sleep(0)
        self.commits += self._kept < len(self.entries)
        self._kept = len(self.entries)
        self.on_durable()

    @property
    def lines(self) -> list[str]:
        return [event["message"] for event in self.events]

    def states(self, *, durable: bool = False) -> TaskState:
        """What another worker would find."""
        found = TaskState()
        for what, entry in self.entries[: self._kept if durable else None]:
            if what == "step":
                found.steps[entry[0]] = entry[1]
            elif what == "checkpoint":
                found.checkpoints[entry[0]] = entry[1]
        return found

    def archive(self, *, durable: bool = False) -> bytes | None:
        packed = [entry for what, entry in self.entries[: self._kept if durable else None] if what == "workspace"]
        return packed[-1] if packed else None


def made(
    id: str,  # noqa: A002
    run: Callable[[ActionContext[Any]], Awaitable[Mapping[str, Any] | None]],
    **options: Any,
) -> Action[Any]:
    """An action that takes any input."""

    async def call(ctx: ActionContext[Any]) -> Mapping[str, Any] | None:
        return await run(ctx)

    return action(id, **options)(call)


async def _answer(ctx: ActionContext[Any]) -> Mapping[str, Any]:
    return dict(ctx.input)


async def _fail(ctx: ActionContext[Any]) -> None:
    raise ValueError(ctx.input.get("message", "it broke"))


async def _write(ctx: ActionContext[Any]) -> None:
    ctx.inside(ctx.input["path"]).write_text(ctx.input.get("content", ""))


async def _list(ctx: ActionContext[Any]) -> Mapping[str, Any]:
    return {"files": sorted(path.name for path in ctx.workspace.iterdir())}


def actions() -> list[Action[Any]]:
    """`test:answer` answers its input, `test:fail` raises its `message`, `test:write` writes a file, `test:list` lists them."""
    return [
        *debug_actions(),
        made("test:answer", _answer, dry_run=True, idempotent=True),
        made("test:fail", _fail, dry_run=True, idempotent=True),
        made("test:write", _write, dry_run=True),
        made("test:list", _list, idempotent=True),
    ]


def runner_of(root: Path, *more: Action[Any], **options: Any) -> Runner:
    return Runner(Registry([*actions(), *more]), Engine(), root, **options)


def spec_of(*steps: Body, output: Any = None, parameters: Body | None = None, **more: Any) -> dict[str, Any]:
    todo = [{"id": f"step-{n}", "name": step["action"], **step} for n, step in enumerate(steps, 1)]
    return {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "steps": todo,
        "output": output or {},
        "parameters": parameters or {},
        "user": {},
        "templateInfo": {"entityRef": "template:default/test", "entity": {"metadata": {"name": "test"}}},
        **more,
    }


def task_of(
    spec: Body,
    secrets: Mapping[str, str] | None = None,
    *,
    state: TaskState | None = None,
    workspace: bytes | None = None,
    resumed: bool = False,
) -> Task:
    return Task("task-1", spec, None, secrets or {}, None, state or TaskState(), workspace, resumed)


async def run_steps(
    root: Path, *steps: Body, more: Sequence[Action[Any]] = (), secrets: Mapping[str, str] | None = None, **spec: Any
) -> tuple[Outcome, Notebook]:
    """Run a task of these steps."""
    notebook = Notebook()
    outcome = await runner_of(root, *more).run(task_of(spec_of(*steps, **spec), secrets), notebook)
    return outcome, notebook


def log(message: Any, **more: Any) -> dict[str, Any]:
    return {"action": "debug:log", "input": {"message": message}, **more}
