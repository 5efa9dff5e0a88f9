"""rows -> Status: how the catalog stands, for `greenroom status` and for the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import LOCATION
from greenroom_catalog.storage.packing import unpack
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import Store

MOST_FAILURES = 50


class Reports:
    """Reads what a person wants to know first: what is there, what is coming, what failed and where."""

    def __init__(self, database: Database, store: Store, runs: ProviderRuns) -> None:
        self._db = database
        self._store = store
        self._runs = runs

    async def status(self) -> Mapping[str, Any]:
        """Counts, the backlog, provider runs, and failures, each as the wire would tell it."""
        kinds = await self._db.fetch(self._store.sql.entities_by_kind)
        due, stitching = await self._store.backlog()
        return {
            "entities": sum(row["entities"] for row in kinds),
            "by kind": {row["kind"]: row["entities"] for row in kinds},
            "waiting to be processed": due,
            "waiting to be stitched": stitching,
            "providers": await self._providers(),
            "failures": await self._failures(),
        }

    async def _providers(self) -> list[dict[str, Any]]:
        return [
            {
                "name": run.name,
                "last run": run.finished_at.isoformat(timespec="seconds") if run.finished_at else "never",
                "running": bool(run.running),
                **(msgspec.json.decode(run.outcome) if run.outcome else {}),
                "error": run.error,
            }
            for run in await self._runs.all()
        ]

    async def _failures(self) -> list[dict[str, Any]]:
        rows = await self._db.fetch(self._store.sql.failures, MOST_FAILURES)
        return [
            {
                "entity": row["entity_ref"],
                "at": _location(msgspec.json.decode(unpack(row["unprocessed_entity"]))),
                "served": "as it last was" if row["served"] else "not",
                "error": "; ".join(error["message"] for error in msgspec.json.decode(row["errors"])),
            }
            for row in rows
        ]


def _location(entity: Mapping[str, Any]) -> str:
    annotations = entity.get("metadata", {}).get("annotations")
    return str(annotations.get(LOCATION, "unknown")) if isinstance(annotations, dict) else "unknown"
