"""orphans -> gone, now and then: what was kept while `catalog.orphanStrategy` was `keep`, and what slipped through."""

from __future__ import annotations

import logging
from datetime import timedelta

from greenroom_catalog.storage.chores import Chores
from greenroom_catalog.storage.store import Store

TASK = "catalog_orphan_cleanup"
"""Upstream's name of it, by which users trigger it."""
CADENCE = timedelta(seconds=30)
"""Upstream's."""


class Sweeper:
    """Deletes entities that nothing refers to. Those that are let go are deleted at once, so there is seldom one."""

    def __init__(self, store: Store, chores: Chores, log: logging.Logger) -> None:
        self._store = store
        self._chores = chores
        self._log = log

    async def sweep_due(self) -> float:
        """Sweep, if no other process has done so since it fell due. Returns the seconds to rest."""
        if await self._chores.claim(TASK, CADENCE):
            error: str | None = None
            try:
                deleted = await self._store.delete_orphans()
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}"
                raise
            finally:
                await self._chores.ended(TASK, error)
            if deleted:
                self._log.info("Deleted %d orphaned entities", deleted)
        return await self._chores.seconds_until(TASK)
