"""What becomes of a Template entity: its TaskSpec, its form, and what is said of values and secrets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from greenroom.entity import EntityRef
from greenroom.errors import GreenroomError, InputError
from greenroom_scaffolder.templates import (
    Template,
    check_secrets,
    check_template,
    check_values,
    numbered_steps,
    parameter_schema,
    read_template,
    tags_of,
    task_spec,
)

API = "scaffolder.backstage.io/v1beta3"


def entity(*, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "Template",
        "metadata": {"name": "service", **(metadata or {})},
        "spec": {"type": "service", "steps": [], **spec},
    }


def template(**given: Any) -> Template:
    return read_template(entity(**given))


def test_a_template_of_another_version_is_refused_in_upstreams_words() -> None:
    with pytest.raises(InputError, match=r"^Unsupported apiVersion field in schema entity, backstage\.io/v1beta2$"):
        read_template({**entity(), "apiVersion": "backstage.io/v1beta2"})


def test_steps_without_id_or_name_get_upstreams() -> None:
    steps = [{"action": "a:b"}, {"id": "x", "name": "", "action": "c"}, {"name": None, "action": "d", "foo": 1}]
    assert numbered_steps(template(steps=steps)) == [
        {"action": "a:b", "id": "step-1", "name": "a:b"},
        {"id": "x", "name": "", "action": "c"},
        {"name": "d", "action": "d", "foo": 1, "id": "step-3"},
    ]


def test_a_task_spec_has_upstreams_members_in_upstreams_order() -> None:
    recovery = {"EXPERIMENTAL_strategy": "startOver"}
    known = template(steps=[{"action": "a"}], EXPERIMENTAL_recovery=recovery, metadata={"title": "T"})
    spec = task_spec(
        known, {"b": 1, "a": 2}, ref=EntityRef("Template", "default", "Service"), user_ref="user:default/u"
    )
    assert json.dumps(spec) == json.dumps(
        {
            "apiVersion": API,
            "steps": [{"action": "a", "id": "step-1", "name": "a"}],
            "EXPERIMENTAL_recovery": recovery,
            "output": {},
            "parameters": {"b": 1, "a": 2},
            "user": {"ref": "user:default/u"},
            "templateInfo": {
                "entityRef": "template:default/service",
                "entity": {"metadata": {"name": "service", "title": "T"}},
            },
        }
    )


def test_what_is_not_said_is_not_in_the_task_spec() -> None:
    spec = task_spec(template(output=None), {}, ref="template:default/x", base_url="https://x/y")
    assert list(spec) == ["apiVersion", "steps", "output", "parameters", "user", "templateInfo"]
    assert (spec["output"], spec["user"], spec["templateInfo"]["baseUrl"]) == ({}, {}, "https://x/y")


@pytest.mark.parametrize(
    ("annotations", "url"),
    [
        ({"backstage.io/source-location": "url:https://a/b/"}, "https://a/b/"),
        (
            {"backstage.io/source-location": "", "backstage.io/managed-by-location": "file:/x/y.yaml"},
            "file:///x/y.yaml",
        ),
        ({"backstage.io/managed-by-location": "bootstrap:bootstrap"}, None),
        ({}, None),
    ],
)
def test_relative_urls_are_relative_to_where_the_template_comes_from(
    annotations: dict[str, str], url: str | None
) -> None:
    assert template(metadata={"annotations": annotations}).base_url() == url


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("nowhere", "Unable to parse location ref 'nowhere', expected '<type>:<target>', e.g. 'url:https://host/path'"),
        ("https://a/b", "Invalid location ref 'https://a/b', please prefix it with 'url:', e.g. 'url:https://a/b'"),
        ("url:java\nscript:x", "Invalid location ref 'url:java\nscript:x', target is a javascript: URL"),
    ],
)
def test_a_source_location_of_no_known_form_is_told_of(location: str, message: str) -> None:
    known = template(metadata={"annotations": {"backstage.io/source-location": location}})
    with pytest.raises(GreenroomError) as raised:
        known.base_url()
    assert raised.value.message == message
    assert raised.value.name == "TypeError"


def test_the_form_is_upstreams() -> None:
    blocks = [{"title": "One", "description": "d", "properties": {"a": {"ui:field": "X"}}}, {"required": ["b"]}]
    known = template(
        metadata={"title": "Service", "description": "About", "ui:options": {"x": 1}},
        parameters=blocks,
        presentation={"buttonLabels": {"backButtonText": "Back"}},
        EXPERIMENTAL_formDecorators=[{"id": "old"}],
    )
    assert json.dumps(parameter_schema(known)) == json.dumps(
        {
            "title": "Service",
            "presentation": {"buttonLabels": {"backButtonText": "Back"}},
            "description": "About",
            "ui:options": {"x": 1},
            "steps": [
                {"title": "One", "description": "d", "schema": blocks[0]},
                {"title": "Please enter the following information", "schema": blocks[1]},
            ],
            "formDecorators": [{"id": "old"}],
        }
    )


def test_a_bare_template_has_a_form_without_pages() -> None:
    assert parameter_schema(template()) == {"title": "service", "steps": []}
    assert parameter_schema(template(parameters={"required": ["a"]}))["steps"][0]["schema"] == {"required": ["a"]}


def test_the_first_block_that_objects_is_told_of_alone() -> None:
    blocks = [{"required": ["a"]}, {"required": ["b", "c"]}, {"required": ["d"]}]
    problems = check_values(template(parameters=blocks), {"a": 1})
    assert [problem.message for problem in problems] == ['requires property "b"', 'requires property "c"']


def test_a_user_who_may_not_read_a_block_or_a_step_has_neither() -> None:
    known = template(
        parameters=[{"required": ["a"], "backstage:permissions": {"tags": ["secret"]}}, {"title": "B"}],
        steps=[{"action": "a"}, {"action": "b", "backstage:permissions": {"tags": ["secret"]}}, {"action": "c"}],
    )
    readable = known.readable_by(*(2 * [lambda part: "secret" not in tags_of(part)]))
    assert check_values(readable, {}) == []
    assert [step["id"] for step in numbered_steps(readable)] == ["step-1", "step-2"]
    assert [page["title"] for page in parameter_schema(readable)["steps"]] == ["B"]


def test_secrets_are_told_of_in_upstreams_words_and_never_quoted() -> None:
    schema = {
        "required": ["token"],
        "properties": {"key": {"minLength": 9}, "pair": {"allOf": [{"type": "number"}]}},
    }
    problems = check_secrets(template(secrets={"schema": schema}), {"key": "hush-1", "pair": "hush-2"})
    assert [(problem.property, problem.message) for problem in problems] == [
        ("secrets", "secrets.token is required"),
        ("secrets.key", "secrets.key does not meet minimum length of 9"),
        ("secrets.pair", "secrets.pair does not match allOf schema [subschema 0] with 1 error[s]:"),
        ("secrets.pair", "secrets.pair is not of a type(s) number"),
    ]
    assert problems[0].stack == 'instance requires property "token"'
    assert b"hush" not in msgspec.json.encode(problems)


def test_a_template_without_a_schema_for_secrets_takes_any() -> None:
    assert check_secrets(template(), {"a": "b"}) == []


def test_a_secret_that_is_required_by_no_name_is_told_as_upstream_tells_it() -> None:
    asked = template(secrets={"schema": {"type": "object", "required": [None]}})
    assert [problem.message for problem in check_secrets(asked, {})] == ["secrets.null is required"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "<root> must have required property 'apiVersion' - missingProperty: apiVersion"),
        ({**entity(), "apiVersion": 5}, "/apiVersion must be string - type: string"),
        ({**entity(), "foo": 1}, "<root> must NOT have additional properties - additionalProperty: foo"),
        ({**entity(), "spec": {}}, "/spec must have required property 'type' - missingProperty: type"),
        (entity(type=""), "/spec/type must NOT have fewer than 1 characters - limit: 1"),
        (entity(parameters=[5]), "/spec/parameters must be object - type: object"),
        (entity(steps=[{"id": None, "action": "a"}]), "/spec/steps/0/id must be string - type: string"),
        (entity(output={"nested": {}}), "/spec/output/nested must be string - type: string"),
    ],
)
def test_a_broken_template_is_told_what_upstream_tells(given: Any, message: str) -> None:
    with pytest.raises(GreenroomError) as raised:
        check_template(given)
    assert (raised.value.message, raised.value.name) == (message, "TypeError")


@pytest.mark.parametrize("changed", [{"apiVersion": "x", "spec": {}}, {"kind": "Component", "metadata": {}}])
def test_another_kind_of_entity_is_no_template(changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^Input template is not a template$"):
        check_template({**entity(), **changed})


def test_a_sound_template_passes() -> None:
    check_template(entity(parameters=[{"title": "a"}], output={"links": [{"if": True, "url": "x"}], "a": "b"}))
