"""A misspelled name -> the known one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenroom_scaffolder.templating.diagnostics import quote_diagnostic

__all__ = ["Suggestions", "distance", "nearest", "unknown"]

MOST_COMPARED = 4_000_000
"""Pairs of letters that are compared for all hints of a run: a second or two, and hundreds of hints among a hundred names."""
_LONGEST = 64


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message about an unknown name of this sort."""
    near = nearest(name, known)
    hint = f"; did you mean {quote_diagnostic(near)}?" if near else ""
    return f"Unknown {what} {quote_diagnostic(name)}{hint}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The first of the least distant names, no further than a typing error or two."""
    if not 0 < len(name) <= _LONGEST:
        return None
    farthest = _farthest(name)
    found, least = None, farthest + 1
    for candidate in known:
        if candidate == name or abs(len(candidate) - len(name)) > farthest:
            continue
        apart = distance(name, candidate)
        if apart < least:
            found, least = candidate, apart
    return found


def _farthest(name: str) -> int:
    return 1 if len(name) <= 4 else 2 if len(name) <= 10 else 3


class Suggestions:
    """`nearest` for as many names as there are: a run that has compared enough goes on without hints."""

    def __init__(self, most: int | None = None) -> None:
        self._left = MOST_COMPARED if most is None else most

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """As the function; None also where not all that are known could be compared."""
        found = nearest(name, self._affordable(name, known)) if self._left > 0 else None
        return found if self._left > 0 else None

    def _affordable(self, name: str, known: Iterable[str]) -> Iterator[str]:
        farthest = _farthest(name)
        for candidate in known:
            alike = abs(len(candidate) - len(name)) <= farthest
            self._left -= len(name) * len(candidate) if alike else 1
            if self._left <= 0:
                return
            yield candidate


def distance(left: str, right: str) -> int:
    """Letters to insert, leave out, replace, or swap with their neighbour."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            cost = min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
