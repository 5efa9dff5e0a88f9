"""The steps of processing, those of the catalog and those of plugins alike, in the order in which they are taken."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, ParamSpec, TypeVar

import msgspec

from greenroom.entity import EDIT_URL, LOCATION, ORIGIN_LOCATION, SOURCE_LOCATION, VIEW_URL, Entity, Location, ref_of
from greenroom.errors import ConflictError, GreenroomError, InputError
from greenroom.plugin import EntityKind, PlaceholderResolver, Processor
from greenroom.urls import Urls
from greenroom_catalog.ingestion import placeholders
from greenroom_catalog.ingestion.custom_kinds import PROCESSOR as CUSTOM_KINDS
from greenroom_catalog.ingestion.custom_kinds import CustomKinds
from greenroom_catalog.ingestion.guard import Guard, HungError
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.work import HookWork, Task, plain
from greenroom_catalog.model import kind_of, order_references, relations_of, validate_envelope, validate_kind
from greenroom_catalog.model.kinds import BUILTIN
from greenroom_catalog.settings import ProcessorOptions

PRIORITY = 20.0

log = logging.getLogger("greenroom.catalog")


Change = Callable[[Entity, Task], Awaitable[Entity]]
Check = Callable[[Entity, Task], Awaitable[bool]]
Read = Callable[[Location, bool, Task], Awaitable[bool]]
T = TypeVar("T")
P = ParamSpec("P")


class AnotherEntityError(ConflictError):
    """Fatal: The entity kind, namespace, or name changed during processing"""


class Step(msgspec.Struct, frozen=True):
    """One processor's hooks, and the name it goes by in errors."""

    name: str
    option: str
    """What it is called in `catalog.processorOptions`."""
    before: Change | None = None
    check: Check | None = None
    read: Read | None = None
    after: Change | None = None
    kinds: frozenset[str] | None = None
    """In lower case; None: all."""
    priority: float = PRIORITY
    foreign: bool = False

    def meets(self, kind: str) -> bool:
        """Whether entities of the kind (in lower case) pass this step."""
        return self.kinds is None or kind in self.kinds


class Extensions(msgspec.Struct, frozen=True):
    """What plugins add to processing, and what the config says about all of it."""

    processors: Sequence[Processor] = ()
    resolvers: Sequence[PlaceholderResolver] = ()
    kinds: Sequence[EntityKind] = ()
    options: Mapping[str, ProcessorOptions] = {}
    bare: bool = False
    """`catalog.disableDefaultProcessors`: without reading locations and saying where entities are from."""


class Steps:
    """All steps, by hook. Raises ConfigError for a kind whose schema is not valid."""

    def __init__(self, reader: Reader, extensions: Extensions) -> None:
        steps = [step for step in _all(reader, extensions) if not _option(extensions, step.option).disabled]
        steps.sort(key=lambda step: _priority(extensions, step))
        self.before = [(step, step.before) for step in steps if step.before]
        self.check = [(step, step.check) for step in steps if step.check]
        self.read = [(step, step.read) for step in steps if step.read]
        self.after = [(step, step.after) for step in steps if step.after]
        self._foreign = [step for step in steps if step.foreign and (step.before or step.check or step.after)]
        facts = [(step.name, step.priority, sorted(step.kinds or ())) for step in steps]
        self.fingerprint = blake2b(repr([facts, extensions.kinds]).encode(), digest_size=8).hexdigest()

    @property
    def foreign_kinds(self) -> Collection[str] | None:
        """The kinds (in lower case) whose entities pass through foreign code; None: all."""
        kinds = [step.kinds for step in self._foreign]
        return None if None in kinds else {kind for some in kinds if some is not None for kind in some}

    def are_foreign(self, kind: str) -> bool:
        """Whether an entity of the kind (in lower case) passes through foreign code."""
        return any(step.meets(kind) for step in self._foreign)


def _all(reader: Reader, extensions: Extensions) -> Iterable[Step]:
    """In the order of those of equal priority, which is upstream's."""
    yield _placeholders(extensions)
    yield Step(BUILTIN, BUILTIN, before=_order, check=_check, after=_relate)
    if extensions.kinds:
        yield _custom_kinds(extensions.kinds)
    if not extensions.bare:
        yield Step("FileReaderProcessor", "FileReaderProcessor", read=reader.read_files)
        yield Step("UrlReaderProcessor", "url-reader", read=reader.read_url)
        annotated = _blaming("AnnotateLocationEntityProcessor", _preprocessing, partial(_annotate, reader.urls))
        yield Step("AnnotateLocationEntityProcessor", "AnnotateLocationEntityProcessor", before=annotated)
    for processor in extensions.processors:
        yield _foreign(processor, _guard(extensions, processor.name, f"Processor {processor.name}"))


def _option(extensions: Extensions, name: str) -> ProcessorOptions:
    return extensions.options.get(name) or ProcessorOptions()


def _priority(extensions: Extensions, step: Step) -> float:
    priority = _option(extensions, step.option).priority
    return step.priority if priority is None else priority


def _guard(extensions: Extensions, option: str, name: str) -> Guard:
    patience: timedelta | None = _option(extensions, option).timeout
    return Guard(name, log, patience)


