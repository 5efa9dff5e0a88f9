"""Entities and the references between them: the shapes that every part of the house speaks of."""

from __future__ import annotations

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


class EntityRefError(GreenroomError):
    """The entity reference is malformed"""

    name = "TypeError"  # what upstream's parseEntityRef throws


class EntityRef(NamedTuple):
    """`kind:namespace/name`, each part spelled as it was found; `str()` gives the canonical lower-case form."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}".lower()


def parse_ref(ref: str, *, default_kind: str | None = None, default_namespace: str = DEFAULT_NAMESPACE) -> EntityRef:
    """`[kind:][namespace/]name` -> EntityRef.

    A colon counts as the kind's only before the first slash, and no part may be empty (catalog-model, parseEntityRef).
    Raises EntityRefError.
    """
    head, slash, name = ref.partition("/")
    kind, colon, namespace = head.partition(":")
    if not colon:
        kind, namespace = "", head
    if not slash:
        name, namespace = namespace, ""
    if not name or (slash and not namespace) or (colon and not kind):
        raise EntityRefError(f'Entity reference "{ref}" was not on the form [<kind>:][<namespace>/]<name>')
    kind = kind or default_kind or ""
    if not kind:
        raise EntityRefError(
            f'Entity reference "{ref}" had missing or empty kind (e.g. did not start with "component:" or similar)'
        )
    return EntityRef(kind, namespace or default_namespace, name)


def ref_of(entity: Entity) -> str:
    """The canonical lower-case reference of an entity whose envelope is already known to be sound."""
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace') or DEFAULT_NAMESPACE}/{metadata['name']}".lower()
