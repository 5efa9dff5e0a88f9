"""values -> a renderer for the files of a skeleton."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from greenroom_scaffolder.templating.engine import Engine
from greenroom_scaffolder.templating.limits import Limits


class Templates(Protocol):
    """What makes renderers: the templating engine with all filters and globals, or a fake in tests."""

    def __call__(
        self, context: Mapping[str, Any], *, cookiecutter: bool, trim_blocks: bool, lstrip_blocks: bool
    ) -> Callable[[str], str]: ...


class Engines:
    """`Templates` of the house: one engine for each way to read files."""

    def __init__(
        self,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        values: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`filters` and `values` (globals) as `Engine` takes them."""
        self._filters, self._values, self._limits = filters, values, limits
        self._engines: dict[tuple[bool, bool, bool], Engine] = {}

    def __call__(
        self, context: Mapping[str, Any], *, cookiecutter: bool, trim_blocks: bool, lstrip_blocks: bool
    ) -> Callable[[str], str]:
        engine = self._engine(cookiecutter, trim_blocks, lstrip_blocks)
        return lambda template: engine.text(template, context)

    def _engine(self, cookiecutter: bool, trim_blocks: bool, lstrip_blocks: bool) -> Engine:
        way = (cookiecutter, trim_blocks, lstrip_blocks)
        if way not in self._engines:
            self._engines[way] = Engine(
                self._filters,
                self._values,
                self._limits,
                cookiecutter_compat=cookiecutter,
                trim_blocks=trim_blocks,
                lstrip_blocks=lstrip_blocks,
            )
        return self._engines[way]
