"""workspace:template and its `:file`: what is in the workspace already, filled in."""

from __future__ import annotations

from typing import Any

from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.filling import Filling, fill, fill_file, settle
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.actions.rendering import Templates
from greenroom_scaffolder.actions.skeletons import Skeleton
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

_INTERFACES = Interfaces("workspace_template")


class FillIn(Filling, frozen=True, rename="camel", kw_only=True):
    """Something of the workspace to fill in."""

    source_path: str


def workspace_template_actions(templates: Templates, quota: Quota) -> list[Action[Any]]:
    """The actions of this family. Upstream has them, but registers them only on request."""

    @_INTERFACES.action("workspace:template", dry_run=True, idempotent=True)
    async def template(ctx: ActionContext[FillIn]) -> None:
        """Fill in a folder of the workspace: render the names and contents of its files with `values` into another folder."""
        plan = settle(ctx, ctx.input)
        source = str(ctx.inside(ctx.input.source_path).relative_to(ctx.workspace))
        await fill(ctx, Skeleton(ctx.workspace, source), plan, ctx.input, templates, quota)

    @_INTERFACES.action("workspace:template:file", dry_run=True, idempotent=True)
    async def template_file(ctx: ActionContext[FillIn]) -> None:
        """Fill in one file of the workspace with `values`, under another name."""

        async def read() -> bytes:
            return await in_thread(lambda: Workspace(ctx.workspace, quota).read(ctx.input.source_path))

        await fill_file(ctx, read, ctx.input, templates, quota)

    return [template, template_file]
