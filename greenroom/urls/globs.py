"""pattern -> regular expression: `*` and `?` stay within a folder, `**` does not, `{a,b}` is either, as minimatch reads them.

Patterns come from URLs that anybody may register, and paths from repositories that anybody may write: no pair of them may take
longer than a look at the path for each folder of it. Hence groups that do not go back, and bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from greenroom.errors import InputError

MOST_ALTERNATIVES = 256
MOST_CHARACTERS = 32 * 1024
"""Of all alternatives together."""

_CHOICE = re.compile(r"\{([^{},]*+,[^{}]*+)\}")
_NAME = r"(?![.])[^/]+"
"""Wildcards do not match a leading dot: `.github` is left out unless it is named."""
_ONE = r"(?:[^/\x80-\xff]|[\xc0-\xff][\x80-\xbf]*+)"
"""One character, however many bytes it takes."""
_DEEP = "**"


def compile_globs(patterns: Iterable[str]) -> Callable[[bytes], bool]:
    """A test of paths against any of the patterns, whose leading slashes count for nothing. Paths are bytes, as Git's are.

    Raises InputError for a pattern that stands for too much."""
    plain = [_segments(choice.removeprefix("/")) for pattern in patterns for choice in expand(pattern)]
    simple = [segments for segments in plain if segments.count(_DEEP) < 2]
    whole = re.compile("|".join(f"(?:{_joined(segments)})" for segments in simple).encode(), re.DOTALL)
    deep = [_compiled(segments) for segments in plain if segments.count(_DEEP) > 1]

    def matches(path: bytes) -> bool:
        return (bool(simple) and whole.fullmatch(path) is not None) or any(_goes_down(path, one) for one in deep)

    return matches


def expand(pattern: str) -> Iterator[str]:
    """`a{b,c}` -> `ab`, `ac`. Raises InputError."""
    left, done = [pattern], 0
    while left:
        one = left.pop()
        found = _CHOICE.search(one)
        if found is None:
            done += 1
            yield one
        else:
            left += [one[: found.start()] + choice + one[found.end() :] for choice in reversed(found[1].split(","))]
        if done + len(left) > MOST_ALTERNATIVES or sum(map(len, left), len(one)) > MOST_CHARACTERS:
            raise InputError(
                f"The pattern {pattern[:100]!r} stands for too many, at most {MOST_ALTERNATIVES} alternatives are read"
            )


def is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?") or _CHOICE.search(pattern) is not None


def translate(pattern: str) -> str:
    """The regular expression of one pattern without braces; it is for bytes, hence escaped beyond ASCII."""
    return _joined(_segments(pattern))


def _segments(pattern: str) -> list[str]:
    """Its folders. Several `**` in a row are as good as one."""
    given = pattern.split("/")
    return [one for one, before in zip(given, ["", *given], strict=False) if not one == before == _DEEP]


def _joined(segments: list[str]) -> str:
    *folders, last = segments
    above = "".join(rf"(?:{_NAME}/)*" if one == _DEEP else f"{_expression(one)}/" for one in folders)
    return above + (rf"{_NAME}(?:/{_NAME})*" if last == _DEEP else _expression(last))


def _expression(segment: str) -> str:
    """Of what stands between stars, the first place that fits is as good as any later one, but for the last."""
    pieces = [_literal(piece) for piece in re.split(r"\*+", segment)]
    hidden = r"(?![.])" if segment[:1] in ("*", "?") else ""
    if len(pieces) == 1:
        return hidden + pieces[0]
    first, *between, last = pieces
    return hidden + first + "".join(rf"(?>[^/]*?{piece})" for piece in between) + "[^/]*" + last


def _literal(piece: str) -> str:
    return "".join(_ONE if character == "?" else _escaped(character) for character in piece)


def _escaped(character: str) -> str:
    codes = character.encode("utf-8", "surrogateescape")
    return re.escape(character) if character.isascii() else "".join(rf"\x{byte:02x}" for byte in codes)


def _compiled(segments: list[str]) -> list[re.Pattern[bytes] | None]:
    return [None if one == _DEEP else re.compile(_expression(one).encode(), re.DOTALL) for one in segments]


def _goes_down(path: bytes, pattern: list[re.Pattern[bytes] | None]) -> bool:
    """Segment by segment of the pattern: how many folders of the path may be behind it."""
    folders = path.split(b"/")
    behind = {0}
    for index, segment in enumerate(pattern):
        if segment is not None:
            behind = {at + 1 for at in behind if at < len(folders) and segment.fullmatch(folders[at])}
        else:
            behind = _deeper(folders, behind, at_least=1 if index == len(pattern) - 1 else 0)
    return len(folders) in behind


def _deeper(folders: list[bytes], behind: set[int], *, at_least: int) -> set[int]:
    """Any number of folders further, over none whose name begins with a dot."""
    reached, found, going = set(behind), set(behind) if not at_least else set(), False
    for at in range(len(folders)):
        going = (going or at in reached) and bool(folders[at]) and not folders[at].startswith(b".")
        if going:
            found.add(at + 1)
    return found
