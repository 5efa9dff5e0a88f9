"""Entity -> relations: what its spec says of others, told from both ends (spec 02 §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from greenroom.entity import DEFAULT_NAMESPACE, Entity, EntityRef, EntityRefError, missing_part, parse_ref, ref_of
from greenroom.errors import InputError
from greenroom.javascript.json_text import json_text
from greenroom.javascript.texts import sorted_texts
from greenroom_catalog.model.kinds import BUILTIN, SCAFFOLDER


class Relation(NamedTuple):
    """One arrow between two canonical references. The target need not exist."""

    source: str
    type: str
    target: str


class Reference(NamedTuple):
    """A field of the spec that refers to others, and the names of the arrows there and back."""

    field: str
    outgoing: str
    incoming: str
    kind: str | None
    """The kind of a reference that names none. Without a default such a reference is an error."""


_owner = Reference("owner", "ownedBy", "ownerOf", "Group")
_system = Reference("system", "partOf", "hasPart", "System")
_depends_on = Reference("dependsOn", "dependsOn", "dependencyOf", None)
_dependency_of = Reference("dependencyOf", "dependencyOf", "dependsOn", None)

REFERENCES: Mapping[str, tuple[Reference, ...]] = {
    "Component": (
        _owner,
        Reference("subcomponentOf", "partOf", "hasPart", "Component"),
        Reference("providesApis", "providesApi", "apiProvidedBy", "API"),
        Reference("consumesApis", "consumesApi", "apiConsumedBy", "API"),
        _depends_on,
        _dependency_of,
        _system,
    ),
    "API": (_owner, _system),
    "Resource": (_owner, _depends_on, _dependency_of, _system),
    "User": (Reference("memberOf", "memberOf", "hasMember", "Group"),),
    "Group": (
        Reference("parent", "childOf", "parentOf", "Group"),
        Reference("children", "parentOf", "childOf", "Group"),
        Reference("members", "hasMember", "memberOf", "User"),
    ),
    "System": (_owner, Reference("domain", "partOf", "hasPart", "Domain")),
    "Domain": (_owner, Reference("subdomainOf", "partOf", "hasPart", "Domain")),
    "Template": (_owner,),
}
"""By kind, in the order in which upstream reads the fields: the first malformed reference is the one reported."""

_OFTEN_NAMED = 200
"""Characters of a reference beyond which it is not remembered."""

_UNORDERED = ("providesApis", "consumesApis", "dependsOn", "dependencyOf", "memberOf", "children", "members")


def order_references(entity: Entity) -> Entity:
    """The same entity with those lists of its spec sorted whose order says nothing, so that reordering is no change.

    Upstream does so for entities of any kind, before it checks them. The given entity is not changed.
    """
    spec = entity.get("spec")
    if not isinstance(spec, dict):
        return entity
    ordered: dict[str, list[str]] = {}
    for field in _UNORDERED:
        value = spec.get(field)
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value):
            ordered[field] = sorted_texts(value)
    return {**entity, "spec": {**spec, **ordered}} if ordered else entity


def relations_of(entity: Entity) -> list[Relation]:
    """A valid entity -> its relations in both directions, none of them twice.

    Raises InputError, with the malformed reference's error as its cause.
    """
    references = REFERENCES.get(entity["kind"], ())
    spec, itself = entity["spec"], ref_of(entity)
    namespace = entity["metadata"].get("namespace") or DEFAULT_NAMESPACE
    found: dict[Relation, None] = {}
    try:
        for reference in references:
            for target in _targets(spec.get(reference.field)):
                if isinstance(target, str) and len(target) <= _OFTEN_NAMED:
                    other = _canonical(target, reference.kind, namespace)
                else:
                    other = str(read_reference(target, reference.kind, namespace))
                found[Relation(itself, reference.outgoing, other)] = None
                found[Relation(other, reference.incoming, itself)] = None
    except EntityRefError as error:
        processor = SCAFFOLDER if entity["kind"] == "Template" else BUILTIN
        raise InputError(f"Processor {processor} threw an error while postprocessing", cause=error) from error
    return list(found)


@lru_cache(maxsize=4096)
def _canonical(target: str, kind: str | None, namespace: str) -> str:
    """Owners and systems are named again and again."""
    return str(read_reference(target, kind, namespace))


def read_reference(value: object, kind: str | None, namespace: str) -> EntityRef:
    """A reference as text, or as an object of kind, namespace and name, with what it leaves out filled in.

    Raises EntityRefError, with upstream's messages."""
    if _is_nothing(value):
        raise EntityRefError
    if isinstance(value, str):
        return parse_ref(value, default_kind=kind, default_namespace=namespace)
    given = value if isinstance(value, dict) else {}
    parts = {
        "kind": given.get("kind") or kind,
        "namespace": given.get("namespace") or namespace,
        "name": given.get("name"),
    }
    for name, part in parts.items():
        if not isinstance(part, str) or not part:
            raise missing_part(name, json_text(value))
    return EntityRef(*(str(part) for part in parts.values()))


def _targets(value: Any) -> Iterable[Any]:
    if _is_nothing(value):
        return ()
    return value if isinstance(value, list) else (value,)


def _is_nothing(value: object) -> bool:
    """What JavaScript holds for false. Empty lists and objects are not among it."""
    return not value and not isinstance(value, (list, dict))  # a union is made anew each time