# --- our own ---------------------------------------------------------------------------------------------------------


async def _order(entity: Entity, task: Task) -> Entity:
    return order_references(entity)


async def _check(entity: Entity, task: Task) -> bool:
    return kind_of(entity) is not None and validate_kind(entity) is not None


async def _relate(entity: Entity, task: Task) -> Entity:
    if isinstance(entity.get("spec"), dict):
        task.found.relations.update(dict.fromkeys(relations_of(entity)))
    return entity


async def _annotate(urls: Urls, entity: Entity, task: Task) -> Entity:
    return annotate(entity, task.location, task.origin, urls)


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


# --- those of plugins ------------------------------------------------------------------------------------------------


def _placeholders(extensions: Extensions) -> Step:
    resolvers = {**placeholders.BUILT_IN, **{one.key: _resolver(extensions, one) for one in extensions.resolvers}}

    async def before(entity: Entity, task: Task) -> Entity:
        if not task.found.has_marks:
            return entity
        return await placeholders.replace(entity, task.location.target, resolvers, task.found)

    name = "PlaceholderProcessor"
    return Step(name, name, before=_blaming(name, _preprocessing, before))


def _resolver(extensions: Extensions, resolver: PlaceholderResolver) -> placeholders.Resolver:
    key = f"${resolver.key}"
    guard = _guard(extensions, key, f"Placeholder {key}")

    async def resolve(spot: placeholders.Spot) -> Any:
        try:
            value = plain(await guard.call(lambda: resolver.resolve(spot)))
        except HungError as error:
            raise placeholders.PlaceholderError(f"Placeholder {key} failed, {error.message}") from error
        if not spot.bytes_read:
            spot.forget()
        return value

    return resolve


def _custom_kinds(kinds: Collection[EntityKind]) -> Step:
    known = CustomKinds(kinds)

    async def before(entity: Entity, task: Task) -> Entity:
        return known.order(entity)

    async def check(entity: Entity, task: Task) -> bool:
        return known.check(entity)

    async def after(entity: Entity, task: Task) -> Entity:
        task.found.relations.update(dict.fromkeys(known.relations(entity)))
        return entity

    return Step(
        CUSTOM_KINDS,
        CUSTOM_KINDS,
        before=before,
        check=_blaming(CUSTOM_KINDS, _validating, check),
        after=_blaming(CUSTOM_KINDS, _postprocessing, after),
        kinds=frozenset(kind.kind.lower() for kind in kinds),
    )


def _foreign(processor: Processor, guard: Guard) -> Step:
    name = processor.name
    before, check, read, after = processor.before, processor.check, processor.read, processor.after
    return Step(
        name=name,
        option=name,
        before=before and _blaming(name, _preprocessing, _changing(name, before, guard)),
        check=check and _blaming(name, _validating, _checking(check, guard)),
        read=read and _blaming(name, _reading, _finding(name, read, guard)),
        after=after and _blaming(name, _postprocessing, _changing(name, after, guard)),
        kinds=None if processor.kinds is None else frozenset(kind.lower() for kind in processor.kinds),
        priority=processor.priority,
        foreign=True,
    )


def _changing(name: str, hook: Callable[[Entity, HookWork], Awaitable[Entity]], guard: Guard) -> Change:
    async def change(entity: Entity, task: Task) -> Entity:
        work = HookWork(name, task)
        try:
            changed = validate_envelope(plain(await guard.call(lambda: hook(plain(entity), work))))
        finally:
            work.end()
        if ref_of(changed) != task.ref:
            raise AnotherEntityError
        return changed

    return change


def _checking(hook: Callable[[Entity], Awaitable[bool]], guard: Guard) -> Check:
    async def check(entity: Entity, task: Task) -> bool:
        return bool(await guard.call(lambda: hook(plain(entity))))

    return check


def _finding(name: str, hook: Callable[[Location, bool, HookWork], Awaitable[bool]], guard: Guard) -> Read:
    async def read(location: Location, optional: bool, task: Task) -> bool:
        work = HookWork(name, task)
        try:
            is_ours = bool(await guard.call(lambda: hook(location, optional, work)))
        finally:
            work.end()
        if is_ours:
            task.found.sources.forget()
        return is_ours

    return read


def _blaming(name: str, doing: Callable[P, str], hook: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The hook, whose exceptions say whose they are and what it was doing."""

    async def blamed(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await hook(*args, **kwargs)
        except AnotherEntityError:
            raise
        except Exception as error:
            message = f"Processor {name} threw an error while {doing(*args, **kwargs)}"
            if not isinstance(error, GreenroomError):
                log.info("%s", message, exc_info=error)
            raise InputError(message, cause=error) from error

    return blamed


def _preprocessing(entity: Entity, task: Task) -> str:
    return "preprocessing"


def _validating(entity: Entity, task: Task) -> str:
    return f"validating the entity {task.ref}"


def _reading(location: Location, optional: bool, task: Task) -> str:
    return f"reading {location}"


def _postprocessing(entity: Entity, task: Task) -> str:
    return "postprocessing"
