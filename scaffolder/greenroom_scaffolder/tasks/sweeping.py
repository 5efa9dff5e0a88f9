"""Folders that a killed process left behind -> removed once their tasks have ended: they may hold what only the task was to see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from time import time
from uuid import UUID

from greenroom.errors import GreenroomError
from greenroom_scaffolder.storage.store import Store
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.workspace import Workspace

log = logging.getLogger("greenroom.scaffolder")

EVERY = 10.0
"""Seconds. What a template has rendered with a secret shall not lie about."""
YOUNG = 15.0
"""Seconds for which a folder is left alone: it may be that of a task that has just ended, and is being removed."""
DRY = "dry-run-"
LONGEST_DRY_RUN = 2 * 3600.0


class Sweeper:
    """Looks after the folder in which workspaces are made. Others may make folders there, too: they are not touched."""

    def __init__(
        self, store: Store, root: Callable[[], Path], spared: Callable[[], Collection[str]] = frozenset
    ) -> None:
        """`spared` names folders of ended tasks that are in use."""
        self._store, self._root, self._spared = store, root, spared

    async def step(self) -> float:
        """One round of the loop. Returns the seconds to rest."""
        found = await asyncio.to_thread(self._found)
        tasks = [_task_of(name) for name in found if not name.startswith(DRY)]
        ended = await self._store.ended(tasks) if tasks else set()
        gone = [name for name in found if name.startswith(DRY) or _task_of(name) in ended]
        if gone:
            await asyncio.to_thread(self._remove, gone)
            log.info("folders removed that tasks of an ended process had left: %d", len(gone))
        return EVERY

    def _found(self) -> list[str]:
        """The folders of tasks that are old enough."""
        names, spared = [], self._spared()
        for folder in self._root().iterdir():
            age = LONGEST_DRY_RUN if folder.name.startswith(DRY) else YOUNG
            with suppress(ValueError, FileNotFoundError):
                _task_of(folder.name)
                if (
                    folder.name not in spared
                    and folder.is_dir()
                    and not folder.is_symlink()
                    and time() - folder.stat().st_mtime > age
                ):
                    names.append(folder.name)
        return names

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            folder = self._root().resolve() / name
            try:
                Workspace(folder, Quota()).remove()
            except (OSError, GreenroomError) as error:
                log.warning("the folder %s cannot be removed: %s", folder, error)


def _task_of(folder: str) -> UUID:
    """Raises ValueError for a folder that is no task's. (`keeping` puts a number behind the id where the id is taken.)"""
    return UUID(folder.removeprefix(DRY).removeprefix("content-").partition(".")[0])
