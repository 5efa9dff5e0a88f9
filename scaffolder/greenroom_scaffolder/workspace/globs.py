"""patterns + entries -> paths: what npm's globby (with fast-glob and picomatch beneath) finds in a tree, hidden files included.

Patterns come from templates, and names from repositories that anybody may write. Hence no expression here goes back: what stands
between two stars is fixed in length, so the first place that fits is as good as any later one. Patterns with groups (`+(a|b)`)
are walked with sets of places, which grow with the path and no faster. What many alternatives or many files make of that ends
after some seconds.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from time import thread_time
from typing import NamedTuple

from greenroom.errors import InputError
from greenroom_scaffolder.workspace.braces import expand
from greenroom_scaffolder.workspace.groups import MOST_GROUPED, compile_grouped
from greenroom_scaffolder.workspace.scan import Entry, Kind
from greenroom_scaffolder.workspace.signs import Piece, pieces, shy

Test = Callable[[str], bool]

LONGEST_SEARCH = 10.0
"""Seconds that a thread computes for what is asked for at once."""

_DEEP = "**"
_ANY, _SHOWN = "[^/]+", "[^./][^/]*"
_MAGIC_FOLDER = re.compile(r"[*\[{]|[!*+?@]\([^(]*\)|\([^(]*\|[^|]*\)|(?<=[\].+)])\?")
"""A single `?` does not count here: fast-glob then searches below a folder of that very name."""
_MAGIC = re.compile(r"[*?\\]|^!|\[[^\[]*\]|\([^(]*\|[^|]*\)|[!*+?@]\([^(]*\)")


class _Patience:
    """Comes to its end where a search takes too long. For one thread."""

    def __init__(self) -> None:
        self._end = thread_time() + LONGEST_SEARCH

    def during(self, test: Test) -> Test:
        """The test, which raises InputError once it takes too long."""

        def checked(path: str) -> bool:
            self.check()
            return test(path)

        return checked

    def check(self) -> None:
        """Raises InputError."""
        if thread_time() > self._end:
            raise InputError(f"To search for what the patterns stand for takes longer than {LONGEST_SEARCH:g} seconds")


class _Found(NamedTuple):
    """What is wanted: paths below a folder that a test takes."""

    base: str
    test: Test


class _Away(NamedTuple):
    """What is taken away: paths that a test takes, and perhaps all below them."""

    test: Test
    below: bool


class _Task(NamedTuple):
    """One pattern with those after it that take away."""

    found: list[_Found]
    away: list[_Away]
    ways: list[Test]
    """What folders to look into."""


def select(patterns: Sequence[str], entries: Iterable[Entry]) -> list[str]:
    """The paths that some pattern finds, in the order of the entries, as `copyWithoutTemplating` of upstream means it. A pattern
    that begins with `!` takes away from those before it; the name of a folder stands for all below it.

    Raises InputError for a pattern that stands for too much, or takes too long."""
    tree, patience = list(entries), _Patience()
    folders = {entry.path for entry in tree if entry.kind == "folder"}
    tasks = [
        _task(pattern, [one[1:] for one in patterns[index:] if one.startswith("!")], folders.__contains__, patience)
        for index, pattern in enumerate(patterns)
        if not pattern.startswith("!")
    ]
    return [entry.path for entry in tree if any(_finds(task, entry.path, entry.kind) for task in tasks)]


class Search:
    """One pattern as actions of upstream mean it: files are found, and a `!` before it says nothing."""

    def __init__(self, pattern: str, is_folder: Test | None = None, *, hidden: bool = True) -> None:
        """The name of a folder stands for all below it, if `is_folder` says so of a path, perhaps through links. Without `hidden`,
        hidden names are found where the pattern names their dots. Raises InputError."""
        literal = pattern.startswith("!") and not pattern.startswith("!(")
        self._task = _task(f"\\{pattern}" if literal else pattern, [], is_folder, _Patience(), hidden=hidden)

    def finds(self, path: str, kind: Kind) -> bool:
        """Whether it is a file that is wanted. Raises InputError once it has taken too long."""
        return kind == "file" and _finds(self._task, path, kind)

    def enters(self, folder: str) -> bool:
        """Whether a folder may hold what is wanted."""
        return any(way(folder) for way in self._task.ways)


def matches(pattern: str, path: str) -> bool:
    """Whether a single pattern, with braces but without `!`, matches a path. Raises InputError."""
    patience = _Patience()
    return any(_compiled(_plain(one), patience)(path) for one in expand(pattern))


def _task(
    pattern: str, without: list[str], is_folder: Test | None, patience: _Patience, *, hidden: bool = True
) -> _Task:
    named = posixpath.normpath(pattern)
    if is_folder is not None and (named == "." or is_folder(named)):
        pattern = _DEEP if named == "." else f"{named}/{_DEEP}"
    given = [_plain(one) for one in expand(pattern)]
    magic = [one for one in given if _MAGIC.search(one)]
    bases = [_base(one) for one in magic]
    return _Task(
        [_Found("", _only(one, patience)) for one in given if one not in magic]
        + [
            _Found(base if all(bases) else "", _compiled(one, patience, hidden=hidden))
            for base, one in zip(bases, magic, strict=True)
        ],
        [_away(_plain(one), patience) for pattern in without for one in expand(pattern)],
        [patience.during(_way(one)) for one in given],
    )


def _away(pattern: str, patience: _Patience) -> _Away:
    below = pattern.endswith("/**") or not _MAGIC.search(pattern.rpartition("/")[2])
    return _Away(_compiled(pattern, patience), below)


def _only(path: str, patience: _Patience) -> Test:
    """A pattern without any magic is looked up as a name, and then still has to match: `a(1)` does not find a file of that name."""
    test = _compiled(path, patience)
    return lambda other: other == path and test(other)


def _plain(pattern: str) -> str:
    return re.sub(r"(?<=.)/{2,}", "/", pattern.removeprefix("./") if _MAGIC.search(pattern) else pattern)


def _base(pattern: str) -> str:
    """The folders before the first that has magic; the search begins in there, and does not find that folder itself."""
    above = pattern.split("/")[:-1]
    first = next((index for index, one in enumerate(above) if _MAGIC_FOLDER.search(one)), len(above))
    return "/".join(above[:first])


def _way(pattern: str) -> Test:
    """Whether a folder's names fit those of the pattern, up to the first part that may stand for several folders."""
    segments = _segments(pieces(pattern))
    several = next((index for index, one in enumerate(segments) if one is None or any(map(_crosses, one))), None)
    names = [re.compile(_name(one), re.DOTALL) for one in segments[:several] if one is not None]

    def test(folder: str) -> bool:
        parts = folder.split("/")
        fits = all(name.fullmatch(part) for name, part in zip(names, parts, strict=False))
        return fits and (several is not None or len(parts) < len(segments))

    return test


