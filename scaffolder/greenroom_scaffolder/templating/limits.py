"""What rendering may cost, and the error that says what went wrong and where."""

from __future__ import annotations

import time

import msgspec

from greenroom.errors import InputError
from greenroom_scaffolder.templating.diagnostics import harmless

__all__ = ["Budget", "Limits", "RenderError", "TemplateError"]

_SLICE = 256
"""Steps between two looks at the clock."""


class TemplateError(InputError):
    """The template cannot be rendered"""

    name = "TemplateRenderError"

    def __init__(
        self, problem: str, *, line: int | None = None, column: int | None = None, limit: bool = False
    ) -> None:
        """`line` and `column` are counted from one, in the text that was rendered; `limit` says that it cost too much."""
        where = f"Template error at line {line}, column {column}: " if line is not None and not limit else ""
        super().__init__(harmless(where + problem))
        self.problem, self.line, self.column, self.limit = problem, line, column, limit


class Limits(msgspec.Struct, frozen=True):
    """What one rendering may cost. All but `seconds` depend on the template and its values alone."""

    source: int = 4 * 1024 * 1024
    """Characters of a template."""
    nodes: int = 1_000_000
    """Tags, and tokens within them, of a template."""
    steps: int = 1_000_000
    """Evaluated nodes and visited items, each about one."""
    output: int = 16 * 1024 * 1024
    """Characters of the result, and of any text on the way to it."""
    items: int = 100_000
    """Of one list or object, as upstream."""
    depth: int = 100
    """Parentheses, blocks or macro calls within each other."""
    seconds: float = 10.0
    regex_seconds: float = 1.0
    """Spent in all regular expressions together."""


class RenderError(Exception):
    """Rendering cannot go on. `at` is an offset into the template, given by the innermost expression that knows its own."""

    def __init__(self, problem: str, at: int | None = None, *, limit: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.at, self.limit = problem, at, limit
        self.placed = False
        """Whether `at` is counted from the start of the template, and no more from that of an expression."""

    def place(self, base: int) -> RenderError:
        """Leaves the expression that starts at `base`."""
        if not self.placed:
            self.placed = True
            self.at = base + (self.at or 0)
        return self

    def located(self, at: int) -> RenderError:
        if self.at is None:
            self.at = at
        return self

    def within(self, what: str, at: int) -> RenderError:
        """The same failure, told as one of `what`."""
        return self if self.limit else RenderError(f"{what}: {self.problem}", at if self.at is None else self.at)


class Budget:
    """Counts down what a rendering has left."""

    __slots__ = ("_deadline", "_regex_seconds", "_slice", "depth", "limits", "room", "steps")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.room = limits.output
        self.depth = 0
        self._slice = min(_SLICE, limits.steps)
        self.steps = limits.steps - self._slice
        self._deadline = time.monotonic() + limits.seconds
        self._regex_seconds = limits.regex_seconds

    def spend(self, steps: int) -> None:
        self._slice -= steps
        if self._slice < 0:
            self._refill()

    def _refill(self) -> None:
        self.steps += self._slice
        if self.steps <= 0:
            raise RenderError(f"Template evaluation exceeded the work unit limit of {self.limits.steps}", limit=True)
        if time.monotonic() > self._deadline:
            raise RenderError(f"Template evaluation exceeded the limit of {self.limits.seconds:g} seconds", limit=True)
        self._slice = min(_SLICE, self.steps)
        self.steps -= self._slice

    def fits(self, length: int) -> None:
        """Raises where a text of so many characters is more than may come out."""
        if length > self.limits.output:
            raise RenderError(
                f"Template evaluation exceeded the output limit of {self.limits.output} characters", limit=True
            )

    def grown(self, length: int) -> None:
        """A step for one of very many parts of a text, which has become so long."""
        self.spend(1)
        self.fits(length)

    def holds(self, items: int) -> None:
        """Raises where a list or object of so many items is more than there may be."""
        if items > self.limits.items:
            raise RenderError(f"Template value containers cannot exceed {self.limits.items} entries")

    def emit(self, length: int) -> None:
        self.room -= length
        if self.room < 0:
            self.fits(self.limits.output - self.room)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise RenderError(
                f"Template evaluation exceeded the nesting depth limit of {self.limits.depth}", limit=True
            )

    def regex_time(self) -> float:
        """Seconds that a regular expression may still take."""
        left = min(self._regex_seconds, self._deadline - time.monotonic())
        if left <= 0:
            raise RenderError(
                f"Template evaluation exceeded the limit of {self.limits.regex_seconds:g} seconds in regular expressions",
                limit=True,
            )
        return left

    def regex_took(self, seconds: float) -> None:
        self._regex_seconds -= seconds
