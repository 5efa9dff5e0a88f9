"""Locks of the operating system on files: gone with the process that held them, however it ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

SHARED = fcntl.LOCK_SH
ALONE = fcntl.LOCK_EX
POLL = 0.02
"""Seconds between two attempts: a thread that waits in `flock` could not be cancelled."""


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, not inherited by programs that are started."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock, or change from one kind to the other, without waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_lock(descriptor: int, kind: int) -> None:
    """Take the lock, however long it takes."""
    fcntl.flock(descriptor, kind)


async def lock_soon(descriptor: int, kind: int) -> None:
    """Take the lock, however long it takes, without blocking the loop."""
    while not try_lock(descriptor, kind):  # noqa: ASYNC110 (no event tells of another process's lock)
        await asyncio.sleep(POLL)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock alone."""
    with _opened(path) as descriptor:
        return not try_lock(descriptor, SHARED)


@asynccontextmanager
async def locked(path: Path, kind: int) -> AsyncIterator[None]:
    """Hold the lock inside the block, having waited for it without blocking the loop."""
    with _opened(path) as descriptor:
        await lock_soon(descriptor, kind)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = open_lock(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
