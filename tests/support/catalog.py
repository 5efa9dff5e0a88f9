"""A catalog without a web around it: sources in, served entities out, nothing due when `settle` returns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.errors import NotFoundError, NotModifiedError
from greenroom.plugin import Deferred, Document
from greenroom.telemetry import Metrics
from greenroom.urls import Urls
from greenroom_catalog.ingestion.engine import Engine
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.ingestion.meters import Meters
from greenroom_catalog.ingestion.processor import Processor
from greenroom_catalog.ingestion.providers import Source
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.steps import Extensions
from greenroom_catalog.model import Rules
from greenroom_catalog.storage.store import Store


class Files:
    """A `UrlReader` over a dict. Each content is its own etag."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}
        self.reads_whole = 0
        self.hang: asyncio.Event | None = None

    def reads(self, url: str) -> bool:
        return True

    async def read(self, url: str, etag: str | None = None) -> Document:
        if self.hang is not None:
            await self.hang.wait()
        if url not in self.content:
            raise NotFoundError(f"could not read {url}, 404 Not Found")
        if etag == self.content[url]:
            raise NotModifiedError
        self.reads_whole += 1
        return Document(self.content[url].encode(), self.content[url])

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        prefix = url.partition("*")[0]
        return [(name, await self.read(name)) for name in self.content if name.startswith(prefix)]


class Catalog:
    """One database, one engine, files that can be changed under it."""

    def __init__(
        self,
        database: Database,
        *,
        keep_orphans: bool = False,
        rules: Rules | None = None,
        extensions: Extensions | None = None,
    ) -> None:
        self.database = database
        self.files = Files()
        self.log = logging.getLogger("greenroom.catalog")
        self.processor = Processor(rules or Rules(), Reader(Urls([self.files])), extensions)
        self.store = Store(database, keep_orphans=keep_orphans, lane=self.processor.lane)
        self.engine = self.worker()

    def worker(self) -> Engine:
        """One more engine on the same database."""
        return Engine(self.store, self.processor, self.log, Meters(Metrics()), interval=False, rules="1")

    def source(self, name: str = "test") -> Source:
        return Source(name, self.store, self.log)

    async def settle(self) -> None:
        """Process and stitch until nothing is left to do."""
        while any(await self.store.backlog()):
            await self.engine.process_due()
            await self.engine.stitch_due()

    async def register(self, *urls: str, source: str = "test") -> None:
        """Make these files the locations of a provider, and settle."""
        entities = [Deferred(location_entity(Location("url", url)), f"url:{url}") for url in urls]
        await self.source(source).full(entities)
        await self.settle()

    async def write(self, url: str, content: str) -> None:
        """Change a file, have its location read again, and settle."""
        self.files.content[url] = content
        await self.source().refresh([f"url:{url}"])
        await self.settle()

    async def served(self) -> dict[str, Entity]:
        """What is served, by ref, without the Location entities."""
        rows = await self.database.fetch("select entity_ref, final_entity from final_entities order by entity_ref")
        found = {row["entity_ref"]: msgspec.json.decode(row["final_entity"]) for row in rows}
        return {ref: entity for ref, entity in found.items() if not ref.startswith("location:")}

    async def location_errors(self, url: str) -> list[str]:
        """The messages of the processing errors of the location of a file."""
        rows = await self.database.fetch("select entity_ref, errors from refresh_state where errors is not null")
        name = f"location:default/{location_entity(Location('url', url))['metadata']['name']}"
        return [e["message"] for row in rows if row["entity_ref"] == name for e in msgspec.json.decode(row["errors"])]


def component(name: str, *, spec: Mapping[str, Any] | None = None, **metadata: Any) -> Entity:
    """A Component as a provider emits it."""
    location = f"url:https://git.test/{name}/catalog-info.yaml"
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": name,
            **metadata,
            "annotations": {LOCATION: location, ORIGIN_LOCATION: location, **metadata.get("annotations", {})},
        },
        "spec": {"type": "service", "lifecycle": "production", "owner": "team-a", **(spec or {})},
    }


def yaml_component(name: str, owner: str = "team-a", extra: str = "") -> str:
    """A Component as a team commits it."""
    return (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata:\n  name: {name}\n{extra}spec:\n  type: service\n  lifecycle: production\n  owner: {owner}\n"
    )
