"""A page of a form -> values that it takes, as far as some can be made up for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from greenroom_scaffolder.commands.fields import Field, page
from greenroom_scaffolder.commands.form import Block
from greenroom_scaffolder.schemas import validate
from greenroom_scaffolder.templates.generate import good_values
from greenroom_scaffolder.templates.template import as_object

_AROUND = "'\"`()<>[],;:."
"""What stands around an example in a sentence."""


def example(block: Block) -> tuple[dict[str, Any], list[str]]:
    """Values of a page, without its secrets, and what the page still has against them."""
    values = _whole(_hinted(block))
    if values is None:
        told = _hinted(block, told=True)
        values = _whole(told) or _piecemeal(told)
    return _open(values, page(block)), [problem.stack for problem in validate(values, block)]


def _whole(block: Block) -> dict[str, Any] | None:
    return next((made for made in good_values(block) if isinstance(made, dict)), None)


def _piecemeal(block: Block) -> dict[str, Any]:
    """The fields for which something can be made up, each for itself."""
    found = {}
    for name, schema in as_object(block.get("properties")).items():
        made = _whole({**block, "properties": {name: schema}, "required": [name]})
        if made and name in made:
            found[name] = made[name]
    return found


def _hinted(schema: Any, *, told: bool = False) -> Any:
    """The same schema with examples that fields do not name as such; also what is `told` in the words about a field. There
    any word might be one: only a pattern can tell."""
    if isinstance(schema, list):
        return [_hinted(one, told=told) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    inside = {key: _hinted(one, told=told) for key, one in schema.items()}
    shown = schema.get("examples")
    hints = [*(shown if isinstance(shown, list) else []), *_picked(schema)]
    if told and "pattern" in schema:
        hints += [
            word.strip(_AROUND) for key in ("description", "ui:help") for word in str(schema.get(key, "")).split()
        ]
    return {**inside, "examples": hints} if hints else inside


def _picked(schema: Block) -> Iterator[str]:
    """What a RepoUrlPicker would send, of the hosts and owners that it offers."""
    if schema.get("ui:field") != "RepoUrlPicker":
        return
    options = as_object(schema.get("ui:options"))
    parts = {
        name: _first(options.get(key))
        for name, key in (
            ("organization", "allowedOrganizations"),
            ("workspace", "allowedWorkspaces"),
            ("project", "allowedProjects"),
            ("owner", "allowedOwners"),
            ("repo", "allowedRepos"),
        )
    }
    given = {"owner": "acme", "repo": "service", **{name: part for name, part in parts.items() if part}}
    host = _first(options.get("allowedHosts")) or "github.com"
    yield f"{host}?{'&'.join(f'{name}={part}' for name, part in given.items())}"


def _first(offered: Any) -> str:
    return next((one for one in offered if isinstance(one, str)), "") if isinstance(offered, list) else ""


def _open(value: Any, field: Field) -> Any:
    """The value without what the form keeps secret: nobody may give that among the values."""
    if isinstance(value, dict):
        members = field.members()
        known = ((name, one, members.get(name)) for name, one in value.items())
        return {name: _open(one, of) if of else one for name, one, of in known if not (of and of.is_secret)}
    return [_open(item, field.items()) for item in value] if isinstance(value, list) else value
