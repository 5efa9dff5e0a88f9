"""root + path -> a place: the open folder that holds it and its name there, reached link by link, never outside the root.

Every folder on the way is opened from the one before it, without following links; links are read, and followed by hand. A long way
is gone at once, and looked at where that led: the folder that is open must be the very one that was named. Hence nothing that is
planted or changed meanwhile leads out: what was checked is what is used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from greenroom.errors import InputError, NotAllowedError

OUTSIDE = "Relative path is not allowed to refer to a directory outside its parent"
"""Upstream's words (backend-plugin-api, resolveSafeChildPath)."""

MOST_LINKS = 40
MOST_NAMES = 512
"""Of the links on one way together: a single target may have two thousand, and forty such links take a second to follow."""
LONGEST = 4095
"""Bytes of a whole path: beyond, no other program could name what is there."""

_FAR = 16
"""Folders from which on it is worth while to go all the way at once."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""For files: a named pipe must not make us wait."""

_NOTHING = frozenset(("", "."))
_NOT_PLAIN = _NOTHING | {".."}

_WORDS = {  # node's, which templates' authors know
    errno.ENOENT: "no such file or directory",
    errno.EEXIST: "file already exists",
    errno.EISDIR: "illegal operation on a directory",
    errno.ENOTDIR: "not a directory",
    errno.ENOTEMPTY: "directory not empty",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.ENAMETOOLONG: "name too long",
    errno.ELOOP: "too many symbolic links encountered",
    errno.ENOSPC: "no space left on device",
    errno.EMFILE: "too many open files",
}


class FileError(InputError):
    """The file system refused"""

    name = "Error"

    def __init__(self, number: int, call: str, path: object = None) -> None:
        """Worded as node words it: `ENOENT: no such file or directory, open '/ws/a.txt'`. What is open has no path any more."""
        self.number = number
        self.code = errno.errorcode.get(number, "EIO")
        super().__init__(
            f"{self.code}: {_WORDS.get(number, os.strerror(number).lower())}, {call}" + (f" '{path}'" if path else "")
        )


class Listed(str):
    """A path below the root that a listing or an archive told: files may be called `..data`, and are refused only where somebody
    wrote such a path (see `names`)."""

    __slots__ = ()


class Place(NamedTuple):
    """Where something is or would be."""

    folder: int
    """An open descriptor of the folder that holds it; -1 when that folder is missing."""
    name: str
    """Its name there; `.` for the folder itself. No link, where links are followed."""
    above: tuple[str, ...]
    """The real folders from the root to `folder`."""

    @property
    def reached(self) -> int:
        """The open descriptor. Raises FileNotFoundError."""
        if self.folder < 0:
            raise FileNotFoundError(errno.ENOENT, "")
        return self.folder

    @property
    def path(self) -> str:
        """The real path below the root."""
        return "/".join(self.above if self.name == "." else (*self.above, self.name))


class refusals:  # noqa: N801 - reads as the statement it is
    """`with refusals("open", path):` what the system refuses is told as FileError."""

    __slots__ = ("_call", "_path")

    def __init__(self, call: str, path: object) -> None:
        self._call = call
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise FileError(error.errno or errno.EIO, self._call, self._path) from error


class place:  # noqa: N801 - reads as the statement it is
    """`with place(root, path) as there:` go there. A missing last name is fine, and so are missing folders: `make` is called before
    each that is then made.

    Without `follow` a link at the end is itself the place. Raises NotAllowedError for what is outside, FileError."""

    __slots__ = ("_follow", "_path", "_root", "_walk")

    def __init__(self, root: Path, path: str, *, follow: bool = True, make: Callable[[], None] | None = None) -> None:
        self._root, self._path, self._follow = root, path, follow
        self._walk = Walk(root, make)

    def __enter__(self) -> Place:
        try:
            return self._walk.to(names(self._root, self._path), follow=self._follow)
        except OSError as error:
            self._walk.close()
            raise FileError(error.errno or errno.EIO, "lstat", joined(self._root, self._path)) from error
        except BaseException:
            self._walk.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._walk.close()


