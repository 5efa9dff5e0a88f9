"""root -> entries: what stands in a tree, links not followed; or what can be named in it, through links too."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from greenroom.errors import NotAllowedError
from greenroom_scaffolder.workspace.descent import LONGEST, MOST_LINKS, Walk, encoded, joined, names, place, refusals
from greenroom_scaffolder.workspace.quota import QuotaError

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


class Named(NamedTuple):
    """A file or folder by one of its names."""

    path: str
    """The name, perhaps through links."""
    kind: Kind
    """Of a link, what it leads to."""
    real: str
    """Where it stands itself; of a link, where the link does."""


def scan(root: Path, under: str = "", *, recursive: bool = True) -> Iterator[Entry]:
    """What stands below a folder, named through the path that is given; a folder comes before what it holds. What vanishes
    meanwhile is left out. Raises FileError when that folder is missing."""
    shown = "/".join(names(root, under))
    with place(root, under) as there:
        real = there.path
    for entry in _scan(root, real, recursive=recursive):
        yield entry if shown == real else msgspec.structs.replace(entry, path=shown + entry.path[len(real) :])


def scan_through(root: Path, enters: Callable[[str], bool], most: int) -> Iterator[Named]:
    """What can be named in a tree, links being followed, as far as `enters` takes the folders on the way.

    Two links to the folder above give each file 2^40 names: raises QuotaError for more than `most` that lead through links."""
    left, through = [_Folder("", "", 0)], 0
    with Walk(root) as walk:
        while left:
            folder, onward = left.pop(), []
            listed = _listed(root, walk, folder.real)
            through += len(listed) if folder.links else 0
            if through > most:
                limit = f"{most} names, too many to search (scaffolder.workspace.maxFiles)"
                raise QuotaError(f"Links give the files of the workspace more than {limit}")
            for named, below in _followed(root, folder, listed):
                yield named
                if below is not None and enters(below.shown):
                    onward.append(below)
            left += reversed(onward)


class _Folder(NamedTuple):
    """One to look into."""

    shown: str
    real: str
    links: int
    """Those on the way there."""


def _followed(root: Path, folder: _Folder, listed: Iterable[Entry]) -> Iterator[tuple[Named, _Folder | None]]:
    """What a folder holds, and where a folder in it is. Left out are links that lead nowhere, or outside, and what the system would
    not name: that is behind too many links, or whose name becomes too long by them."""
    for entry in listed:
        shown = entry.path if folder.shown == folder.real else f"{folder.shown}/{entry.path.rpartition('/')[2]}"
        is_link = entry.kind == "link"
        target, links = _led(root, entry.path) if is_link else entry, folder.links + is_link
        if target is not None and (
            not links or (links <= MOST_LINKS and len(encoded(shown)) + len(str(root)) <= LONGEST)
        ):
            below = _Folder(shown, target.path, links) if target.kind == "folder" else None
            yield Named(shown, target.kind, entry.path), below


def _led(root: Path, path: str) -> Entry | None:
    """What a link leads to, by its real path; nothing where it cannot be followed, as globby has it."""
    with suppress(OSError, NotAllowedError), Walk(root) as walk:
        there = walk.to(path.split("/"), follow=True)
        about = os.stat(there.name, dir_fd=there.reached, follow_symlinks=False)
        return entry_of(there.folder, there.name, there.path, about)
    return None


def _scan(root: Path, start: str, *, recursive: bool) -> Iterator[Entry]:
    left = [start]
    with Walk(root) as walk:
        while left:
            folder = left.pop()
            found = _listed(root, walk, folder, needed=folder == start)
            yield from found
            if recursive:
                left += [entry.path for entry in reversed(found) if entry.kind == "folder"]


def _listed(root: Path, walk: Walk, folder: str, *, needed: bool = False) -> list[Entry]:
    """A real folder, by name. One that has vanished, and is not needed, is empty."""
    with refusals("scandir", joined(root, folder)):
        try:
            return sorted(_read(walk, folder), key=lambda entry: entry.path)
        except (FileNotFoundError, NotADirectoryError):
            if needed:
                raise
            return []


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
