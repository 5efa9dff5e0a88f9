"""id of an action -> what clients see of it: the schemas that RoadieHQ's module declares, kept as JSON beside the code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from greenroom.plugin import Action, ActionContext, action

I = TypeVar("I")  # noqa: E741 - of an action: its input

PREFIX = "roadiehq:utils:"
_SCHEMAS = msgspec.json.decode((Path(__file__).parent / "interface.json").read_bytes(), type=dict[str, dict[str, Any]])


def util(name: str, *, idempotent: bool = True) -> Callable[[Callable[[ActionContext[I]], Any]], Action[I]]:
    """The decorator `greenroom.plugin.action` for `roadiehq:utils:<name>`. All of them run in a dry run."""
    schema = _SCHEMAS[PREFIX + name]
    return action(
        PREFIX + name,
        dry_run=True,
        idempotent=idempotent,
        input_schema=schema["input"],
        output_schema=schema.get("output"),
    )
