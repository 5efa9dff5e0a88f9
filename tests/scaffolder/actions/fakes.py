"""What tests of actions put in place of the rooms around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from greenroom.plugin import Action, TemplateInfo
from greenroom.testing import FakeActionContext


def by_id(actions: Iterable[Action[Any]]) -> dict[str, Action[Any]]:
    return {action.id: action for action in actions}


async def run(
    action: Action[Any], given: Mapping[str, Any], workspace: Path, **more: Any
) -> tuple[FakeActionContext[Any], Mapping[str, Any]]:
    """Run it as the runner does: the input converted to what the action asks for. Answers the context and the outputs."""
    shape = action.input
    ctx = FakeActionContext(given if shape is None else msgspec.convert(dict(given), shape), workspace, **more)
    return ctx, (await action.run(ctx)) or {}


def told(ctx: FakeActionContext[Any]) -> list[str]:
    """The lines of the log, without their levels."""
    return [line for _, line in ctx.log.lines]


def beside(folder: Path) -> TemplateInfo:
    """A template that lies in a folder of this disk."""
    return TemplateInfo("template:default/test", f"file://{folder}/template.yaml")


def plant(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def grown(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
