"""family -> what clients see of its actions: schemas, word for word as upstream tells them, and examples; kept beside the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from greenroom.plugin import Action, ActionContext, Example, action

I = TypeVar("I")  # noqa: E741 - of an action: its input

_FOLDER = Path(__file__).parent / "interfaces"


class Shape(msgspec.Struct, frozen=True):
    """JSON Schemas (draft 7) of one action."""

    input: Mapping[str, Any]
    output: Mapping[str, Any] | None = None


class Interfaces:
    """The actions of one family, as they are described to clients."""

    def __init__(self, family: str) -> None:
        """`family` names two files in `interfaces/`: JSON of the schemas (`{"<action id>": {"input", "output"?}}`), and YAML
        of the examples (`{"<action id>": [{"description", "example"}]}`)."""
        self._shapes = msgspec.json.decode((_FOLDER / f"{family}.json").read_bytes(), type=dict[str, Shape])
        shown = yaml.safe_load((_FOLDER / f"{family}.examples.yaml").read_text("utf-8"))
        self._examples = msgspec.convert(shown, dict[str, list[Example]])

    def action(
        self,
        id: str,  # noqa: A002 - as in `greenroom.plugin.action`
        *,
        dry_run: bool = False,
        idempotent: bool = False,
    ) -> Callable[[Callable[[ActionContext[I]], Any]], Action[I]]:
        """The decorator `greenroom.plugin.action`, with the schemas and examples of that id."""
        shape = self._shapes[id]
        return action(
            id,
            dry_run=dry_run,
            idempotent=idempotent,
            examples=self._examples[id],
            input_schema=shape.input,
            output_schema=shape.output,
        )
