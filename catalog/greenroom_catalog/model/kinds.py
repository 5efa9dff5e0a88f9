"""What a spec must look like, kind by kind, and which processor of upstream's says so.

The tables below hold upstream's rules (JSON Schemas of catalog-model 1.10 and scaffolder-common 2.3) in upstream's order, because
the first rule that is broken is the one that is reported. Upstream asks its validators in turn and takes the first that knows
both kind and apiVersion; so a table keyed by both says the same.

API entities of type `mcp-server`, and AiResource, have schemas upstream too, but only installations that register catalog
model sources use them: the stock backend refuses them, for the missing `definition` and as an unknown kind, and so do we.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.entity import Entity, ref_of
from greenroom.errors import GreenroomError, InputError
from greenroom_catalog.model.schema import (
    Check,
    Problem,
    array,
    either,
    one_of_strings,
    string,
    string_or_boolean,
    text,
    texts,
    thing,
)

BUILTIN = "BuiltinKindsEntityProcessor"
SCAFFOLDER = "ScaffolderEntitiesProcessor"


class Kind(msgspec.Struct, frozen=True):
    """A kind that the catalog knows: `spec` checks the entity's spec, `processor` is who complains in upstream's messages."""

    name: str
    spec: Check
    processor: str = BUILTIN


class KindError(GreenroomError):
    """The entity is not what its kind must be"""

    name = "TypeError"  # what upstream throws when a schema does not match

    def __init__(self, problem: Problem) -> None:
        """Also keeps where the problem is, so that a message can point at the line of a file."""
        super().__init__(quote(problem))
        self.problem = problem
        self.path = problem.path()


def quote(problem: Problem) -> str:
    """`/spec must have required property 'owner' - missingProperty: owner`."""
    params = ", ".join(f"{name}: {value}" for name, value in problem.params.items())
    return f"{problem.pointer or '<root>'} {problem.message} - {params}"


_profile = thing({"displayName": text, "email": text, "picture": text})
_ownership = {"type": text, "lifecycle": text, "owner": text, "system": text}
_permissions = thing({"tags": array(string())})
_form = thing({"backstage:permissions": _permissions})
_decorators = array(thing({"id": string(), "input": thing()}))

_step = thing(
    {
        "id": string(),
        "name": string(),
        "action": string(),
        "input": thing(),
        "if": string_or_boolean,
        "backstage:permissions": _permissions,
    },
    required=["action"],
)
_link = thing({"if": string_or_boolean, "url": text, "entityRef": text, "title": text, "icon": text})
_blob = thing({"if": string_or_boolean, "title": text, "icon": text, "content": string()})
_buttons = thing({"backButtonText": string(), "createButtonText": string(), "reviewButtonText": string()})

_component = thing(
    {**_ownership, "subcomponentOf": text, "providesApis": texts, "consumesApis": texts, "dependsOn": texts},
    required=["type", "lifecycle", "owner"],
)
_api = thing({**_ownership, "definition": text}, required=["type", "lifecycle", "owner", "definition"])
_resource = thing({"type": text, "owner": text, "dependsOn": texts, "system": text}, required=["type", "owner"])
_system = thing({"owner": text, "domain": text, "type": text}, required=["owner"])
_domain = thing({"owner": text, "subdomainOf": text, "type": text}, required=["owner"])
_group = thing(
    {"type": text, "profile": _profile, "parent": text, "children": texts, "members": texts},
    required=["type", "children"],
)
_user = thing({"profile": _profile, "memberOf": texts}, required=["memberOf"])
_location = thing({"type": text, "target": text, "targets": texts, "presence": one_of_strings("required", "optional")})
_template = thing(
    {
        "type": text,
        "owner": text,
        "lifecycle": text,
        "parameters": either(_form, array(_form)),
        "secrets": thing({"schema": thing()}),
        "presentation": thing({"buttonLabels": _buttons}),
        "EXPERIMENTAL_recovery": thing({"EXPERIMENTAL_strategy": string()}),
        "formDecorators": _decorators,
        "EXPERIMENTAL_formDecorators": _decorators,
        "steps": array(_step),
        "output": thing({"links": array(_link), "text": array(_blob)}, others=string()),
    },
    required=["type", "steps"],
)

_builtin = {
    "API": _api,
    "Component": _component,
    "Resource": _resource,
    "Group": _group,
    "Location": _location,
    "User": _user,
    "System": _system,
    "Domain": _domain,
}

KINDS: Mapping[tuple[str, str], Kind] = {
    **{
        (version, name): Kind(name, spec)
        for name, spec in _builtin.items()
        for version in ("backstage.io/v1alpha1", "backstage.io/v1beta1")
    },
    ("scaffolder.backstage.io/v1beta3", "Template"): Kind("Template", _template, SCAFFOLDER),
}
"""By apiVersion and kind, spelled exactly so."""


def kind_of(entity: Entity) -> Kind | None:
    """The kind that an entity claims to be, or None when no processor would recognise it."""
    return KINDS.get((entity["apiVersion"], entity["kind"]))


def validate_kind(entity: Entity) -> Kind:
    """Entity of sound fields -> its kind, whose rules it obeys.

    Raises InputError, with the KindError as its cause, or for a kind or apiVersion that nobody knows.
    """
    kind = kind_of(entity)
    if kind is None:
        raise InputError(
            f"No processor recognized the entity {ref_of(entity)} as valid, "
            "possibly caused by a foreign kind or apiVersion"
        )
    if (problem := check_kind(kind, entity)) is not None:
        raise InputError(
            f"Processor {kind.processor} threw an error while validating the entity {ref_of(entity)}",
            cause=KindError(problem),
        )
    return kind


def check_kind(kind: Kind, entity: Mapping[str, Any]) -> Problem | None:
    """The first thing wrong with the entity as one of that kind."""
    if "spec" not in entity:
        return Problem("", "must have required property 'spec'", {"missingProperty": "spec"})
    problem = kind.spec(entity["spec"])
    return None if problem is None else problem.under("spec")
