"""roadiehq:utils:jsonata and its relatives: JSONata expressions over data or files, each in a process that is held to limits."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.texts import well_formed
from greenroom.javascript.values import storable
from greenroom.plugin import Action, ActionContext
from greenroom_plugins.roadiehq import json_text, yaml_documents
from greenroom_plugins.roadiehq.evaluating import MEMORY, Job, Outcome
from greenroom_plugins.roadiehq.interface import util
from greenroom_plugins.roadiehq.places import read_text
from greenroom_plugins.roadiehq.yaml_options import yaml_text

SECONDS = 10
"""Of processor time for one expression."""


class Transform(msgspec.Struct, frozen=True):
    """Data, and what to make of it."""

    expression: str
    data: Any = None


class JsonTransform(msgspec.Struct, frozen=True, rename={"wanted": "as"}):
    """A JSON file, and what to make of it."""

    path: str
    expression: str
    replacer: Sequence[str] | None = None
    space: str = ""
    wanted: str = "string"


class YamlTransform(msgspec.Struct, frozen=True, rename={"wanted": "as", "load_all": "loadAll"}):
    """A YAML file, and what to make of it."""

    path: str
    expression: str
    options: Mapping[str, Any] | None = None
    load_all: bool = False
    wanted: str = "string"


class ExpressionError(InputError):
    """The expression cannot be evaluated"""

    name = "Error"


def expression_actions() -> list[Action[Any]]:
    """The actions of this family."""
    return [transform, transform_json, transform_yaml]


@util("jsonata")
async def transform(ctx: ActionContext[Transform]) -> Mapping[str, Any]:
    """Evaluate a JSONata expression over data."""
    try:
        return await _result(ctx, ctx.input.expression, ctx.input.data)
    except ExpressionError as error:
        raise ExpressionError(f"JSONata failed to evaluate the expression: {error.message}") from error


@util("jsonata:json:transform")
async def transform_json(ctx: ActionContext[JsonTransform]) -> Mapping[str, Any]:
    """Evaluate a JSONata expression over a JSON file of the workspace."""
    wanted = ctx.input
    data = await ctx.in_thread(lambda: json_text.parse(read_text(ctx.files, wanted.path), wanted.path))
    found = await _result(ctx, wanted.expression, data)
    if wanted.wanted == "object" or "result" not in found:
        return found
    return {"result": json_text.stringify(found["result"], wanted.replacer, wanted.space)}


@util("jsonata:yaml:transform")
async def transform_yaml(ctx: ActionContext[YamlTransform]) -> Mapping[str, Any]:
    """Evaluate a JSONata expression over a YAML file of the workspace, or over the list of its documents."""
    wanted = ctx.input
    parse = yaml_documents.parse_all if wanted.load_all else yaml_documents.parse_one
    data = await ctx.in_thread(lambda: parse(read_text(ctx.files, wanted.path), wanted.path))
    found = await _result(ctx, wanted.expression, data)
    if wanted.wanted == "object" or "result" not in found:
        return found
    return {"result": yaml_text(found["result"], wanted.options)}


async def _result(ctx: ActionContext[Any], expression: str, data: Any) -> Mapping[str, Any]:
    """`{"result": …}`, empty where the expression comes to nothing. Raises ExpressionError."""
    beside = ctx.workspace  # what a killed process leaves is swept away with the workspace, by its name
    with tempfile.TemporaryDirectory(prefix=f"{beside.name}.jsonata-", dir=beside.parent) as made:
        job = Job(well_formed(expression), storable(data), f"{made}/outcome.json", SECONDS)
        status = await ctx.run(sys.executable, "-I", "-m", Job.__module__, stdin=msgspec.json.encode(job))
        try:
            written = await ctx.in_thread(Path(job.outcome).read_bytes)
        except FileNotFoundError:
            raise ExpressionError(
                f"It took more than {SECONDS} seconds, or more than {MEMORY // 1024**2} MB (the process ended with {status})"
            ) from None
    outcome = msgspec.json.decode(written, type=Outcome)
    if outcome.error is not None:
        raise ExpressionError(outcome.error)
    return {} if outcome.result is msgspec.UNSET else {"result": outcome.result}
