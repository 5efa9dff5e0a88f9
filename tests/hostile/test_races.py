"""A folder that is swapped for a link out of the workspace, again and again, while actions use it: no moment lets anything out.
Nor does such a link that a resumed task finds in what it left."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import GreenroomError
from greenroom.plugin import Action, ActionContext
from greenroom.urls.service import Urls
from greenroom_plugins.roadiehq.files import file_actions
from greenroom_plugins.roadiehq.merging import merging_actions
from greenroom_scaffolder.actions.catalog import CatalogAsInitiator, catalog_actions
from greenroom_scaffolder.actions.fetch import plain_actions, template_actions
from greenroom_scaffolder.actions.filesystem import filesystem_actions
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.actions.workspace_template import workspace_template_actions
from greenroom_scaffolder.tasks.answers import converted
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.tasks.rehearsal import Notebook, made, runner_of, spec_of, task_of

SECRET = "nobody-shall-read-this"
ROUNDS = 150
QUOTA = Quota()


def actions() -> dict[str, Action[Any]]:
    sources = Sources(Urls([]), QUOTA)
    found: list[Action[Any]] = [
        *plain_actions(sources),
        *template_actions(sources, Engines(), QUOTA),
        *workspace_template_actions(Engines(), QUOTA),
        *filesystem_actions(QUOTA),
        *catalog_actions(CatalogAsInitiator(None, None), None, Urls([]), QUOTA),
        *file_actions(),
        *merging_actions(),
    ]
    return {action.id: action for action in found}


FILLED = {"values": {}, "replace": True, "copyWithoutTemplating": []}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("roadiehq:utils:fs:write", {"path": "d/in/f", "content": "mine"}),
    ("roadiehq:utils:fs:append", {"path": "d/in/f", "content": "mine"}),
    ("roadiehq:utils:fs:parse", {"path": "d/in/f"}),
    ("roadiehq:utils:fs:replace", {"files": [{"file": "d/**", "find": "e", "replaceWith": "mine"}]}),
    ("roadiehq:utils:json:merge", {"path": "d/in/f.json", "content": {"mine": 1}}),
    ("roadiehq:utils:merge", {"path": "d/in/f.yaml", "content": {"mine": 1}}),
    ("roadiehq:utils:zip", {"path": "d", "outputPath": "taken.zip"}),
    ("roadiehq:utils:zip", {"path": "plain", "outputPath": "d/in/a.zip"}),
    ("fs:rename", {"files": [{"from": "d/in/f", "to": "taken", "overwrite": True}]}),
    ("fs:rename", {"files": [{"from": "plain/f", "to": "d/in/f", "overwrite": True}]}),
    ("fs:delete", {"files": ["d/in/*", "d/**"]}),
    ("fs:readdir", {"paths": ["d/in"], "recursive": True}),
    ("catalog:write", {"filePath": "d/in/c.yaml", "entity": {"metadata": {"name": "mine"}}}),
    ("workspace:template", {"sourcePath": "d/in", "targetPath": "taken", **FILLED}),
    ("workspace:template", {"sourcePath": "plain", "targetPath": "d/in", **FILLED}),
    ("workspace:template:file", {"sourcePath": "d/in/f", "targetPath": "taken", "values": {}, "replace": True}),
]


@contextmanager
def swapping(folder: Path, target: Path) -> Iterator[None]:
    """As a program does that lives on beside a step."""
    over, aside = threading.Event(), folder.with_name("aside")

    def swap() -> None:
        while not over.is_set():
            os.rename(folder, aside)  # noqa: PTH104 - fast
            with suppress(FileExistsError):
                os.symlink(target, folder)  # noqa: PTH211
                os.unlink(folder)  # noqa: PTH108
            try:
                os.rename(aside, folder)  # noqa: PTH104
            except OSError:  # an action has made a folder there, in between
                shutil.rmtree(aside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        over.set()
        swapper.join()


def plant(folder: Path, content: str) -> None:
    (folder / "in").mkdir(parents=True)
    for name in ("f", "f.json", "f.yaml", "c.yaml"):
        (folder / "in" / name).write_text(f'{{"what": "{content}"}}')


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: CASES[case][0])
async def test_nothing_gets_out_at_any_moment(tmp_path: Path, case: int) -> None:
    outside = tmp_path / "outside"
    plant(outside, SECRET)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    id_, given = CASES[case]
    action = actions()[id_]
    answers: list[Any] = []

    async def attack(ctx: ActionContext[Any]) -> None:
        vars(ctx)["input"] = converted(given, action.input, id_)
        plant(ctx.workspace / "d", "own")
        plant(ctx.workspace / "plain", "own")
        with swapping(ctx.workspace / "d", outside):
            for _ in range(ROUNDS):
                try:
                    answers.append(await action.run(ctx))
                except (GreenroomError, OSError) as error:
                    answers.append(str(error))
                await asyncio.sleep(0)
        left = [path for path in ctx.workspace.rglob("*") if path.is_file() and not path.is_symlink()]
        answers.extend(path.read_bytes().decode(errors="replace") for path in left)

    outcome = await runner_of(tmp_path / "ws", made("x:y", attack)).run(task_of(spec_of({"action": "x:y"})), Notebook())
    assert outcome.status == "completed", outcome.error
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert SECRET not in str(answers)


RESUMED: list[tuple[str, dict[str, Any]]] = [
    *CASES,
    ("fs:rename", {"files": [{"from": "d", "to": "taken", "overwrite": True}]}),
    ("fs:rename", {"files": [{"from": "plain", "to": "d", "overwrite": True}]}),
    ("fs:delete", {"files": ["d"]}),
    ("fs:delete", {"files": ["**"]}),
    ("fs:readdir", {"paths": ["."], "recursive": True}),
    ("debug:log", {"listWorkspace": "with-contents"}),
    ("fetch:plain", {"url": ".", "targetPath": "d"}),
    ("fetch:plain", {"url": "."}),
    ("fetch:plain:file", {"url": "in/f", "targetPath": "d/in/f"}),
    ("fetch:template", {"url": ".", "targetPath": "d", "values": {}, "replace": True}),
    ("fetch:template", {"url": ".", "values": {}, "replace": True}),
    ("fetch:template:file", {"url": "in/f", "targetPath": "d/in/f", "values": {}, "replace": True}),
    ("workspace:template", {"sourcePath": "plain", "targetPath": "taken", **FILLED}),
    ("roadiehq:utils:zip", {"path": ".", "outputPath": "taken.zip"}),
]


@pytest.mark.parametrize("case", range(len(RESUMED)), ids=lambda case: RESUMED[case][0])
@pytest.mark.parametrize("target", ["{outside}", "../../outside", "chain"])
async def test_a_resumed_task_does_not_get_out_by_the_links_that_it_left(
    tmp_path: Path, case: int, target: str
) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    plant(outside, SECRET)
    plant(home, "own")
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    id_, given = RESUMED[case]
    notes = await _left_with(tmp_path / "ws", target.format(outside=outside))
    step = {"action": id_, "input": given}
    if id_.startswith("fetch:"):  # it lays out a file of each of the names that are links here
        for name in ("d", "f"):
            (home / name).write_text("own")
    template = {"entityRef": "template:default/test", "baseUrl": f"file://{home}/template.yaml"}
    look, seen = _looking()
    spec = spec_of(
        step, {"action": "x:look", "if": "${{ always() }}"}, output={"o": "${{ steps }}"}, templateInfo=template
    )
    journal = Notebook()
    runner = runner_of(tmp_path / "ws", *actions().values(), look)
    outcome = await runner.run(task_of(spec, workspace=notes, resumed=True), journal)
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert SECRET not in f"{outcome} {journal.lines} {seen}"
    assert seen, "the task went on"


async def _left_with(root: Path, target: str) -> bytes:
    """A workspace with links to a folder outside, as a step that is done has left it."""

    async def link(ctx: ActionContext[Any]) -> None:
        plant(ctx.workspace / "plain", "own")
        for name, there in (("d", target), ("f", f"{target}/in/f"), ("plain/out", target)):
            (ctx.workspace / name).symlink_to(there)
        (ctx.workspace / "chain").symlink_to("../../outside")

    journal = Notebook()
    await runner_of(root, made("x:link", link)).run(
        task_of(spec_of({"action": "x:link"}, {"action": "test:list"})), journal
    )
    archive = journal.archive()
    assert archive
    return archive


def _looking() -> tuple[Action[Any], list[str]]:
    """An action, and what it finds in the workspace that is no link."""
    seen: list[str] = []

    async def look(ctx: ActionContext[Any]) -> None:
        seen.append("looked")
        left = [path for path in ctx.workspace.rglob("*") if path.is_file() and not path.is_symlink()]
        seen.extend(path.read_bytes().decode(errors="replace") for path in left)

    return made("x:look", look), seen
