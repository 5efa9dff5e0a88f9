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
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.scan import Entry
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
    for entry in in_tree_order(workspace.entries()):
        if entry.kind == "folder":
            continue
        line = _content(workspace, entry, room) if contents else f"  - {entry.path}"
        room -= len(line) + 1
        if room < 0:
            told.append("  (and more)")
            break
        told.append(line)
    return "Workspace:\n" + "\n".join(told)


def _content(workspace: Workspace, entry: Entry, room: int) -> str:
    try:
        with workspace.open(entry.path) as file:
            content = file.read(4 * room).decode(errors="replace")
    except (NotAllowedError, InputError):
        return f" - {entry.path}: [skipped]"
    shown = content if len(content) <= room else f"{content[:room]}…"
    return f" - {entry.path}:\n\n  {shown}"


def in_tree_order(entries: list[Entry]) -> list[Entry]:
    """By name, what a folder holds right behind the folder."""
    return sorted(entries, key=lambda entry: [part.encode(errors="surrogateescape") for part in entry.path.split("/")])


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
