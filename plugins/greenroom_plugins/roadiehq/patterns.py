"""A JavaScript regular expression or text, and what takes the place of each match: `String.replaceAll`, bounded in time."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import regex

from greenroom.errors import InputError
from greenroom.javascript.patterns import PatternError, PatternTooLargeError, compiled, translated
from greenroom.javascript.replacements import expand
from greenroom.javascript.texts import from_units, units

SECONDS = 5.0
MOST_CHARACTERS = 64 * 1024 * 1024


def replace_all(content: str, find: str, replacement: str, *, is_pattern: bool) -> str:
    """Raises InputError for an expression that is none, takes too long, or makes too much of the text."""
    try:
        names = translated(find).names if is_pattern else {}
        found = compiled(find) if is_pattern else regex.compile(regex.escape(units(find)), regex.VERSION0)
    except PatternError as error:
        raise InputError(f"Invalid regular expression: /{find}/g: {error}") from error
    except PatternTooLargeError as error:
        raise InputError("Invalid regular expression: it, or what it repeats is too large") from error
    try:
        return from_units(_replaced(found, units(content), units(replacement), names))
    except TimeoutError as error:
        raise InputError(f"The regular expression /{find}/ takes longer than {SECONDS:g} seconds") from error


def _replaced(found: regex.Pattern[str], subject: str, replacement: str, names: dict[str, int]) -> str:
    parts: list[str] = []
    done = size = 0

    def pay(length: int) -> None:
        if size + length > MOST_CHARACTERS:
            raise InputError("Replacing makes too large a text")

    for match in _matches(found, subject):
        text = expand(replacement, subject, match.start(), [match[0], *match.groups()], names, pay)
        pay(len(text))
        size += len(text)
        parts += (subject[done : match.start()], text)
        done = match.end()
    return "".join([*parts, subject[done:]])


def _matches(found: regex.Pattern[str], subject: str) -> Iterator[regex.Match[str]]:
    """One after the other; behind an empty one the search goes on a character later. Raises TimeoutError."""
    at, until = 0, monotonic() + SECONDS
    while match := found.search(subject, at, timeout=max(until - monotonic(), 0.001)):
        yield match
        at = match.end() + (match.start() == match.end())
        if at > len(subject):
            return
