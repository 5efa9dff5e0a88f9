"""a folder -> one commit of all that is in it: what `git fast-import` reads, byte for byte as the files are."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from greenroom.errors import InputError

MAX_FILES = 100_000
_CHUNK = 256 * 1024
_CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL)
"""What is said of something that was there, and is now something else."""
_LINK, _EXECUTABLE, _PLAIN = b"120000", b"100755", b"100644"


class Author(msgspec.Struct, frozen=True):
    """Who a commit is by."""

    name: str = ""
    """Empty: upstream's default, `Scaffolder`."""
    email: str = ""
    """Empty: `scaffolder@backstage.io`."""

    def signature(self, at: datetime) -> bytes:
        """As a commit has it; characters that would end it are left out."""
        name, email = (" ".join(re.sub(r"[<>\0-\x1f]", " ", text).split()) for text in (self.name, self.email))
        zone = at.strftime("%z") or "+0000"
        return f"{name or 'Scaffolder'} <{email or 'scaffolder@backstage.io'}> {int(at.timestamp())} {zone}".encode(
            "utf-8", "replace"
        )


class Commit(msgspec.Struct, frozen=True):
    """What is said of a commit. With the same words, files and parent it is the same commit, whoever makes it and when."""

    branch: str
    message: str
    author: Author
    at: datetime

    def __post_init__(self) -> None:
        if not is_branch(self.branch):
            raise InputError(f"{self.branch!r} is no name of a branch")


def is_branch(name: str) -> bool:
    """Whether git takes this for the name of a branch (git-check-ref-format)."""
    parts = name.split("/")
    return (
        bool(name)
        and len(name) <= 200
        and not re.search(r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{", name)
        and not name.startswith("-")
        and not name.endswith(".")
        and name not in ("@", "HEAD")
        and not any(part == "" or part.startswith(".") or part.endswith(".lock") for part in parts)
    )


def files_in(folder: Path) -> list[bytes]:
    """The paths of all files and links below a folder, in order, but of what is called `.git`.

    Raises InputError for what is no file, and for more than MAX_FILES."""
    found: list[bytes] = []
    for path in _walk(os.fsencode(folder), b""):
        found.append(path)
        if len(found) > MAX_FILES:
            raise InputError(f"There are more than {MAX_FILES} files to publish")
    return sorted(found)


def _walk(folder: bytes, below: bytes) -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = below + entry.name
            if entry.name.lower() == b".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, path + b"/")
            elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                yield path
            else:
                raise InputError(f"{os.fsdecode(path)} is neither a file nor a link: it cannot be published")


def write_stream(into: IO[bytes], folder: Path, paths: Collection[bytes], commit: Commit, parent: str | None) -> None:
    """What makes `git fast-import` write the commit: these files of the folder, and no others, after the parent.

    Raises InputError when a file changes meanwhile."""
    message = commit.message.strip("\n").encode("utf-8", "replace") + b"\n"
    signature = commit.author.signature(commit.at)
    into.write(b"feature done\ncommit refs/heads/%s\n" % commit.branch.encode())
    into.write(b"author %s\ncommitter %s\ndata %d\n%s" % (signature, signature, len(message), message))
    if parent:
        into.write(b"from %s\ndeleteall\n" % parent.encode())
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in paths:
            _write_file(into, root, path)
    finally:
        os.close(root)
    into.write(b"\ndone\n")
    into.flush()


def _write_file(into: IO[bytes], root: int, path: bytes) -> None:
    try:
        with _folder_of(path, root) as folder:
            _write_from(into, folder, path)
    except OSError as error:
        if error.errno not in _CHANGED:
            raise
        raise InputError(f"{os.fsdecode(path)} changed while it was published") from error


@contextmanager
def _folder_of(path: bytes, root: int) -> Iterator[int]:
    """The folder of a file, which nobody swaps for a link to elsewhere: each is opened from the one above it."""
    here = os.dup(root)
    try:
        for name in path.split(b"/")[:-1]:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _write_from(into: IO[bytes], folder: int, path: bytes) -> None:
    name = path.rpartition(b"/")[2]
    about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(about.st_mode):
        target = os.readlink(name, dir_fd=folder)
        into.write(b"M %s inline %s\ndata %d\n%s\n" % (_LINK, _quoted(path), len(target), target))
        return
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        mode = _EXECUTABLE if about.st_mode & stat.S_IXUSR else _PLAIN
        into.write(b"M %s inline %s\ndata %d\n" % (mode, _quoted(path), about.st_size))
        left = about.st_size
        while left and (chunk := file.read(min(left, _CHUNK))):
            into.write(chunk)
            left -= len(chunk)
        if left:
            raise InputError(f"{os.fsdecode(path)} changed while it was published")
    into.write(b"\n")


def _quoted(path: bytes) -> bytes:
    return b'"%s"' % b"".join(
        bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte for byte in path
    )
