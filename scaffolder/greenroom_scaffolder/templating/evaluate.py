"""JSON line -> JSON line: what `greenroom template eval` answers, for authors and for comparison with other engines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from greenroom.javascript.json_text import json_text
from greenroom_scaffolder.templating.engine import Engine
from greenroom_scaffolder.templating.limits import TemplateError
from greenroom_scaffolder.templating.values import UNDEFINED

__all__ = ["OPTIONS", "Evaluator"]

OPTIONS = {"cookiecutterCompat": "cookiecutter_compat", "trimBlocks": "trim_blocks", "lstripBlocks": "lstrip_blocks"}
"""What a line's `options` may hold: the options of `fetch:template` that concern the language."""


class Evaluator:
    """Answers `{"template", "context"?, "options"?}` with `{"render", "value"}` or `{"error"}`.

    `render` is the text, as in a file; `value` what a step's input would be, left out where that is undefined."""

    def __init__(
        self,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as the engine calls them
    ) -> None:
        self._filters, self._globals = filters, globals
        self._engines: dict[tuple[str, ...], Engine] = {}

    def line(self, line: str | bytes) -> str:
        """Answers a line for a line: one that is no question gets an `error` that says so."""
        try:
            return json_text(self.answer(json.loads(line)))
        except ValueError as error:
            return json_text({"error": f"Not JSON: {error}"})
        except RecursionError:
            return json_text({"error": "The line is nested too deep"})

    def answer(self, question: Any) -> dict[str, Any]:
        """As `line`, before it is written: not a number is so here, and null in JSON."""
        wrong = _what_is_wrong(question)
        if wrong:
            return {"error": wrong}
        engine = self._engine(question.get("options") or {})
        template, context = question["template"], question.get("context") or {}
        try:
            rendered = engine.text(template, context)
            value = engine.value(template, context)
        except TemplateError as error:
            return {"error": error.message}
        return {"render": rendered} if value is UNDEFINED else {"render": rendered, "value": value}

    def _engine(self, options: Mapping[str, bool]) -> Engine:
        chosen = tuple(sorted(name for name, value in options.items() if value))
        if chosen not in self._engines:
            settings = {OPTIONS[name]: name in chosen for name in OPTIONS}
            self._engines[chosen] = Engine(self._filters, self._globals, None, **settings)
        return self._engines[chosen]


def _what_is_wrong(question: Any) -> str:
    if not isinstance(question, dict) or not isinstance(question.get("template"), str):
        return 'Expected an object with a "template"'
    if not isinstance(question.get("context") or {}, dict):
        return '"context" must be an object'
    options = question.get("options") or {}
    if not isinstance(options, dict):
        return '"options" must be an object'
    unknown = sorted(set(options) - set(OPTIONS))
    return f"Unknown options: {', '.join(unknown)}; there are {', '.join(OPTIONS)}" if unknown else ""
