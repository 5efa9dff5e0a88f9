"""The directory of one task, which cannot be escaped: whatever is planted in it, no path through it leads out.

All functions block: call them off the event loop. They are safe to call from several threads.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from greenroom.errors import ConflictError, InputError, NotAllowedError
from greenroom.javascript.texts import well_formed
from greenroom_scaffolder.workspace import archive
from greenroom_scaffolder.workspace.descent import (
    OUTSIDE,
    FileError,
    Listed,
    Place,
    encoded,
    joined,
    leads_inside,
    names,
    open_to_read,
    open_to_write,
    place,
    refusals,
)
from greenroom_scaffolder.workspace.globs import Search
from greenroom_scaffolder.workspace.quota import Ledger, Quota, QuotaError, Usage, account_of, in_words
from greenroom_scaffolder.workspace.removal import clear, delete
from greenroom_scaffolder.workspace.scan import Entry, Kind, Named, entry_of, scan, scan_through

MOST_SHOWN = 64 * 1024 * 1024
"""Bytes of all files that a dry run shows: its answer is made in memory, and is a third larger."""
_CHUNK = 1024 * 1024
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Content(msgspec.Struct, frozen=True):
    """One file as a dry run shows it, its path as text that UTF-8 can hold; of a broken link, `content` is where it points."""

    path: str
    content: bytes
    executable: bool
    symlink: bool = False


class Workspace:
    """A folder of its own for one task. There may be several of one folder: what they write counts together.

    Paths are relative to it, or absolute and below it. What leads outside, also through a link, raises NotAllowedError;
    what is too much QuotaError; what the file system refuses FileError (all of `greenroom.errors`' family)."""

    def __init__(self, path: Path, limits: Quota) -> None:
        """`path` is absolute, real, and exists. See `create`."""
        self.path = path
        self.limits = limits
        self._ledger = Ledger(limits, account_of(path, partial(_usage, path)))

    @classmethod
    def create(cls, root: Path, task_id: str, limits: Quota | None = None) -> Workspace:
        """Make the folder `task_id`, for no other user to read, or go on with the one that is there.

        Raises InputError for an id that is no plain name, ConflictError when something else stands there."""
        if not _TASK_ID.fullmatch(task_id):
            raise InputError(f"{task_id[:130]!r} cannot name a workspace")
        root.mkdir(parents=True, exist_ok=True)
        path = root.resolve() / task_id
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        about = path.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            raise ConflictError(f"The workspace {path} is not a folder of this process' user")
        return cls(path, limits or Quota())

    def remove(self) -> None:
        """Delete it with all that it holds. It is fine when it is gone already. Raises FileError."""
        delete(self.path)

    # --- looking -------------------------------------------------------------------------------------------------

    def inside(self, *parts: str, follow: bool = True) -> Path:
        """The absolute path of something that need not exist, as upstream's resolveSafeChildPath answers it: links are followed
        to see where it is, but left in the answer. Without `follow` the last name may be a link to anywhere.

        It is for messages and for other programs. What you read or write yourself, name to the other methods: they check and act
        in one."""
        path = "/".join(filter(None, parts))
        with place(self.path, path, follow=follow):
            return Path(joined(self.path, path))

    def relative(self, path: str) -> str:
        """`./a/../b` -> `b`. Raises NotAllowedError."""
        return os.path.relpath(self.inside(path, follow=False), self.path)

    def exists(self, path: str) -> bool:
        """Whether something is there; a link counts for what it leads to."""
        return self.find(path, follow=True) is not None

    def find(self, path: str, *, follow: bool = False) -> Entry | None:
        """What stands there."""
        with place(self.path, path, follow=follow) as there, refusals("lstat", path):
            try:
                return _look(there, path)
            except FileNotFoundError:
                return None

    def entries(self, under: str = "", *, recursive: bool = True) -> list[Entry]:
        """What stands below a folder, a folder before what it holds. Links are not followed. Raises FileError."""
        return list(scan(self.path, under, recursive=recursive))

    def matching(self, pattern: str, *, hidden: bool = False) -> list[str]:
        """The files that a pattern finds, as npm's fast-glob does, by each name that links give them; those with hidden names only
        if wanted, or if the pattern names their dots. Raises InputError, and QuotaError for too many names."""
        return [Listed(one.path) for one in self._found(Search(self.relative(pattern), hidden=hidden))]

    def deletable(self, pattern: str) -> list[Named]:
        """The files that a pattern finds, as upstream's fs:delete means it (globby): hidden ones too, by each name that links give
        them. The name of a folder stands for all files below it. Raises as `matching`."""
        return self._found(Search(self.relative(pattern).replace("\\", "/"), self._is_folder))

    def read(self, path: str) -> bytes:
        """Raises FileError for what is no plain file, QuotaError for a larger one than a workspace may have."""
        with self.open(path) as content:
            return content.read()

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A plain file's content, to read in pieces."""
        with place(self.path, path) as there:
            descriptor = open_to_read(there, joined(self.path, path))
        with os.fdopen(descriptor, "rb") as content:
            self._ledger.refuse_large(path, os.fstat(descriptor).st_size)
            yield content

    def usage(self) -> Usage:
        """What it holds, counted now."""
        return _usage(self.path)

    def check(self) -> Usage:
        """For after a step, whose processes may have written by themselves. Raises QuotaError."""
        return self._ledger.check()

    def contents(self, most: int = MOST_SHOWN) -> list[Content]:
        """Every file as a dry run shows it: all but `.git`, no folders, and of links only the broken ones (upstream's
        serializeDirectoryContents). Raises NotAllowedError when a link leads outside, QuotaError for more than `most` bytes."""
        shown = [
            entry
            for entry in self.entries()
            if entry.kind in ("file", "link")
            and entry.path.split("/", 1)[0] != ".git"
            and (entry.kind == "file" or not self.exists(entry.path))
        ]
        size = sum(entry.size for entry in shown)
        if size > most:
            raise QuotaError(
                f"The files of the dry run are {in_words(size)}, more than the {in_words(most)} that are shown"
            )
        return [self._content(entry) for entry in shown]

    # --- changing ------------------------------------------------------------------------------------------------

    def write(self, path: str, data: bytes, mode: int = 0o666) -> None:
        """Make or replace a file, and the folders above it. `mode` counts for a new file, less the process' umask; an old one
        keeps its own (as node's writeFile)."""
        self.pour(path, [data], mode)

    def pour(self, path: str, chunks: Iterable[bytes], mode: int = 0o666, *, keep: bool = True) -> None:
        """Like `write`, of content that comes in pieces. Without `keep` an old file gets the mode too, whatever the umask."""
        with self._making(path) as there:
            descriptor, new = open_to_write(there, mode & 0o777, joined(self.path, path))
            with refusals("write", joined(self.path, path)), os.fdopen(descriptor, "wb", buffering=0) as file:
                if new:
                    self._claim_made(there)
                else:
                    self._ledger.claim(-os.fstat(descriptor).st_size, 0)
                    os.ftruncate(descriptor, 0)
                if not keep:
                    os.fchmod(descriptor, mode & 0o777)
                self._pour(file, chunks, path)

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file, which is made if it is not there, with the folders above it."""
        with self._making(path) as there:
            descriptor, new = open_to_write(there, 0o666, joined(self.path, path))
            with refusals("write", joined(self.path, path)), os.fdopen(descriptor, "wb", buffering=0) as file:
                if new:
                    self._claim_made(there)
                self._pour(file, [data], path, file.seek(0, os.SEEK_END))

    def chmod(self, path: str, mode: int) -> None:
        """Set a file's or folder's permission bits; those beyond (set-user-id and the like) cannot be set."""
        with place(self.path, path) as there, refusals("chmod", joined(self.path, path)):
            descriptor = os.open(there.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=there.reached)
            try:
                os.fchmod(descriptor, mode & 0o777)
            finally:
                os.close(descriptor)

    def mkdir(self, path: str) -> None:
        """Make a folder and those above it; it is fine when it is there."""
        with self._making(path) as there:
            if there.name != ".":
                self._mkdir(there, path)

    def symlink(self, path: str, target: str) -> None:
        """Make a link, or change one. A target is kept as it is written, but one that is absolute becomes relative.

        Raises NotAllowedError for a target outside the workspace."""
        refused = f"{target}' -> '{joined(self.path, path)}"
        with self._making(path, follow=False) as there, refusals("symlink", refused):
            if not encoded(target) or not leads_inside(self.path, there.above, target):
                raise NotAllowedError(OUTSIDE)
            if target.startswith("/"):
                target = os.path.relpath(target, self.path.joinpath(*there.above))
            self._link(there, target, path)

    def copy_tree(self, source: Path, target: str = "") -> None:
        """Copy a file, or what a folder holds, from elsewhere, with modes and links; what is there is replaced, and worded as by
        fs-extra's copy.

        Links that lead out of `source`, and what is neither file, folder nor link, are left out (as upstream's fetchContents).
        Raises FileError, MoveError."""
        given, source = source, source.resolve()
        if source.is_file():
            self._make_way("file", given, target)
            self._copy(source.parent, source.name, target, source.stat().st_mode)
        else:
            self._make_way("folder", given, target)
            self.mkdir(target)
            above = names(self.path, target)
            for entry in scan(source):
                self._copy_entry(source, entry, Listed("/".join([*above, entry.path])))

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Move a file, folder or link, making the folders above the target. Worded as upstream's fs:rename (fs-extra's move)."""
        old, new = self.inside(source), self.inside(target)
        moved = self.find(source)
        if moved is None:
            raise FileError(errno.ENOENT, "lstat", old)
        if old == new:
            raise MoveError("Source and destination must not be the same.")
        there_already = self._like(moved.kind, old, target)
        if moved.kind == "folder" and new.is_relative_to(old):
            raise MoveError(f"Cannot move '{old}' to a subdirectory of itself, '{new}'.")
        if there_already is not None:
            if not overwrite:
                raise MoveError("dest already exists.")
            self.discard(target)
        with (
            place(self.path, source, follow=False) as here,
            self._making(target, follow=False) as there,
            refusals("rename", f"{old}' -> '{new}"),
        ):
            os.rename(here.name, there.name, src_dir_fd=here.reached, dst_dir_fd=there.folder)

    def delete(self, patterns: Iterable[str]) -> list[Path]:
        """Delete the files that match (see `deletable`); folders stay. The answer names each, by all its names.

        Raises NotAllowedError at the first that begins with two dots: upstream looks at what is found as at what is written."""
        gone = []
        for pattern in patterns:
            for found in self.deletable(pattern):
                names(self.path, found.path)
                self.discard(Listed(found.real))
                gone.append(self.path / found.path)
        return gone

    def discard(self, path: str) -> None:
        """Delete a file, a link, or a folder with all that it holds; it is fine when nothing is there."""
        if os.path.normpath(path) == ".":
            raise NotAllowedError("The workspace itself cannot be deleted")
        with place(self.path, path, follow=False) as there, refusals("rm", joined(self.path, path)):
            self._ledger.forget()
            with suppress(FileNotFoundError):
                if _look(there, path).kind == "folder":
                    clear(self.path, [*there.above, there.name])
                    os.rmdir(there.name, dir_fd=there.folder)
                else:
                    os.unlink(there.name, dir_fd=there.folder)

    # --- travelling ----------------------------------------------------------------------------------------------

    def pack(self, most: int = archive.MOST_PACKED) -> bytes:
        """All of it, in at most so many bytes. Raises QuotaError beyond; what is neither file, folder nor link is left out."""
        return archive.pack(self._packable(), most)

    def unpack(self, packed: bytes) -> None:
        """Put what `pack` made into this workspace; links as they were written, also those that lead out, which nothing here
        follows. Raises ArchiveError, QuotaError; NotAllowedError and FileError for a member below a link or a file."""
        links, modes = [], []
        for entry, content in archive.unpack(packed, self._most_unpacked(), self.limits.max_files):
            path = Listed(entry.path)
            if content is not None:
                self.pour(path, iter(lambda source=content: source.read(_CHUNK), b""), entry.mode, keep=False)  # type: ignore[misc]
            elif entry.kind == "link":
                links.append(entry)
            else:
                self.mkdir(path)
                modes.append(entry)
        for entry in links:  # last, so that nothing is written through them
            with self._making(Listed(entry.path), follow=False) as there, refusals("symlink", entry.path):
                self._link(there, entry.target, entry.path)
        for entry in reversed(modes):
            self.chmod(Listed(entry.path), entry.mode)

    def _packable(self) -> Iterator[tuple[Entry, IO[bytes] | None]]:
        for entry in scan(self.path):
            if entry.kind in ("folder", "link"):
                yield entry, None
            elif entry.kind == "file":
                with ExitStack() as stack:
                    content = stack.enter_context(self.open(Listed(entry.path)))
                    size = os.fstat(content.fileno()).st_size
                    yield msgspec.structs.replace(entry, size=size), content

    def _most_unpacked(self) -> int:
        """Each member has a header, and up to three more for a long name."""
        return self.limits.max_bytes + 4096 * (self.limits.max_files + 3)

    # --- one thing at a time -------------------------------------------------------------------------------------

    @contextmanager
    def _making(self, path: str, *, follow: bool = True) -> Iterator[Place]:
        with self._ledger.changing(), place(self.path, path, follow=follow, make=self._one_more) as there:
            yield there

    def _one_more(self) -> None:
        self._ledger.claim(0, 1)

    def _claim_made(self, there: Place) -> None:
        """Count a file or link that was just made; where there is no room for it, it does not stay."""
        try:
            self._ledger.claim(0, 1, made=1)
        except QuotaError:
            os.unlink(there.name, dir_fd=there.folder)
            raise

    def _link(self, there: Place, target: str, path: str) -> None:
        """Make a link, or change one, wherever it leads."""
        try:
            os.symlink(target, there.name, dir_fd=there.folder)
            self._claim_made(there)
        except FileExistsError:
            if _look(there, path).kind != "link":
                raise
            os.unlink(there.name, dir_fd=there.folder)
            os.symlink(target, there.name, dir_fd=there.folder)

    def _pour(self, file: IO[bytes], chunks: Iterable[bytes], path: str, size: int = 0) -> None:
        """`size`: what the file has already."""
        try:
            for chunk in chunks:
                size += len(chunk)
                self._ledger.refuse_large(path, size)
                self._ledger.claim(len(chunk), 0)
                _write_all(file, chunk)
        except BaseException:
            self._ledger.forget()
            raise

    def _mkdir(self, there: Place, path: str) -> None:
        with refusals("mkdir", joined(self.path, path)):
            self._one_more()
            try:
                os.mkdir(there.name, 0o777, dir_fd=there.folder)
            except FileExistsError:
                self._ledger.claim(0, -1)
                if _look(there, path).kind != "folder":
                    raise

    def _like(self, kind: Kind, source: Path, target: str) -> Entry | None:
        """What stands where something is to go. Raises MoveError for a file where a folder is to go, and for a folder where
        anything else is."""
        there = self.find(target)
        if there is not None and (kind == "folder") is not (there.kind == "folder"):
            kinds = ("non-directory", "directory") if kind == "folder" else ("directory", "non-directory")
            raise MoveError(f"Cannot overwrite {kinds[0]} '{self.inside(target)}' with {kinds[1]} '{source}'.")
        return there

    def _make_way(self, kind: Kind, source: Path, target: str) -> None:
        """A copied file takes a link's place, and leaves alone what it led to. Raises MoveError."""
        there = self._like(kind, source, target)
        if there is not None and there.kind == "link" and kind == "file":
            self.discard(target)

    def _copy_entry(self, source: Path, entry: Entry, target: str) -> None:
        if entry.kind == "other" or (
            entry.kind == "link" and not leads_inside(source, entry.path.split("/")[:-1], entry.target)
        ):
            return
        self._make_way(entry.kind, source / entry.path, target)
        if entry.kind == "folder":
            self.mkdir(target)
        elif entry.kind == "link":
            self.symlink(target, entry.target)
        else:
            self._copy(source, entry.path, target, entry.mode)

    def _copy(self, source: Path, path: str, target: str, mode: int) -> None:
        with place(source, Listed(path), follow=False) as there:
            descriptor = open_to_read(there, source / path)
        with os.fdopen(descriptor, "rb", buffering=0) as content:
            self.pour(target, iter(lambda: content.read(_CHUNK), b""), mode, keep=False)

    def _found(self, search: Search) -> list[Named]:
        names_there = scan_through(self.path, search.enters, self.limits.max_files)
        return [one for one in names_there if search.finds(one.path, one.kind)]

    def _is_folder(self, path: str) -> bool:
        found = self.find(path, follow=True)
        return found is not None and found.kind == "folder"

    def _content(self, entry: Entry) -> Content:
        path = well_formed(entry.path)
        if entry.kind == "link":
            return Content(path, os.fsencode(entry.target), entry.executable, symlink=True)
        return Content(path, self.read(entry.path), entry.executable)


class MoveError(InputError):
    """What is there cannot be moved or replaced"""

    name = "Error"


def _usage(root: Path) -> Usage:
    size = count = 0
    for entry in scan(root):
        size, count = size + entry.size, count + 1
    return Usage(size, count)


def _look(there: Place, path: str) -> Entry:
    """Raises FileNotFoundError."""
    about = os.stat(there.name, dir_fd=there.reached, follow_symlinks=False)
    return entry_of(there.folder, there.name, path, about)


def _write_all(file: IO[bytes], chunk: bytes) -> None:
    """An unbuffered file may take less than it was given."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]
