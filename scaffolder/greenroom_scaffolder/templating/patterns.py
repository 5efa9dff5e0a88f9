"""JavaScript's regular expressions at work: test, replace and split, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from greenroom.javascript.patterns import PatternError, PatternTooLargeError, compiled, translated
from greenroom.javascript.replacements import expand
from greenroom.javascript.texts import from_units, units
from greenroom_scaffolder.templating.limits import Budget, RenderError
from greenroom_scaffolder.templating.values import UNDEFINED, Pattern

__all__ = ["is_valid", "replace", "split", "test"]


def is_valid(source: str, flags: str) -> bool:
    """Whether it is a regular expression, and one that can be run."""
    try:
        translated(source, flags)
    except (PatternError, PatternTooLargeError):
        return False
    return True


def _find(pattern: Pattern, subject: str, start: int, budget: Budget, *, sticky: bool = False) -> Any:
    """The next match in code units, or None."""
    budget.spend(1)
    began = time.monotonic()
    try:
        expression = compiled(pattern.source, pattern.flags)
        seek = expression.match if sticky else expression.search
        return seek(subject, start, timeout=budget.regex_time())
    except TimeoutError as error:
        limit = budget.limits.regex_seconds
        raise RenderError(
            f"Template evaluation exceeded the limit of {limit:g} seconds in regular expressions", limit=True
        ) from error
    finally:
        budget.regex_took(time.monotonic() - began)


def _exec(pattern: Pattern, subject: str, budget: Budget) -> Any:
    """One match as `RegExp.prototype.exec` finds it, with its memory of where it was."""
    remembers, sticky = "g" in pattern.flags or "y" in pattern.flags, "y" in pattern.flags
    start = pattern.last_index if remembers else 0
    found = _find(pattern, subject, start, budget, sticky=sticky) if start <= len(subject) else None
    if remembers:
        pattern.last_index = found.end() if found else 0
    return found


def test(pattern: Pattern, subject: str, budget: Budget) -> bool:
    return _exec(pattern, units(subject), budget) is not None


def replace(pattern: Pattern, subject: str, replacement: str, budget: Budget) -> str:
    """`subject.replace(pattern, replacement)`."""
    subject, replacement = units(subject), units(replacement)
    names = translated(pattern.source, pattern.flags).names
    parts: list[str] = []
    done = size = 0
    for found in _matches(pattern, subject, budget):
        groups = [found[0], *found.groups()]
        new = expand(replacement, subject, found.start(), groups, names, budget.grown)
        parts += (subject[done : found.start()], new)
        size += len(new)
        budget.fits(size)
        done = found.end()
    return from_units("".join([*parts, subject[done:]]))


def _matches(pattern: Pattern, subject: str, budget: Budget) -> Iterator[Any]:
    if "g" not in pattern.flags:
        found = _exec(pattern, subject, budget)
        if found:
            yield found
        return
    pattern.last_index = 0
    while found := _exec(pattern, subject, budget):
        yield found
        if found.end() == found.start():
            pattern.last_index += 1


def split(pattern: Pattern, subject: str, limit: int, budget: Budget) -> list[Any]:
    """`subject.split(pattern, limit)`: what the groups matched stands between the parts."""
    subject = units(subject)
    if not limit:
        return []
    if not subject:
        return [] if _find(pattern, subject, 0, budget, sticky=True) else [""]
    parts: list[Any] = []
    done = at = 0
    while at < len(subject):
        found = _find(pattern, subject, at, budget)
        if found is None or found.start() >= len(subject):
            break
        if found.end() == done or found.end() == found.start() == done:
            at += 1
            continue
        at = found.end()
        parts.append(from_units(subject[done : found.start()]))
        parts.extend(UNDEFINED if group is None else from_units(group) for group in found.groups())
        done = at
        at = max(at, done)
        budget.holds(len(parts))
        if len(parts) >= limit:
            return parts[:limit]
    parts.append(from_units(subject[done:]))
    return parts[:limit]
