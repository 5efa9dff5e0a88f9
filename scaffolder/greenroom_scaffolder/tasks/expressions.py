"""The expressions of a step + what is known -> values: so much and no more, and whether that may be done in passing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from time import monotonic
from typing import Any

from greenroom.errors import InputError
from greenroom_scaffolder.schemas.values import keys_of
from greenroom_scaffolder.templating import UNDEFINED, Engine
from greenroom_scaffolder.templating.values import as_json

MOST = 64 * 1024 * 1024
"""Characters of all that is rendered for one step, or for a task's output."""
SECONDS = 10.0
"""In which all of it has to be begun; each expression has its own limits besides. A thread that renders cannot be stopped."""
_FEW = 50
"""Items of an `each` that are gone through in passing."""
_LITTLE = 5_000
"""Values of an input, or of an answer, that are gone through in passing."""
_NOTHING = object()
_SHORT = 4_000
"""Characters of a template that is read in passing."""
_LEADS = re.compile(r"\$\{\{((?:[^}'\"$]|\$(?!\{\{)|'[^']*'|\"[^\"]*\")*)\}\}")
_PLAIN = re.compile(r"(?:[\w\s.\[\]=!<>|+~-]|'[^'\\]*'|\"[^\"\\]*\"|\b(?:always|failure)\(\))*", re.ASCII)
"""Paths, literals, comparisons, and filters without arguments: what takes no longer than it is long."""


class TooMuchError(InputError):
    """There is too much to render"""


class Renderer:
    """Renders for one step, or for the output of a task."""

    def __init__(self, engine: Engine, most: int = MOST, seconds: float = SECONDS) -> None:
        self._engine, self._most, self._left = engine, most, most
        self._seconds = seconds
        self._deadline: float | None = None
        """From the first that is rendered on: until then it may have waited for a thread."""

    def resolve(self, tree: Any, context: Mapping[str, Any]) -> Any:
        """As `Engine.resolve`. Raises TooMuchError."""
        if self._deadline is None:
            self._deadline = monotonic() + self._seconds
        try:
            return self._resolve(tree, context, self._deadline)
        except RecursionError:
            raise TooMuchError("What the step is given is nested too deeply") from None

    def _resolve(self, tree: Any, context: Mapping[str, Any], deadline: float) -> Any:
        if type(tree) is str:
            if monotonic() > deadline:
                raise TooMuchError(f"The expressions of the step take longer than {self._seconds:g} seconds together")
            value = self._engine.resolve(tree, context)
            if value is not tree:
                self._charge(value)
            return value
        if isinstance(tree, dict):
            self._spend(8 * len(tree))
            found = ((key, self._resolve(tree[key], context, deadline)) for key in keys_of(tree))
            return {key: value for key, value in found if value is not UNDEFINED}
        if isinstance(tree, list | tuple):
            self._spend(8 * len(tree))
            values = (self._resolve(each, context, deadline) for each in tree)
            return [None if value is UNDEFINED else value for value in values]
        return as_json(tree) if type(tree) is float else tree

    def _charge(self, value: Any) -> None:
        """Pays for all that is in a value, as often as it is there."""
        for each in _values(value):
            self._spend(len(each) if type(each) is str else 8)
            if type(each) is dict:
                self._spend(sum(map(len, each)))

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise TooMuchError(f"What the step is given would be larger than {self._most} characters")


def quick(step: Mapping[str, Any]) -> bool:
    """Whether the expressions of a step are rendered so fast that nobody notices: otherwise a thread does it."""
    each = step.get("each")
    if each is not None and not (isinstance(each, list) and len(each) <= _FEW):
        return False
    values = list(islice(_values([step.get("if"), each, step.get("input"), step.get("output")]), _LITTLE))
    return len(values) < _LITTLE and all(_quick(value) for value in values if type(value) is str)


def little(tree: Any) -> bool:
    """Whether there is so little in it that nobody notices when all of it is looked at."""
    return next(islice(_values(tree), _LITTLE, None), _NOTHING) is _NOTHING


@lru_cache(4096)
def _quick(template: str) -> bool:
    if "{" not in template and "#" not in template:
        return True
    if len(template) > _SHORT or "{%" in template or "{#" in template:
        return False
    found = _LEADS.findall(template)
    return template.count("${{") == len(found) and all(_PLAIN.fullmatch(each) for each in found)


def _values(tree: Any) -> Iterator[Any]:
    """All that is in it, and it itself: however deep, and if need be without end."""
    inside = [iter((tree,))]
    while inside:
        for value in inside[-1]:
            yield value
            if isinstance(value, dict | list):
                inside.append(iter(value.values() if isinstance(value, dict) else value))
                break
        else:
            inside.pop()
