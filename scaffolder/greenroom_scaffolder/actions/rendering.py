"""values -> a renderer for the files of a skeleton."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Templates(Protocol):
    """What makes renderers: the templating engine with all filters and globals, or a fake in tests."""

    def __call__(
        self, context: Mapping[str, Any], *, cookiecutter: bool, trim_blocks: bool, lstrip_blocks: bool
    ) -> Callable[[str], str]: ...
