"""Provider -> root entities: what each source of entities put into the catalog, kept apart under the source's name."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b, sha256
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from greenroom.db import Connection
from greenroom.entity import DEFAULT_NAMESPACE, Entity, ref_of
from greenroom.errors import GreenroomError, NotFoundError, ServiceUnavailableError, describe
from greenroom.plugin import Deferred, EntitySource, Mutation
from greenroom_catalog.ingestion.bounds import Bounds, RemovalRefusedError
from greenroom_catalog.ingestion.locations import (
    Location,
    location_entity,
)
from greenroom_catalog.model import validate_envelope
from greenroom_catalog.model.values import from_json, is_settled
from greenroom_catalog.settings import LocationConfig
from greenroom_catalog.storage.claims import Conflict, Emitted, Held, is_news
from greenroom_catalog.storage.runs import MOST_FAILURES, Failure, ProviderRuns, Tally
from greenroom_catalog.storage.store import UNSTORABLE, Store, explain
from greenroom_catalog.storage.urgency import FEW

CONFIG_LOCATIONS = "ConfigLocationProvider"
"""Upstream's name, which users know from logs and from the database."""

CHUNK = 500
"""Entities written by one statement, after which requests are answered again."""

STALLED = 900.0
"""Seconds for a chunk, after which a full mutation is given up."""

T = TypeVar("T")


def digest(document: bytes) -> bytes:
    """The hash by which an unprocessed entity is known to be the same."""
    return blake2b(document, digest_size=16).digest()


def emission(entity: Deferred) -> Emitted:
    """An entity of a provider, encoded and hashed for storage, its numbers as JavaScript has them.

    Raises what the envelope check raises."""
    document = msgspec.json.encode(entity.entity)
    if is_settled(document) and (ref := _ref_as_written(entity.entity)) is not None:
        return Emitted(ref, document, digest(document), entity.location_key)
    return stored(validate_envelope(from_json(document)), entity.location_key)


def stored(entity: Entity, location_key: str | None) -> Emitted:
    """An entity of sound envelope, encoded and hashed for storage."""
    document = msgspec.json.encode(entity)
    return Emitted(ref_of(entity), document, digest(document), location_key)


