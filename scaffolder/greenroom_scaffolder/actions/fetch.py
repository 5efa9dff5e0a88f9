"""fetch:plain, fetch:template, and their `:file`s: what comes from elsewhere into the workspace, as it is or filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.filling import Filling, fill, fill_file, settle
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.actions.rendering import Templates
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.workspace.quota import Quota

_INTERFACES = Interfaces("fetch")


class Fetch(msgspec.Struct, frozen=True, rename="camel"):
    """A folder to take over."""

    url: str
    target_path: str = "./"
    token: str | None = None


class FetchFile(msgspec.Struct, frozen=True, rename="camel"):
    """A file to take over."""

    url: str
    target_path: str
    token: str | None = None


class FetchTemplate(Filling, frozen=True, rename="camel", kw_only=True):
    """A skeleton to fill in."""

    url: str
    token: str | None = None


def plain_actions(sources: Sources) -> list[Action[Any]]:
    """Those that take things over as they are."""

    @_INTERFACES.action("fetch:plain", dry_run=True, idempotent=True)
    async def plain(ctx: ActionContext[Fetch]) -> None:
        """Take over all files of a folder, into the workspace or a folder of it (`targetPath`)."""
        ctx.log.info("Fetching plain content from remote URL")
        ctx.inside(ctx.input.target_path)
        sources.check(ctx, ctx.input)
        await sources.fetch_folder(ctx, ctx.input, ctx.input.target_path)

    @_INTERFACES.action("fetch:plain:file", dry_run=True, idempotent=True)
    async def plain_file(ctx: ActionContext[FetchFile]) -> None:
        """Take over one file, under the name that is given."""
        ctx.log.info("Fetching plain content from remote URL")
        ctx.inside(ctx.input.target_path)
        sources.check(ctx, ctx.input)
        await sources.fetch_file(ctx, ctx.input, ctx.input.target_path)

    return [plain, plain_file]


def template_actions(sources: Sources, templates: Templates, quota: Quota) -> list[Action[Any]]:
    """Those that fill things in."""

    @_INTERFACES.action("fetch:template", dry_run=True, idempotent=True)
    async def template(ctx: ActionContext[FetchTemplate]) -> None:
        """Fill in a skeleton: render the names and contents of its files with `values`, and put them into the workspace, or a
        folder of it (`targetPath`)."""
        plan = settle(ctx, ctx.input)
        ctx.log.info("Fetching template content from remote URL")
        sources.check(ctx, ctx.input)
        async with sources.folder(ctx, ctx.input) as folder:
            await fill(ctx, folder, plan, ctx.input, templates, quota)

    @_INTERFACES.action("fetch:template:file", dry_run=True, idempotent=True)
    async def template_file(ctx: ActionContext[FetchTemplate]) -> None:
        """Fill in one file with `values`, and put it into the workspace under the name that is given."""

        async def fetched() -> bytes:
            ctx.log.info("Fetching template file content from remote URL")
            sources.check(ctx, ctx.input)
            return await sources.file(ctx, ctx.input)

        await fill_file(ctx, fetched, ctx.input, templates, quota)

    return [template, template_file]