def leads_inside(root: Path, above: Iterable[str], target: str) -> bool:
    """Whether a link in the folder `above` to `target` would stay below the root, through whatever links there are now."""
    with Walk(root) as walk:
        try:
            start = [] if target.startswith("/") else above
            walk.to([*start, *walk.names_of_link(target)], follow=True)
        except NotAllowedError:
            return False
        except OSError:
            return True  # it leads to nothing, or in a circle
    return True


def names(root: Path, path: str) -> list[str]:
    """The names below the root, as node's `path.resolve` has it: `..` counts before links do, an absolute path stands for itself.

    A first name that begins with two dots is refused as upstream does, which looks no further, but for what was `Listed`."""
    if len(encoded(path)) + len(str(root)) > LONGEST:
        raise FileError(errno.ENAMETOOLONG, "lstat", path[:100] + "...")
    given = path.split("/")
    if isinstance(path, Listed) or (_NOT_PLAIN.isdisjoint(given) and not given[0].startswith("..")):
        return given
    below = os.path.relpath(joined(root, path), root)
    if below.startswith(".."):
        raise NotAllowedError(OUTSIDE)
    return [] if below == "." else below.split("/")


def joined(root: Path, path: str) -> str:
    """As node's `path.resolve` has it, which knows no links: upstream tells paths so. An absolute one stands for itself."""
    return os.path.normpath(os.path.join(root, path))  # noqa: PTH118 - pathlib takes ten times as long


def encoded(path: str) -> bytes:
    """As the system will see it. Raises InputError for what no path can hold."""
    if "\0" in path:
        raise InputError("A path must be without null bytes")
    try:
        return os.fsencode(path)
    except UnicodeEncodeError as error:
        raise InputError(f"The path {path!a} is not valid text") from error


def open_to_read(there: Place, path: object) -> int:
    """A descriptor of a plain file. Raises FileError for anything else."""
    with refusals("open", path):
        return _plain(os.open(there.name, os.O_RDONLY | _PLAIN, dir_fd=there.reached), path)


def open_to_write(there: Place, mode: int, path: object) -> tuple[int, bool]:
    """A descriptor of a plain file, and whether it is new. `mode` counts for a new one only, as open(2) has it."""
    with refusals("open", path):
        try:
            return os.open(there.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, mode, dir_fd=there.folder), True
        except FileExistsError:
            return _plain(_open_old(there), path), False


def _open_old(there: Place) -> int:
    try:
        return os.open(there.name, os.O_WRONLY | _PLAIN, dir_fd=there.folder)
    except PermissionError:  # a skeleton's file may be read-only, and is still replaced
        mode = os.stat(there.name, dir_fd=there.folder, follow_symlinks=False).st_mode & 0o777
        os.unlink(there.name, dir_fd=there.folder)
        return os.open(there.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, mode, dir_fd=there.folder)


def _plain(descriptor: int, path: object) -> int:
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise FileError(errno.EISDIR, "read")
    raise FileError(errno.EINVAL, "read", path)


