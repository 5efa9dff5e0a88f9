"""One rendering: what its names stand for, what it has written, and what it may still cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from greenroom_scaffolder.templating.limits import Budget, Limits
from greenroom_scaffolder.templating.values import private

__all__ = ["MISSING", "Evaluate", "Execute", "Run", "Scope"]

MISSING: Final = object()
"""That no such name is there, while one may be there whose value is undefined."""


class Scope(msgspec.Struct, eq=False):
    """Names that were given values while rendering, by `set`, loops and macros."""

    parent: Scope | None
    isolated: bool = False
    values: dict[str, Any] = msgspec.field(default_factory=dict)

    def get(self, name: str) -> Any:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        return MISSING

    def assign(self, name: str, value: Any) -> None:
        """Where the name has a value already, up to the next isolated scope; else here."""
        scope: Scope = self
        while not scope.isolated and name not in scope.values and scope.parent is not None:
            scope = scope.parent
        target = scope if name in scope.values else self
        target.values[name] = value


class Run(Budget):
    """One rendering of one template."""

    __slots__ = ("context", "exported", "frame", "globals", "out", "scope")

    def __init__(self, context: Mapping[str, Any], limits: Limits) -> None:
        """Of an expression; `begin` makes it one of statements."""
        super().__init__(limits)
        self.context = context
        self.globals: dict[str, Any] = {}

    def begin(self) -> Run:
        """The same, with a place for what statements write, and for the names to which they give values."""
        self.exported = Scope(None, isolated=True)
        """What macros see of the names around them."""
        self.scope = Scope(self.exported, isolated=True)
        self.frame: dict[int, Any] = {}
        """Values of names that were bound to a slot when the template was read; -1 leads to the frame around it."""
        self.out: list[str] = []
        return self

    def lookup(self, name: str) -> Any:
        value = self.scope.get(name)
        return self.context.get(name, MISSING) if value is MISSING else value

    def own_global(self, name: str, value: Any) -> Any:
        """This rendering's own copy of a global list or object, which it may change."""
        if name not in self.globals:
            self.globals[name] = private(value, self)
        return self.globals[name]

    def captured(self, body: Execute, scope: Scope, frame: dict[int, Any]) -> str:
        """What some statements write, aside from the result."""
        before = self.out, self.scope, self.frame
        self.out, self.scope, self.frame = [], scope, frame
        body(self)
        written = "".join(self.out)
        self.out, self.scope, self.frame = before
        return written


Evaluate = Callable[[Run], Any]
Execute = Callable[[Run], None]
