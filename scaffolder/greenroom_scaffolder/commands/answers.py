"""What someone gave on the command line -> the values that a form would send."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

Block = Mapping[str, Any]
"""A page of the form: JSON Schema of an object."""

Ask = Callable[[str, Block], Any]
"""Asks for one value: called with its name and schema."""


def given(assignments: Iterable[str], blocks: Iterable[Block]) -> dict[str, Any]:
    """`name=value` pairs. A value is YAML, but text where the form wants text. Raises click.BadParameter."""
    fields = {name: schema for block in blocks for name, schema in (block.get("properties") or {}).items()}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise click.BadParameter(f"{assignment!r} is not name=value", param_hint="-v")
        values[name] = text if fields.get(name, {}).get("type") == "string" else _yaml(text, f"-v {name}")
    return values


def from_file(path: Path) -> dict[str, Any]:
    """The object that a YAML or JSON file holds. Raises click.BadParameter."""
    found = _yaml(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} holds no object", param_hint="--values")
    return found


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.BadParameter(f"no YAML: {error}", param_hint=where) from error


def with_defaults(values: Mapping[str, Any], block: Block) -> dict[str, Any]:
    """What the stock form fills in before anybody types: defaults, also inside objects."""
    filled = dict(values)
    for name, schema in (block.get("properties") or {}).items():
        if not isinstance(schema, Mapping):
            continue
        if name not in filled and "default" in schema:
            filled[name] = schema["default"]
        elif "properties" in schema and isinstance(filled.get(name, {}), Mapping):
            inner = with_defaults(filled.get(name, {}), schema)
            if inner:
                filled[name] = inner
    return filled


def completed(values: Mapping[str, Any], blocks: Iterable[Block], ask: Ask | None) -> dict[str, Any]:
    """The values with the defaults of the form, and with what is required and missing, if there is somebody to ask.

    Raises click.UsageError that names what is missing, if there is not."""
    filled, missing = dict(values), []
    for block in blocks:
        filled = with_defaults(filled, block)
        for name in block.get("required") or ():
            if name in filled:
                continue
            if ask is None:
                missing.append(name)
            else:
                filled[name] = ask(name, (block.get("properties") or {}).get(name) or {})
    if missing:
        raise click.UsageError(f"missing: {', '.join(missing)} (give them by -v {missing[0]}=… or --values FILE)")
    return filled


def secrets(names: Iterable[str]) -> dict[str, str]:
    """`NAME` (from the environment) or `NAME=@FILE`. Never from the command line itself, which others can read."""
    found = {}
    for given_ in names:
        name, sign, source = given_.partition("=")
        if sign and not source.startswith("@"):
            raise click.BadParameter(
                "give the name of an environment variable, or NAME=@FILE: others can read a command line",
                param_hint="--secret",
            )
        if not sign and name not in os.environ:
            raise click.BadParameter(f"{name} is not set in the environment", param_hint="--secret")
        found[name] = Path(source[1:]).read_text(encoding="utf-8").rstrip("\n") if sign else os.environ[name]
    return found
