"""A template, and values and secrets that somebody wishes it to be run with -> what is wrong before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from greenroom_scaffolder.schemas import Problem
from greenroom_scaffolder.templates.options import check_options
from greenroom_scaffolder.templates.parameters import check_secrets, check_values
from greenroom_scaffolder.templates.template import Template


def examine(template: Template, values: Any, secrets: Mapping[str, str]) -> Sequence[Problem]:
    """What is wrong with values, else with secrets.

    Raises InputError for options of steps that cannot be meant, SchemaError for a form that is none, TooMuchError."""
    problems = check_values(template, values) or check_secrets(template, secrets)
    if not problems:
        check_options(template.steps)
    return problems
