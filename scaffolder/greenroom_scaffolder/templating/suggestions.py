"""A misspelled name -> the known one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from greenroom_scaffolder.templating.diagnostics import quote_diagnostic

__all__ = ["distance", "nearest", "unknown"]

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
    farthest = 1 if len(name) <= 4 else 2 if len(name) <= 10 else 3
    found, least = None, farthest + 1
    for candidate in known:
        if candidate == name or abs(len(candidate) - len(name)) > farthest:
            continue
        apart = distance(name, candidate)
        if apart < least:
            found, least = candidate, apart
    return found


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
