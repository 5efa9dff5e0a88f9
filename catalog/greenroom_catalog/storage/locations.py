"""Registered locations -> rows of the table `locations`."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import msgspec

from greenroom.db import Database
from greenroom.sql import Queries, load


class LocationRow(msgspec.Struct, frozen=True):
    """A registered location, and the ref of the Location entity that stands for it."""

    id: UUID
    type: str
    target: str
    entity_ref: str


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

    async def delete(self, id_: UUID) -> LocationRow | None:
        """The deleted row, None if there was none."""
        row = await self._db.fetchrow(self._sql.delete_location, id_)
        return LocationRow(*row) if row else None
