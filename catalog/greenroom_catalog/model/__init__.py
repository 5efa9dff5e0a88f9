"""What an entity may be, and how it relates to others. Pure: no database, no clock, no network.

The stages, in the order in which ingestion runs them:

    validate_envelope   any JSON value     -> Entity          it has an apiVersion, a kind and a name
    order_references    Entity             -> Entity          lists without an order are sorted
    check_fields        Entity             -> Entity          the namespace is filled in, names are well formed
    validate_kind       Entity             -> Kind            the spec is what the kind asks for
    relations_of        Entity             -> list[Relation]  both directions
    Rules.allows        Entity, location   -> bool            `catalog.rules`
"""

from __future__ import annotations

from greenroom_catalog.model.kinds import KINDS, Kind, KindError, kind_of, validate_kind
from greenroom_catalog.model.relations import Relation, order_references, relations_of
from greenroom_catalog.model.rules import Rules, read_rules
from greenroom_catalog.model.validator import (
    UNSEARCHED,
    EnvelopeError,
    FieldError,
    authored_annotations,
    check_fields,
    validate_envelope,
)

__all__ = [
    "KINDS",
    "UNSEARCHED",
    "EnvelopeError",
    "FieldError",
    "Kind",
    "KindError",
    "Relation",
    "Rules",
    "authored_annotations",
    "check_fields",
    "kind_of",
    "order_references",
    "read_rules",
    "relations_of",
    "validate_envelope",
    "validate_kind",
]
