"""location -> look: what stands behind a location at this moment, read by the rules by which the catalog itself reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.errors import GreenroomError, InputError
from greenroom_catalog.ingestion.findings import Examination, Finding, FoundEntity, examine
from greenroom_catalog.ingestion.locations import Location, LocationRefError, absolute_target, parse_location
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.work import Found, Sources, Task
from greenroom_catalog.model import Rules

PATIENCE = timedelta(seconds=5)
"""For all that is read for one explanation."""

MOST_FILES = 50
"""Files of one location that are examined."""

MOST_FOLLOWED = 20
"""Locations that are followed from a file."""

_READABLE = ("url", "file")
_PAGE = re.compile(rb"\s*<(?:!doctype html|html|head|body|\?xml)\b", re.IGNORECASE)


class Seen(msgspec.Struct, frozen=True):
    """One file, examined."""

    location: Location
    examination: Examination
    content: bytes

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, such as the one at which a person would log in."""
        return _PAGE.match(self.content) is not None

    def says(self, words: re.Pattern[str]) -> bool:
        """Whether they stand somewhere in it."""
        return words.search(self.content.decode("utf-8", "replace")) is not None

    def of(self, ref: str) -> list[FoundEntity]:
        """Every document of the file that is this entity."""
        return [entity for entity in self.examination.entities if entity.ref == ref]

    def complaints(self, ref: str | None = None) -> list[Finding]:
        """The errors of the file, or those about one of its entities."""
        found = self.examination.findings if ref is None else self.examination.of(ref)
        return [finding for finding in found if finding.severity == "error"]


class Look(msgspec.Struct, frozen=True):
    """What came of reading a location now. `error` stands where it could not be read."""

    location: Location
    files: Sequence[Seen] = ()
    error: str | None = None
    optional: bool = False

    def with_entity(self, ref: str) -> Seen | None:
        """The file that has the entity."""
        return next((seen for seen in self.files if seen.of(ref)), None)

    @property
    def refs(self) -> list[str]:
        """All entities that were found."""
        return [entity.ref for seen in self.files for entity in seen.examination.entities]


class _Files(Found):
    """What a reader finds: the files themselves, where processing takes the entities in them."""

    def __init__(self, parent: Entity, sources: Sources) -> None:
        super().__init__(parent, sources)
        self.files: list[tuple[Location, bytes]] = []

    async def adopt_file(self, content: bytes, location: Location) -> None:
        self.files.append((location, content))


class Looker:
    """Reads and examines, for as long as its patience lasts."""

    def __init__(self, reader: Reader, rules: Rules, patience: timedelta = PATIENCE) -> None:
        self._reader = reader
        self._rules = rules
        self._deadline = asyncio.get_running_loop().time() + patience.total_seconds()

    async def at(self, location: Location, *, origin: str | None = None, optional: bool = False) -> Look:
        """Never raises for what is wrong with the location."""
        try:
            async with asyncio.timeout_at(self._deadline):
                found = await self._found(location, optional)
        except TimeoutError:
            return Look(
                location, error=f"Unable to read {location.type}, no complete answer within the time of an explanation"
            )
        except GreenroomError as error:
            return Look(location, error=error.message)
        if found.errors:
            return Look(location, error=found.errors[0].message, optional=optional)
        files = found.files[:MOST_FILES]
        seen = [await self._examined(file, content, origin or str(location)) for file, content in files]
        return Look(location, seen, optional=optional)

    async def _found(self, location: Location, optional: bool) -> _Files:
        """Read as processing reads. Raises InputError for a type that only a plugin can read."""
        found = _Files({}, Sources(self._reader.reads, {}))
        task = Task(ref="", kind="location", location=location, origin=location, found=found)
        if await self._reader.read_files(location, optional, task) or await self._reader.read_url(
            location, optional, task
        ):
            return found
        raise InputError(f"Only the processing of a location can read the type {location.type}")

    async def below(self, look: Look) -> list[Look]:
        """What the Location entities in these files lead to, and those behind them: some levels, and not too many."""
        found: list[Look] = []
        todo = [look]
        while todo and len(found) < MOST_FOLLOWED:
            current = todo.pop(0)
            for seen in current.files:
                for entity in seen.examination.entities:
                    if entity.value["kind"] == "Location":
                        following = await self.behind(_adopted(entity.value, seen.location))
                        found += following
                        todo += following
        return found[:MOST_FOLLOWED]

    async def behind(self, entity: Entity) -> list[Look]:
        """What the targets of a Location entity hold now."""
        spec: dict[str, Any] = entity.get("spec") or {}
        annotations = entity["metadata"].get("annotations") or {}
        try:
            base = parse_location(annotations.get(LOCATION))
        except LocationRefError:
            return []
        type_ = spec.get("type", base.type)
        targets = [*filter(None, [spec.get("target")]), *(spec.get("targets") or ())]
        if type_ not in _READABLE or (type_ == "file" and base.type != "file"):
            return []  # processing does not read it either, or by the code of a plugin
        origin = annotations.get(ORIGIN_LOCATION, str(base))
        looks: list[Look] = []
        for written in targets:
            try:
                target = absolute_target(written, type_, base, self._reader.urls)
            except GreenroomError as error:
                looks.append(Look(Location(type_, written), error=error.message))
                continue
            optional = spec.get("presence") == "optional"
            looks.append(await self.at(Location(type_, target), origin=origin, optional=optional))
        return looks

    async def _examined(self, file: Location, content: bytes, origin: str) -> Seen:
        examination = await asyncio.to_thread(
            examine, content, file.target, location=str(file), origin=origin, rules=self._rules
        )
        return Seen(file, examination, content)


def _adopted(entity: Entity, location: Location) -> Entity:
    """A document as processing takes it from a file, as far as targets depend on it."""
    metadata = {**entity["metadata"], "annotations": {LOCATION: str(location), ORIGIN_LOCATION: str(location)}}
    return {**entity, "metadata": metadata}
