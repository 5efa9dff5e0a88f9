"""What one processing of an entity reads, remembers and puts forth, until it is told whether all of it counts."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from time import monotonic
from typing import Any, TypeVar

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity, Location, parse_ref, ref_of
from greenroom.errors import GreenroomError, NotModifiedError, describe
from greenroom.plugin import Document
from greenroom.urls import UnreadableUrlError, Urls
from greenroom_catalog.ingestion.locations import location_entity
from greenroom_catalog.ingestion.parser import Broken, parse
from greenroom_catalog.model import Relation, authored_annotations, validate_envelope
from greenroom_catalog.model.values import from_json

AT_ONCE = 64
"""Reads of URLs under way at the same time."""
OF_ONE_HOST = 16
"""Those of one host: a slow one leaves room for the others."""
ENOUGH = 16
"""Reads of a host that took too long, one after another, after which it is not asked for a while."""
PAUSE = 60.0
"""Seconds until it is asked again."""
MOST_HOSTS = 1000
"""Hosts that are remembered."""
LARGE = 100_000
"""Bytes of a file from which on it is parsed in a thread, so that requests are answered meanwhile."""
SEARCH = "search:"
LARGEST_CACHE = 100_000
"""Bytes of JSON that a processor may remember of an entity."""

T = TypeVar("T")

log = logging.getLogger("greenroom.catalog")


class Child(msgspec.Struct, frozen=True):
    """An entity that was found behind a location, and the key under which it is claimed."""

    ref: str
    entity: Entity
    location_key: str | None


class Memory(msgspec.Struct, frozen=True):
    """What is kept of one processing for the next: the etags of all that was read (none, if something had no etag), and what
    each processor remembers."""

    etags: Mapping[str, str] = {}
    caches: Mapping[str, Mapping[str, Any]] = {}


class _Host:
    """A host that is read from: how many may, and whether it has answered lately."""

    def __init__(self, name: str) -> None:
        self.slots = asyncio.Semaphore(OF_ONE_HOST)
        self._name = name
        self._late = 0
        self._late_at = 0.0

    def note(self, error: GreenroomError | None) -> None:
        """Something was read, or failed."""
        late = error is not None and isinstance(error.__cause__, TimeoutError)
        self._late, self._late_at = (self._late + 1, monotonic()) if late else (0, 0.0)

    def check(self, url: str) -> None:
        """Raises UnreadableUrlError for a while when the host keeps others waiting."""
        rest = self._late_at + PAUSE - monotonic()
        if self._late >= ENOUGH and rest > 0:
            many = f"{self._name} did not answer in time {self._late} times in a row"
            raise UnreadableUrlError(f"Unable to read {url}, {many}, and is not asked for another {rest:.0f} s")


class Reads:
    """Reads URLs, a few at a time for all processings together. What is slow holds up itself: all else is read meanwhile."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    async def read(self, url: str, etag: str | None = None) -> Document:
        """Raises as `Urls.read`."""
        return await self._ask(url, self.urls.read, etag)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """Raises as `Urls.search`."""
        return await self._ask(url, self.urls.search, etag)

    async def _ask(self, url: str, read: Callable[[str, str | None], Awaitable[T]], etag: str | None) -> T:
        host = self._host(url)
        async with host.slots, self._slots:
            host.check(url)
            try:
                result = await read(url, etag)
            except GreenroomError as error:
                host.note(error)
                raise
            host.note(None)
            return result

    def _host(self, url: str) -> _Host:
        name = url.partition("://")[2].partition("/")[0].lower()
        host = self._hosts.setdefault(name, _Host(name))
        self._hosts.move_to_end(name)
        if len(self._hosts) > MOST_HOSTS:
            self._hosts.popitem(last=False)
        return host


class Sources:
    """What one processing reads. What the last one read is asked first whether it has changed."""

    def __init__(self, reads: Reads, known: Mapping[str, str]) -> None:
        """`known` are the etags that the last good processing left, by URL, or `search:` and a pattern."""
        self.reads = reads
        self._known = known
        self._fresh: dict[str, Document | GreenroomError] = {}
        self._listed: dict[str, Sequence[tuple[str, Document]]] = {}
        self._etags: dict[str, str] | None = {}

    async def unchanged(self) -> bool:
        """Whether everything that was read last time is what it was then. What has changed need not be read again."""
        if not self._known:
            return False
        return all(await asyncio.gather(*(self._same(url, etag) for url, etag in self._known.items())))

    async def _same(self, url: str, etag: str) -> bool:
        try:
            if url.startswith(SEARCH):
                pattern = url.removeprefix(SEARCH)
                self._listed[pattern] = await self.reads.search(pattern, etag)
            else:
                self._fresh[url] = await self.reads.read(url, etag)
        except NotModifiedError:
            return True
        except GreenroomError as error:
            self._fresh[url] = error
        return False

    async def fetch(self, urls: Iterable[str]) -> None:
        """Read what will be asked for, at the same time. What fails will be told when it is asked for."""
        await asyncio.gather(*(self._fetch(url) for url in urls if url not in self._fresh))

    async def _fetch(self, url: str) -> None:
        try:
            self._fresh[url] = await self.reads.read(url)
        except GreenroomError as error:
            self._fresh[url] = error

    async def read(self, url: str) -> bytes:
        """The content behind a URL, read once. Raises as `Urls.read`."""
        if url not in self._fresh:
            await self._fetch(url)
        document = self._fresh[url]
        if isinstance(document, GreenroomError):
            raise document
        self._note(url, document.etag)
        return document.content

    async def search(self, url: str) -> Sequence[tuple[str, Document]]:
        """The files of a pattern. Raises as `Urls.search`."""
        listed = self._listed.get(url)
        files = await self.reads.search(url) if listed is None else listed
        self._note(SEARCH + url, files[0][1].etag if files else None)
        return files

    def forget(self) -> None:
        """Something was read that cannot be asked whether it has changed: next time all is read anew."""
        self._etags = None

    @property
    def etags(self) -> Mapping[str, str]:
        return self._etags or {}

    def _note(self, url: str, etag: str | None) -> None:
        if etag is None:
            self.forget()
        elif self._etags is not None:
            self._etags[url] = etag


