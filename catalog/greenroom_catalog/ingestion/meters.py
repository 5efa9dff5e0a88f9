"""What the loops did -> metrics, under upstream's names (spec 01 §8), so that dashboards made for it fit."""

from __future__ import annotations

from time import monotonic

from greenroom.db import Database
from greenroom.telemetry import Metrics
from greenroom_catalog.storage.store import Store

CENSUS_SECONDS = 30.0
QUEUE_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Meters:
    """The catalog's own metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.entities = metrics.gauge("catalog_entities_count", "Entities that are served", ["kind"])
        self.locations = metrics.gauge("catalog_registered_locations_count", "Registered locations")
        self.relations = metrics.gauge("catalog_relations_count", "Relations between entities, each direction counted")
        self.processed = metrics.counter("catalog_processed_entities_count", "Entities processed", ["result"])
        self.processing = metrics.histogram(
            "catalog_processing_duration_seconds",
            "Time from taking a batch of entities to having stored it",
            ["result"],
        )
        self.processors = metrics.histogram(
            "catalog_processors_duration_seconds", "Time that one entity was checked, annotated and read", ["result"]
        )
        self.delay = metrics.histogram(
            "catalog_processing_queue_delay_seconds",
            "Time an entity was due before it was taken",
            buckets=QUEUE_SECONDS,
        )
        self.stitched = metrics.counter("catalog_stitched_entities_count", "Entities stitched", ["result"])
        self.stitching = metrics.histogram("catalog.stitching.duration", "Time to stitch a batch of entities")
        self.stitch_queue = metrics.gauge("catalog.stitching.queue.length", "Entities that wait for a stitch")
        self.stitch_delay = metrics.histogram(
            "catalog.stitching.queue.delay", "Time a stitch was asked for before it was begun", buckets=QUEUE_SECONDS
        )


class Census:
    """Counts what is there, now and then, for the gauges."""

    def __init__(self, database: Database, store: Store, meters: Meters) -> None:
        self._db = database
        self._store = store
        self._meters = meters

    async def count(self) -> float:
        """Set the gauges. Returns the seconds to rest: a hundred times as long as it took, for each process counts by itself."""
        began = monotonic()
        self._meters.entities.clear()
        for row in await self._db.fetch(self._store.sql.entities_by_kind):
            self._meters.entities.set(row["entities"], kind=row["kind"])
        sizes = await self._db.fetchrow(self._store.sql.sizes)
        if sizes is not None:
            self._meters.locations.set(sizes["locations"])
            self._meters.relations.set(sizes["relations"])
            self._meters.stitch_queue.set(sizes["tickets"])
        return max(CENSUS_SECONDS, 100 * (monotonic() - began))
