"""A skeleton or a file and `values` -> the workspace: what fetch:template and workspace:template do alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.plugin import ActionContext
from greenroom_scaffolder.actions.rendering import Templates
from greenroom_scaffolder.actions.skeletons import Plan, Render, Skeleton, lay_out
from greenroom_scaffolder.actions.slices import told
from greenroom_scaffolder.actions.telling import with_values
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace


class Filling(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How something is filled in."""

    target_path: str = "./"
    values: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET
    copy_without_templating: Sequence[str] | None = None
    cookiecutter_compat: bool = False
    template_file_extension: str | bool = False
    replace: bool = False
    trim_blocks: bool = False
    lstrip_blocks: bool = False


def settle(ctx: ActionContext[Any], wanted: Filling) -> Plan:
    """What a skeleton's layout depends on. Raises NotAllowedError, InputError for options that exclude each other."""
    ctx.inside(wanted.target_path)
    extension = wanted.template_file_extension
    if extension and (wanted.copy_without_templating is not None or wanted.cookiecutter_compat):
        raise InputError("Fetch action input extension incompatible with copyWithoutTemplating and cookiecutterCompat")
    ending = ".njk" if extension is True else extension or ""
    return Plan(
        target=wanted.target_path,
        copied=tuple(wanted.copy_without_templating or ()),
        extension=None if not ending else ending if ending.startswith(".") else f".{ending}",
        replace=wanted.replace,
        marks=(b"{{" if wanted.cookiecutter_compat else b"${{", b"{%", b"{#", b"#}"),
    )


async def fill(
    ctx: ActionContext[Any], skeleton: Skeleton, plan: Plan, wanted: Filling, templates: Templates, quota: Quota
) -> None:
    """Render a skeleton into the workspace."""
    output = ctx.inside(plan.target)
    if output.is_relative_to(skeleton.path):
        raise InputError("targetPath must not be within template path")
    ctx.log.info("Listing files and directories in template")
    entries = await in_thread(skeleton.entries)
    told_of = f"Processing {len(entries)} template files/directories with input values"
    ctx.log.info(await in_thread(lambda: with_values(told_of, wanted.values)))
    render = _renderer(wanted, templates)
    await told(ctx.log, lay_out(skeleton, Workspace(ctx.workspace, quota), plan, render, entries))
    ctx.log.info(f"Template result written to {output}")


async def fill_file(
    ctx: ActionContext[Any], read: Callable[[], Awaitable[bytes]], wanted: Filling, templates: Templates, quota: Quota
) -> None:
    """Render what `read` answers into a file of the workspace, unless there is one that is not to be replaced."""
    workspace = Workspace(ctx.workspace, quota)
    output = ctx.inside(wanted.target_path)
    if workspace.exists(wanted.target_path) and not wanted.replace:
        ctx.log.info(f"File {wanted.target_path} already exists in workspace, not replacing.")
        return
    content = await read()
    ctx.log.info(await in_thread(lambda: with_values("Processing template file with input values", wanted.values)))
    render = _renderer(wanted, templates)
    await in_thread(lambda: workspace.write(wanted.target_path, _rendered(content, render)))
    ctx.log.info(f"Template file has been written to {output}")


def _rendered(content: bytes, render: Render) -> bytes:
    return render(content.decode("utf-8", "replace")).encode()


def _renderer(wanted: Filling, templates: Templates) -> Render:
    name = "cookiecutter" if wanted.cookiecutter_compat else "values"
    return templates(
        {} if wanted.values is msgspec.UNSET else {name: wanted.values},
        cookiecutter=wanted.cookiecutter_compat,
        trim_blocks=wanted.trim_blocks,
        lstrip_blocks=wanted.lstrip_blocks,
    )
