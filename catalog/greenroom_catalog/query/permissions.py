"""The permissions and rules of the catalog, as they are defined to the rest of the world (spec 05 §2, 05b §2)."""

from __future__ import annotations

from typing import Any

from greenroom.permissions import Permission, Rule

RESOURCE = "catalog-entity"

UNPROCESSED_READ = Permission("catalog.entities.unprocessed.read", "read")
UNPROCESSED_DELETE = Permission("catalog.entities.unprocessed.delete", "delete")
ENTITY_READ = Permission("catalog.entity.read", "read", RESOURCE)
ENTITY_CREATE = Permission("catalog.entity.create", "create")
ENTITY_DELETE = Permission("catalog.entity.delete", "delete", RESOURCE)
ENTITY_REFRESH = Permission("catalog.entity.refresh", "update", RESOURCE)
ENTITY_VALIDATE = Permission("catalog.entity.validate")
LOCATION_READ = Permission("catalog.location.read", "read")
LOCATION_CREATE = Permission("catalog.location.create", "create")
LOCATION_DELETE = Permission("catalog.location.delete", "delete")
LOCATION_ANALYZE = Permission("catalog.location.analyze")
INGESTION_READ = Permission("catalog.ingestion.read", "read")
INGESTION_MANAGE = Permission("catalog.ingestion.manage", "update")

PERMISSIONS = (
    UNPROCESSED_READ,
    UNPROCESSED_DELETE,
    ENTITY_READ,
    ENTITY_CREATE,
    ENTITY_DELETE,
    ENTITY_REFRESH,
    ENTITY_VALIDATE,
    LOCATION_READ,
    LOCATION_CREATE,
    LOCATION_DELETE,
    LOCATION_ANALYZE,
    INGESTION_READ,
    INGESTION_MANAGE,
)
"""In the order in which they are listed."""


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _texts(description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": description}


RULES = (
    Rule(
        "HAS_ANNOTATION",
        "Entities that carry an annotation",
        RESOURCE,
        {"annotation": _text("The annotation's key"), "value": _text("The annotation's value; any if left out")},
        "annotation",
    ),
    Rule(
        "HAS_LABEL",
        "Entities that carry a label",
        RESOURCE,
        {"label": _text("The label's key"), "value": _text("The label's value; any if left out")},
        "label",
    ),
    Rule(
        "HAS_METADATA",
        "Entities that have a field in their metadata",
        RESOURCE,
        {"key": _text("Dotted path below metadata"), "value": _text("The field's value; any if left out")},
        "key",
    ),
    Rule(
        "HAS_SPEC",
        "Entities that have a field in their spec",
        RESOURCE,
        {"key": _text("Dotted path below spec"), "value": _text("The field's value; any if left out")},
        "key",
    ),
    Rule(
        "IS_ENTITY_KIND",
        "Entities of some kinds",
        RESOURCE,
        {"kinds": _texts("The kinds, in any letter case")},
        "kinds",
    ),
    Rule(
        "IS_ENTITY_OWNER",
        "Entities owned by somebody",
        RESOURCE,
        {"claims": _texts("Full refs of users and groups, one of which has to own the entity")},
        "claims",
    ),
)


def metadata() -> dict[str, Any]:
    """What `GET /.well-known/backstage/permissions/metadata` answers."""
    return {
        "permissions": [permission.to_wire() for permission in PERMISSIONS],
        "rules": [rule.to_wire() for rule in RULES],
    }
