"""fs:delete, fs:rename, fs:readdir: what a template does with the files of its workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from greenroom.errors import GreenroomError, InputError
from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.workspace.descent import Listed
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.scan import Entry
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

_INTERFACES = Interfaces("filesystem")
_BREATH = 500
"""After so many lines others have their turn: there may be a hundred thousand."""


class Deletion(msgspec.Struct, frozen=True):
    """Patterns of files to delete."""

    files: list[str]


class Move(msgspec.Struct, frozen=True, rename={"source": "from", "target": "to"}):
    """One file or folder to move."""

    source: str
    target: str
    overwrite: bool = False


class Moves(msgspec.Struct, frozen=True):
    """Files and folders to move, in this order."""

    files: list[Move]


class Reading(msgspec.Struct, frozen=True):
    """Folders to list."""

    paths: list[str]
    recursive: bool = False


def filesystem_actions(quota: Quota) -> list[Action[Any]]:
    """The actions of this family, for workspaces that may hold so much."""

    @_INTERFACES.action(
        "fs:delete",
        dry_run=True,
        idempotent=True,
    )
    async def delete(ctx: ActionContext[Deletion]) -> None:
        """Delete the files of the workspace that patterns stand for; a folder's name stands for all files in it."""
        workspace = Workspace(ctx.workspace, quota)
        for pattern in ctx.input.files:
            deleted = await in_thread(lambda wanted=pattern: workspace.delete([wanted]))  # type: ignore[misc]
            for number, path in enumerate(deleted, 1):
                ctx.log.info(f"File {path} deleted successfully")
                if number % _BREATH == 0:
                    await asyncio.sleep(0)

    @_INTERFACES.action(
        "fs:rename",
        dry_run=True,
    )
    async def rename(ctx: ActionContext[Moves]) -> None:
        """Rename or move files and folders within the workspace."""
        workspace = Workspace(ctx.workspace, quota)
        for one in ctx.input.files:
            if not one.source or not one.target:
                raise InputError("each file must have a from and to property")
            source, target = workspace.inside(one.source), workspace.inside(one.target)
            try:
                await in_thread(lambda move=one: workspace.rename(move.source, move.target, overwrite=move.overwrite))  # type: ignore[misc]
            except GreenroomError as error:
                ctx.log.error(f"Failed to rename file {source} to {target}: {error.message}")
                raise
            ctx.log.info(f"File {source} renamed to {target} successfully")

    return [delete, rename, read_folder]


@_INTERFACES.action(
    "fs:readdir",
    dry_run=True,
    idempotent=True,
)
async def read_folder(ctx: ActionContext[Reading]) -> Mapping[str, Any]:
    """List the files and folders in folders of the workspace."""
    return await in_thread(lambda: _listed(Workspace(ctx.workspace, Quota()), ctx.input))


def _listed(workspace: Workspace, wanted: Reading) -> Mapping[str, Any]:
    found: dict[str, list[dict[str, str]]] = {"files": [], "folders": []}
    for path in wanted.paths:
        workspace.inside(path)
        for entry in _as_node_lists(workspace, path, recursive=wanted.recursive):
            whole = workspace.path / entry.path
            told = {"name": whole.name, "path": entry.path, "fullPath": str(whole)}
            found["folders" if entry.kind == "folder" else "files"].append(told)
    return found


def _as_node_lists(workspace: Workspace, path: str, *, recursive: bool) -> Iterator[Entry]:
    """In the order of node's readdir: folder after folder, of those found so far the last one first."""
    left = [path]
    while left:
        for entry in workspace.entries(left.pop(), recursive=False):
            yield entry
            if recursive and entry.kind == "folder":
                left.append(Listed(entry.path))
