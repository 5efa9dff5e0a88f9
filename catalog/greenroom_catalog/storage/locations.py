"""Registered locations -> rows of the table `locations`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from greenroom.db import Database
from greenroom.sql import Queries, load
from greenroom_catalog.storage.location_filter import LocationFilter


class LocationRow(msgspec.Struct, frozen=True):
    """A registered location, and the ref of the Location entity that stands for it."""

    id: UUID
    type: str
    target: str
    entity_ref: str


class LocationPage(msgspec.Struct, frozen=True):
    """Some of the locations that match, by id; `total` counts all that do."""

    rows: list[LocationRow]
    total: int


class Origin(msgspec.Struct, frozen=True):
    """Where an entity came from, as its annotation says: `url:https://…`; None when it has none, or is not served."""

    location: str | None


class LocationTable:
    """Reads and writes registered locations."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql: Queries = load(Path(__file__).with_name("sql"))

    async def all(self) -> list[LocationRow]:
        """All of them."""
        return [LocationRow(*row) for row in await self._db.fetch(self._sql.list_locations)]

    async def get(self, id_: UUID) -> LocationRow | None:
        """By id."""
        row = await self._db.fetchrow(self._sql.get_location, id_)
        return LocationRow(*row) if row else None

    async def find(self, type_: str, target: str) -> LocationRow | None:
        """By type and target."""
        row = await self._db.fetchrow(self._sql.find_location, type_, target)
        return LocationRow(*row) if row else None

    async def create(self, type_: str, target: str, entity_ref: str) -> LocationRow | None:
        """None when the type and target are registered already."""
        row = await self._db.fetchrow(self._sql.create_location, type_, target, entity_ref)
        return LocationRow(*row) if row else None

    async def update(self, id_: UUID, type_: str, target: str) -> LocationRow | None:
        """Point a location elsewhere. None when there is no such location, or another one points there."""
        try:
            row = await self._db.fetchrow(self._sql.update_location, id_, type_, target)
        except asyncpg.UniqueViolationError:  # somebody else was faster
            return None
        return LocationRow(*row) if row else None

    async def page(self, query: Mapping[str, Any] | None, limit: int, after: UUID | None = None) -> LocationPage:
        """Locations that match a predicate, past an id. Raises InputError for a predicate that locations have no fields for."""
        matching = LocationFilter(query)
        rows = await self._db.fetch(*matching.page(limit, after))
        total = await self._db.fetchval(*matching.count())
        return LocationPage([LocationRow(*row) for row in rows], total)

    async def origin_of(self, entity_ref: str) -> Origin | None:
        """Where an entity came from; None when there is no such entity, served or not."""
        row = await self._db.fetchrow(self._sql.origin_of_entity, entity_ref)
        return Origin(row["origin"]) if row else None

    async def delete(self, id_: UUID) -> LocationRow | None:
        """The deleted row, None if there was none."""
        row = await self._db.fetchrow(self._sql.delete_location, id_)
        return LocationRow(*row) if row else None