def _name(segment: list[Piece]) -> str:
    return ".*" if any(sign.kind == "group" for sign in segment) else _segment(segment)


def _crosses(sign: Piece) -> bool:
    """Whether a group may take more than one folder."""
    return any(
        one.kind == "slash" or (one.kind == "star" and before.kind == "star") or _crosses(one)
        for option in sign.options
        for before, one in zip((sign, *option), option, strict=False)
    )


def _finds(task: _Task, path: str, kind: Kind) -> bool:
    found = any((not base or path.startswith(base + "/")) and _takes(test, path, kind) for base, test in task.found)
    return found and not any(
        _takes(test, path, kind) or (below and any(map(test, _above(path)))) for test, below in task.away
    )


def _takes(test: Test, path: str, kind: Kind) -> bool:
    return test(path) or (kind == "folder" and test(path + "/"))


def _above(path: str) -> list[str]:
    return [path[:at] for at, sign in enumerate(path) if sign == "/"]


def _compiled(pattern: str, patience: _Patience, *, hidden: bool = True) -> Test:
    """A test for one pattern without braces."""
    patience.check()
    signs = pieces(pattern) if hidden else shy(pieces(pattern))
    if any(sign.kind == "group" for sign in signs):
        if len(pattern) > MOST_GROUPED:
            raise InputError(f"The pattern {pattern[:100]!r}... with groups is longer than {MOST_GROUPED} characters")
        return patience.during(compile_grouped(signs, patience.check))
    expression = re.compile(_expression(_segments(signs), _ANY if hidden else _SHOWN), re.DOTALL)
    return patience.during(lambda path: expression.fullmatch(path) is not None)


def _segments(signs: list[Piece]) -> list[list[Piece] | None]:
    """What stands between slashes; None for a `**`, of which several in a row are as good as one."""
    segments: list[list[Piece]] = [[]]
    for sign in signs:
        if sign.kind == "slash":
            segments.append([])
        else:
            segments[-1].append(sign)
    deep = [
        None if one and all(sign.kind == "star" for sign in one) and len(one) == len(_DEEP) else one for one in segments
    ]
    return [one for index, one in enumerate(deep) if one is not None or index == 0 or deep[index - 1] is not None]


def _expression(segments: list[list[Piece] | None], name: str) -> str:
    """`name`: what each of the folders is called that a `**` stands for. Between two `**`, the first folders that fit are as good
    as any later ones."""
    parts: list[list[list[Piece]]] = [[]]
    for segment in segments:
        if segment is None:
            parts.append([])
        else:
            parts[-1].append(segment)
    first, *others = ["/".join(map(_segment, part)) for part in parts]
    if not others:
        return first
    *between, last = others
    below = f"{name}(?:/{name})*"
    if parts[-1]:
        return (first and f"{first}/") + _somewhere(name, between) + f"(?:{below}/)?{last}"
    # `a/**` is also `a`, but `a*/**` is no file `ab`
    may_end = "/" if parts[-2][-1:] and parts[-2][-1][-1:] and parts[-2][-1][-1].kind == "star" else r"(?:/|\Z)"
    if between:
        return (
            (first and f"{first}/")
            + _somewhere(name, between[:-1])
            + _somewhere(name, between[-1:], may_end)
            + f"(?:{below})?"
        )
    return f"{first}{may_end}(?:{below})?" if first else below


def _somewhere(name: str, parts: list[str], after: str = "/") -> str:
    return "".join(rf"(?>(?:{name}/)*?{part}{after})" for part in parts)


def _segment(signs: list[Piece]) -> str:
    """Of what stands between stars, the first place that fits is as good as any later one, but for the last."""
    texts = [""]
    for sign in signs:
        if sign.kind == "star":
            texts.append("")
        else:
            texts[-1] += sign.expression
    if len(texts) == 1:
        return texts[0]
    first, *between, last = texts
    some = "(?=[^/])" if not any(texts) else ""
    return some + first + "".join(rf"(?>[^/]*?{text})" for text in between if text) + "[^/]*" + last
