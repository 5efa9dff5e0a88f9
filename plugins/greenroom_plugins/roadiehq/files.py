"""roadiehq:utils:fs:write, append, replace, parse; zip; sleep."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.plugin import Action, ActionContext
from greenroom.urls.globs import compile_globs
from greenroom_plugins.roadiehq import json_text, yaml_documents
from greenroom_plugins.roadiehq.interface import util
from greenroom_plugins.roadiehq.patterns import replace_all
from greenroom_plugins.roadiehq.places import read_bytes, read_text, write

LONGEST_SLEEP = 24 * 3600.0
"""Seconds."""
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""What a ZIP archive can say at the least: two archives of the same files are the same."""


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
    parser: str | None = None


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
    path = ctx.inside(ctx.input.path)
    await asyncio.to_thread(write, path, content.encode(errors="replace"), folders=True)
    return {"path": str(path)}


def _laid_out(content: str) -> str:
    try:
        return json_text.stringify(json_text.parse(content, "the content"), None, 2)
    except InputError:
        return content


@util("fs:append", idempotent=False)
async def append_file(ctx: ActionContext[Append]) -> Mapping[str, str]:
    """Add text to the end of a file, which is made if it is not there; its folder has to be."""
    path = ctx.inside(ctx.input.path)
    await asyncio.to_thread(write, path, ctx.input.content.encode(errors="replace"), append=True)
    return {"path": str(path)}


@util("fs:parse")
async def parse_file(ctx: ActionContext[Parse]) -> Mapping[str, Any]:
    """Read a file: as text, or as YAML (of one document, or of several) or JSON."""
    path, parser = ctx.input.path, ctx.input.parser
    text = await asyncio.to_thread(read_text, ctx, path)
    if parser == "json":
        return {"content": json_text.parse(text, path)}
    if parser == "yaml":
        return {"content": await asyncio.to_thread(yaml_documents.parse_one, text, path)}
    if parser == "multiyaml":
        return {"content": await asyncio.to_thread(yaml_documents.parse_all, text, path)}
    return {"content": text}


@util("fs:replace", idempotent=False)
async def replace_in_files(ctx: ActionContext[Replacements]) -> None:
    """Replace a text, or what matches a JavaScript regular expression, in all files that a pattern stands for."""
    for one in ctx.input.files:
        if not one.file:
            raise InputError("Path to file needs to be defined")
        if not one.find or not one.replace_with:
            raise InputError("each file must have a find and replaceWith property")
        below = str(ctx.inside(one.file).relative_to(ctx.workspace))
        await asyncio.to_thread(_replace, ctx, one, below, one.find, one.replace_with)


def _replace(ctx: ActionContext[Any], one: Replacement, below: str, find: str, replacement: str) -> None:
    for path in _matching(ctx.workspace, below, hidden=one.include_dot_files):
        content = read_text(ctx, path)
        replaced = replace_all(content, find, replacement, is_pattern=one.match_regex)
        write(ctx.inside(path), replaced.encode(errors="replace"))


def _matching(root: Path, pattern: str, *, hidden: bool) -> Iterator[str]:
    """The plain files below a folder that a pattern stands for, by name; those with hidden names only if wanted, or named."""
    fits = compile_globs([_shown(pattern) if hidden else pattern])
    for path in sorted(_files(root)):
        name = path.relative_to(root).as_posix()
        if fits((_shown(name) if hidden else name).encode()):
            yield name


def _shown(path: str) -> str:
    """With hidden names no longer hidden, in patterns and in paths alike."""
    return "/".join(f"\u00b7{part[1:]}" if part.startswith(".") else part for part in path.split("/"))


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


@util("zip")
async def zip_files(ctx: ActionContext[Zip]) -> Mapping[str, str]:
    """Pack a file, or all that a folder holds, into a ZIP archive."""
    source, target = ctx.inside(ctx.input.path), ctx.inside(ctx.input.output_path)
    if not await asyncio.to_thread(source.exists):
        raise InputError(f"File {ctx.input.path} does not exist. Can't zip it.")
    packed = await asyncio.to_thread(_packed, source, target)
    await asyncio.to_thread(write, target, packed, folders=True)
    return {"outputPath": ctx.input.output_path}


def _packed(source: Path, target: Path) -> bytes:
    """Links and the archive itself are left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if source.is_file():
            _pack(archive, source.name, source)
        else:
            for path in sorted(source.rglob("*")):
                if path.is_dir() and not path.is_symlink():
                    archive.writestr(_member(f"{path.relative_to(source).as_posix()}/", 0o40755), b"")
                elif path != target and stat.S_ISREG(path.lstat().st_mode):
                    _pack(archive, path.relative_to(source).as_posix(), path)
    return buffer.getvalue()


def _pack(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    archive.writestr(_member(name, path.stat().st_mode), read_bytes(path), zipfile.ZIP_DEFLATED)


def _member(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _OLDEST)
    member.external_attr = (mode & 0xFFFF) << 16
    return member


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
