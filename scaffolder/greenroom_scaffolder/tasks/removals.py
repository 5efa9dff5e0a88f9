"""Workspaces that nobody needs any more -> gone, behind the back of those who wait for an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from greenroom.errors import GreenroomError
from greenroom_scaffolder.tasks.keeping import Keeper

log = logging.getLogger("greenroom.scaffolder")

AT_A_TIME = 2
"""Threads that delete; others need some, too."""
CLOSING = 5.0
"""Seconds that a process which ends waits for what is under way; the sweeper finds the rest (`sweeping`)."""


class Removals:
    """Deletes workspaces."""

    def __init__(self, most: int = 0) -> None:
        """So many may be under way before somebody has to wait; 0: everybody waits for the end of theirs."""
        self._most = most
        self._under_way: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self.used: set[str] = set()
        """Names of workspaces that somebody still uses, though their tasks are over."""

    async def remove(self, keeper: Keeper, users: Sequence[asyncio.Task[Any]] = ()) -> None:
        """Delete a workspace, once those who still use it have ended. Raises nothing for one that cannot be deleted."""
        if not keeper.made:
            return None
        if not users and len(self._under_way) >= self._most:
            return await _delete(keeper)
        if users:
            self.used.add(keeper.workspace.path.name)
        removing = asyncio.create_task(self._behind(keeper, users), name="scaffolder-removal")
        self._under_way.add(removing)
        removing.add_done_callback(self._under_way.discard)
        return None

    async def close(self) -> None:
        """Wait for what is under way, but not long."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSING)

    async def _behind(self, keeper: Keeper, users: Sequence[asyncio.Task[Any]]) -> None:
        if users:
            await asyncio.wait(users)
            self.used.discard(keeper.workspace.path.name)
        async with self._turns:
            await _delete(keeper)


async def _delete(keeper: Keeper) -> None:
    """What cannot be deleted changes nothing of what the task came to; the sweeper tries again."""
    try:
        await keeper.remove()
    except (OSError, GreenroomError) as error:
        log.warning("a workspace cannot be removed: %s", error)
