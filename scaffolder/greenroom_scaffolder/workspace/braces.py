"""pattern -> patterns without braces: `a{b,c}`, `{1..3}`, nested, as npm's braces expands them.

Escaped signs stay escaped, `${...}` and braces around a single thing stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from greenroom.errors import InputError

MOST_ALTERNATIVES = 1000
LONGEST = 4096
"""Characters of a pattern."""
_MOST_CHARACTERS = 256 * 1024
"""Of all alternatives together."""

_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?")


def expand(pattern: str) -> list[str]:
    """All alternatives, none of them twice or empty. Raises InputError for a pattern that stands for too much."""
    if len(pattern) > LONGEST:
        raise InputError(f"The pattern {pattern[:100]!r}... is longer than {LONGEST} characters")
    found: dict[str, None] = {}
    for one in _expanded(pattern):
        found[one] = None
        if len(found) > MOST_ALTERNATIVES:
            raise _too_much(pattern)
    return [one for one in found if one]


def _expanded(pattern: str) -> Iterator[str]:
    left, size = [("", pattern)], 0
    while left:
        done, rest = left.pop()
        choice = _first_choice(rest)
        if choice is None:
            yield done + rest
            continue
        start, end, options = choice
        left += [(done + rest[:start], option + rest[end:]) for option in reversed(options)]
        size += sum(len(done) + len(rest) + len(option) for option in options)
        if size > _MOST_CHARACTERS or len(left) > 10 * MOST_ALTERNATIVES:
            raise _too_much(pattern)


def _first_choice(text: str) -> tuple[int, int, list[str]] | None:
    """Where the first pair of braces that stands for several begins and ends, and for what."""
    at = 0
    while (at := _next_brace(text, at)) >= 0:
        parts = _parts(text, at)
        if parts is not None:
            end, options = parts
            choices = options if len(options) > 1 else _range(options[0])
            if choices is not None and text[at - 1 : at] != "$":
                return at, end, choices
        at += 1
    return None


def _next_brace(text: str, at: int) -> int:
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "[":
            at = _after_class(text, at) - 1
        elif text[at] == "{":
            return at
        at += 1
    return -1


def _after_class(text: str, at: int) -> int:
    """Braces and commas between brackets are no choice."""
    end = text.find("]", at + 1)
    return end + 1 if end > 0 else at + 1


def _parts(text: str, start: int) -> tuple[int, list[str]] | None:
    """After the closing brace, and what stands between the commas; None when nothing closes it."""
    parts, depth, begin, at = [], 0, start + 1, start + 1
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 1
        elif sign == "[":
            at = _after_class(text, at) - 1
        elif sign == "{":
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
        elif sign == "}" or (sign == "," and not depth):
            parts.append(text[begin:at])
            begin = at + 1
            if sign == "}":
                return at + 1, parts
        at += 1
    return None


def _range(text: str) -> list[str] | None:
    found = _RANGE.fullmatch(text)
    if found is None or found[1].lstrip("-").isdigit() != found[2].lstrip("-").isdigit():
        return None
    first, last, step = found[1], found[2], max(1, abs(int(found[3] or 1)))
    numbers = first.lstrip("-").isdigit()
    low, high = (int(first), int(last)) if numbers else (ord(first), ord(last))
    if abs(high - low) // step >= MOST_ALTERNATIVES:
        raise _too_much("{" + text + "}")
    values = range(low, high + (1 if high >= low else -1), step if high >= low else -step)
    width = max(len(first), len(last)) if numbers and _padded(first, last) else 0
    return [f"{value:0{width}d}" if numbers else chr(value) for value in values]


def _padded(first: str, last: str) -> bool:
    return any(re.match(r"-?0\d", one) for one in (first, last))


def _too_much(pattern: str) -> InputError:
    return InputError(f"The pattern {pattern[:100]!r} stands for more than {MOST_ALTERNATIVES} alternatives")
