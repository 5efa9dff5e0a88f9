"""URL of a repository -> the catalog files in it, or a first draft of one (spec 02 §6, analyze-location)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from greenroom.entity import Entity
from greenroom.plugin import LocationAnalyzer
from greenroom.urls import Integrations
from greenroom_catalog.ingestion.repositories import repository

CATALOG_FILE = "catalog-info.yaml"
"""What a catalog file is called unless somebody says otherwise."""

_SLUGS = {"azure": "dev.azure.com", "github": "github.com", "gitlab": "gitlab.com"}
"""The prefix of the annotation `…/project-slug`, by the type of the integration."""


class TriedOut(Protocol):
    """What a location that is only tried out would bring."""

    @property
    def entity(self) -> Entity: ...


class Locations(Protocol):
    """Tries locations out (`ingestion.registry.RegisteredLocations`)."""

    async def exists(self, type_: str, target: str) -> bool:
        """Whether the location is registered."""
        ...

    async def try_out(self, type_: str, target: str) -> Sequence[TriedOut]:
        """Process a location and what is below it without storing anything. Raises InputError."""
        ...


class Analysis:
    """Looks into repositories for whoever wants to register one."""

    def __init__(
        self,
        locations: Locations,
        integrations: Integrations,
        analyzers: Callable[[], Sequence[LocationAnalyzer]],
    ) -> None:
        """`analyzers` is called when there is something to analyze: by then all plugins have been built."""
        self._locations = locations
        self._integrations = integrations
        self._analyzers = analyzers

    async def analyze(self, target: str, filename: str | None = None) -> dict[str, Any]:
        """What `POST /analyze-location` answers: the entities that are there already, or else a draft.

        Raises InputError for what is not a URL, and for a catalog file with something wrong in it."""
        draft = self._draft(target)
        files = await self._files(target, filename or CATALOG_FILE)
        existing = [entity for file in files for entity in await self._existing(file)]
        drafts = [] if existing else [{"entity": draft, "fields": []}]
        return {"existingEntityFiles": existing, "generateEntities": drafts}

    async def _files(self, target: str, filename: str) -> Sequence[str]:
        analyzer = next((one for one in self._analyzers() if one.analyzes(target)), None)
        return await analyzer.find(target, filename) if analyzer else []

    async def _existing(self, file: str) -> list[dict[str, Any]]:
        registered = await self._locations.exists("url", file)
        location = {"type": "url", "target": file}
        return [
            {"location": location, "isRegistered": registered, "entity": _name_of(one.entity)}
            for one in await self._locations.try_out("url", file)
        ]

    def _draft(self, target: str) -> Entity:
        integration = self._integrations.by_url(target)
        found = repository(target)
        metadata: dict[str, Any] = {"name": found.name}
        if integration is not None and integration.type in _SLUGS:
            slug = f"{found.owner}/{found.name}"
            metadata["annotations"] = {f"{_SLUGS[integration.type]}/project-slug": slug}
        return {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": metadata,
            "spec": {"type": "other", "lifecycle": "unknown"},
        }


def _name_of(entity: Entity) -> dict[str, str]:
    metadata = entity["metadata"]
    return {"kind": entity["kind"], "namespace": metadata.get("namespace", "default"), "name": metadata["name"]}
