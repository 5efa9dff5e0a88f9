"""Provider -> root entities: what each source of entities put into the catalog, kept apart under the source's name."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b, sha256
from typing import TypeVar

import msgspec

from greenroom.db import Connection
from greenroom.entity import Entity, ref_of
from greenroom.errors import InputError, NotFoundError
from greenroom.plugin import Deferred, EntitySource, Mutation
from greenroom_catalog.ingestion.locations import (
    Location,
    location_entity,
)
from greenroom_catalog.model import validate_envelope
from greenroom_catalog.model.values import from_json
from greenroom_catalog.settings import LocationConfig
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import UNSTORABLE, Conflict, Emitted, Held, Store, explain, is_news

CONFIG_LOCATIONS = "ConfigLocationProvider"
"""Upstream's name, which users know from logs and from the database."""

CHUNK = 1000
"""Entities written by one statement."""

T = TypeVar("T")


def digest(document: bytes) -> bytes:
    """The hash by which an unprocessed entity is known to be the same."""
    return blake2b(document, digest_size=16).digest()


def emission(entity: Deferred) -> Emitted:
    """An entity of a provider, encoded and hashed for storage, its numbers as JavaScript has them.

    Raises what the envelope check raises."""
    known = validate_envelope(from_json(msgspec.json.encode(entity.entity)))
    return stored(known, entity.location_key)


def stored(entity: Entity, location_key: str | None) -> Emitted:
    """An entity of sound envelope, encoded and hashed for storage."""
    document = msgspec.json.encode(entity)
    return Emitted(ref_of(entity), document, digest(document), location_key)


class Source:
    """One provider's hand in the catalog (`greenroom.plugin.EntitySource`)."""

    def __init__(self, name: str, store: Store, log: logging.Logger) -> None:
        self.name = name
        self._store = store
        self._log = log

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        """These are now all of this provider's entities. One transaction: a source that fails half-way changes nothing."""
        added = changed = unchanged = 0
        async with self._store.transaction() as conn:
            held = await self._store.held_by_source(conn, self.name)
            seen: set[str] = set()
            async for chunk in _chunks(entities):
                items = {item.ref: item for item in map(emission, chunk) if item.ref not in seen}
                seen.update(items)
                news = [item for item in items.values() if is_news(item, held.get(item.ref))]
                written = await self._write(conn, news, held)
                added += sum(ref not in held for ref in written)
                changed += sum(ref in held for ref in written)
                unchanged += len(items) - len(news)
            gone = held.keys() - seen
            await self._store.remove_from_source(conn, self.name, sorted(gone))
        return Mutation(added, changed, len(gone), unchanged)

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        """Add or replace some, remove some (by ref); unchanged ones are left as they are."""
        items = list({item.ref: item for item in map(emission, added)}.values())
        async with self._store.transaction() as conn:
            held = await self._store.held(conn, [*removed, *(item.ref for item in items)])
            news = [item for item in items if is_news(item, held.get(item.ref))]
            leaving = held.keys() & set(removed)
            await self._store.remove_from_source(conn, self.name, sorted(leaving))
            written = await self._write(conn, news, held)
        new = sum(ref not in held for ref in written)
        return Mutation(new, len(written) - new, len(leaving), len(items) - len(news))

    async def _write(self, conn: Connection, news: Sequence[Emitted], held: Mapping[str, Held]) -> list[str]:
        """Write what is new or changed; what was held under another key is removed first. Returns the refs written.

        Raises InputError for what cannot be stored."""
        rekeyed = [item.ref for item in news if _is_rekeyed(item, held.get(item.ref))]
        try:
            await self._store.remove_from_source(conn, self.name, rekeyed)
            conflicts = await self._store.emit_from_source(conn, self.name, news)
        except UNSTORABLE as error:
            raise InputError(f"An entity of {self.name} cannot be stored: {explain(error)}") from error
        self._tell(conflicts)
        lost = {conflict.ref for conflict in conflicts}
        return [item.ref for item in news if item.ref not in lost]

    async def refresh(self, keys: Iterable[str]) -> int:
        """Make due whatever was made from these refresh keys."""
        return await self._store.refresh_by_keys([refresh_key(key) for key in keys])

    def _tell(self, conflicts: Sequence[Conflict]) -> None:
        for conflict in conflicts:
            self._log.warning(
                "Source %s detected conflicting entityRef %s already referenced by %s and now also %s",
                self.name, conflict.ref, conflict.held_by, conflict.wanted_by,
            )  # fmt: skip


def _is_rekeyed(item: Emitted, held: Held | None) -> bool:
    """Whether this is a claim under another key to what this provider holds: the old is removed, and the new added."""
    return held is not None and held.location_key != item.location_key


def refresh_key(key: str) -> str:
    """Keys over 255 characters are stored as their head and a SHA-256 (upstream: database/util, generateTargetKey)."""
    key = key.replace("\0", "")
    if len(key) <= 255:
        return key
    return f"{key[:180]}#sha256:{sha256(key.encode()).hexdigest()}"


async def _chunks(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[list[T]]:
    chunk: list[T] = []
    async for item in _each(items):
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class ConfigLocations:
    """The provider of `catalog.locations` (`greenroom.plugin.EntityProvider`)."""

    name = CONFIG_LOCATIONS
    every: timedelta | None = None

    def __init__(self, locations: Sequence[LocationConfig]) -> None:
        self._locations = locations

    async def run(self, source: EntitySource) -> None:
        """One Location entity for each. A relative `file` target counts from the working directory, as upstream's does."""
        await source.full([self._deferred(location) for location in self._locations])

    @staticmethod
    def _deferred(config: LocationConfig) -> Deferred:
        target = os.path.abspath(config.target) if config.type == "file" else config.target  # noqa: PTH100 - keeps globs
        location = Location(config.type, target)
        return Deferred(location_entity(location, presence=config.entity_presence), str(location))


class Triggers:
    """Makes providers due (`greenroom.plugin.CatalogProviders`)."""

    def __init__(self, runs: ProviderRuns) -> None:
        self._runs = runs

    async def trigger(self, provider: str) -> None:
        """Make a provider due now. Raises NotFoundError."""
        if not await self._runs.trigger(provider):
            raise NotFoundError(f"No such entity provider: {provider}")
