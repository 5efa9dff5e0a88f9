"""pattern -> pieces: texts, wildcards, sets, slashes and groups, as picomatch reads them. What is not closed is text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from greenroom.errors import InputError

_DEEPEST = 8
"""Groups within each other."""

_POSIX = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "ascii": "\\x00-\\x7f",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
    "space": "\\s",
    "upper": "A-Z",
    "word": "A-Za-z0-9_",
    "xdigit": "A-Fa-f0-9",
}
_NOT_PLAIN = re.compile(r"[-*+?.^${}(|)\[\]]")
"""A set without any of these also stands for itself: `[ab]` finds `a`, `b`, and a file of that very name."""

_MARKS = "?*+@!"
_OPTIONAL = {"@": "?", "?": "?", "+": "+", "*": "*"}
"""What a `?` right after a group makes of it: picomatch hands both on to its regular expression."""


class Piece(NamedTuple):
    """One sign of a pattern."""

    kind: Literal["text", "one", "star", "slash", "group"]
    expression: str = ""
    """A regular expression of fixed length, for texts, sets and `?`."""
    mark: str = ""
    """Of a group: `@` one of, `?` one or none, `*` any number, `+` at least one, `!` anything but. Of a `**`: `.` if it passes over
    hidden names."""
    options: tuple[tuple[Piece, ...], ...] = ()


_NO_DOT = Piece("text", r"(?=[^./])")
_PAST_HIDDEN = Piece("star", mark=".")


def pieces(pattern: str, depth: int = 0) -> list[Piece]:
    """Raises InputError for groups that are too deep."""
    found: list[Piece] = []
    at = 0
    while at < len(pattern):
        piece, at = _next(pattern, at, depth)
        if piece.kind == "one" and found and found[-1].mark in _OPTIONAL:
            found[-1] = found[-1]._replace(mark=_OPTIONAL[found[-1].mark])
        else:
            found.append(piece)
    return found


def shy(signs: Sequence[Piece], *, inside: bool = False) -> list[Piece]:
    """The same signs, but what may stand for anything at the beginning of a name does not stand for a dot; `inside` a group it
    does, as picomatch has it."""
    found: list[Piece] = []
    at = 0
    while at < len(signs):
        begins = signs[at - 1].kind == "slash" if at else not inside
        count = deep(signs, at) if begins else 0
        if count:
            found += [_PAST_HIDDEN] * count
        else:
            options = tuple(tuple(shy(one, inside=True)) for one in signs[at].options)
            found += [_NO_DOT] if begins and signs[at].kind in ("star", "one") else []
            found.append(signs[at]._replace(options=options))
        at += count or 1
    return found


def deep(signs: Sequence[Piece], index: int) -> int:
    """How many signs a `**` takes that stands alone between slashes; 0 when there is none."""
    count = 0
    while index + count < len(signs) and signs[index + count].kind == "star":
        count += 1
    begins = index == 0 or signs[index - 1].kind == "slash"
    ends = index + count == len(signs) or signs[index + count].kind == "slash"
    return count if count == 2 and begins and ends else 0


def _next(pattern: str, at: int, depth: int) -> tuple[Piece, int]:
    sign = pattern[at]
    opened = at + 1 if sign in _MARKS and pattern[at + 1 : at + 2] == "(" else at
    if pattern[opened] == "(" and (end := _closing(pattern, opened)) > 0:
        return _group(pattern[opened + 1 : end], sign if opened > at else "@", depth), end + 1
    if sign == "[" and (end := _end_of_set(pattern, at)) > 0:
        return _set(pattern[at + 1 : end]), end + 1
    if sign == "\\" and at + 1 < len(pattern):
        return Piece("text", re.escape(pattern[at + 1])), at + 2
    kinds = {"*": Piece("star"), "?": Piece("one", "[^/]"), "/": Piece("slash", "/")}
    return kinds.get(sign) or Piece("text", re.escape(sign)), at + 1


def _closing(text: str, start: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "[" and (end := _end_of_set(text, at)) > 0:
            at = end
        elif text[at] in "()":
            depth += 1 if text[at] == "(" else -1
            if depth == 0:
                return at
        at += 1
    return -1


def _group(inner: str, mark: str, depth: int) -> Piece:
    if depth >= _DEEPEST:
        raise InputError(f"A pattern has groups within each other, deeper than {_DEEPEST}")
    options, begin, at, open_groups = [], 0, 0, 0
    while at < len(inner):
        if inner[at] == "\\":
            at += 1
        elif inner[at] == "[" and (end := _end_of_set(inner, at)) > 0:
            at = end
        elif inner[at] in "()":
            open_groups += 1 if inner[at] == "(" else -1
        elif inner[at] == "|" and not open_groups:
            options.append(inner[begin:at])
            begin = at + 1
        at += 1
    options.append(inner[begin:])
    return Piece("group", "", mark, tuple(tuple(pieces(option, depth + 1)) for option in options))


def _end_of_set(text: str, start: int) -> int:
    """A `]` right after the opening is one of the set."""
    at = start + 1
    at += text[at : at + 1] in ("!", "^")
    at += text[at : at + 1] == "]"
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text.startswith("[:", at) and (end := text.find(":]", at)) > 0:
            at = end + 1
        elif text[at] == "]":
            return at
        at += 1
    return -1


def _set(inner: str) -> Piece:
    negated = inner[:1] in ("!", "^")
    members = "".join(_members(inner[1:] if negated else inner))
    expression = rf"[^/{members}]" if negated else f"[{members}]"
    try:
        re.compile(expression)
    except re.error:
        return Piece("text", r"(?!)")  # such as a range that runs backwards: nothing is in it
    literal = re.escape(f"[{inner}]")
    return Piece("text", expression if negated or _NOT_PLAIN.search(inner) else f"(?:{literal}|{expression})")


def _members(inner: str) -> list[str]:
    """The inside of a set, for `re`."""
    found, at = [], 0
    while at < len(inner):
        named = re.compile(r"\[:(\w+):\]").match(inner, at)
        if named is not None and named[1] in _POSIX:
            found.append(_POSIX[named[1]])
            at = named.end()
        elif inner[at] == "\\" and at + 1 < len(inner):
            found.append(re.escape(inner[at + 1]))
            at += 2
        else:
            range_sign = inner[at] == "-" and 0 < at < len(inner) - 1
            found.append("-" if range_sign else re.escape(inner[at]))
            at += 1
    return found
