"""document -> faults: everything that the catalog would refuse about it, the first thing first.

The catalog stops at the first thing wrong with an entity, and so do the stages of `model` that are asked here. To learn what
comes next, what was complained of is mended in a copy, and the same stages are asked again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from greenroom.entity import DEFAULT_NAMESPACE, Entity, EntityRefError, ref_of
from greenroom.errors import GreenroomError, InputError, NotAllowedError, describe
from greenroom_catalog.ingestion.spelling import nearest
from greenroom_catalog.model import (
    KINDS,
    Rules,
    authored_annotations,
    check_fields,
    kind_of,
    order_references,
    relations_of,
    validate_envelope,
    validate_kind,
)
from greenroom_catalog.model.relations import REFERENCES, read_reference
from greenroom_catalog.model.schema import Problem

MOST = 50
"""Faults of one document that are told."""
NAMELESS = "an entity without a name"

Path: TypeAlias = tuple[str | int, ...]


class Fault(NamedTuple):
    """One thing that the catalog refuses, in its words."""

    error: GreenroomError
    message: str
    path: Path
    """What is complained of; of something that is missing, where it should be."""
    problem: Problem | None = None
    """The schema's, if a schema complained."""

    @property
    def is_missing(self) -> bool:
        """Whether something should be at `path`, and is not."""
        return self.problem is not None and "missingProperty" in self.problem.params


class Terms(NamedTuple):
    """What a document is judged by, beside what holds everywhere."""

    location: str
    """Where it was found, `type:target`."""
    origin: str | None = None
    """Where the chain of locations began, for the rules; without it, a rule for some places only is taken to hold."""
    rules: Rules | None = None
    """None: every kind is allowed everywhere."""
    known: Callable[[Entity], bool] | None = None
    """Asked about entities of a kind that is none of the catalog's: whether a plugin knows it. Raises what is wrong with it."""


def refusal_of(value: Any, terms: Terms) -> GreenroomError | None:
    """The error that keeps a document out of the catalog, exactly as the catalog raises it; None: it is welcome."""
    try:
        entity = validate_envelope(value)
        annotations = authored_annotations(entity)
        if terms.rules is not None and not _is_allowed(entity, terms.origin, terms.rules):
            return NotAllowedError(
                f"Entity {ref_of(entity)} at {terms.location}, originated at {terms.origin or terms.location}, "
                "is not of an allowed kind for that location"
            )
        if not annotations:  # the catalog adds some: null and its like do no harm
            entity = {**entity, "metadata": {**entity["metadata"], "annotations": {}}}
        entity = check_fields(order_references(entity))
        if kind_of(entity) is None and _is_known(entity, terms):
            return None
        validate_kind(entity)
        relations_of(entity)
    except GreenroomError as error:
        return error
    return None


def _is_known(entity: Entity, terms: Terms) -> bool:
    try:
        return terms.known is not None and terms.known(entity)
    except GreenroomError as error:
        message = f"Processor ModelProcessor threw an error while validating the entity {ref_of(entity)}"
        raise InputError(message, cause=error) from error


def faults_of(value: dict[str, Any], terms: Terms) -> list[Fault]:
    """What the catalog refuses about a document, in its order of looking.

    What a plugin says of an entity of its kind is one fault, which names all."""
    found: list[Fault] = []
    draft = value
    while len(found) < MOST and (error := refusal_of(draft, terms)) is not None:
        faults = list(_read(error, draft, _ref(value) or NAMELESS))
        if not (faults[0].path in _KIND and any(fault.path in _KIND for fault in found)):
            found.extend(faults)
        if draft is value:
            draft = copy.deepcopy(value)
        if isinstance(error, NotAllowedError):
            terms = terms._replace(rules=None)
        elif "ModelProcessor" in error.message or not _mend_all(draft, faults, value, terms):
            break
    return found[:MOST]


def nearest_kind(entity: Mapping[str, Any]) -> tuple[str, str] | None:
    """The apiVersion and kind that an entity of an unknown one was probably meant to have."""
    version, kind = entity.get("apiVersion"), entity.get("kind")
    if not isinstance(kind, str):
        return None
    name = nearest(kind, [name for _, name in KINDS])
    versions = [known for known, other in KINDS if other == name]
    if name is None or not versions:
        return None
    return (nearest(version, versions) if isinstance(version, str) else None) or versions[0], name


