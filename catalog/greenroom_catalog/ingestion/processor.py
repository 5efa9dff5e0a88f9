"""Entity -> Processed: annotate, check, read what it points at, and say what follows from it (spec 02 §4.1).

The order of the checks is upstream's, and so are the messages, since users find them in `status.items` and in dry runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from greenroom.entity import EDIT_URL, LOCATION, ORIGIN_LOCATION, SOURCE_LOCATION, VIEW_URL, Entity, ref_of
from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom.urls import Urls
from greenroom_catalog.ingestion.locations import Location, absolute_target, location_of, origin_of
from greenroom_catalog.ingestion.parser import Broken, parse
from greenroom_catalog.ingestion.reader import File, Reader, Reading
from greenroom_catalog.model import (
    Relation,
    Rules,
    check_fields,
    order_references,
    relations_of,
    validate_envelope,
    validate_kind,
)

REGISTRABLE = ("url",)
"""Location types that may be used outside the config."""

LARGE = 100_000
"""Bytes of a file from which on it is parsed in a thread, so that requests are answered meanwhile."""


class Child(msgspec.Struct, frozen=True):
    """An entity that was found behind a location, and the key under which it is claimed."""

    ref: str
    entity: Entity
    location_key: str


class Processed(msgspec.Struct, frozen=True):
    """What processing came to. With `errors`, the rest is not to be used: the entity stays what it last was."""

    entity: Entity
    children: Sequence[Child] = ()
    relations: Sequence[Relation] = ()
    refresh_keys: Sequence[str] = ()
    etags: Mapping[str, str] = {}
    errors: Sequence[GreenroomError] = ()


class Unchanged(msgspec.Struct, frozen=True):
    """Nothing behind the location is other than it was: what processing came to last time still holds."""


class _Found(msgspec.Struct):
    """What reading a Location's targets has brought so far."""

    children: list[Child] = []
    errors: list[GreenroomError] = []
    refresh_keys: list[str] = []
    etags: dict[str, str] = {}


class Processor:
    """Processes one entity at a time. Holds what is the same for all: the rules and how to read."""

    def __init__(self, rules: Rules, reader: Reader) -> None:
        self._rules = rules
        self._reader = reader

    async def process(self, entity: Entity, etags: Mapping[str, str] | None = None) -> Processed | Unchanged:
        """Process an unprocessed entity. `etags` are those of its last good processing, by target.

        What is wrong with the entity is in the result's `errors`; only the unforeseen is raised."""
        found = _Found()
        try:
            return await self._process(entity, etags or {}, found)
        except GreenroomError as error:
            return Processed(entity, errors=[*found.errors, error])

    async def _process(self, entity: Entity, etags: Mapping[str, str], found: _Found) -> Processed | Unchanged:
        try:
            validate_envelope(entity)
        except GreenroomError as error:
            raise InputError("Entity envelope failed validation before processing", cause=error) from error
        ref = ref_of(entity)
        location, origin = location_of(entity, ref), origin_of(entity, ref)
        entity = check_fields(order_references(annotate(entity, location, origin, self._reader.urls)))
        validate_kind(entity)
        if entity["kind"] == "Location":
            targets = self._targets(entity, location, found)
            readings = await self._read(targets, optional=is_optional(entity), etags=etags)
            if readings and all(reading.unchanged for reading in readings):
                return Unchanged()
            for target, reading in zip(targets, readings, strict=True):
                await self._take(target, reading, entity, found)
        relations = relations_of(entity)
        for child in found.children:
            if not self._rules.allows(child.entity, str(origin)):
                raise NotAllowedError(
                    f"Entity {child.ref} at {location}, originated at {origin}, "
                    "is not of an allowed kind for that location"
                )
        return Processed(entity, found.children, relations, found.refresh_keys, found.etags, found.errors)

    def _targets(self, entity: Entity, location: Location, found: _Found) -> list[Location]:
        """The targets of a Location entity, made absolute. Those that may not be read go into `found.errors`."""
        spec = entity["spec"]
        type_ = spec.get("type", location.type)
        if type_ != location.type and type_ not in REGISTRABLE:
            allowed = ",".join(f'"{name}"' for name in REGISTRABLE)
            found.errors.append(InputError(f"Registered locations must be of an allowed type [{allowed}]"))
            return []
        targets: list[Location] = []
        for written in [*filter(None, [spec.get("target")]), *(spec.get("targets") or ())]:
            if type_ == "file" and written.endswith("/"):
                found.errors.append(
                    InputError(
                        f"LocationEntityProcessor cannot handle {type_} type location with target {location.target} "
                        "that ends with a path separator"
                    )
                )
            else:
                targets.append(Location(type_, absolute_target(written, type_, location, self._reader.urls)))
        return targets

    async def _read(self, targets: Sequence[Location], *, optional: bool, etags: Mapping[str, str]) -> list[Reading]:
        """Read all targets; where some are unchanged and some are not, all are needed and so read whole."""
        readings = [await self._reader.read(t, optional=optional, etag=etags.get(t.target)) for t in targets]
        if all(reading.unchanged for reading in readings):
            return readings
        return [
            await self._reader.read(target, optional=optional) if reading.unchanged else reading
            for target, reading in zip(targets, readings, strict=True)
        ]

    async def _take(self, target: Location, reading: Reading, entity: Entity, found: _Found) -> None:
        found.refresh_keys += reading.refresh_keys
        if reading.error is not None:
            found.errors.append(reading.error)
        if reading.etag is not None:
            found.etags[target.target] = reading.etag
        for file in reading.files:
            await self._emit(file, entity, found)

    async def _emit(self, file: File, parent: Entity, found: _Found) -> None:
        """Take the documents of a file as children of the Location entity that led to it."""
        large = len(file.content) > LARGE
        for document in await asyncio.to_thread(parse, file.content) if large else parse(file.content):
            if isinstance(document, Broken):
                found.errors.append(document.error_at(str(file.location)))
                continue
            try:
                child = adopt(document.value, file.location, parent)
            except GreenroomError as error:
                found.errors.append(error)
                continue
            if child.ref != ref_of(parent):
                found.children.append(child)


def is_optional(entity: Entity) -> bool:
    """Whether a Location entity may point at nothing."""
    return bool(entity["spec"].get("presence") == "optional")


def adopt(value: Any, location: Location, parent: Entity) -> Child:
    """A document found at `location` -> a child, marked with where it stands and where the chain began.

    Raises what the envelope check raises."""
    entity = validate_envelope(value)
    metadata = entity["metadata"]
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise GreenroomError("metadata.annotations must be a valid object")
    origin = parent["metadata"]["annotations"][ORIGIN_LOCATION]
    marked = {**annotations, ORIGIN_LOCATION: origin, LOCATION: str(location)}
    adopted = {**entity, "metadata": {**metadata, "annotations": marked}}
    return Child(ref_of(adopted), adopted, str(location))


def annotate(entity: Entity, location: Location, origin: Location, urls: Urls) -> Entity:
    """Say where the entity stands, and where a person can see and edit it. What it says itself wins (spec 02 §4.4)."""
    marks: dict[str, str | None] = {LOCATION: str(location), ORIGIN_LOCATION: str(origin)}
    if location.type == "url":
        marks[VIEW_URL] = location.target
        marks[EDIT_URL] = urls.edit_url(location.target)
        marks[SOURCE_LOCATION] = urls.source_location(location.target)
    own = entity["metadata"].get("annotations")
    merged = {name: value for name, value in marks.items() if value} | (own if isinstance(own, dict) else {})
    return {**entity, "metadata": {**entity["metadata"], "annotations": merged}}
