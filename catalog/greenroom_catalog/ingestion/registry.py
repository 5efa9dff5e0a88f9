"""Registered locations: what users register over HTTP, and the Location entities that stand for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from greenroom.entity import ref_of
from greenroom.errors import ConflictError, InputError, NotFoundError, describe
from greenroom.plugin import Deferred, EntitySource
from greenroom_catalog.ingestion.locations import (
    Location,
    LocationRefError,
    location_entity,
    location_ref,
    parse_location,
)
from greenroom_catalog.ingestion.processor import REGISTRABLE, Processed, Processor
from greenroom_catalog.ingestion.providers import Source
from greenroom_catalog.storage.locations import LocationPage, LocationRow, LocationTable
from greenroom_catalog.storage.store import Store

REGISTERED_LOCATIONS = "DefaultLocationStore"
"""Upstream's name, which users know from logs and from the database."""

LONGEST_TARGET = 2000
"""Bytes; Postgres cannot index more than 2,700."""

MOST_TRIED = 1000
"""Entities of one dry run."""


class RegisteredLocations:
    """Locations that users register over HTTP; also the provider of their Location entities.

    `conflict` is `catalog.defaultLocationConflictStrategy`."""

    name = REGISTERED_LOCATIONS
    every: timedelta | None = None

    def __init__(
        self, table: LocationTable, source: Source, store: Store, processor: Processor, *, conflict: str
    ) -> None:
        self._table = table
        self._source = source
        self._store = store
        self._processor = processor
        self._conflict = conflict

    async def run(self, source: EntitySource) -> None:
        """All registered locations, as Location entities."""
        await source.full([_registered(row) for row in await self._table.all()])

    async def all(self) -> Sequence[LocationRow]:
        """All registered locations."""
        return await self._table.all()

    async def get(self, id_: str) -> LocationRow:
        """Raises NotFoundError."""
        uid = _uuid(id_)
        row = await self._table.get(uid) if uid else None
        if row is None:
            raise _unknown(id_)
        return row

    async def create(self, type_: str, target: str, *, on_conflict: str | None = None) -> LocationRow:
        """Register a location. Raises InputError for another type than `url`; ConflictError when it exists, unless
        `on_conflict` is `refresh`: then it is read again, and returned."""
        location = _registrable(type_, target)
        row = await self._table.create(type_, target, location_ref(location))
        if row is None:
            if (on_conflict or self._conflict) != "refresh":
                raise ConflictError(f"Location {location} already exists")
            row = await self._table.find(type_, target)
        if row is None:
            raise ConflictError(f"Location {location} was unregistered by somebody else at the same time")
        await self._source.delta(added=[_registered(row)])
        await self._store.refresh(row.entity_ref)
        return row

    async def update(self, id_: str, type_: str, target: str) -> LocationRow:
        """Point a location elsewhere: what the old target gave goes, and the new one is read. Its entity keeps its name.

        Raises InputError for another type than `url`, ConflictError when another location points there (whether or not
        there is the one to change), NotFoundError."""
        location = _registrable(type_, target)
        uid = _uuid(id_)
        row = await self._table.update(uid, type_, target) if uid else None
        if row is None:
            if await self.exists(type_, target):
                raise ConflictError(f"Location {location} already exists")
            raise _unknown(id_)
        await self._source.delta(added=[_registered(row)])
        return row

    async def delete(self, id_: str) -> None:
        """Unregister a location, and with it what only it held up. Raises NotFoundError."""
        uid = _uuid(id_)
        row = await self._table.delete(uid) if uid else None
        if row is None:
            raise _unknown(id_)
        await self._source.take_away([row.entity_ref])

    async def find(self, query: Mapping[str, Any] | None, limit: int, after: UUID | None = None) -> LocationPage:
        """Locations that match a predicate, past an id, by id. Raises InputError for fields that locations do not have."""
        return await self._table.page(query, limit, after)

    async def of_entity(self, ref: str) -> LocationRow:
        """The location that brought an entity in, however many files ago. Raises NotFoundError."""
        origin = None if "\0" in ref else await self._table.origin_of(ref)
        if origin is None:
            raise NotFoundError(f"found no entity for ref {ref}")
        if not origin.location:
            raise NotFoundError(f"found no origin annotation for ref {ref}")
        type_, target = parse_location(origin.location)
        row = await self._table.find(type_, target)
        if row is None:
            raise NotFoundError(f"Found no location with type {type_} and target {target}")
        return row

    async def exists(self, type_: str, target: str) -> bool:
        """Whether the location is registered."""
        return await self._table.find(type_, target) is not None

    async def try_out(self, type_: str, target: str) -> Sequence[Processed]:
        """Process a location and all below it without storing anything (dry run).

        Raises InputError for the first entity that fails, or that comes twice."""
        location = _registrable(type_, target)
        entity = location_entity(location)
        entity["metadata"]["namespace"] = "default"
        pending = [entity]
        done: dict[str, Processed] = {}
        while pending:
            result = await self._processor.process(pending.pop())
            if not isinstance(result, Processed):
                raise TypeError("a dry run has no earlier etags to be unchanged by")
            if result.errors:
                raise InputError(", ".join(f"{error.name}: {error.message}" for error in result.errors))
            ref = ref_of(result.entity)
            if ref in done:
                raise InputError(f"Duplicate nested entity: {ref}")
            done[ref] = result
            if len(done) > MOST_TRIED:
                raise InputError(f"More than {MOST_TRIED} entities are below {location}: register it to see them all")
            pending += [child.entity for child in result.children]
        return list(done.values())


def _registrable(type_: str, target: str) -> Location:
    if type_ not in REGISTRABLE:
        listed = ",".join(f'"{name}"' for name in REGISTRABLE)
        raise InputError(f"Registered locations must be of an allowed type [{listed}]")
    try:
        parse_location(f"{type_}:{target}")
    except LocationRefError as error:
        raise InputError(describe(error)) from error
    if "\0" in target or len(target.encode("utf-8", "replace")) > LONGEST_TARGET:
        raise InputError(f"The target of a location is at most {LONGEST_TARGET} bytes of text without NUL characters")
    return Location(type_, target)


def _unknown(id_: str) -> NotFoundError:
    return NotFoundError(f"Found no location with ID {id_}")


def _registered(row: LocationRow) -> Deferred:
    location = Location(row.type, row.target)
    name = row.entity_ref.partition("/")[2]
    return Deferred(location_entity(location, name=name), str(location))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
