"""Values made up for a form: they are taken, and they are the same each time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from greenroom_scaffolder.schemas import validate
from greenroom_scaffolder.templates.generate import good_values
from tests.support.waiting import slowness

FORMS: list[dict[str, Any]] = [
    {"required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[a-z-]+$", "maxLength": 20}}},
    {"required": ["repoUrl"], "properties": {"repoUrl": {"type": "string", "ui:field": "RepoUrlPicker"}}},
    {
        "properties": {
            "kind": {"type": "string", "enum": ["a", "b"]},
            "port": {"type": "integer", "minimum": 1024, "maximum": 65535, "multipleOf": 8},
            "mail": {"type": "string", "format": "email"},
            "tags": {
                "type": "array",
                "uniqueItems": True,
                "minItems": 2,
                "items": {"type": "string", "enum": ["x", "y", "z"]},
            },
        },
        "required": ["kind", "port", "mail"],
        "additionalProperties": False,
    },
    {
        "properties": {"cloud": {"type": "boolean"}},
        "required": ["cloud"],
        "dependencies": {
            "cloud": {
                "oneOf": [
                    {"properties": {"cloud": {"enum": [False]}}},
                    {"properties": {"cloud": {"enum": [True]}, "region": {"type": "string"}}, "required": ["region"]},
                ]
            }
        },
    },
    {
        "properties": {"size": {"$ref": "#/definitions/size"}},
        "required": ["size"],
        "definitions": {"size": {"type": "string", "enum": ["s", "m"]}},
        "if": {"properties": {"size": {"const": "m"}}},
        "then": {"required": ["why"], "properties": {"why": {"type": "string", "minLength": 3}}},
    },
]


@pytest.mark.parametrize("form", FORMS)
def test_good_values_are_taken_and_there_are_some(form: dict[str, Any]) -> None:
    values = list(good_values(form))
    assert values
    assert all(validate(value, form) == [] for value in values)


def test_the_same_form_has_the_same_values_each_time() -> None:
    assert [list(good_values(form)) for form in FORMS] == [list(good_values(form)) for form in FORMS]


@pytest.mark.parametrize(
    "form",
    [
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"pattern": "("},
        {"enum": 5},
        {"type": [["string"]], "properties": {"a": {"type": {"type": "string"}}}, "required": ["a"]},
        {"properties": {"a": {"type": "array", "minItems": float("inf"), "items": ["string"]}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "minLength": float("inf")}}, "required": ["a"]},
        {"properties": {"a": {"type": "number", "minimum": 10**308, "multipleOf": 1e-300}}, "required": ["a"]},
        {"properties": {"a": {"type": "integer", "minimum": 10**399, "multipleOf": 3}}, "required": ["a"]},
        {"properties": {"a": {}}, "required": ["a"], "dependencies": {"a": {"oneOf": True}}},
    ],
)
def test_a_form_that_is_no_schema_has_no_values_and_breaks_nothing(form: dict[str, Any]) -> None:
    assert list(good_values(form)) == [] or all(validate(value, form) == [] for value in good_values(form))


def test_a_form_that_grows_with_each_look_ends() -> None:
    form = {"type": "object", "properties": {f"k{number}": {"$ref": "#"} for number in range(30)}}
    began = time.process_time()
    assert all(validate(value, form) == [] for value in good_values(form))
    assert time.process_time() - began < 10 * slowness()
