"""A run's workspace: made when it is first needed, packed when a step has changed it, put back where a run goes on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from time import monotonic

import msgspec

from greenroom_scaffolder.tasks.task import Checkpoint, Journal
from greenroom_scaffolder.workspace.descent import refusals
from greenroom_scaffolder.workspace.quota import Quota, QuotaError
from greenroom_scaffolder.workspace.threads import in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

LOOK = 1.0
"""Seconds from one look at what a program writes to the next; more where a look takes long."""
PATIENCE = 20
"""The pause after a look is this many times as long as the look took."""

Print = bytes
"""What a folder looked like at some time."""


class Change(msgspec.Struct, frozen=True):
    """What the workspace holds now, and did not when it was packed last."""

    archive: bytes | None
    """None: it is too large to be kept."""

    seen: Print
    """What it looked like before it was packed."""

    async def write(self, journal: Journal, checkpoints: dict[str, Checkpoint]) -> None:
        """What is not kept is remembered as such, together with what is: a run that goes on later cannot do without it."""
        if self.archive is not None:
            await journal.workspace(self.archive)
        too_large = Checkpoint(self.archive is None)
        if checkpoints.get(TOO_LARGE, Checkpoint(False)) != too_large:
            checkpoints[TOO_LARGE] = too_large
            journal.checkpoint(TOO_LARGE, too_large)


TOO_LARGE = "workspace"
"""The key under which it is remembered that a workspace was too large to be kept. Those of actions have a dot."""


class Keeper:
    """The workspace of one run."""

    def __init__(self, root: Path, name: str, quota: Quota) -> None:
        self._root, self._name, self._quota = root, name, quota
        self._workspace: Workspace | None = None
        self._making, self._writing = threading.Lock(), asyncio.Lock()
        self._packed: Print = _EMPTY

    @property
    def workspace(self) -> Workspace:
        """It is made here: most steps of small templates never look at it. Those who look at it first may be several threads."""
        if self._workspace is None:
            with self._making:
                if self._workspace is None:
                    self._workspace = Workspace.create(self._root, self._free_name(), self._quota)
        return self._workspace

    @property
    def made(self) -> bool:
        """Whether anybody needed it."""
        return self._workspace is not None

    async def restore(self, archive: bytes | None) -> None:
        """Put back what an earlier run left.

        Raises ArchiveError, QuotaError."""
        if archive:
            await in_thread(lambda: self._restore(archive))

    async def keep(self, journal: Journal, checkpoints: dict[str, Checkpoint]) -> None:
        """Write down what it holds, unless that is written. Raises QuotaError where it holds more than it may.

        Of several who ask at once, one after the other: the last that is written is what it held last."""
        workspace = self._workspace
        if workspace is None:
            return
        async with self._writing:
            change = await in_thread(lambda: self._changes(workspace))
            if change is not None:
                await change.write(journal, checkpoints)
                self._packed = change.seen

    async def check(self) -> None:
        """Raises QuotaError where it holds more than it may."""
        if self._workspace is not None:
            await in_thread(self._workspace.check)

    async def overflow(self) -> None:
        """Look at it again and again while a program writes into it by itself; ends only by QuotaError, or cancelled."""
        pause = LOOK
        while True:
            await asyncio.sleep(pause)
            began = monotonic()
            await in_thread(self.workspace.check)
            pause = max(LOOK, PATIENCE * (monotonic() - began))

    async def remove(self) -> None:
        """Delete it."""
        if self._workspace is not None:
            await in_thread(self._workspace.remove)

    def _free_name(self) -> str:
        """A folder of this run alone. One of this name may have been left by a process that was killed, or be in use by one that
        does not know yet that it has lost the task: neither's files are ours, and it will remove its own."""
        self._root.mkdir(parents=True, exist_ok=True)
        for number in count():
            name = f"{self._name}.{number}" if number else self._name
            with suppress(FileExistsError):
                (self._root / name).mkdir(mode=0o700)
                return name
        raise AssertionError

    def _restore(self, archive: bytes) -> None:
        self.workspace.unpack(archive)
        self._packed = _print(self.workspace.path)

    def _changes(self, workspace: Workspace) -> Change | None:
        seen = _print(workspace.path)
        if seen == self._packed:
            return None
        workspace.check()
        try:
            return Change(workspace.pack(), seen)
        except QuotaError:
            return Change(None, seen)


def _print(folder: Path) -> Print:
    """By names, kinds, sizes and times of change, which any write moves."""
    seen = blake2b(digest_size=16)
    left = [os.fspath(folder)]
    while left:
        for line, below in _lines(left.pop()):
            seen.update(line)
            if below:
                left.append(below)
    return seen.digest()


def _lines(folder: str) -> Iterator[tuple[bytes, str]]:
    """A line for each entry, with its path if it is a folder."""
    with refusals("scandir", folder), os.scandir(folder) as found:
        for entry in sorted(found, key=lambda one: one.name):
            about = entry.stat(follow_symlinks=False)
            facts = f"{about.st_mode} {about.st_ino} {about.st_size} {about.st_ctime_ns}"
            line = os.fsencode(entry.path) + b"\0" + facts.encode() + b"\0"
            yield line, entry.path if entry.is_dir(follow_symlinks=False) else ""


_EMPTY = blake2b(digest_size=16).digest()
