"""What the routes need done by the rooms below, or by fakes in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from greenroom.entity import Entity
from greenroom.errors import GreenroomError


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


class LocationPage(Protocol):
    """Some of the locations that match, and how many do."""

    @property
    def rows(self) -> Sequence[Location]: ...

    @property
    def total(self) -> int: ...


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

    async def update(self, id_: str, type_: str, target: str) -> Location:
        """Point a location elsewhere. Raises InputError, ConflictError, NotFoundError, in this order."""
        ...

    async def delete(self, id_: str) -> None:
        """Raises NotFoundError."""
        ...

    async def find(self, query: Mapping[str, Any] | None, limit: int, after: UUID | None = None) -> LocationPage:
        """Locations that match a predicate, past an id, by id. Raises InputError for fields that locations do not have."""
        ...

    async def of_entity(self, ref: str) -> Location:
        """The location that brought an entity in. Raises NotFoundError."""
        ...

    async def exists(self, type_: str, target: str) -> bool:
        """Whether the location is registered."""
        ...

    async def try_out(self, type_: str, target: str) -> Sequence[TriedOut]:
        """Process a location and what is below it without storing anything. Raises InputError."""
        ...


class Analyzes(Protocol):
    """Looks into repositories (`ingestion.analysis.Analysis`)."""

    async def analyze(self, target: str, filename: str | None = None) -> Mapping[str, Any]:
        """The catalog files in a repository, or a draft of one. Raises InputError."""
        ...


class Validates(Protocol):
    """Tries entities out (`ingestion.validation.Validation`)."""

    async def problems(self, entity: Entity) -> Sequence[GreenroomError]:
        """What is wrong with an entity, by the processing it would go through."""
        ...
