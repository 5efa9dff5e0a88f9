"""A template's form: what it asks for, and what is wrong with the values and secrets that were filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.javascript.values import text_of
from greenroom_scaffolder.schemas import Problem, validate
from greenroom_scaffolder.templates.template import Template

UNTITLED = "Please enter the following information"


def parameter_schema(template: Template) -> dict[str, Any]:
    """The form as frontends draw it: `{title, presentation?, description?, ui:options?, steps, formDecorators?}`.

    Each step is a block of parameters: `{title, description?, schema}`, where the schema is the block as it is (spec 03 §2.1)."""
    metadata, spec = template.metadata, template.spec
    title = metadata.get("title")
    decorators = spec.get("formDecorators")
    if decorators is None:
        decorators = spec.get("EXPERIMENTAL_formDecorators", msgspec.UNSET)
    form = {
        "title": metadata.get("name") if title is None else title,
        "presentation": spec.get("presentation") or msgspec.UNSET,
        "description": metadata.get("description", msgspec.UNSET),
        "ui:options": metadata.get("ui:options", msgspec.UNSET),
        "steps": [_page(block) for block in template.blocks],
        "formDecorators": decorators,
    }
    return {key: member for key, member in form.items() if member is not msgspec.UNSET}


def _page(block: Mapping[str, Any]) -> dict[str, Any]:
    title = block.get("title")
    page = {"title": UNTITLED if title is None else title}
    if "description" in block:
        page["description"] = block["description"]
    return {**page, "schema": block}


def check_values(template: Template, values: Any) -> list[Problem]:
    """What is wrong with the values by the first block that has any objection. Defaults are not filled in (spec 03 §2.2).

    Raises SchemaError for a block that is no JSON Schema, TooMuchError for one that takes too long."""
    for block in template.blocks:
        problems = validate(values, block)
        if problems:
            return problems
    return []


def check_secrets(template: Template, secrets: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the secrets, told without quoting any. Raises as `check_values`."""
    schema = template.secrets_schema
    return [_about_secrets(problem) for problem in validate(dict(secrets), schema)] if schema else []


def _about_secrets(problem: Problem) -> Problem:
    place = problem.property.replace("instance", "secrets", 1)
    named = "undefined" if problem.argument is msgspec.UNSET else text_of(problem.argument)
    missing = problem.name == "required"
    return msgspec.structs.replace(
        problem,
        property=place,
        message=f"secrets.{named} is required" if missing else f"{place} {problem.message}",
        instance={},
        argument=_without_instances(problem.argument),
    )


def _without_instances(argument: Any) -> Any:
    """What `allOf` argues with quotes the value; upstream tells it, and we do not."""
    if isinstance(argument, Mapping):
        return {key: {} if key == "instance" else _without_instances(member) for key, member in argument.items()}
    if isinstance(argument, list):
        return [_without_instances(member) for member in argument]
    if isinstance(argument, Problem):
        return msgspec.structs.replace(argument, instance={}, argument=_without_instances(argument.argument))
    return argument
