"""What commands call a page of a form, and what a form sends. Imports little: it comes with each listing of the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Block = Mapping[str, Any]
"""A page of the form: JSON Schema of an object."""

Ask = Callable[[str, Block], Any]
"""Asks for one value: called with its name and schema."""


class Answers(NamedTuple):
    """What a form sends."""

    values: dict[str, Any]
    secrets: dict[str, str]


def is_secret(schema: Block) -> bool:
    """Whether a field is typed unseen, and kept out of the task's parameters."""
    return schema.get("ui:field") == "Secret"
