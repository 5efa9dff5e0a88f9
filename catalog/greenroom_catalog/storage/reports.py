"""rows -> Status: how the catalog stands, for `greenroom status` and for the start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import LOCATION
from greenroom_catalog.storage.packing import unpack
from greenroom_catalog.storage.runs import ProviderRuns, Standing
from greenroom_catalog.storage.store import Store

MOST_FAILURES = 50
COUNTS = ("found", "added", "changed", "removed", "unchanged", "failed")


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

    async def overdue(self, limit: timedelta) -> str | None:
        """What is wrong if something has waited longer than that for being processed or stitched, None if nothing has."""
        row = await self._db.fetchrow(self._store.sql.longest_waits)
        waits = {"processed": row["process"], "stitched": row["stitch"]} if row else {}
        longest = max(waits, key=lambda what: waits[what] or 0.0, default="")
        if (seconds := waits.get(longest) or 0.0) <= limit.total_seconds():
            return None
        return (
            f"An entity has waited to be {longest} for {timedelta(seconds=round(seconds))}, longer than {limit} "
            "(catalog.queueAge): are there workers, and do they get on?"
        )

    async def _providers(self) -> list[dict[str, Any]]:
        return [_provider(one) for one in await self._runs.standings()]

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


def _provider(one: Standing) -> dict[str, Any]:
    """A row of the table. `last run` is when the last one ended, or `never`."""
    run = one.last
    ended = run.finished_at if run else None
    facts: dict[str, Any] = {
        "name": one.name,
        "state": _state(one),
        "last run": _second(ended) or "never",
        "running": one.running,
    }
    if run is not None:
        facts |= {"started": _second(run.started_at), "by": run.caused_by or run.cause}
        facts |= {name: getattr(run.tally, name) for name in COUNTS}
        facts |= {"error": run.error}
    return facts


def _state(one: Standing) -> str:
    if one.running and one.last is not None:
        now = datetime.now(UTC)
        done, total = one.last.tally.done, one.last.tally.total
        share = f", {min(1, done / total):.0%} done" if done is not None and total else ""
        expected = one.last.expected_at(now)
        return f"running{share}" + (f", {max(0, (expected - now).total_seconds()):.0f} s left" if expected else "")
    if one.paused_at is not None:
        return f"paused by {one.paused_by}" if one.paused_by else "paused"
    if one.last is None or one.triggered:
        return "waiting"
    if one.refused is not None:
        return f"refused to remove {one.refused} entities: greenroom catalog providers confirm {one.name}"
    if one.last.finished_at is None:
        return "lost: the process that ran it ended"
    return "failed" if one.last.error is not None else "ok"


def _second(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _location(entity: Mapping[str, Any]) -> str:
    annotations = entity.get("metadata", {}).get("annotations")
    return str(annotations.get(LOCATION, "unknown")) if isinstance(annotations, dict) else "unknown"