class Found:
    """What a processing has put forth so far. `parent` is the entity as it came."""

    def __init__(
        self,
        parent: Entity,
        sources: Sources,
        caches: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        has_marks: bool = True,
    ) -> None:
        """`has_marks`: there may be placeholders in it."""
        self.parent = parent
        self.sources = sources
        self.has_marks = has_marks
        self.children: list[Child] = []
        self.relations: dict[Relation, None] = {}
        self.errors: list[GreenroomError] = []
        self.refresh_keys: dict[str, None] = {}
        self.caches: dict[str, MutableMapping[str, Any]] = {name: dict(kept) for name, kept in (caches or {}).items()}

    def adopt(self, value: Any, location: Location, location_key: str | None) -> None:
        """Take a document found at `location` as a child. What is no entity is an error; what is the parent itself is left."""
        try:
            child = adopt(value, location, self.parent, location_key)
        except GreenroomError as error:
            self.errors.append(error)
            return
        if child.ref == ref_of(self.parent):
            log.warning("%s was emitted while it was processed itself, which is ignored", child.ref)
        else:
            self.children.append(child)

    async def adopt_file(self, content: bytes, location: Location) -> None:
        """Take every document of a file. Errors of the file are the parent's."""
        if len(content) > LARGE:
            await asyncio.to_thread(self.adopt_small_file, content, location)
        else:
            self.adopt_small_file(content, location)

    def adopt_small_file(self, content: bytes, location: Location) -> None:
        """The same at once."""
        self._adopt_all(parse(content), location)

    def _adopt_all(self, documents: Sequence[Any], location: Location) -> None:
        for document in documents:
            if isinstance(document, Broken):
                self.errors.append(document.error_at(str(location)))
            else:
                self.adopt(document.value, location, str(location))

    def memory(self) -> Memory:
        """What to remember, now that all went well. Raises GreenroomError for a cache that cannot be kept."""
        caches = {name: _kept(name, cache) for name, cache in self.caches.items() if cache}
        return Memory(self.sources.etags, caches)


class Task(msgspec.Struct):
    """One entity on its way: what all steps of its processing know, and where they put what they find."""

    ref: str
    kind: str
    """In lower case."""
    location: Location
    origin: Location
    found: Found


def adopt(value: Any, location: Location, parent: Entity, location_key: str | None) -> Child:
    """A document found at `location` -> a child, marked with where it stands and where the chain began.

    Raises what the envelope check raises, GreenroomError for annotations that are none."""
    entity = validate_envelope(value)
    metadata = entity["metadata"]
    origin = parent["metadata"]["annotations"][ORIGIN_LOCATION]
    marked = {**authored_annotations(entity), ORIGIN_LOCATION: origin, LOCATION: str(location)}
    adopted = {**entity, "metadata": {**metadata, "annotations": marked}}
    return Child(ref_of(adopted), adopted, location_key)


def plain(value: Any) -> Any:
    """A copy of what foreign code returned, as JSON. Raises TypeError for what is none, InputError for too deep nesting."""
    return from_json(msgspec.json.encode(value))


def _kept(name: str, cache: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        content = msgspec.json.encode(cache)
    except (TypeError, ValueError, RecursionError) as error:
        raise GreenroomError(f"Processor {name} remembers what is not JSON: {error}") from error
    if len(content) > LARGEST_CACHE:
        raise GreenroomError(f"Processor {name} remembers {len(content)} bytes, more than {LARGEST_CACHE}")
    kept: dict[str, Any] = msgspec.json.decode(content)
    return kept


class HookWork:
    """One hook's `greenroom.plugin.Work`. What comes after the hook has ended is ignored."""

    def __init__(self, name: str, task: Task) -> None:
        self._name = name
        self._task = task
        self._found = task.found
        self.location = task.location
        self.origin = task.origin
        self._over = False

    @property
    def cache(self) -> MutableMapping[str, Any]:
        return self._found.caches.setdefault(self._name, {})

    def emit(self, entity: Entity, at: Location, *, location_key: str | None = "") -> None:
        if self._counts("an entity"):
            self._found.adopt(plain(entity), at, str(at) if location_key == "" else location_key)

    def emit_file(self, content: bytes, at: Location) -> None:
        if self._counts("a file"):
            self._found.adopt_small_file(content, at)

    def follow(self, location: Location, *, optional: bool = False) -> None:
        if self._counts("a location"):
            entity = location_entity(location, presence="optional" if optional else "required")
            self._found.adopt(entity, self.location, str(self.location))

    def relate(self, source: str, type: str, target: str) -> None:  # noqa: A002 - as in the contract
        if self._counts("a relation"):
            self._found.relations[Relation(str(parse_ref(source)), str(type), str(parse_ref(target)))] = None

    def fail(self, error: Exception) -> None:
        if self._counts("an error"):
            self._found.errors.append(error if isinstance(error, GreenroomError) else GreenroomError(describe(error)))

    def watch(self, key: str) -> None:
        if self._counts("a refresh key"):
            self._found.refresh_keys[str(key)] = None

    def end(self) -> None:
        """The hook has returned, failed or run out of time."""
        self._over = True

    def _counts(self, what: str) -> bool:
        if self._over:
            log.warning("Processor %s put forth %s of %s too late", self._name, what, self._task.ref)
        return not self._over
