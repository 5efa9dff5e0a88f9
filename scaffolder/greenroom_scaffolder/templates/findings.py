"""What lint says, and what it needs to know of the backend that the template is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from greenroom_scaffolder.templates.located import Place
from greenroom_scaffolder.templating.suggestions import Suggestions

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing about a template's file."""

    file: str
    line: int
    """From 1; 0 where the template came without a file."""
    column: int
    severity: Severity
    """An error fails when the template is used, or makes of it something else than is written there; a warning may."""
    rule: str
    """A stable slug, such as `unknown-action`."""
    message: str
    hint: str | None = None
    path: tuple[str | int, ...] = ()
    """Keys and indices into the document."""

    def __str__(self) -> str:
        """`template.yaml:12:9: error: … (hint) [rule]`."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint} [{self.rule}]"


class ActionShape(Protocol):
    """What lint asks of an action: `greenroom.plugin.Action` is one."""

    @property
    def input_schema(self) -> Mapping[str, Any] | None: ...

    @property
    def output_schema(self) -> Mapping[str, Any] | None: ...


class Backend(msgspec.Struct, frozen=True):
    """What templates can use: actions by id, and the names of filters and globals beyond those of the language."""

    actions: Mapping[str, ActionShape]
    filters: Collection[str] = ()
    globals: Collection[str] = ()


class Findings:
    """Collects what is found in one document; `nearest` is what a misspelled name was probably meant to be."""

    def __init__(self, file: str, suggestions: Suggestions) -> None:
        self.file, self.nearest = file, suggestions.nearest
        self.found: list[Finding] = []

    def error(
        self, rule: str, place: Place, message: str, hint: str | None = None, path: Iterable[str | int] = ()
    ) -> None:
        self._add("error", rule, place, message, hint, path)

    def warning(
        self, rule: str, place: Place, message: str, hint: str | None = None, path: Iterable[str | int] = ()
    ) -> None:
        self._add("warning", rule, place, message, hint, path)

    def _add(
        self, severity: Severity, rule: str, place: Place, message: str, hint: str | None, path: Iterable[str | int]
    ) -> None:
        self.found.append(Finding(self.file, place.line, place.column, severity, rule, message, hint, tuple(path)))

    def in_order(self) -> list[Finding]:
        """By place; the same thing said twice of one place is said once."""
        return sorted(dict.fromkeys(self.found), key=lambda finding: (finding.line, finding.column))
