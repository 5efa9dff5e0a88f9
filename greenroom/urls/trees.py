"""files as they come -> Tree: looked at, counted, and kept on disk, so that no folder takes more memory than its largest file."""

from __future__ import annotations

import posixpath
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, NamedTuple

from greenroom.plugin import Tree, TreeFile
from greenroom.urls.service import UnreadableUrlError

MAX_TREE_FILES = 50_000
MAX_TREE_BYTES = 512 * 1024 * 1024
MAX_TREE_FILE = 100 * 1024 * 1024
_IN_MEMORY = 4 * 1024 * 1024
_LONGEST_LINK = 4096
_CHUNK = 256 * 1024


class _Kept(NamedTuple):
    path: str
    start: int
    size: int
    executable: bool
    link: str | None


class Gathering:
    """The files of a folder, one after the other. What is gathered goes when neither this nor a Tree of it is left."""

    def __init__(self, below: str = "") -> None:
        """Only files of the folder `below` count, and their paths begin there."""
        self._prefix = f"{below.strip('/')}/" if below.strip("/") else ""
        self._content: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by the next line
        weakref.finalize(self, self._content.close)
        self._kept: list[_Kept] = []
        self._size = 0

    def wants(self, path: str) -> bool:
        """Whether a path is one of the folder: such as lead elsewhere, and the names of folders, are not."""
        return path.startswith(self._prefix) and is_plain(path.removeprefix(self._prefix))

    def add(self, path: str, content: IO[bytes], size: int, *, executable: bool = False) -> None:
        """The next `size` bytes of a stream. Raises UnreadableUrlError when it is too much, or the stream ends before."""
        if size > MAX_TREE_FILE:
            raise UnreadableUrlError(f"{path} is larger than {MAX_TREE_FILE} bytes")
        self._count(_Kept(path.removeprefix(self._prefix), self._size, size, executable, None))
        left = size
        while left:
            chunk = content.read(min(left, _CHUNK))
            if not chunk:
                raise UnreadableUrlError(f"{path} ends before its {size} bytes")
            self._content.write(chunk)
            left -= len(chunk)

    def add_link(self, path: str, target: str) -> None:
        """A symbolic link; one that leads out of the folder is left out, as upstream does."""
        inside = path.removeprefix(self._prefix)
        if stays_inside(inside, target):
            self._count(_Kept(inside, self._size, 0, executable=False, link=target))

    def tree(self, etag: str | None) -> Tree:
        """What there is now."""
        return Tree(self, etag)

    def __iter__(self) -> Iterator[TreeFile]:
        for one in self._kept:
            self._content.seek(one.start)
            yield TreeFile(one.path, self._content.read(one.size), one.executable, one.link)

    def _count(self, one: _Kept) -> None:
        self._kept.append(one)
        self._size += one.size
        if len(self._kept) > MAX_TREE_FILES:
            raise UnreadableUrlError(f"The folder has more than {MAX_TREE_FILES} files")
        if self._size > MAX_TREE_BYTES:
            raise UnreadableUrlError(f"The files of the folder are larger than {MAX_TREE_BYTES} bytes")


def is_plain(path: str) -> bool:
    """Whether a path leads down from the root and nowhere else."""
    return bool(path) and "\0" not in path and path[0] != "/" and not {"", ".", ".."}.intersection(path.split("/"))


def stays_inside(path: str, target: str) -> bool:
    """Whether a link, as it is written, points to something in the folder that its own path is relative to."""
    if not target or len(target) > _LONGEST_LINK or "\0" in target or target.startswith("/"):
        return False
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target)).split("/")[0] != ".."
