"""roadiehq:utils:fs:write, append, replace, parse; zip; sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Literal

import msgspec

from greenroom.errors import InputError
from greenroom.plugin import Action, ActionContext, Files
from greenroom_plugins.roadiehq import json_text, yaml_documents
from greenroom_plugins.roadiehq.interface import util
from greenroom_plugins.roadiehq.patterns import replace_all
from greenroom_plugins.roadiehq.places import as_bytes, read_text, refuse_missing_folder
from greenroom_plugins.roadiehq.zipping import zipped

LONGEST_SLEEP = 24 * 3600.0
"""Seconds."""
MOST_SECONDS = 60.0
"""For all replacements of a step."""


class Write(msgspec.Struct, frozen=True, rename="camel"):
    """A file to make."""

    path: str
    content: str
    preserve_formatting: bool = False


class Append(msgspec.Struct, frozen=True):
    """Text to add to a file."""

    path: str
    content: str


class Parse(msgspec.Struct, frozen=True):
    """A file to read."""

    path: str
    parser: Literal["json", "yaml", "multiyaml"] | None = None


class Replacement(msgspec.Struct, frozen=True, rename="camel"):
    """What to replace in which files."""

    file: str | None = None
    find: str | None = None
    match_regex: bool = False
    replace_with: str | None = None
    include_dot_files: bool = False


class Replacements(msgspec.Struct, frozen=True):
    """In this order."""

    files: Sequence[Replacement]


class Zip(msgspec.Struct, frozen=True, rename="camel"):
    """What to pack, and where to."""

    path: str
    output_path: str


class Sleep(msgspec.Struct, frozen=True):
    """Seconds."""

    amount: float


def file_actions() -> list[Action[Any]]:
    """The actions of this family."""
    return [write_file, append_file, replace_in_files, parse_file, zip_files, sleep]


@util("fs:write")
async def write_file(ctx: ActionContext[Write]) -> Mapping[str, str]:
    """Make a file, or replace it. With `preserveFormatting`, JSON is laid out in lines."""
    content = ctx.input.content
    if ctx.input.preserve_formatting:
        content = _laid_out(content)
    await ctx.in_thread(lambda: ctx.files.write(ctx.input.path, as_bytes(content)))
    return {"path": str(ctx.inside(ctx.input.path))}


def _laid_out(content: str) -> str:
    try:
        return json_text.stringify(json_text.parse(content, "the content"), None, 2)
    except InputError:
        return content


@util("fs:append", idempotent=False)
async def append_file(ctx: ActionContext[Append]) -> Mapping[str, str]:
    """Add text to the end of a file, which is made if it is not there; its folder has to be."""
    path = ctx.input.path

    def append() -> None:
        refuse_missing_folder(ctx, path)
        ctx.files.append(path, as_bytes(ctx.input.content))

    await ctx.in_thread(append)
    return {"path": str(ctx.inside(path))}


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "text": lambda text, _path: text,
    "json": json_text.parse,
    "yaml": yaml_documents.parse_one,
    "multiyaml": yaml_documents.parse_all,
}


@util("fs:parse")
async def parse_file(ctx: ActionContext[Parse]) -> Mapping[str, Any]:
    """Read a file: as text, or as YAML (of one document, or of several) or JSON."""
    path = ctx.input.path
    parse = _PARSERS[ctx.input.parser or "text"]
    return {"content": await ctx.in_thread(lambda: parse(read_text(ctx.files, path), path))}


@util("fs:replace", idempotent=False)
async def replace_in_files(ctx: ActionContext[Replacements]) -> None:
    """Replace a text, or what matches a JavaScript regular expression, in all files that a pattern stands for."""
    until = monotonic() + MOST_SECONDS
    for one in ctx.input.files:
        if not one.file:
            raise InputError("Path to file needs to be defined")
        if not one.find or not one.replace_with:
            raise InputError("each file must have a find and replaceWith property")
        ctx.inside(one.file)
        replace = partial(_replace, ctx.files, one, one.find, one.replace_with)
        for path in await ctx.in_thread(partial(ctx.files.matching, one.file, hidden=one.include_dot_files)):
            if monotonic() > until:
                raise InputError(f"The replacements take longer than {MOST_SECONDS:g} seconds together")
            await ctx.in_thread(partial(replace, path))


def _replace(files: Files, one: Replacement, find: str, replacement: str, path: str) -> None:
    replaced = replace_all(read_text(files, path), find, replacement, is_pattern=one.match_regex)
    files.write(path, as_bytes(replaced))


@util("zip")
async def zip_files(ctx: ActionContext[Zip]) -> Mapping[str, str]:
    """Pack a file, or all that a folder holds, into a ZIP archive."""
    source, target = (
        str(ctx.inside(one).relative_to(ctx.workspace)) for one in (ctx.input.path, ctx.input.output_path)
    )

    def pack() -> None:
        found = ctx.files.find(source, follow=True)
        if found is None:
            raise InputError(f"File {ctx.input.path} does not exist. Can't zip it.")
        ctx.files.pour(target, zipped(ctx.files, found, target))

    await ctx.in_thread(pack)
    return {"outputPath": ctx.input.output_path}


@util("sleep")
async def sleep(ctx: ActionContext[Sleep]) -> None:
    """Do nothing for so many seconds."""
    amount = ctx.input.amount
    if amount > LONGEST_SLEEP:
        raise InputError(
            f"sleep amount can not be greater than maxSleep. amount: {amount:g}, maxSleep: {LONGEST_SLEEP:g}"
        )
    ctx.log.info(f"Waiting {json_text.stringify(amount)} seconds")
    await asyncio.sleep(max(amount, 0))
