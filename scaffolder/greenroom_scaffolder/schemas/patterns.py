"""A JavaScript regular expression -> whether a text matches it, in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import regex

from greenroom.javascript.patterns import PatternError, PatternTooLargeError, compiled
from greenroom.javascript.texts import units
from greenroom_scaffolder.schemas.problems import InvalidPatternError, TooMuchError

Matcher: TypeAlias = Callable[[str], bool]
"""Whether the expression matches anywhere in a text. Raises TooMuchError after a quarter of a second."""

SECONDS = 0.25


@lru_cache(maxsize=256)
def matcher(source: str) -> Matcher:
    """The matcher of `new RegExp(source)`, which upstream reads by the strict rules (flag `u`) and, where they forbid it, by the
    forgiving ones. Raises InvalidPatternError in V8's words, TooMuchError for a giant."""
    try:
        return _bounded(compiled(source, strict=True), source)
    except PatternError:
        matches = _bounded(_forgiving(source), source)
        return lambda text: matches(units(text))
    except PatternTooLargeError as error:
        raise TooMuchError(str(error)) from error


def is_pattern(source: str) -> bool:
    """Whether `new RegExp(source)` would take it, by the forgiving rules. Raises TooMuchError for a giant."""
    try:
        _forgiving(source)
    except InvalidPatternError:
        return False
    return True


def _forgiving(source: str) -> regex.Pattern[str]:
    try:
        return compiled(source)
    except PatternError as wrong:
        raise InvalidPatternError(f"Invalid regular expression: /{source}/: {wrong}") from wrong
    except PatternTooLargeError as error:
        raise TooMuchError(str(error)) from error


def _bounded(pattern: regex.Pattern[str], source: str) -> Matcher:
    def matches(text: str) -> bool:
        try:
            return pattern.search(text, timeout=SECONDS) is not None
        except TimeoutError as error:
            raise TooMuchError(f"Matching the pattern {source[:200]} took longer than {SECONDS} seconds") from error

    return matches
