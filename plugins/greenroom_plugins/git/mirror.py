"""remote repository -> commits, trees and files on this machine: a bare, shallow mirror, as empty of files as the host allows."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import IO, Literal

import msgspec

from greenroom.errors import NotFoundError
from greenroom.urls.trees import MAX_TREE_BYTES, Gathering
from greenroom_plugins.git.command import Access, Git, GitError, TooMuchError

MAX_FILE = 20 * 1024 * 1024
"""Bytes of the largest file that is read."""
MANY_BLOBS = 3
"""From here on, missing files are fetched in one go, not one by one as they are read."""
MANY_PACKS = 40
_LOCK_POLL = 0.05
_REF = "refs/greenroom/"
_FOREIGN = frozenset({b"", b".", b"..", b".git"})
_KINDS: dict[bytes, Literal["plain", "executable", "link"]] = {
    b"100644": "plain",
    b"100755": "executable",
    b"120000": "link",
}


class Tip(msgspec.Struct, frozen=True):
    """Where a branch stands on the remote."""

    branch: str
    commit: str


class File(msgspec.Struct, frozen=True):
    """A file in a tree."""

    path: bytes
    blob: str
    kind: Literal["plain", "executable", "link"] = "plain"


class _Asked:
    """Files that will be read together."""

    def __init__(self) -> None:
        self.blobs: dict[str, None] = {}
        self.answer: asyncio.Task[dict[str, bytes]]


class Mirror:
    """One remote repository on this machine. Several processes may share the folder."""

    def __init__(self, git: Git, folder: Path, access: Access) -> None:
        """`folder` holds all mirrors; this one's place in it follows from its URL."""
        self._git = git
        self._access = access
        name = sha1(access.address.url.encode(), usedforsecurity=False).hexdigest()
        self.path = folder / f"{name}.git"
        self._lock = folder / f"{name}.lock"
        self._here: set[str] = set()
        self._asked: _Asked | None = None
        self._reading = asyncio.Lock()

    async def tip(self, branch: str | None) -> Tip | None:
        """The branch (None: the remote's default one) on the remote; None when the repository is empty. Raises GitError."""
        wanted = f"refs/heads/{branch}" if branch else "HEAD"
        said = await self._git.run(
            "ls-remote", "--symref", "--", self._access.address.url, wanted,
            access=self._access, within=timedelta(seconds=60), limit=1024 * 1024,
        )  # fmt: skip
        name, commit = branch or "", ""
        for line in said.decode("utf-8", "replace").splitlines():
            value, _, ref = line.partition("\t")
            if ref == wanted and value.startswith("ref: refs/heads/"):
                name = value.removeprefix("ref: refs/heads/")
            elif ref == wanted:
                commit = value
        if commit:
            return Tip(name or "HEAD", commit)
        if await self._has_branches():
            missing = f"it has no branch {branch!r}" if branch else "its HEAD points to no branch"
            raise GitError(f"{self._access.address.url}: {missing} (name an existing one with `branch`)")
        return None

    async def _has_branches(self) -> bool:
        url = self._access.address.url
        return bool(await self._git.run("ls-remote", "--heads", "--", url, access=self._access))

    async def ensure(self, commit: str, branch: str | None = None) -> str:
        """Have this commit here, or, where the remote no longer knows it, the one its branch is at now. Returns which.

        Raises GitError."""
        if await self.has(commit):
            return commit
        async with self._locked() as lock:
            if await self.has(commit):
                return commit
            await self._create()
            await self._forget_stale_locks()
            try:
                await self._fetch(commit, lock)
            except GitError:
                tip = await self.tip(branch) if branch else None
                if tip is None or tip.commit == commit:
                    raise
                commit = tip.commit
                await self._fetch(commit, lock)
        return commit

    async def has(self, commit: str) -> bool:
        """Whether the commit and its trees are here."""
        if commit in self._here and self.path.exists():
            return True
        if not self.path.exists():
            self._here.clear()
            return False
        try:
            await self._git.run("rev-parse", "--verify", "--quiet", f"{_REF}{commit}", cwd=self.path)
        except GitError:
            return False
        self._here.add(commit)
        return True

    async def files(self, commit: str) -> AsyncGenerator[File, None]:
        """Every regular file of a commit: no symbolic links, which could lead anywhere, and no submodules."""
        listing = self._git.records("ls-tree", "-r", "-z", "--full-tree", commit, cwd=self.path)
        async with aclosing(listing) as records:
            async for record in records:
                if (file := _regular(record)) is not None:
                    yield file

    async def file(self, commit: str, path: bytes) -> File:
        """One regular file of a commit. Raises NotFoundError."""
        said = await self._git.run(
            "--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", path, cwd=self.path
        )
        found = next((file for record in said.split(b"\0") if (file := _regular(record)) and file.path == path), None)
        if found is None:
            raise NotFoundError(f"{path.decode('utf-8', 'replace')} is no file at commit {commit[:12]}")
        return found

    async def folder(self, commit: str, path: bytes) -> Gathering:
        """All files and links below a path of a commit, which is empty for all of it. Raises NotFoundError, GitError."""
        files = await self._below(commit, path)
        await self._get([file.blob for file in files], commit, path)
        return await self._gather(files, path)

    async def _below(self, commit: str, path: bytes) -> list[File]:
        where: list[str | bytes] = ["--", path + b"/"] if path else []
        listing = self._git.records(
            "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, *where, cwd=self.path
        )
        async with aclosing(listing) as records:
            files = [file async for record in records if (file := _file(record)) is not None]
        if not files:
            raise NotFoundError(f"{path.decode('utf-8', 'replace')} is no folder at commit {commit[:12]}")
        return files

    async def _get(self, blobs: Sequence[str], commit: str, path: bytes) -> None:
        """Have what is not here yet of a folder in one go; a host that refuses sends it one by one."""
        if self._access.address.scheme == "file" or len(blobs) < MANY_BLOBS:
            return
        with contextlib.suppress(GitError):
            tree = f"{commit}:{os.fsdecode(path)}"
            said = await self._git.run("rev-list", "--objects", "--missing=print", tree, cwd=self.path)
            missing = {line[1:].decode() for line in said.split(b"\n") if line.startswith(b"?")}
            await self.prefetch(sorted(missing.intersection(blobs)))

    async def _gather(self, files: Sequence[File], path: bytes) -> Gathering:
        asked = "".join(f"{file.blob}\n" for file in files).encode()
        with tempfile.TemporaryFile() as said:
            try:
                await self._git.spill(
                    said, "cat-file", "--batch",
                    cwd=self.path, access=self._access, given=asked, limit=MAX_TREE_BYTES + 100 * len(files),
                )  # fmt: skip
            except TooMuchError as error:
                raise GitError(f"the files of the folder are larger than {MAX_TREE_BYTES} bytes") from error
            said.seek(0)
            return await asyncio.to_thread(_gathered, said, files, os.fsdecode(path))

    async def content(self, blob: str, limit: int = MAX_FILE) -> bytes:
        """What is in a file. Raises GitError, also when it is larger than `limit` bytes.

        What is asked for while another git reads is then read by one: to start it for each file is most of what reading costs."""
        asked = self._asked
        if asked is None:
            asked = self._asked = _Asked()
            asked.answer = asyncio.create_task(self._contents(asked))
        asked.blobs[blob] = None
        found = (await asyncio.shield(asked.answer)).get(blob)
        if found is None:
            return await self._content(blob, limit)
        if len(found) > limit:
            raise GitError(f"the file is larger than {limit} bytes")
        return found

    async def _contents(self, asked: _Asked) -> dict[str, bytes]:
        """Those that are here, as far as they are no more together than the largest file may be."""
        async with self._reading:
            self._asked = None
            if len(asked.blobs) == 1:
                return {}
            given = "\n".join(asked.blobs).encode() + b"\n"
            with contextlib.suppress(GitError):  # of each by itself it will be told what is wrong with it
                return _listed(await self._git.run("cat-file", "--batch", cwd=self.path, given=given, limit=MAX_FILE))
            return {}

    async def _content(self, blob: str, limit: int) -> bytes:
        try:
            return await self._git.run("cat-file", "blob", blob, cwd=self.path, access=self._access, limit=limit)
        except TooMuchError as error:
            raise GitError(f"the file is larger than {limit} bytes") from error

    async def changed(self, old: str, new: str) -> list[bytes] | None:
        """The paths in which two commits differ; None when the old one is not here any more."""
        if not await self.has(old):
            return None
        said = await self._git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, cwd=self.path)
        return [path for path in said.split(b"\0") if path]

    async def prefetch(self, blobs: Sequence[str]) -> None:
        """Get many files at once from a host that sends them on demand only."""
        if len(blobs) < MANY_BLOBS or self._access.address.scheme == "file":
            return
        async with self._locked() as lock:
            await self._git.run(
                "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--no-tags", "--no-write-fetch-head", "--quiet",
                "--filter=blob:none", "--stdin", "origin",
                cwd=self.path, access=self._access, given="\n".join(blobs).encode() + b"\n", keeps_open=[lock],
            )  # fmt: skip

    async def tidy(self, newest: str) -> None:
        """Drop all other commits when many fetches have piled up. A reader that still wants one fetches it again."""
        if sum(1 for _ in self.path.glob("objects/pack/*.pack")) < MANY_PACKS:
            return
        async with self._locked() as lock:
            await self._drop_all_but(newest, lock)

    async def remove(self) -> None:
        """Forget all of it."""
        async with self._locked():
            self._here.clear()
            await asyncio.to_thread(shutil.rmtree, self.path, True)
            self._lock.unlink(missing_ok=True)

    async def _create(self) -> None:
        if (self.path / "HEAD").exists() and (self.path / "ready").exists():
            return
        await asyncio.to_thread(shutil.rmtree, self.path, True)
        await self._git.run("init", "--bare", "--quiet", "--template=", "--", str(self.path))
        await self._git.run("config", "remote.origin.url", self._access.address.url, cwd=self.path)
        (self.path / "ready").touch()

    async def _forget_stale_locks(self) -> None:
        """Locks of a git that was killed: nobody else writes while we hold ours."""
        for stale in [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]:
            stale.unlink(missing_ok=True)

    async def _fetch(self, commit: str, lock: int) -> None:
        await self._git.run(
            "fetch", "--depth=1", "--filter=blob:none", "--no-tags", "--no-write-fetch-head", "--force", "--quiet",
            "origin", f"{commit}:{_REF}{commit}",
            cwd=self.path, access=self._access, keeps_open=[lock],
        )  # fmt: skip
        self._here.add(commit)

    async def _drop_all_but(self, newest: str, lock: int) -> None:
        listed = (await self._git.run("for-each-ref", "--format=%(refname)", _REF, cwd=self.path)).decode().split()
        gone = "".join(f"delete {ref}\n" for ref in listed if ref != f"{_REF}{newest}")
        await self._git.run("update-ref", "--stdin", cwd=self.path, given=gone.encode())
        self._here = {newest}
        await self._git.run("gc", "--prune=now", "--quiet", cwd=self.path, keeps_open=[lock])

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        """Alone to write, among all processes. Git inherits the lock, and so holds it even when we are killed."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(_LOCK_POLL)
            yield descriptor
        finally:
            os.close(descriptor)


def _listed(said: bytes) -> dict[str, bytes]:
    """The files that `cat-file --batch` gives: each after a line of name, type and size; of a missing one there is but the line."""
    found: dict[str, bytes] = {}
    at = 0
    while (end := said.find(b"\n", at)) >= 0:
        name, *rest = said[at:end].decode().split(" ")
        at = end + 1
        if rest[:1] == ["blob"]:
            size = int(rest[1])
            found[name] = said[at : at + size]
            at += size + 1
        elif rest != ["missing"]:
            break  # no file: who asks for it is told by itself
    return found


def _gathered(said: IO[bytes], files: Sequence[File], below: str) -> Gathering:
    """The same from a file, one after the other. Raises GitError, UnreadableUrlError."""
    into = Gathering(below)
    for file in files:
        path = os.fsdecode(file.path)
        _, kind, *size = said.readline().split()
        if kind != b"blob":
            raise GitError(f"{path.encode('utf-8', 'replace').decode()} could not be had from its repository")
        if file.kind == "link":
            into.add_link(path, os.fsdecode(said.read(int(size[0]))))
        else:
            into.add(path, said, int(size[0]), executable=file.kind == "executable")
        said.read(1)
    return into


def _regular(record: bytes) -> File | None:
    file = _file(record)
    return None if file is None or file.kind == "link" else file


def _file(record: bytes) -> File | None:
    """A tree that was made by hand may hold names that lead elsewhere in a URL, or on a disk; git itself writes none."""
    about, _, path = record.partition(b"\t")
    mode, _, rest = about.partition(b" ")
    if mode not in _KINDS or not _FOREIGN.isdisjoint(path.split(b"/")):
        return None
    return File(path, rest.rpartition(b" ")[2].decode(), _KINDS[mode])
