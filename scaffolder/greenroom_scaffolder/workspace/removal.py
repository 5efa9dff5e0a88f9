"""folder -> empty: everything below it is deleted, however deep, whatever its permissions, and no link is followed."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

from greenroom_scaffolder.workspace.descent import LONGEST, FileError, Walk, refusals

_DEEP = 64
"""Folders below each other. What is deeper is first moved up, so that the way there stays short."""
_ATTEMPTS = 3


def delete(folder: Path) -> None:
    """Delete a folder with all that it holds. It is fine when it is gone already. Raises FileError."""
    for attempt in range(_ATTEMPTS):
        try:
            clear(folder, [])
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:  # perhaps a process that still writes
            if error.errno not in (errno.ENOTEMPTY, errno.EACCES) or attempt == _ATTEMPTS - 1:
                raise FileError(error.errno or errno.EIO, "rmdir", folder) from error
            if error.errno == errno.EACCES:
                with refusals("chmod", folder):
                    _permit(folder)


def clear(root: Path, under: list[str]) -> None:
    """Delete what a folder below the root holds. Raises OSError, such as for a process that goes on writing."""
    tops, folders = [under], []
    with _OwnersWalk(root) as walk:
        for top in tops:  # which grows
            folders += _folders(walk, top, tops)
        for folder in reversed(folders):
            with suppress(FileNotFoundError):
                _empty(walk.go(folder))
        for top in tops[1:]:
            with suppress(FileNotFoundError):
                os.rmdir(top[0], dir_fd=walk.go([]))


class _OwnersWalk(Walk):
    """It also goes where a program that was run has forbidden it: who owns a folder may permit it to himself again."""

    def _open(self, name: str) -> int:
        try:
            return super()._open(name)
        except PermissionError:
            os.fchmod(self._folder, 0o700)
            _permit(name, self._folder)
            return super()._open(name)


def _permit(name: str | Path, above: int | None = None) -> None:
    """Make a folder our own again; a link that takes its place is not followed."""
    folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        Path(f"/proc/self/fd/{folder}").chmod(0o700)
    finally:
        os.close(folder)


def _folders(walk: Walk, top: list[str], tops: list[list[str]]) -> list[list[str]]:
    """Those to empty, each before what it holds; the deep ones are moved to the root, and are more tops."""
    found, left = [], [top]
    while left:
        folder = left.pop()
        found.append(folder)
        with suppress(FileNotFoundError):
            for name in _folders_in(walk.go(folder)):
                below = [*folder, name]
                if len(folder) - len(top) < _DEEP and len("/".join(below)) <= LONGEST:
                    left.append(below)
                else:
                    tops.append([_moved_up(walk, folder, name)])
    return found


def _folders_in(folder: int) -> list[str]:
    if folder < 0:
        return []
    with os.scandir(folder) as listing:
        return [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]


def _moved_up(walk: Walk, folder: list[str], name: str) -> str:
    moved = f".gone-{uuid.uuid4().hex}"
    here = os.dup(walk.go(folder))
    try:
        _rename(name, moved, here, walk.go([]))
    finally:
        os.close(here)
    return moved


def _rename(name: str, other: str, here: int, there: int) -> None:
    try:
        os.rename(name, other, src_dir_fd=here, dst_dir_fd=there)
    except PermissionError:
        os.fchmod(here, 0o700)
        os.fchmod(there, 0o700)
        _permit(name, here)  # its `..` changes
        os.rename(name, other, src_dir_fd=here, dst_dir_fd=there)


def _empty(folder: int) -> None:
    if folder < 0:
        return
    with os.scandir(folder) as listing:
        entries = list(listing)
    for entry in entries:
        remove = os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink
        try:
            remove(entry.name, dir_fd=folder)
        except PermissionError:  # the folder is read-only, as those of some tools' caches are
            os.fchmod(folder, 0o700)
            remove(entry.name, dir_fd=folder)