class Walk:
    """One descent. At most two descriptors are open at a time, however deep it goes.

    It goes up by `..` where that is the very folder through which it came: to come from the root again each time would take as long
    as the tree is deep for each of its folders."""

    def __init__(self, root: Path, make: Callable[[], None] | None = None) -> None:
        self._root = root
        self._make = make
        self._above: list[str] = []
        self._length = 0
        self._links = self._names = 0
        self._folder = os.open(root, FOLDER)
        self._seen = [_identity(self._folder)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def go(self, path: list[str]) -> int:
        """The descriptor of a real folder, by the shortest way from where we are; -1 when it is missing. Raises OSError."""
        shared = min(len(self._above), len(path))
        while self._above[:shared] != path[:shared]:
            shared -= 1
        self._rise(shared)
        for name in path[shared:]:
            self._down(name)
        return self._folder

    def to(self, path: list[str], *, follow: bool) -> Place:
        left = path[self._leap(path) :][::-1]
        while left:
            name = left.pop()
            if name == "..":
                self._up()
            elif name not in ("", "."):
                last = not left or _NOTHING.issuperset(left)
                if last and not follow:
                    return Place(self._folder, name, tuple(self._above))
                target = self._target(name) if last else self._down_or_target(name)
                if target is not None:
                    left += self._follow(target)
                elif last:
                    return Place(self._folder, name, tuple(self._above))
        return Place(self._folder, ".", tuple(self._above))

    def names_of_link(self, target: str) -> list[str]:
        """Unlike those of a path: `..` counts where the links before it have led. Raises NotAllowedError also for too many: nobody
        waits to see where they lead."""
        names = target.split("/")
        if target.startswith("/"):
            if target != str(self._root) and not target.startswith(f"{self._root}/"):
                raise NotAllowedError(OUTSIDE)
            names = target[len(str(self._root)) :].split("/")
        self._names += len(names)
        if self._names > MOST_NAMES:
            raise NotAllowedError(OUTSIDE)
        return names

    def close(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1

    def _leap(self, path: list[str]) -> int:
        """How many names of a long way were gone at once, from the root: the system looks at a thousand folders as fast as we at
        twenty. It follows links; whether it did not is seen by where it came to. Else it is as if it had not gone."""
        plain = next((index for index, name in enumerate(path[:-1]) if name in _NOT_PLAIN), len(path) - 1)
        if plain < _FAR or self._above:
            return 0
        way = "/".join(path[:plain])
        try:
            there = os.open(way, FOLDER, dir_fd=self._folder)
        except OSError:
            return 0
        if _path_of(there) != f"{self._root}/{way}":
            os.close(there)
            return 0
        self.close()
        self._above, self._length, self._folder = path[:plain], len(way) + 1, there
        self._seen = [_UNSEEN] * plain + [_identity(there)]
        return plain

    def _down_or_target(self, name: str) -> str | None:
        """Most are folders; what is none may be a link."""
        try:
            self._down(name)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            target = self._target(name)
            if target is None:
                raise
            return target
        return None

    def _target(self, name: str) -> str | None:
        if self._folder < 0:
            return None
        try:
            return os.readlink(name, dir_fd=self._folder)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def _follow(self, target: str) -> list[str]:
        """The names to go on with, the next one last."""
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, "")
        onward = self.names_of_link(target)
        if target.startswith("/"):
            self._restart([])
        return onward[::-1]

    def _up(self) -> None:
        if not self._above:
            raise NotAllowedError(OUTSIDE)
        self._rise(len(self._above) - 1)

    def _rise(self, depth: int) -> None:
        """To the folder on our way that is so many below the root."""
        if self._folder < 0 or len(self._above) - depth > depth:
            self._restart(self._above[:depth])
        while len(self._above) > depth:
            if not self._back():
                self._restart(self._above[:depth])

    def _back(self) -> bool:
        """One up, unless that is another folder than the one we came through: what we are in may have been moved, or deleted."""
        try:
            above = os.open("..", FOLDER, dir_fd=self._folder)
        except OSError:
            return False
        if _identity(above) != self._seen[-2]:
            os.close(above)
            return False
        self.close()
        self._folder = above
        self._seen.pop()
        self._length -= len(self._above.pop()) + 1
        return True

    def _restart(self, above: list[str]) -> None:
        self.close()
        self._above, self._length, self._folder = [], 0, os.open(self._root, FOLDER)
        self._seen = [_identity(self._folder)]
        for name in above:
            self._down(name)

    def _down(self, name: str) -> None:
        if self._length + len(name) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, "")
        deeper = self._open(name) if self._folder >= 0 else -1
        self.close()
        self._folder = deeper
        self._length += len(name) + 1
        self._above.append(name)
        self._seen.append(_identity(deeper))

    def _open(self, name: str) -> int:
        try:
            return os.open(name, FOLDER, dir_fd=self._folder)
        except FileNotFoundError:
            if self._make is None:
                return -1
        self._make()
        with suppress(FileExistsError):  # another thread was faster
            os.mkdir(name, 0o777, dir_fd=self._folder)
        return os.open(name, FOLDER, dir_fd=self._folder)


_UNSEEN = (-1, -1)


def _path_of(folder: int) -> str:
    """Where an open folder is; empty where that is not told."""
    try:
        return os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - pathlib takes its time for a long path
    except OSError:
        return ""


def _identity(folder: int) -> tuple[int, int]:
    """What tells an open folder from all others that there are; of a missing one, nothing."""
    if folder < 0:
        return _UNSEEN
    about = os.fstat(folder)
    return about.st_dev, about.st_ino
