"""offsets -> lines and columns, and the excerpt of the text that ends an error message of npm yaml's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from greenroom.javascript.texts import length, units, well_formed

WIDEST = 80


class Spot(NamedTuple):
    """A place in a text. Line and column count from 1."""

    line: int
    column: int


class Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str, starts: Sequence[int]) -> None:
        self._text = text
        self._starts = sorted(starts)

    def spot(self, offset: int) -> Spot:
        """With the column in UTF-16 units, as JavaScript counts."""
        line = bisect_right(self._starts, offset)
        return Spot(line, length(self._text[self._starts[line - 1] : offset]) + 1)

    def place(self, offset: int) -> Spot:
        """As `spot`, with the column in code points, as editors and terminals count."""
        line = bisect_right(self._starts, offset)
        return Spot(line, offset - self._starts[line - 1] + 1)

    def _line(self, number: int) -> str:
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self._text)
        return self._text[start:end]

    def described(self, message: str, start: int, end: int) -> str:
        """The message with its place, and the line it points at, cut to 80 characters around a caret."""
        spot = self.spot(start)
        message = f"{message} at line {spot.line}, column {spot.column}"
        shown, caret = units(self._line(spot.line)).rstrip("\n\r"), spot.column - 1
        if caret >= 60 and len(shown) > WIDEST:
            begin = min(caret - 39, len(shown) - 79)
            shown, caret = f"…{shown[begin:]}", caret - begin + 1
        if len(shown) > WIDEST:
            shown = f"{shown[:79]}…"
        if spot.line > 1 and not shown[:caret].strip(" "):
            before = units(self._line(spot.line - 1))
            shown = (f"{before[:79]}…\n" if len(before) > WIDEST else before) + shown
        if not shown.strip(" "):
            return message
        last = self.spot(end)
        width = min(last.column - spot.column, WIDEST - caret) if last.line == spot.line and end > start + 1 else 1
        return f"{message}:\n\n{well_formed(shown)}\n{' ' * caret}{'^' * max(1, width)}\n"
