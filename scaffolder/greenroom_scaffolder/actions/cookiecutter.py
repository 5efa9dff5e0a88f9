"""fetch:cookiecutter: jinja2's sandbox fills in a cookiecutter skeleton, in a process that is held to limits. No container."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.cookies import Job, Outcome
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.threads import folder_beside, in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

_INTERFACES = Interfaces("cookiecutter")
SECONDS = 60
"""Of processor time for all files of one skeleton."""


class Baking(msgspec.Struct, frozen=True, rename="camel"):
    """A cookiecutter skeleton to fill in."""

    url: str
    values: Mapping[str, Any]
    target_path: str = "./"
    copy_without_render: Sequence[str] = ()
    extensions: Sequence[str] = ()
    image_name: str | None = None
    token: str | None = None


def cookiecutter_actions(sources: Sources, quota: Quota) -> list[Action[Any]]:
    """The action of this family."""

    @_INTERFACES.action("fetch:cookiecutter", idempotent=True)
    async def bake(ctx: ActionContext[Baking]) -> None:
        """Fill in a cookiecutter skeleton: names and contents of its files, with `values` over those of its
        cookiecutter.json."""
        ctx.log.info("Fetching and then templating using cookiecutter")
        ctx.inside(ctx.input.target_path)
        sources.check(ctx, ctx.input)
        async with sources.folder(ctx, ctx.input) as skeleton, folder_beside(ctx.workspace, "cookiecutter") as made:
            real = await in_thread(skeleton.path.resolve)
            result = await _baked(ctx, Job.of(ctx.input, real, str(made), quota, SECONDS))
            await in_thread(lambda: Workspace(ctx.workspace, quota).copy_tree(result, ctx.input.target_path))
        ctx.log.info(f"Template result written to {ctx.inside(ctx.input.target_path)}")

    return [bake]


async def _baked(ctx: ActionContext[Any], job: Job) -> Path:
    """The folder with the result. Raises InputError with what was wrong."""
    command = (sys.executable, "-I", "-m", "greenroom_scaffolder.actions.cookies")
    status = await ctx.run(*command, stdin=msgspec.json.encode(job))
    try:
        outcome = msgspec.json.decode(await in_thread(Path(job.outcome).read_bytes), type=Outcome)
    except (FileNotFoundError, msgspec.DecodeError):
        raise InputError(
            f"The skeleton took more time or memory than it may have (the process ended with {status})"
        ) from None
    if outcome.error is not None:
        raise InputError(outcome.error)
    return Path(job.result)
