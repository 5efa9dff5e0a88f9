"""root -> entries: what stands in a tree, links not followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from greenroom_scaffolder.workspace.descent import Walk, joined, names, place, refusals

Kind = Literal["file", "folder", "link", "other"]


class Entry(msgspec.Struct, frozen=True):
    """One thing in a tree."""

    path: str
    """Relative to the root, with `/`."""
    kind: Kind
    mode: int = 0
    """The permission bits alone."""
    size: int = 0
    """Bytes of a file."""
    target: str = ""
    """Of a link, as it is written."""

    @property
    def executable(self) -> bool:
        return self.mode & 0o111 != 0


def scan(root: Path, under: str = "", *, recursive: bool = True) -> Iterator[Entry]:
    """What stands below a folder, named through the path that is given; a folder comes before what it holds. What vanishes
    meanwhile is left out. Raises FileError when that folder is missing."""
    shown = "/".join(names(root, under))
    with place(root, under) as there:
        real = "/".join([*there.above, there.name] if there.name != "." else there.above)
    for entry in _scan(root, real, recursive=recursive):
        yield entry if shown == real else msgspec.structs.replace(entry, path=shown + entry.path[len(real) :])


def _scan(root: Path, start: str, *, recursive: bool) -> Iterator[Entry]:
    left = [start]
    with Walk(root) as walk:
        while left:
            folder = left.pop()
            with refusals("scandir", joined(root, folder)):
                try:
                    found = sorted(_read(walk, folder), key=lambda entry: entry.path)
                except (FileNotFoundError, NotADirectoryError):
                    if folder == start:
                        raise
                    continue
            yield from found
            if recursive:
                left += [entry.path for entry in reversed(found) if entry.kind == "folder"]


def _read(walk: Walk, folder: str) -> Iterator[Entry]:
    descriptor = walk.go(folder.split("/") if folder else [])
    if descriptor < 0:
        raise FileNotFoundError(errno.ENOENT, "")
    with os.scandir(descriptor) as listing:
        for one in listing:
            with suppress(FileNotFoundError):
                about = one.stat(follow_symlinks=False)
                yield entry_of(descriptor, one.name, f"{folder}/{one.name}" if folder else one.name, about)


def entry_of(folder: int, name: str, path: str, about: os.stat_result) -> Entry:
    """What lstat told of a name in an open folder."""
    mode = about.st_mode & 0o777
    if stat.S_ISREG(about.st_mode):
        return Entry(path, "file", mode, about.st_size)
    if stat.S_ISDIR(about.st_mode):
        return Entry(path, "folder", mode)
    if stat.S_ISLNK(about.st_mode):
        return Entry(path, "link", mode, 0, os.readlink(name, dir_fd=folder))
    return Entry(path, "other", mode)
