"""Entities and the references between them: the shapes that every part of the house speaks of."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from greenroom.errors import GreenroomError

Entity = dict[str, Any]
"""An entity as JSON: `apiVersion`, `kind`, `metadata`, `spec`, and, once served, `relations` and `status`."""

DEFAULT_NAMESPACE = "default"

LOCATION = "backstage.io/managed-by-location"
ORIGIN_LOCATION = "backstage.io/managed-by-origin-location"
SOURCE_LOCATION = "backstage.io/source-location"
VIEW_URL = "backstage.io/view-url"
EDIT_URL = "backstage.io/edit-url"
ORPHAN = "backstage.io/orphan"


class Location(NamedTuple):
    """Where something comes from: `url` and an address, `file` and a path, or a type of a plugin's own."""

    type: str
    target: str

    def __str__(self) -> str:
        return f"{self.type}:{self.target}"


class EntityRefError(GreenroomError):
    """Entity reference must not be empty"""


class EntityRefFormError(EntityRefError):
    """Entity reference was not on the form [<kind>:][<namespace>/]<name>"""

    name = "TypeError"


class EntityRef(NamedTuple):
    """`kind:namespace/name`, each part spelled as it was found; `str()` gives the canonical lower-case form."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}".lower()


def parse_ref(ref: str, *, default_kind: str | None = None, default_namespace: str | None = None) -> EntityRef:
    """`[kind:][namespace/]name` -> EntityRef. The namespace defaults to `default`, the kind to none, which is an error.

    A colon counts as the kind's only before the first slash, and no part may be empty (catalog-model, parseEntityRef).
    Raises EntityRefError with upstream's message."""
    if not ref:
        raise EntityRefError
    head, slash, name = ref.partition("/")
    kind, colon, namespace = head.partition(":")
    if not colon:
        kind, namespace = "", head
    if not slash:
        name, namespace = namespace, ""
    if not name or (slash and not namespace) or (colon and not kind):
        raise EntityRefFormError(f'Entity reference "{ref}" was not on the form [<kind>:][<namespace>/]<name>')
    kind = kind or default_kind or ""
    if not kind:
        raise missing_part("kind", json.dumps(ref, ensure_ascii=False))
    return EntityRef(kind, namespace or default_namespace or DEFAULT_NAMESPACE, name)


def missing_part(part: str, ref: str) -> EntityRefError:
    """What a reference without `kind`, `namespace` or `name` is told; `ref` is the reference as JSON."""
    example = ' (e.g. did not start with "component:" or similar)' if part == "kind" else ""
    return EntityRefError(f"Entity reference {ref} had missing or empty {part}{example}")


def ref_of(entity: Entity) -> str:
    """The canonical lower-case reference of an entity whose envelope is already known to be sound."""
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace') or DEFAULT_NAMESPACE}/{metadata['name']}".lower()
