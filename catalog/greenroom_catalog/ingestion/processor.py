"""Entity -> Processed: change, check, read what it points at, and say what follows from it (spec 02 §4.1).

The order of the stages is upstream's, and so are the messages, since users find them in `status.items` and in dry runs. What each
stage does is in `steps`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.entity import Entity, ref_of
from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom_catalog.ingestion.locations import Location, absolute_target, location_of, origin_of
from greenroom_catalog.ingestion.placeholders import MARK
from greenroom_catalog.ingestion.reader import Reader, is_pattern
from greenroom_catalog.ingestion.steps import Change, Extensions, Step, Steps
from greenroom_catalog.ingestion.work import Child, Found, Memory, Sources, Task
from greenroom_catalog.model import Relation, Rules, check_fields, validate_envelope

__all__ = ["REGISTRABLE", "Child", "Memory", "Processed", "Processor", "Unchanged"]

BREATH = 1000
"""Children of one file after which requests are answered."""
REGISTRABLE = ("url",)
"""Location types that may be used outside the config."""

AT_ONCE, READS, FOREIGN = 0, 1, 2
"""Lanes of processing: what waits for nothing, what reads URLs, and what passes through the code of plugins. The slowness of one
must not become another's."""


_NO_MEMORY = Memory()


class Processed(msgspec.Struct, frozen=True):
    """What processing came to. With `errors`, only the memory is to be used: the entity stays what it last was."""

    entity: Entity
    children: Sequence[Child] = ()
    relations: Sequence[Relation] = ()
    refresh_keys: Sequence[str] = ()
    memory: Memory = Memory()
    errors: Sequence[GreenroomError] = ()


class Unchanged(msgspec.Struct, frozen=True):
    """Nothing that was read is other than it was: what processing came to last time still holds."""


class Processor:
    """Processes one entity at a time. Holds what is the same for all: the rules, how to read, and what plugins add."""

    def __init__(self, rules: Rules, reader: Reader, extensions: Extensions | None = None) -> None:
        self._rules = rules
        self._reader = reader
        self.extend(extensions or Extensions())

    def extend(self, extensions: Extensions) -> None:
        """Take what plugins add, once all are built. Raises ConfigError for a kind whose schema is not valid."""
        self._steps = Steps(self._reader, extensions)

    @property
    def fingerprint(self) -> str:
        """Of the steps: with others, an unchanged file may be processed otherwise."""
        return self._steps.fingerprint

    @property
    def foreign_kinds(self) -> Collection[str] | None:
        """The kinds (in lower case) whose entities pass through the code of plugins; None: all."""
        return self._steps.foreign_kinds

    def lane(self, ref: str, document: bytes) -> int:
        """What the processing of an entity, given as JSON, may have to wait for."""
        kind = ref.partition(":")[0]
        if MARK in document or self._steps.are_foreign(kind):
            return FOREIGN
        return READS if kind == "location" else AT_ONCE

    async def process(
        self, entity: Entity, memory: Memory | None = None, *, at_once: bool = False
    ) -> Processed | Unchanged:
        """Process an unprocessed entity. `memory` is what its last processing left; its etags count if that went well.
        `at_once`: its lane is AT_ONCE, so that no plugin changes it, and there is no placeholder to look for.

        What is wrong with the entity is in the result's `errors`; only the unforeseen is raised."""
        kept = memory or _NO_MEMORY
        found = Found(entity, Sources(self._reader.reads, kept.etags), kept.caches, has_marks=not at_once)
        try:
            result = await self._process(entity, found)
        except GreenroomError as error:
            found.errors.append(error)
            result = Processed(entity)
        if found.errors:
            return Processed(entity, memory=Memory(caches=kept.caches), errors=found.errors)
        return result

    async def _process(self, entity: Entity, found: Found) -> Processed | Unchanged:
        task = _task(entity, found)
        if not self._steps.are_foreign(task.kind) and await found.sources.unchanged():
            return Unchanged()
        entity = await _change(self._steps.before, entity, task)
        entity = check_fields(entity)
        await self._check(entity, task)
        if entity["kind"] == "Location":
            await self._read(entity, task)
        entity = await _change(self._steps.after, entity, task)
        await self._obey_rules(task)
        return Processed(entity, found.children, list(found.relations), list(found.refresh_keys), found.memory())

    async def _check(self, entity: Entity, task: Task) -> None:
        known = False
        for step, check in self._steps.check:
            if step.meets(task.kind) and await check(entity, task):
                known = True
        if not known:
            raise InputError(
                f"No processor recognized the entity {task.ref} as valid, possibly caused by a foreign kind or apiVersion"
            )

    async def _read(self, entity: Entity, task: Task) -> None:
        """Read the targets of a Location entity. What goes wrong with one is found with the others' entities."""
        optional = is_optional(entity)
        targets = self._targets(entity, task)
        if len(targets) > 1:
            await task.found.sources.fetch(t.target for t in targets if t.type == "url" and not is_pattern(t.target))
        for target in targets:
            for _, read in self._steps.read:
                if await read(target, optional, task):
                    break
            else:
                raise InputError(f"No processor was able to handle reading of {target}")

    def _targets(self, entity: Entity, task: Task) -> list[Location]:
        """The targets of a Location entity, made absolute. Those that may not be read are errors."""
        spec, location, errors = _spec(entity), task.location, task.found.errors
        type_ = spec.get("type", location.type)
        if type_ != location.type and type_ not in REGISTRABLE:
            allowed = ",".join(f'"{name}"' for name in REGISTRABLE)
            errors.append(InputError(f"Registered locations must be of an allowed type [{allowed}]"))
            return []
        targets: list[Location] = []
        for written in [*filter(None, [spec.get("target")]), *(spec.get("targets") or ())]:
            if type_ == "file" and written.endswith("/"):
                errors.append(
                    InputError(
                        f"LocationEntityProcessor cannot handle {type_} type location with target {location.target} "
                        "that ends with a path separator"
                    )
                )
            else:
                targets.append(Location(type_, absolute_target(written, type_, location, self._reader.urls)))
        return targets

    async def _obey_rules(self, task: Task) -> None:
        for number, child in enumerate(task.found.children):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            if not self._rules.allows(child.entity, str(task.origin)):
                raise NotAllowedError(
                    f"Entity {child.ref} at {task.location}, originated at {task.origin}, "
                    "is not of an allowed kind for that location"
                )


def _task(entity: Entity, found: Found) -> Task:
    try:
        validate_envelope(entity)
    except GreenroomError as error:
        raise InputError("Entity envelope failed validation before processing", cause=error) from error
    ref = ref_of(entity)
    return Task(ref, entity["kind"].lower(), location_of(entity, ref), origin_of(entity, ref), found)


async def _change(hooks: Sequence[tuple[Step, Change]], entity: Entity, task: Task) -> Entity:
    for step, hook in hooks:
        if step.meets(task.kind):
            entity = await hook(entity, task)
    return entity


def _spec(entity: Entity) -> Mapping[str, Any]:
    """A plugin may let Location entities of its own apiVersion pass that have none."""
    spec = entity.get("spec")
    return spec if isinstance(spec, dict) else {}


def is_optional(entity: Entity) -> bool:
    """Whether a Location entity may point at nothing."""
    return bool(_spec(entity).get("presence") == "optional")
