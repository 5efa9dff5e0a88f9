"""The permissions and rules of the catalog, as they are defined to the rest of the world (spec 05 §2, 05b §2)."""

from __future__ import annotations

from typing import Any

from greenroom.permissions import Permission

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


def _rule(name: str, description: str, properties: dict[str, Any], required: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [required],
        "additionalProperties": False,
        "$schema": "http://json-schema.org/draft-07/schema#",
    }
    return {"name": name, "description": description, "resourceType": RESOURCE, "paramsSchema": schema}


RULES = (
    _rule(
        "HAS_ANNOTATION",
        "Entities that carry an annotation",
        {"annotation": _text("The annotation's key"), "value": _text("The annotation's value; any if left out")},
        "annotation",
    ),
    _rule(
        "HAS_LABEL",
        "Entities that carry a label",
        {"label": _text("The label's key"), "value": _text("The label's value; any if left out")},
        "label",
    ),
    _rule(
        "HAS_METADATA",
        "Entities that have a field in their metadata",
        {"key": _text("Dotted path below metadata"), "value": _text("The field's value; any if left out")},
        "key",
    ),
    _rule(
        "HAS_SPEC",
        "Entities that have a field in their spec",
        {"key": _text("Dotted path below spec"), "value": _text("The field's value; any if left out")},
        "key",
    ),
    _rule("IS_ENTITY_KIND", "Entities of some kinds", {"kinds": _texts("The kinds, in any letter case")}, "kinds"),
    _rule(
        "IS_ENTITY_OWNER",
        "Entities owned by somebody",
        {"claims": _texts("Full refs of users and groups, one of which has to own the entity")},
        "claims",
    ),
)


def metadata() -> dict[str, Any]:
    """What `GET /.well-known/backstage/permissions/metadata` answers."""
    return {"permissions": [permission.to_wire() for permission in PERMISSIONS], "rules": list(RULES)}
