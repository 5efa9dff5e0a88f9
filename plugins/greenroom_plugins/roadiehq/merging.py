"""roadiehq:utils:json:merge, merge: new members for a JSON or YAML file. roadiehq:utils:serialize:*: a value as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from posixpath import splitext
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.objects import is_index
from greenroom.plugin import Action, ActionContext
from greenroom_plugins.roadiehq import json_text, yaml_documents
from greenroom_plugins.roadiehq.interface import util
from greenroom_plugins.roadiehq.places import FileError, as_bytes, read_text, refuse_missing_folder
from greenroom_plugins.roadiehq.yaml_options import yaml_text

_SEVERAL = (
    "Multiple documents found in the input content. "
    "Please provide a key and value to use to find the document to merge into."
)
_NONE = "No documents found in the input content. Please provide a valid YAML file."
_NO_COMMENTS = "Comments of YAML files are not kept: the file is written anew from its values."


MOST_HOLES = 1000
"""By how many items a list may grow to reach one that is to be added by its number."""


class Field(msgspec.Struct, frozen=True):
    """By which one of several documents is found."""

    key: str
    value: str


class JsonMerge(msgspec.Struct, frozen=True, rename="camel"):
    """What to add to which JSON file."""

    path: str
    content: str | dict[str, Any]
    merge_arrays: bool = False
    match_file_indent: bool = False


class Merge(msgspec.Struct, frozen=True, rename="camel"):
    """What to add to which file."""

    path: str
    content: str | dict[str, Any]
    merge_arrays: bool = False
    preserve_yaml_comments: bool = False
    use_document_including_field: Field | None = None
    options: Mapping[str, Any] | None = None


class Serialize(msgspec.Struct, frozen=True):
    """A value to write as text."""

    data: Mapping[str, Any]
    replacer: Sequence[str] | None = None
    space: str = ""
    options: Mapping[str, Any] | None = None


def merging_actions() -> list[Action[Any]]:
    """The actions of this family."""
    return [merge_json, merge_file, serialize_json, serialize_yaml]


@util("serialize:json")
async def serialize_json(ctx: ActionContext[Serialize]) -> Mapping[str, str]:
    """Write a value as JSON."""
    wanted = ctx.input
    write = partial(json_text.stringify, wanted.data, wanted.replacer or None, wanted.space)
    return {"serialized": await ctx.in_thread(write)}


@util("serialize:yaml")
async def serialize_yaml(ctx: ActionContext[Serialize]) -> Mapping[str, str]:
    """Write a value as YAML."""
    return {"serialized": await ctx.in_thread(partial(yaml_text, ctx.input.data, ctx.input.options))}


@util("json:merge", idempotent=False)
async def merge_json(ctx: ActionContext[JsonMerge]) -> Mapping[str, str]:
    """Add members to a JSON file, which is made if it is not there."""
    await ctx.in_thread(partial(_merge_json, ctx))
    return {"path": str(ctx.inside(ctx.input.path))}


def _merge_json(ctx: ActionContext[JsonMerge]) -> None:
    wanted = ctx.input
    text = "{}"
    if ctx.files.find(wanted.path, follow=True) is not None:
        text = read_text(ctx.files, wanted.path)
    else:
        ctx.log.info(f"The file {ctx.inside(wanted.path)} does not exist, creating it.")
    new = json_text.parse(wanted.content, "the content") if isinstance(wanted.content, str) else wanted.content
    step = (_indent(text) if wanted.match_file_indent else 0) or 2
    if wanted.match_file_indent and not _indent(text):
        ctx.log.info("Failed to detect source file indentation, using default value of 2.")
    merged = merge(json_text.parse(text, wanted.path), new, arrays=wanted.merge_arrays)
    refuse_missing_folder(ctx, wanted.path)
    ctx.files.write(wanted.path, as_bytes(json_text.stringify(merged, None, step)))


@util("merge", idempotent=False)
async def merge_file(ctx: ActionContext[Merge]) -> Mapping[str, str]:
    """Add members to a JSON or YAML file. Comments of YAML files are not kept."""
    return {"path": str(ctx.inside(ctx.input.path))} if await ctx.in_thread(partial(_merge_file, ctx)) else {}


def _merge_file(ctx: ActionContext[Merge]) -> bool:
    """Whether it is a file that can be merged into."""
    path = ctx.input.path
    if ctx.files.find(path, follow=True) is None:
        raise _failed(ctx, f"The file {ctx.inside(path)} does not exist.")
    merged = _merged(ctx, splitext(ctx.inside(path))[1], read_text(ctx.files, path))
    if merged:
        ctx.files.write(path, as_bytes(merged))
    return bool(merged)


def merge(old: Any, new: Any, *, arrays: bool) -> Any:
    """lodash's mergeWith, as upstream uses it: objects grow together; a list is replaced, or with `arrays` gets what it has not.

    The two themselves are gone through member by member, also where they are lists; what has no members adds none, and gets none.
    Raises InputError for what is nested too deeply."""
    try:
        return _whole(old, _members(new), arrays=arrays)
    except RecursionError:
        raise InputError("What is merged is nested too deeply") from None


def _members(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {str(at): one for at, one in enumerate(value)} if isinstance(value, list | str) else {}


def _whole(old: Any, members: Mapping[str, Any], *, arrays: bool) -> Any:
    if isinstance(old, list):
        kept = [at for at in members if is_index(at) and int(at) < len(old) + MOST_HOLES]
        grown = old + [None] * (max((int(at) + 1 for at in kept), default=0) - len(old))
        places = {int(at): _merge(grown[int(at)], members[at], arrays=arrays) for at in kept}
        return [places.get(at, one) for at, one in enumerate(grown)]
    return _merge({} if old is None else old, members, arrays=arrays) if old is None or isinstance(old, dict) else old


def _merge(old: Any, new: Any, *, arrays: bool) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old[key], one, arrays=arrays) if key in old else one for key, one in new.items()}}
    if isinstance(old, list) and arrays:
        return _without_twins([*old, *(new if isinstance(new, list) else [new])])
    return new


def _without_twins(items: list[Any]) -> list[Any]:
    """As a JavaScript Set has them: objects and lists are never the same."""
    seen: set[tuple[type, Any]] = set()
    kept = []
    for one in items:
        mark = (float if isinstance(one, int) and not isinstance(one, bool) else type(one), one)
        if isinstance(one, dict | list) or mark not in seen:
            kept.append(one)
        if not isinstance(one, dict | list):
            seen.add(mark)
    return kept


def _merged(ctx: ActionContext[Merge], suffix: str, text: str) -> str | None:
    """The new text of a file; None for one that is neither JSON nor YAML."""
    wanted = ctx.input
    if suffix == ".json":
        new = json_text.parse(wanted.content, "the content") if isinstance(wanted.content, str) else wanted.content
        old = yaml_documents.parse_one(text, wanted.path)
        return json_text.stringify(merge(old, new, arrays=wanted.merge_arrays), None, 2)
    if suffix not in (".yml", ".yaml"):
        return None
    if wanted.preserve_yaml_comments and "#" in text:
        ctx.log.warn(_NO_COMMENTS)
    new = yaml_documents.parse_one(wanted.content, "the content") if isinstance(wanted.content, str) else wanted.content
    documents = [_with(ctx, one, new) for one in _chosen(ctx, yaml_documents.parse_all(text, wanted.path))]
    return "---\n".join(yaml_text(one, wanted.options) for one in documents)


def _chosen(ctx: ActionContext[Merge], documents: list[Any]) -> list[tuple[Any, bool]]:
    """Each document, and whether it is the one to merge into. Raises FileError."""
    field = ctx.input.use_document_including_field
    if not documents:
        raise _failed(ctx, _NONE)
    if len(documents) == 1:
        return [(documents[0], True)]
    if field is None:
        raise _failed(ctx, _SEVERAL)
    chosen = []
    for one in documents:
        value = one.get(field.key) if isinstance(one, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = json_text.stringify(value)
        if not isinstance(value, str):
            problem = f'The value at "{field.key}" defined in useDocumentIncludingField must be a string or a number.'
            raise _failed(ctx, problem)
        chosen.append((one, value == field.value))
    return chosen


def _with(ctx: ActionContext[Merge], document: tuple[Any, bool], new: Any) -> Any:
    old, chosen = document
    return merge(old, new, arrays=ctx.input.merge_arrays) if chosen else old


def _failed(ctx: ActionContext[Any], problem: str) -> FileError:
    """The error to raise; upstream logs it, too."""
    ctx.log.error(problem)
    return FileError(problem)


def _indent(text: str) -> int:
    """By how many blanks (or tabs) the lines of a file are indented for the most part, as npm's `detect-indent` has it; 0: it
    cannot be told. A single blank counts where there is nothing else."""
    return _step(text, single=False) or _step(text, single=True)


def _step(text: str, *, single: bool) -> int:
    """The step by which depth changes most often; of those alike, the one whose depth is kept most often."""
    steps: dict[tuple[str, int], tuple[int, int]] = {}
    sign, before, step = "", 0, ("", 0)
    for line in filter(None, text.split("\n")):
        depth = len(line) - len(line.lstrip(line[0])) if line[0] in " \t" else 0
        if line[0] == " " and depth == 1 and not single:
            continue
        if not depth or line[0] != sign:
            sign, before = line[0], 0
        if depth:
            if depth != before:
                step = sign, abs(depth - before)
            times, kept = steps.get(step, (0, 0))
            steps[step] = times + 1, kept + (depth == before)
        before = depth
    return max(steps, key=lambda one: steps[one])[1] if steps else 0
