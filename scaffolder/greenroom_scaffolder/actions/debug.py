"""debug:log, debug:wait: what an author of templates looks at, and waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.errors import InputError, NotAllowedError
from greenroom.plugin import Action, ActionContext
from greenroom_scaffolder.actions.interface import Interfaces
from greenroom_scaffolder.actions.telling import as_json
from greenroom_scaffolder.workspace.descent import FileError, Listed
from greenroom_scaffolder.workspace.quota import Quota, QuotaError
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

LONGEST_WAIT = 600.0
"""Seconds."""
_LARGE = 100_000
"""Characters of a message that is not written as JSON in passing."""
MOST_SHOWN = 1_000_000
"""Characters of a listing; a line of the log is an event, which is kept and sent."""

_INTERFACES = Interfaces("debug")


class TooLongError(InputError):
    """The wait is longer than anybody waits"""

    name = "Error"


class Wait(msgspec.Struct, frozen=True):
    """How long, all added up."""

    minutes: float = 0
    seconds: float = 0
    milliseconds: float = 0


def debug_actions() -> list[Action[Any]]:
    """The actions of this family."""
    return [log, wait]


@_INTERFACES.action(
    "debug:log",
    dry_run=True,
    idempotent=True,
)
async def log(ctx: ActionContext[Mapping[str, Any]]) -> None:
    """Write a line into the log, list the files of the workspace, or show what they contain."""
    message = ctx.input.get("message") or ""
    large = len(message) > _LARGE
    ctx.log.info(await in_thread(lambda: as_json(ctx.input, 2)) if large else as_json(ctx.input, 2))
    if message:
        ctx.log.info(message)
    if wanted := ctx.input.get("listWorkspace"):
        ctx.log.info(
            await in_thread(lambda: _listing(Workspace(ctx.workspace, Quota()), contents=wanted == "with-contents"))
        )


def _listing(workspace: Workspace, *, contents: bool) -> str:
    told, room = [], MOST_SHOWN
    for path in sorted(_shown(workspace), key=_in_tree):
        line = _content(workspace, path, room) if contents else f"  - {path}"
        room -= len(line) + 1
        if room < 0:
            told.append("  (and more)")
            break
        told.append(line)
    return "Workspace:\n" + "\n".join(told)


def _shown(workspace: Workspace) -> set[str]:
    """Files by each name that links give them; links that lead nowhere, or outside; and what is none of these, such as a pipe.
    Where links give them too many names, such as those that lead to each other do, each by its own."""
    entries = workspace.entries()
    try:
        found = workspace.matching("**", hidden=True)
    except QuotaError:
        return {Listed(entry.path) for entry in entries if entry.kind != "folder"}
    return {*found} | {
        Listed(entry.path)
        for entry in entries
        if entry.kind == "other" or (entry.kind == "link" and _is_lost(workspace, entry.path))
    }


def _is_lost(workspace: Workspace, link: str) -> bool:
    try:
        return not workspace.exists(Listed(link))
    except (NotAllowedError, FileError):
        return True


def _content(workspace: Workspace, path: str, room: int) -> str:
    try:
        with workspace.open(path) as file:
            content = file.read(4 * room).decode(errors="replace")
    except (NotAllowedError, InputError):
        return f" - {path}: [skipped]"
    shown = content if len(content) <= room else f"{content[:room]}…"
    return f" - {path}:\n\n  {shown}"


def _in_tree(path: str) -> list[bytes]:
    """By name, folder by folder."""
    return [part.encode(errors="surrogateescape") for part in path.split("/")]


@_INTERFACES.action(
    "debug:wait",
    idempotent=True,
)
async def wait(ctx: ActionContext[Wait]) -> None:
    """Do nothing for a while, ten minutes at most."""
    seconds = ctx.input.minutes * 60 + ctx.input.seconds + ctx.input.milliseconds / 1000
    if seconds > LONGEST_WAIT:
        raise TooLongError("Waiting duration is longer than the maximum threshold of 0 hours, 10 minutes, 0 seconds")
    await asyncio.sleep(max(seconds, 0))