class Source:
    """One provider's hand in the catalog (`greenroom.plugin.EntitySource`). `tally` tells what it has done so far, `refused` of a
    removal that waits for somebody to confirm it."""

    def __init__(
        self, name: str, store: Store, log: logging.Logger, *, by_hand: bool = False, bounds: Bounds | None = None
    ) -> None:
        self.name = name
        self.refused: RemovalRefusedError | None = None
        self.by_hand = by_hand
        self.tally = Tally()
        self._store = store
        self._log = log
        self._unknown = 0
        self._bounds = bounds or Bounds()

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        """These are now all of this provider's entities. One transaction: a source that raises half-way changes nothing.

        What is no entity, or cannot be stored, is left out and counted as failed; what it was before stays. A failure of
        which nobody knows what it was keeps everything that is not seen. Raises RemovalRefusedError and FloodError."""
        async with self._store.long_transaction() as conn:
            done = await self._replace(conn, entities)
        return self._count(done)

    async def _replace(self, conn: Connection, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        unknown_before, done = self._unknown, _Done()
        held = await self._store.emissions.held_by_source(conn, self.name)
        seen = _Seen(held)
        async with _OneAtATime() as writing:
            async for chunk in _chunks(entities):
                items, same = self._emissions(chunk, seen, held)
                done.unchanged += same
                await writing.begin(self._write_news(conn, items, held, done))
        gone = sorted(seen.missing) if self._unknown == unknown_before else []
        await self._check_removal(conn, gone, len(held))
        await self._store.emissions.remove_from_source(conn, self.name, gone)
        lost = done.lost
        if gone and done.refused:  # what held the names may just have gone: upstream removes first
            written, lost = await self._write(conn, done.refused, held)
            done.added += len(written)
            done.written += written
        self._tell(lost)
        await self._store.emissions.note_conflicts_of_source(conn, self.name, lost, of=None)
        if done.added + done.changed == len(done.written):
            await self._store.urgency.mark_changes(conn, done.written)
        return Mutation(done.added, done.changed, len(gone), done.unchanged)

    async def _write_news(
        self, conn: Connection, items: Sequence[Emitted], held: Mapping[str, Held], done: _Done
    ) -> None:
        news = [item for item in items if is_news(item, held.get(item.ref))]
        done.unchanged += len(items) - len(news)
        if not news:
            return
        written, conflicts = await self._write(conn, news, held)
        done.refused += _those_of(conflicts, news)
        done.lost += conflicts
        if len(done.written) <= FEW:
            done.written += written
        changed = sum(ref in held for ref in written)
        done.changed += changed
        done.added += len(written) - changed

    async def _check_removal(self, conn: Connection, gone: Sequence[str], held: int) -> None:
        """Raises RemovalRefusedError, with which the whole mutation waits: of a source that is not believed in part, the
        rest is no more certain; and what it added wrongly would be as hard to get rid of."""
        if self._bounds.is_usual(len(gone), held):
            return
        doomed = await self._store.emissions.doomed(conn, self.name, gone)
        try:
            self._bounds.check_removal(self.name, len(gone), held, len(doomed))
        except RemovalRefusedError as refused:
            self.refused = refused
            raise

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        """Add or replace some, remove some (by ref); unchanged ones are left as they are."""
        items = [item async for chunk in _chunks(added) for item in self._emissions(chunk, _Seen({}), {})[0]]
        return self._count(await self._store.retrying(lambda conn: self._change(conn, items, removed)))

    async def _change(self, conn: Connection, items: Iterable[Emitted], removed: Sequence[str]) -> Mutation:
        items = list({item.ref: item for item in items}.values())
        held = await self._store.emissions.held(conn, [*removed, *(item.ref for item in items)])
        news = [item for item in items if is_news(item, held.get(item.ref))]
        leaving = held.keys() & set(removed)
        await self._store.emissions.remove_from_source(conn, self.name, sorted(leaving))
        written, lost = list[str](), list[Conflict]()
        for start in range(0, len(news), CHUNK):
            some, turned_away = await self._write(conn, news[start : start + CHUNK], held)
            written += some
            lost += turned_away
        self._tell(lost)
        await self._store.urgency.mark_changes(conn, written)
        claimed = [*removed, *(item.ref for item in items)]
        await self._store.emissions.note_conflicts_of_source(conn, self.name, lost, of=claimed)
        new = sum(ref not in held for ref in written)
        return Mutation(new, len(written) - new, len(leaving), len(items) - len(news))

    async def take_away(self, refs: Sequence[str]) -> None:
        """Remove what a person wants gone."""

        async def remove(conn: Connection) -> None:
            await self._store.emissions.remove_from_source(conn, self.name, refs, by_hand=True)
            await self._store.emissions.note_conflicts_of_source(conn, self.name, [], of=refs)

        await self._store.retrying(remove)

    async def refresh(self, keys: Iterable[str]) -> int:
        """Make due whatever was made from these refresh keys."""
        due = await self._store.refresh_by_keys([refresh_key(key) for key in keys])
        self.tally.refreshed += due
        return due

    def progress(self, done: int, total: int | None = None) -> None:
        """How far the provider has come, by its own measure."""
        self.tally.done, self.tally.total = done, total

    def failed(self, what: str, error: Exception | str) -> None:
        """Count an item as failed. What it was in the catalog, if anything, is not known: nothing is removed for want of it."""
        self._unknown += 1
        self._fail(what, error)

    def _fail(self, what: str, error: Exception | str) -> None:
        reason = error if isinstance(error, str) else describe(error)
        self.tally.failed += 1
        if len(self.tally.failures) < MOST_FAILURES:
            self.tally.failures.append(Failure(what, reason))
        self._log.warning("%s: %s: %s", self.name, what, reason)

    def _emissions(
        self, entities: Sequence[Deferred], seen: _Seen, held: Mapping[str, Held]
    ) -> tuple[list[Emitted], int]:
        """What can be stored of these, but for what was `seen` before, to which it is added. Of one ref, the last.

        Returns with it how many were left out because they are `held` as they are."""
        found: dict[str, Emitted] = {}
        same: set[str] = set()
        self.tally.found += len(entities)
        self._bounds.check_length(self.tally.found)
        for entity in entities:
            if (ref := _ref_if_same(entity, held)) is not None and ref not in found:
                if ref not in seen:
                    seen.add(ref)
                    same.add(ref)
                continue
            try:
                item = emission(entity)
            except (GreenroomError, TypeError, ValueError, RecursionError) as error:
                ref = _ref_at_least(entity.entity)
                if ref is None:
                    self.failed(f"entity {self.tally.found}", error)
                else:
                    self._fail(ref, error)
                    seen.add(ref)
                continue
            if item.ref not in seen or item.ref in found or item.ref in same:
                found[item.ref] = item
                seen.add(item.ref)
                same.discard(item.ref)
        return list(found.values()), len(same)

    async def _write(
        self, conn: Connection, news: Sequence[Emitted], held: Mapping[str, Held]
    ) -> tuple[list[str], list[Conflict]]:
        """Write what is new or changed; what was held under another key is removed first.

        Returns the refs written, and the conflicts. What cannot be stored is found one by one, and left out."""
        rekeyed = [item.ref for item in news if _is_rekeyed(item, held.get(item.ref))]
        try:
            async with conn.transaction():
                await self._store.emissions.remove_from_source(conn, self.name, rekeyed)
                conflicts = await self._store.emissions.from_source(conn, self.name, news)
        except UNSTORABLE as error:
            if len(news) == 1:
                self._fail(news[0].ref, f"it cannot be stored: {explain(error)}")
                return [], []
            halves = news[: len(news) // 2], news[len(news) // 2 :]
            (first, some), (second, more) = [await self._write(conn, half, held) for half in halves]
            return first + second, some + more
        lost = {conflict.ref for conflict in conflicts}
        return [item.ref for item in news if item.ref not in lost], conflicts

    def _count(self, done: Mutation) -> Mutation:
        self.tally.added += done.added
        self.tally.changed += done.changed
        self.tally.removed += done.removed
        self.tally.unchanged += done.unchanged
        return done

    def _tell(self, conflicts: Sequence[Conflict]) -> None:
        for conflict in conflicts:
            self._log.warning(
                "Source %s detected conflicting entityRef %s already referenced by %s and now also %s",
                self.name, conflict.ref, conflict.held_by, conflict.wanted_by,
            )  # fmt: skip


class _Done(msgspec.Struct):
    """What a full mutation has come to so far. `refused` is of `lost`: what may be had yet, once other things have gone. `written`
    are the refs, as long as they are few."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    written: list[str] = []
    refused: list[Emitted] = []
    lost: list[Conflict] = []


class _Seen:
    """Which refs a mutation has named so far. Of what the provider holds, `missing` are those that it has not."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self.missing = set(held)
        self._held = held
        self._others: set[str] = set()

    def __contains__(self, ref: str) -> bool:
        return ref in self._others or (ref not in self.missing and ref in self._held)

    def add(self, ref: str) -> None:
        if ref in self._held:
            self.missing.discard(ref)
        else:
            self._others.add(ref)


class _OneAtATime:
    """Work that goes on while the next is got ready: the database writes what came, and we encode what comes."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it, once what was begun before has ended. Raises what that raised."""
        try:
            await self._end()
        except BaseException:
            work.close()
            raise
        self._task = asyncio.create_task(work)
        await asyncio.sleep(0)  # so that it is sent before anything else is computed

    async def _end(self) -> None:
        if self._task is not None:
            await self._task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever happens, nothing is under way on the connection afterwards."""
        if kind is None:
            await self._end()
        elif self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _ref_as_written(entity: Entity) -> str | None:
    """The ref of an entity of sound envelope; None where only its JSON can tell, since it is not made of just JSON's own types."""
    metadata = entity.get("metadata") if type(entity) is dict else None
    if type(metadata) is not dict:
        return None
    names = (
        entity.get("apiVersion"),
        entity.get("kind"),
        metadata.get("name"),
        metadata.get("namespace", DEFAULT_NAMESPACE),
    )
    return ref_of(entity) if all(type(name) is str and name for name in names) else None


def _ref_if_same(entity: Deferred, held: Mapping[str, Held]) -> str | None:
    """The ref of an entity that is held exactly so, byte for byte: what was stored was found to be sound.

    None says nothing: what is held may still be the same, written otherwise."""
    if not held:
        return None
    try:
        ref = ref_of(entity.entity)
        known = held.get(ref)
        if known is None or known.location_key != entity.location_key:
            return None
        return ref if digest(msgspec.json.encode(entity.entity)) == known.hash else None
    except (GreenroomError, TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None


def _ref_at_least(entity: object) -> str | None:
    """The reference of what is no sound entity, if it has what a reference is made of."""
    metadata = entity.get("metadata") if isinstance(entity, dict) else None
    if not isinstance(entity, dict) or not isinstance(metadata, dict):
        return None
    parts = (entity.get("kind"), metadata.get("namespace") or DEFAULT_NAMESPACE, metadata.get("name"))
    if not all(isinstance(part, str) and part for part in parts):
        return None
    return "{}:{}/{}".format(*parts).lower()


def _those_of(conflicts: Sequence[Conflict], items: Sequence[Emitted]) -> list[Emitted]:
    """The items that were turned away."""
    refs = {conflict.ref for conflict in conflicts}
    return [item for item in items if item.ref in refs]


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
    """So many at a time. Raises ServiceUnavailableError when that takes too long: a transaction may be open meanwhile."""
    if not isinstance(items, AsyncIterable):
        rest = iter(items)
        while chunk := list(islice(rest, CHUNK)):
            yield chunk
            await asyncio.sleep(0)  # a breath for requests
        return
    incoming = aiter(items)
    while chunk := await _next_few(incoming):
        yield chunk


async def _next_few(items: AsyncIterator[T]) -> list[T]:
    chunk: list[T] = []
    limit = asyncio.timeout(STALLED)
    try:
        async with limit:
            async for item in items:
                chunk.append(item)
                if len(chunk) == CHUNK:
                    break
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ServiceUnavailableError(f"The source did not send {CHUNK} entities in {STALLED:g} seconds") from error
    return chunk


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

    async def trigger(self, provider: str, *, by: str | None = None) -> None:
        """Make a provider due now; `by` is told with the run. Raises NotFoundError."""
        if not await self._runs.trigger(provider, by):
            raise NotFoundError(f"No such entity provider: {provider}")
