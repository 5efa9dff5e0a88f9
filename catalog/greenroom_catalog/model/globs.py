"""Patterns of location rules and of files: the glob language of minimatch.

In rules letter case counts nothing, and a leading dot is nothing special.

`*` and `?` stay within one path segment, `**` as a whole segment stands for any number of them, `{a,b}` and `{1..3}` are
alternatives, `[a-z]` is a set, `+(a|b)` and its like repeat, and a leading `!` turns the answer round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from greenroom.errors import InputError

_Segment: TypeAlias = re.Pattern[str] | None
"""What one segment of a text must match; None: any number of segments."""
_SLASHES = re.compile("/+")
_REPEATS = {"?": "?", "*": "*", "+": "+", "@": ""}
_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "word": r"\w",
}
_MOST_ALTERNATIVES = 10_000


class Glob:
    """A compiled pattern."""

    def __init__(self, pattern: str) -> None:
        """Raises InputError for a pattern of too many alternatives."""
        self.pattern = pattern
        bare = pattern.lstrip("!")
        self._negated = (len(pattern) - len(bare)) % 2 == 1
        self._comment = pattern.startswith("#")
        self._alternatives = [] if self._comment else [_segments(text) for text in expand(bare)]

    def matches(self, text: str) -> bool:
        """Whether the pattern stands for the whole text."""
        if self._comment:
            return False
        if not self.pattern:
            return not text
        found = any(_match(_SLASHES.split(text), segments) for segments in self._alternatives)
        return found is not self._negated


def _segments(pattern: str) -> list[_Segment]:
    return [None if segment == "**" else compile_segment(segment) for segment in _SLASHES.split(pattern)]


def _match(found: Sequence[str], wanted: Sequence[_Segment]) -> bool:
    """Segment by segment. A trailing slash of the text may be left over."""
    for index, segment in enumerate(wanted):
        if segment is None:
            return _match_any_depth(found[index:], wanted[index + 1 :])
        if index >= len(found) or segment.fullmatch(found[index]) is None:
            return False
    rest = found[len(wanted) :]
    return not rest or rest == [""]


def _match_any_depth(found: Sequence[str], wanted: Sequence[_Segment]) -> bool:
    if not wanted:
        return bool(found) and not {".", ".."} & set(found)
    for start in range(len(found)):
        if _match(found[start:], wanted):
            return True
        if found[start] in (".", ".."):
            return False
    return False


def compile_segment(segment: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    """What a name must match wholly to be what the segment, which is not `**`, stands for."""
    if segment and not segment.strip("*"):
        return re.compile(r"(?!\.{1,2}\Z)[^/]+", flags)
    guard = r"(?!\.{1,2}\Z)" if segment[:1] in ("*", "?", "[", "+", "@", "!") else ""
    return re.compile(guard + "".join(_translate(segment)), flags | re.DOTALL)


def _translate(segment: str) -> Iterator[str]:
    index = 0
    while index < len(segment):
        character = segment[index]
        index += 1
        if character in "?*+@!" and (end := _closing(segment, index)) is not None:
            alternatives = "|".join(
                "".join(_translate(part)) for part in _split(segment[index + 1 : end], "|", "(", ")")
            )
            if character == "!":
                rest = "".join(_translate(segment[end + 1 :]))
                yield rf"(?!(?:{alternatives}){rest}\Z)[^/]*?"
            else:
                yield f"(?:{alternatives}){_REPEATS[character]}"
            index = end + 1
        elif character == "*":
            yield "[^/]*?"
            index += len(segment) - index - len(segment[index:].lstrip("*"))
        elif character == "?":
            yield "[^/]"
        elif character == "[" and (end := _set_end(segment, index)) is not None:
            yield _set(segment[index:end])
            index = end + 1
        elif character == "\\" and index < len(segment):
            yield re.escape(segment[index])
            index += 1
        else:
            yield re.escape(character)


def _set_end(segment: str, start: int) -> int | None:
    first = start + 1 if segment[start : start + 1] in ("!", "^") else start
    found = re.compile(r"\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]").match(segment, first)
    return None if found is None or found.end() - 1 == first else found.end() - 1


def _set(inside: str) -> str:
    negated = inside[:1] in ("!", "^")
    members = inside[1:] if negated else inside
    classes = "".join(_POSIX.get(name, "") for name in re.findall(r"\[:([a-z]+):\]", members))
    plain = re.sub(r"\[:[a-z]+:\]", "", members)
    escaped = re.sub(r"(\\.)|([\[\]&~|^])", lambda found: found[1] or "\\" + found[2], plain)
    try:
        re.compile(f"[{escaped}{classes}]")
    except re.error:  # such as a range that runs backwards: nothing is in it
        return "(?!)"
    return f"[{'^/' if negated else ''}{escaped}{classes}]"


def _closing(text: str, start: int) -> int | None:
    """Where the parenthesis that opens at `start` closes."""
    if text[start : start + 1] != "(":
        return None
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return None


def _split(text: str, separator: str, opening: str, closing: str) -> list[str]:
    """At the separators that stand outside of any pair."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == opening) - (character == closing)
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def expand(pattern: str) -> list[str]:
    """`a{b,c}` -> `ab`, `ac`; braces without a comma or a range stay as they are. Raises InputError for too many."""
    done, todo = [], [pattern]
    while todo:
        text = todo.pop()
        found = _first_braces(text)
        if found is None:
            done.append(text)
            continue
        start, end, alternatives = found
        todo.extend(text[:start] + alternative + text[end:] for alternative in reversed(alternatives))
        if len(todo) + len(done) > _MOST_ALTERNATIVES:
            raise InputError(f"The pattern {pattern!r} has too many alternatives")
    return done


def _first_braces(text: str) -> tuple[int, int, list[str]] | None:
    for start, character in enumerate(text):
        if character != "{" or text[start - 1 : start] in ("$", "\\"):
            continue
        depth = 0
        for end in range(start, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if depth == 0:
                alternatives = _alternatives(text[start + 1 : end])
                if alternatives is not None:
                    return start, end + 1, alternatives
                break
    return None


def _alternatives(inside: str) -> list[str] | None:
    parts = _split(inside, ",", "{", "}")
    if len(parts) > 1:
        return parts
    bounds = re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?", inside)
    if bounds is None:
        return None
    first, last, step = int(bounds[1]), int(bounds[2]), abs(int(bounds[3] or 1)) or 1
    if abs(last - first) // step > _MOST_ALTERNATIVES:
        raise InputError(f"The range {{{inside}}} is too long")
    return [
        str(number) for number in (range(first, last + 1, step) if first <= last else range(first, last - 1, -step))
    ]