def look_up(value: Any, path: Sequence[str | int]) -> Any:
    """What is at the path, None if nothing is."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


_KIND: Sequence[Path] = (("kind",), ("apiVersion",))


def _is_allowed(entity: Entity, origin: str | None, rules: Rules) -> bool:
    if origin is not None:
        return rules.allows(entity, origin)
    return any(kind.allows(entity) for rule in rules.rules for kind in rule.kinds)


def _read(error: GreenroomError, draft: Entity, ref: str) -> Iterator[Fault]:
    """What one error complains of: one thing, or each of the references that cannot be read."""
    message = error.message
    if ref and (mended := _ref(draft)) not in ("", ref):
        message = message.replace(f" {mended}", f" {ref}")
    cause = error.cause if isinstance(error, InputError) and isinstance(error.cause, GreenroomError) else error
    path: Sequence[str | int] | None = getattr(cause, "path", None)
    if isinstance(cause, EntityRefError):
        yield from _bad_references(draft, error, message)
    elif path is not None:
        problem: Problem | None = getattr(cause, "problem", None)
        params: Mapping[str, Any] = {} if problem is None else problem.params
        name = params.get("missingProperty") or params.get("additionalProperty")
        whole = _as_written(draft, tuple(path))
        yield Fault(error, message, whole if name is None else (*whole, str(name)), problem)
    elif "annotations" in message:
        yield Fault(error, message, ("metadata", "annotations"))
    else:  # not allowed here, or known to nobody
        yield Fault(error, message, ("kind",))


def _bad_references(entity: Entity, error: GreenroomError, message: str) -> Iterator[Fault]:
    """Every reference of the spec that cannot be read; those after the first get the words they would have got."""
    namespace = entity["metadata"].get("namespace") or DEFAULT_NAMESPACE
    told = describe(error.cause) if error.cause is not None else ""
    ordered = order_references(entity)["spec"]
    for reference in REFERENCES.get(entity["kind"], ()):
        value = ordered.get(reference.field)
        path: Path = ("spec", reference.field)
        items = [(path, value)] if value else []
        if isinstance(value, list):
            items = [(_as_written(entity, (*path, index)), item) for index, item in enumerate(value)]
        for place, item in items:
            try:
                read_reference(item, reference.kind, namespace)
            except EntityRefError as problem:
                yield Fault(error, message.replace(told, describe(problem)), place)


def _as_written(entity: Entity, path: Path) -> Path:
    """The catalog sorts some lists of the spec before it looks: back to the index that the file has."""
    if len(path) < 3 or path[0] != "spec" or not isinstance(path[2], int):
        return path
    ordered, written = order_references(entity)["spec"].get(path[1]), entity["spec"].get(path[1])
    if ordered is written or not isinstance(ordered, list) or not isinstance(written, list):
        return path
    return (*path[:2], written.index(ordered[path[2]]), *path[3:])


def _ref(entity: Mapping[str, Any]) -> str:
    """The ref, or nothing where the envelope is broken."""
    try:
        return ref_of(validate_envelope(entity))
    except GreenroomError:
        return ""


_GONE = object()
_STAND_INS: Sequence[Any] = (_GONE, "x", [], {}, {"name": "x"}, "http://x", {"url": "http://x"}, {"action": "x"})
"""What is tried in the place of something refused, until the next complaint is about something else."""


def _set_kind(draft: Entity, value: Entity) -> bool:
    known = nearest_kind(value)
    if known is None or kind_of(draft) is not None:
        return False
    draft["apiVersion"], draft["kind"] = known
    return True


def _mend_all(draft: Entity, faults: Sequence[Fault], value: Entity, terms: Terms) -> bool:
    if faults[0].path == ("kind",) and faults[0].problem is None and _set_kind(draft, value):
        return True
    return all([_mend(draft, fault.path, terms) for fault in faults])  # noqa: C419 - each of them


def _mend(draft: Entity, path: Path, terms: Terms) -> bool:
    """Change the draft so that nothing at `path` is complained of. False: nothing helps, and what comes next is unknown."""
    return any(_try(draft, path, value, terms) for value in _STAND_INS) or _try(draft, path[:2], _GONE, terms)


def _try(draft: Entity, path: Path, value: Any, terms: Terms) -> bool:
    holder = look_up(draft, path[:-1])
    last = path[-1] if path else None
    if isinstance(holder, list) and value is not _GONE and isinstance(last, int):
        holder[last] = copy.copy(value)
    elif isinstance(holder, dict) and last is not None:
        if value is _GONE:
            holder.pop(str(last), None)
        else:
            holder[str(last)] = copy.copy(value)
    else:
        return False
    error = refusal_of(draft, terms)
    return error is None or not any(fault.path[: len(path)] == path for fault in _read(error, draft, ""))
