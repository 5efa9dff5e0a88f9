"""pieces with groups -> a test of paths, which keeps the set of places where a match may go on, and never goes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from greenroom_scaffolder.workspace.signs import Piece, deep

MOST_GROUPED = 1024
"""Characters of a pattern with groups."""
_LONGEST_PATH = 1024
"""Characters of a path that such a pattern is tried on; beyond, it does not match."""

Places = set[int]


class _Path(str):
    """One that is tried, and what is known of it."""

    __slots__ = ("check", "free")

    check: Callable[[], None]
    free: dict[tuple[int, int], bool]
    """By a negated group's identity and a place: whether the group lets it pass. To find that out anew each time would take as long
    as the path, to the power of how many negated groups stand within each other."""


def compile_grouped(signs: Sequence[Piece], check: Callable[[], None]) -> Callable[[str], bool]:
    """Paths longer than 1024 characters do not match. `check` is called all the while, and may raise."""

    def test(path: str) -> bool:
        if len(path) > _LONGEST_PATH:
            return False
        tried = _Path(path)
        tried.check, tried.free = check, {}
        return len(path) in _after(signs, tried, {0})

    return test


def _after(signs: Sequence[Piece], path: _Path, places: Places) -> Places:
    """Where the signs may end, when they begin at any of the places."""
    index = 0
    while index < len(signs) and places:
        count = deep(signs, index)
        if count:
            find = _below_shown if signs[index].mark else _below
            places = find(path, places, end=index + count == len(signs))
            index += count + 1
        else:
            places = _step(signs, index, path, places)
            index += 1
    return places


def _below(path: str, places: Places, *, end: bool) -> Places:
    """Where a `**` may end that begins at any of the places: at a name, or with the pattern."""
    if end:
        return {*range(min(places), len(path) + 1)}
    return places | {at + 1 for at in range(min(places), len(path)) if path[at] == "/"}


def _below_shown(path: str, places: Places, *, end: bool) -> Places:
    """Like `_below`, but past no hidden name."""
    found: Places = set()
    left = [*places]
    while left:
        at = left.pop()
        if at not in found and path[at : at + 1] not in ("", "."):
            left.append(path.find("/", at) + 1 or len(path))
        found.add(at)
    return found if end else found - {len(path)} | places


def _step(signs: Sequence[Piece], index: int, path: _Path, places: Places) -> Places:
    sign = signs[index]
    before = signs[index - 1].kind if index else "slash"
    if sign.kind == "star":
        return _star(path, places - {len(path)} if before == "slash" else places, across=False)
    if sign.kind == "group":
        return _group(sign, signs[index + 1 :], path, places)
    ends = deep(signs, index + 1) if sign.kind == "slash" else 0
    compiled = re.compile(sign.expression, re.DOTALL)
    found = {match.end() for at in places if (match := compiled.match(path, at))}
    if ends and index + 1 + ends == len(signs) and before != "star" and len(path) in places:
        found.add(len(path))  # `a/**` is also `a`
    return found


def _star(path: str, places: Places, *, across: bool) -> Places:
    if not places:
        return places
    found: Places = set()
    going = False
    for at in range(min(places), len(path) + 1):
        going = going or at in places
        if going:
            found.add(at)
        going = going and (across or path[at : at + 1] != "/")
    return found


def _group(group: Piece, rest: Sequence[Piece], path: _Path, places: Places) -> Places:
    if group.mark == "!":
        return _anything_but(group, rest, path, places)
    found = _one_of(group, path, places)
    if group.mark in "*+":
        new = found
        while new:
            path.check()
            new = _one_of(group, path, new) - found
            found |= new
    return found | places if group.mark in "?*" else found


def _one_of(group: Piece, path: _Path, places: Places) -> Places:
    return {end for option in group.options for end in _after(option, path, places)}


def _anything_but(group: Piece, rest: Sequence[Piece], path: _Path, places: Places) -> Places:
    """At the end of a pattern, what follows must not be one of the options; before something else, not begin with one; and before
    an extension, not begin with one that has it (`!(*.d).ts`). These are picomatch's rules."""
    across = any(sign.kind == "slash" for option in group.options for sign in option)
    ends = across or not rest
    starred = any(sign.kind == "star" for option in group.options for sign in option)
    extension = (
        rest if starred and rest and all(sign.kind == "text" for sign in rest) and rest[0].expression == r"\." else ()
    )
    for at in places:
        if (id(group), at) not in path.free:
            path.check()
            reached = _after(extension, path, _one_of(group, path, {at}))
            path.free[id(group), at] = not (len(path) in reached if ends and not extension else reached)
    return _star(path, {at for at in places if path.free[id(group), at]}, across=across)
