"""The plugins of this installation, without server or database -> what templates can be checked against and tried with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from greenroom.cli.offline import without_database
from greenroom.errors import GreenroomError, InputError, describe
from greenroom.plugin import Action, ActionContext, TemplateFilter, TemplateGlobal
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.commands.cases import Case, Mock, is_within
from greenroom_scaffolder.commands.comparing import Made, Result
from greenroom_scaffolder.commands.files import entities_of
from greenroom_scaffolder.settings import Environment, ScaffolderConfig
from greenroom_scaffolder.tasks.dry_run import DryRun, DryRuns
from greenroom_scaffolder.tasks.runner import Runner
from greenroom_scaffolder.templates import (
    DRY_RUN_REF,
    Template,
    check_template,
    examine,
    read_template,
    task_spec,
)
from greenroom_scaffolder.templates.findings import Backend
from greenroom_scaffolder.templating import Engine
from greenroom_scaffolder.workspace.workspace import Content


class Workbench:
    """Where templates are checked and tried."""

    def __init__(
        self,
        actions: Sequence[Action[Any]],
        filters: Mapping[str, Any],
        values: Mapping[str, Any],
        root: Path,
        environment: Environment,
    ) -> None:
        """`values` are the globals; workspaces are made in `root`, and are gone when a case is over."""
        self.actions = actions
        self._actions = {one.id: one for one in actions}
        self._engine = Engine(filters, values)
        self.root, self._environment = root.resolve(), environment
        self.backend = Backend(self._actions, list(filters), list(values))

    async def run(self, template: Template, file: Path, case: Case) -> Result:
        """What comes of a case, where the template is that of a file."""
        try:
            check_template(template.entity)
            problems = examine(template, case.values, case.secrets)
        except GreenroomError as error:
            return Result(describe(error), {}, {}, {}, [])
        if problems:
            told = "; ".join(problem.stack for problem in problems)
            return Result(f"InputError: {told}", {}, {}, {}, [])
        calls = _Calls(case.actions, self._actions)
        actions = {**self._actions, **calls.actions}
        runner = Runner(Registry(actions.values()), self._engine, self.root, environment=self._environment)
        user = case.user or {}
        spec = task_spec(
            template, case.values, ref=DRY_RUN_REF, user_ref=user.get("ref"), user_entity=user.get("entity")
        )
        base, root = _places(file)
        found = await DryRuns(runner).rehearse(spec, base=base, root=root, secrets=case.secrets)
        return _result(found, calls.unmet())


def _places(file: Path) -> tuple[str, str]:
    """The URL of a template, and the folder that its skeletons may lie in: its repository. Where there is none, anywhere."""
    here = file.resolve()
    root = next((folder for folder in here.parents if (folder / ".git").exists()), Path(here.anchor))
    return f"file://{here}", str(root)


def _result(found: DryRun, unmet: Iterable[str]) -> Result:
    bodies = [line["body"] for line in found.log]
    steps = {body["stepId"]: body["status"] for body in bodies if body.get("stepId") and body.get("status")}
    return Result(
        error=None if found.error is None else describe(found.error),
        files={one.path: _made(one) for one in found.files},
        output=found.output,
        steps=steps,
        log=[body["message"] for body in bodies],
        unmet=list(unmet),
    )


def _made(file: Content) -> Made:
    """To the file system every link is executable."""
    return Made(file.content, executable=file.executable and not file.symlink, symlink=file.symlink)


class _Calls:
    """Actions that only say what they were told to say, and what they were called with."""

    def __init__(self, mocks: Mapping[str, Mock], known: Mapping[str, Action[Any]]) -> None:
        self._mocks = mocks
        self._met: dict[str, list[Mapping[str, Any]]] = {id_: [] for id_ in mocks}
        self.actions = {id_: self._mocked(id_, mock, known.get(id_)) for id_, mock in mocks.items()}

    def _mocked(self, id_: str, mock: Mock, real: Action[Any] | None) -> Action[Any]:
        async def say(ctx: ActionContext[Any]) -> Mapping[str, Any]:
            self._met[id_].append(ctx.input)
            if mock.error is not None:
                raise GreenroomError(mock.error)
            return mock.output

        if real is None:
            return Action(id_, say, dry_run=True)
        return msgspec.structs.replace(real, run=say, input=None, dry_run=True)

    def unmet(self) -> Iterable[str]:
        """What was expected of the calls, and was not so."""
        for id_, calls in self._met.items():
            wanted = self._mocks[id_].input
            if not calls:
                yield f"{id_} was never called"
            elif wanted is not None and not any(is_within(wanted, call) for call in calls):
                yield f"{id_} was called with {_listed(calls)}, never with {_listed([wanted])}"


def _listed(calls: Sequence[Mapping[str, Any]]) -> str:
    return " and with ".join(msgspec.json.encode(call).decode() for call in calls)


@asynccontextmanager
async def workbench(layers: Sequence[Path] = ()) -> AsyncIterator[Workbench]:
    """With the actions, filters and globals of all installed plugins. Raises ConfigError."""
    async with without_database(layers) as house:
        services = house.services
        given = house.config.section("scaffolder", ScaffolderConfig).default_environment
        with TemporaryDirectory(prefix="greenroom-workspaces-") as folder:
            yield Workbench(
                services.all(Action),
                {one.name: one.apply for one in services.all(TemplateFilter)},
                {one.name: one.value for one in services.all(TemplateGlobal)},
                Path(folder),
                given,
            )


def read_template_file(file: Path) -> Template:
    """The first template in a file. Raises InputError."""
    for document in entities_of(file):
        if isinstance(document.value, dict) and document.value.get("kind") == "Template":
            return read_template(document.value)
    raise InputError(f"{file}: there is no document of kind Template in it")
