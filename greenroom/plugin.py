"""The plugin contract, whole: a plugin is one decorated function from its typed config and the host to contributions.

    class Config(msgspec.Struct):
        url: str

    @plugin("acme", Config)
    def acme(config: Config, host: Host) -> Iterable[Contribution]:
        yield Teams(config.url)                     # an EntityProvider

The type of each yielded value says where it goes. There is no registry object and no base class to inherit. Types of
contributions that need a web or command-line library live on the floor (`greenroom.web.Routes`). Standard library and msgspec only.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import msgspec

from greenroom.entity import Entity
from greenroom.errors import GreenroomError

C = TypeVar("C")
T = TypeVar("T")

Contribution = object
"""Anything a plugin yields: a value of one of the types below, or one defined on the floor."""


class MissingServiceError(GreenroomError):
    """A plugin asked for a service that nobody provides"""


class NoConfig(msgspec.Struct):
    """The config type of a plugin that has none."""


class Host(Protocol):
    """What a plugin may use. Every service is asked for by its type, so that a test can lend a fake."""

    @property
    def log(self) -> logging.Logger:
        """The plugin's own logger, `greenroom.<plugin>`."""
        ...

    def get(self, service: type[T]) -> T:
        """A service of the floor (`Database`, `Events`, …) or one that another plugin `Provides`.

        Raises MissingServiceError, which names the plugin that asked and the service nobody provides."""
        ...

    def all(self, contribution: type[T]) -> Sequence[T]:
        """Every contribution of that type by any plugin. Complete once all plugins are built: call it from a loop or a route."""
        ...


class Plugin(msgspec.Struct, Generic[C], frozen=True):
    """What the `plugin` decorator makes of a function, and what an entry point of the group `greenroom.plugins` names."""

    name: str
    config: type[C]
    section: str
    """Where the plugin's config stands in `app-config.yaml`, dotted: `catalog.providers.git`."""
    build: Callable[[C, Host], Iterable[Contribution]]
    needs: tuple[type, ...] = ()
    provides: tuple[type, ...] = ()


def plugin(
    name: str,
    config: type[C | NoConfig] = NoConfig,
    *,
    section: str | None = None,
    needs: Sequence[type] = (),
    provides: Sequence[type] = (),
) -> Callable[[Callable[[Any, Host], Iterable[Contribution]]], Plugin[Any]]:
    """Make a plugin of a function.

    `section` defaults to the name. `needs` and `provides` are service types, and decide the order in which plugins are
    built; a plugin whose needs nobody provides stops the start."""

    def decorate(build: Callable[[Any, Host], Iterable[Contribution]]) -> Plugin[Any]:
        return Plugin(name, config, section or name, build, tuple(needs), tuple(provides))

    return decorate


# --- contributions -----------------------------------------------------------------------------------------------


class DataFolder(msgspec.Struct, frozen=True):
    """Lent by the floor: where this machine may keep caches (`GREENROOM_DATA`). What is there may vanish at any time."""

    path: Path


class Provides(msgspec.Struct, frozen=True):
    """A service for other plugins, known to them by its Protocol only."""

    protocol: type
    service: object


class Migrations(msgspec.Struct, frozen=True):
    """The forward-only `.sql` files of one part, applied in name order by one process at a time before loops start."""

    part: str
    folder: Path


class Loop(msgspec.Struct, frozen=True):
    """Work that is done again and again for as long as the process lives.

    `step` does one round and returns the seconds to rest before the next (0: go on at once). A topic in `wakes` (see
    `greenroom.events`) ends the rest early. A step that raises is logged, and retried with back-off; it never ends the loop."""

    name: str
    step: Callable[[], Awaitable[float]]
    wakes: tuple[str, ...] = ()
    runs_in: Literal["worker", "api", "every"] = "worker"
    concurrency: int = 1


class Deferred(msgspec.Struct, frozen=True):
    """An entity on its way into the catalog.

    `location_key` is who claims it: an entity held by one key is not overwritten from another (spec 02 §4.7)."""

    entity: Entity
    location_key: str | None = None


class Mutation(msgspec.Struct, frozen=True):
    """What a provider's mutation did, in entities."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


class Status(msgspec.Struct, frozen=True):
    """What a part tells of itself to `greenroom status` and at the start: a heading, and a function that reads the facts.

    Facts are JSON: scalars are shown as lines, lists of objects as tables."""

    title: str
    read: Callable[[], Awaitable[Mapping[str, Any]]]


class EntitySource(Protocol):
    """A provider's hand in the catalog: it can touch only what the provider itself put there."""

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        """These are now all entities of this provider. Unchanged ones cost a comparison of hashes and no write."""
        ...

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        """Add or replace some, and remove some (by entity ref)."""
        ...

    async def refresh(self, keys: Iterable[str]) -> int:
        """Process again, soon, whatever was made from these refresh keys (such as `url:https://…`). Returns how many."""
        ...


@runtime_checkable
class EntityProvider(Protocol):
    """Where root entities come from. One process at a time runs it, when due or triggered."""

    @property
    def name(self) -> str:
        """Unique and stable: what the provider put into the catalog is remembered under this name."""
        ...

    @property
    def every(self) -> timedelta | None:
        """The time from one run to the next; None: once at each start of the server."""
        ...

    async def run(self, source: EntitySource) -> None:
        """Bring the catalog up to date with the outside. An exception is recorded as the run's error."""
        ...


class CatalogProviders(Protocol):
    """Lent by the catalog: run a provider now."""

    async def trigger(self, provider: str) -> None:
        """Make the provider due. A run that is under way is followed by another. Raises NotFoundError."""
        ...


class CatalogReader(Protocol):
    """Lent by the catalog: read entities as they are served, past any permission."""

    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        """One entity or None per canonical reference, in order."""
        ...


class Document(msgspec.Struct, frozen=True):
    """What a reader found behind a URL."""

    content: bytes
    etag: str | None = None


@runtime_checkable
class UrlReader(Protocol):
    """Reads a family of URLs."""

    def reads(self, url: str) -> bool:
        """Whether this reader is the one for the URL. The first of all readers to say so is used."""
        ...

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises NotFoundError; NotModifiedError when `etag` is still current; NotAllowedError."""
        ...

    async def search(self, url: str) -> Sequence[tuple[str, Document]]:
        """The URLs (and contents) that a URL with `*`, `**` or `?` in its path stands for.

        Raises InputError where that is not possible."""
        ...
