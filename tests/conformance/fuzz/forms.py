"""Hypothesis strategies: forms of templates as their authors write them, and what somebody fills in."""

from __future__ import annotations

from itertools import islice
from typing import Any

import hypothesis.strategies as st

from greenroom_scaffolder.templates.generate import good_values
from tests.conformance.schemas.spoiled import bad_values

Drawn = st.SearchStrategy[Any]

FIELDS: dict[str, tuple[dict[str, Any], ...]] = {
    "name": (
        {"title": "Name", "type": "string", "pattern": "^[a-z0-9-]+$", "maxLength": 12, "ui:autofocus": True},
        {"type": "string", "minLength": 3, "default": "harbour", "ui:help": "Short"},
    ),
    "owner": (
        {"type": "string", "ui:field": "OwnerPicker", "ui:options": {"catalogFilter": {"kind": ["Group", "User"]}}},
        {"type": "string", "ui:field": "EntityPicker", "ui:options": {"allowArbitraryValues": False, "defaultKind": "Group"}},
    ),
    "repo": (
        {"type": "string", "ui:field": "RepoUrlPicker", "ui:options": {"allowedHosts": ["github.com"],
        "requestUserCredentials": {"secretsKey": "TOKEN"}}},
        {"type": "string", "format": "uri", "ui:widget": "textarea"},
    ),
    "kind": (
        {"type": "string", "enum": ["service", "library"], "enumNames": ["A service", "A library"], "default": "service"},
        {"type": "string", "oneOf": [{"const": "service", "title": "S"}, {"const": "library", "title": "L"}]},
    ),
    "count": (
        {"type": "integer", "minimum": 1, "maximum": 5, "ui:widget": "range"},
        {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
    ),
    "yes": ({"type": "boolean", "default": False, "ui:widget": "radio"}, {"type": "boolean", "const": True}),
    "list": (
        {"type": "array", "items": {"type": "string", "minLength": 2}, "uniqueItems": True, "maxItems": 3},
        {"type": "array", "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "string"},
        "v": {"type": "number"}}}},
    ),
    "map": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"deep": {"type": "object", "properties": {"er": {"type": ["string", "null"]}}}},
        "additionalProperties": False},
    ),
    "password": ({"type": "string", "ui:field": "Secret", "minLength": 4}, {"type": "string", "ui:widget": "password"}),
}  # fmt: skip

FOLLOWING: tuple[dict[str, Any], ...] = (
    {"dependencies": {"yes": ["count"]}},
    {"dependencies": {"kind": {"oneOf": [
        {"properties": {"kind": {"enum": ["service"]}, "port": {"type": "integer"}}, "required": ["port"]},
        {"properties": {"kind": {"enum": ["library"]}}},
    ]}}},
    {"if": {"properties": {"kind": {"const": "service"}}, "required": ["kind"]}, "then": {"required": ["owner"]},
    "else": {"required": ["repo"]}},
    {"allOf": [{"if": {"properties": {"yes": {"const": True}}}, "then": {"properties": {"why": {"type": "string"}},
    "required": ["why"]}}]},
    {"anyOf": [{"required": ["name"]}, {"required": ["owner"]}]},
    {"oneOf": [{"required": ["name"], "title": "By name"}, {"required": ["repo"], "title": "By repository"}]},
    {"not": {"required": ["password"]}},
    {"patternProperties": {"^x-": {"type": "number"}}, "additionalProperties": False},
    {"definitions": {"short": {"type": "string", "maxLength": 2}}, "properties": {"short": {"$ref": "#/definitions/short"}}},
)  # fmt: skip
"""What some fields say of others."""

HEADS: dict[str, Drawn] = {
    "title": st.sampled_from(("About it", "", "${{ parameters.name }}")),
    "description": st.sampled_from(("Fill in", "*marked* down")),
    "ui:order": st.just(["name", "*"]),
    "type": st.sampled_from(("object", "object", "array")),
    "backstage:permissions": st.just({"tags": ["secret"]}),
    "backstage:featureFlag": st.just("beta"),
}


@st.composite
def pages(draw: st.DrawFn) -> dict[str, Any]:
    """One page."""
    names: list[str] = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4, unique=True))
    page: dict[str, Any] = {"properties": {name: draw(st.sampled_from(FIELDS[name])) for name in names}}
    page |= draw(st.fixed_dictionaries({}, optional=HEADS))
    wanted: bool = draw(st.booleans())
    if names and wanted:
        page["required"] = names[: draw(st.integers(1, len(names)))]
    if draw(st.booleans()):
        more = draw(st.sampled_from(FOLLOWING))
        page |= {**more, "properties": {**page["properties"], **more.get("properties", {})}}
    return page


def forms() -> Drawn:
    """`spec.parameters`."""
    return st.one_of(pages(), st.lists(pages(), min_size=1, max_size=3))


@st.composite
def filled_in(draw: st.DrawFn, form: Any) -> dict[str, Any]:
    """Values, which the form takes or refuses."""
    values: dict[str, Any] = {}
    for page in form if isinstance(form, list) else [form]:
        makers = bad_values if draw(st.integers(0, 9)) == 0 else good_values
        found = [one for one in islice(makers(page), 12) if isinstance(one, dict)]
        values |= draw(st.sampled_from(found)) if found else {}
    return values
