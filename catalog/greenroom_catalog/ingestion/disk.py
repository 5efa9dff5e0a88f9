"""pattern -> paths on this disk, as npm's `glob` finds them: in minimatch's language, without hidden names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from greenroom_catalog.model.globs import compile_segment, expand

_WILD = re.compile(r"[*?\[]|[+@!]\(")


def paths_like(pattern: str) -> list[str]:
    """Sorted; relative if the pattern is. Raises InputError for a pattern of too many alternatives."""
    found: set[str] = set()
    for plain in expand(pattern.replace("\\", "/")):
        root = "/" if plain.startswith("/") else ""
        paths = _below(root, _steps(plain))
        found.update(os.path.normpath(path) for path in paths if os.path.isdir(path) or not plain.endswith("/"))  # noqa: PTH112
    return sorted(found)


def _steps(pattern: str) -> list[str]:
    """The segments; several `**` in a row are one."""
    segments = [segment for segment in pattern.split("/") if segment]
    return [one for index, one in enumerate(segments) if one != "**" or segments[index - 1 : index] != ["**"]]


def _below(folder: str, steps: Sequence[str]) -> Iterator[str]:
    if not steps:
        yield folder or "."
    elif steps[0] == "**":
        yield from _at_any_depth(folder, steps[1:])
    elif _WILD.search(steps[0]) is None:
        path = folder + steps[0]
        if os.path.lexists(path):
            yield from _inside(path, steps[1:])
    else:
        matches = compile_segment(steps[0], re.NOFLAG).fullmatch
        for entry in _entries(folder, hidden=steps[0].startswith(".")):
            if matches(entry.name):
                yield from _inside(entry.path, steps[1:])


def _inside(path: str, steps: Sequence[str]) -> Iterator[str]:
    if not steps:
        yield path
    elif os.path.isdir(path):  # noqa: PTH112 - paths stay as they were written
        yield from _below(f"{path}/", steps)


def _at_any_depth(folder: str, steps: Sequence[str]) -> Iterator[str]:
    yield from _below(folder, steps)
    for entry in _entries(folder, hidden=False):
        if entry.is_dir(follow_symlinks=False):
            yield from _at_any_depth(f"{entry.path}/", steps)
        else:
            yield from _inside(entry.path, steps)


def _entries(folder: str, *, hidden: bool) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing, if it cannot be read."""
    try:
        entries = list(os.scandir(folder or "."))
    except OSError:
        return
    for entry in entries:
        if hidden or not entry.name.startswith("."):
            yield entry
