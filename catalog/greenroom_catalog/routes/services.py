"""What the routes need done by the rooms below, or by fakes in tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from greenroom.entity import Entity


class EntityWriter(Protocol):
    """Changes entities (`storage.store.Store`)."""

    async def refresh(self, ref: str) -> int:
        """Make an entity and the locations above it due. Returns how many; 0: there is no such entity."""
        ...

    async def delete_by_uid(self, uid: UUID) -> bool:
        """Delete an entity. Returns whether there was one."""
        ...


class Location(Protocol):
    """A registered location."""

    @property
    def id(self) -> UUID: ...

    @property
    def type(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def entity_ref(self) -> str: ...


class TriedOut(Protocol):
    """What a location that is only tried out would bring."""

    @property
    def entity(self) -> Entity: ...


class Locations(Protocol):
    """Registers locations (`ingestion.registry.RegisteredLocations`)."""

    async def all(self) -> Sequence[Location]:
        """All registered locations."""
        ...

    async def get(self, id_: str) -> Location:
        """Raises NotFoundError."""
        ...

    async def create(self, type_: str, target: str, *, on_conflict: str | None = None) -> Location:
        """Raises InputError for a type that may not be registered, ConflictError for what is there already."""
        ...

    async def delete(self, id_: str) -> None:
        """Raises NotFoundError."""
        ...

    async def exists(self, type_: str, target: str) -> bool:
        """Whether the location is registered."""
        ...

    async def try_out(self, type_: str, target: str) -> Sequence[TriedOut]:
        """Process a location and what is below it without storing anything. Raises InputError."""
        ...
