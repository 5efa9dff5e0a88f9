"""Values held against schemas: shapes and order of what is wrong, and what hostile schemas cannot do."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import msgspec
import pytest

from greenroom_scaffolder.schemas import SchemaError, TooMuchError, compile_schema, validate
from tests.support.waiting import slowness


def test_a_problem_is_encoded_with_upstreams_members_in_upstreams_order() -> None:
    problems = validate({"a": 1}, {"properties": {"a": {"type": "string"}}})
    assert msgspec.json.encode(problems).decode() == json.dumps(
        [
            {
                "path": ["a"],
                "property": "instance.a",
                "message": "is not of a type(s) string",
                "schema": {"type": "string"},
                "instance": 1,
                "name": "type",
                "argument": ["string"],
                "stack": "instance.a is not of a type(s) string",
            }
        ],
        separators=(",", ":"),
    )


def test_what_upstream_leaves_undefined_is_not_encoded() -> None:
    [problem] = validate({}, {"properties": {"a": {"required": True}}})
    assert list(json.loads(msgspec.json.encode(problem))) == ["path", "property", "message", "schema", "name", "stack"]


def test_a_value_goes_by_the_name_it_is_given() -> None:
    [problem] = validate({"a b": [0]}, {"properties": {"a b": {"items": {"type": "string"}}}}, name="secrets")
    assert (problem.property, problem.stack) == ('secrets["a b"][0]', 'secrets["a b"][0] is not of a type(s) string')


def test_a_schema_that_was_changed_is_read_again() -> None:
    schema: dict[str, Any] = {"type": "string"}
    assert validate(1, schema)
    schema["type"] = "number"
    assert not validate(1, schema)


def test_a_schema_is_read_once() -> None:
    assert compile_schema({"title": "once"}) is compile_schema({"title": "once"})


@pytest.mark.parametrize("schema", [None, "x", 5])
def test_what_is_no_schema_is_refused_in_upstreams_words(schema: Any) -> None:
    with pytest.raises(SchemaError, match=r"^Expected `schema` to be an object or boolean$"):
        validate({}, schema)


def within(seconds: float, value: Any, schema: Any) -> list[str]:
    """The messages, or the refusal, and both in time (of this process: others may be busy)."""
    began = time.thread_time()
    try:
        answer = [problem.message for problem in validate(value, schema)]
    except (TooMuchError, SchemaError) as error:
        answer = [error.message]
    assert time.thread_time() - began < seconds * slowness()
    return answer


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){25}x", "(?=(a+)+b)"],
)
def test_a_regex_bomb_does_not_hang_the_worker(pattern: str) -> None:
    within(1.5, "a" * 40_000 + "!", {"pattern": pattern})


def test_a_hundred_slow_patterns_are_as_fast_as_one() -> None:
    schema = {"properties": {f"k{number}": {"pattern": f"(a{{1,900}}){{1,900}}{number}$"} for number in range(100)}}
    [message] = within(3, {f"k{number}": "a" * 500 for number in range(100)}, schema)
    assert "took longer" in message or "takes longer" in message


def test_a_bomb_among_property_names_does_not_hang_either() -> None:
    within(2, {"a" * 500 + str(number): 1 for number in range(50)}, {"patternProperties": {"(a{1,900}){1,900}x$": {}}})


@pytest.mark.parametrize(
    "pattern",
    [
        "(" * 5000, "[" * 15_000, "a{1,99999}" * 1000, "(?:" * 90 + "a" + "){9}" * 90, "x" * 50_000, "a{99999999}",
        "a{" + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_a_monstrous_pattern_is_refused_quickly(pattern: str) -> None:
    within(4, "a" * 100, {"pattern": pattern})


def test_a_schema_that_refers_to_itself_alone_is_refused() -> None:
    assert within(1, {}, {"$ref": "#"}) == ["The value or its schema is nested deeper than 64 levels"]
    assert within(1, {}, {"allOf": [{"$ref": "#"}]}) == ["The value or its schema is nested deeper than 64 levels"]


def test_a_schema_that_doubles_with_each_step_is_refused() -> None:
    schemas = {f"d{number}": {"allOf": [{"$ref": f"#/definitions/d{number + 1}"}] * 2} for number in range(30)}
    [message] = within(20, {}, {"$ref": "#/definitions/d0", "definitions": {**schemas, "d30": {}}})
    assert message == "Holding the value against its schema takes more than 1000000 steps"


def nested(levels: int, kind: type[list[Any] | dict[str, Any]]) -> Any:
    value: Any = kind()
    for _ in range(levels):
        value = [value] if kind is list else {"items": value, "properties": {"a": value}}
    return value


def test_deeply_nested_schemas_and_values_are_refused_not_crashed_on() -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"items": deep}
    assert within(2, nested(400, list), deep) == ["The value or its schema is nested deeper than 64 levels"]
    assert within(2, nested(400, list), {"const": nested(400, list)})
    assert within(2, [nested(400, list)] * 2, {"uniqueItems": True})


def test_a_long_enumeration_is_looked_up_and_not_gone_through() -> None:
    names: list[Any] = [f"name-{number}" for number in range(20_000)]
    assert within(2, names, {"items": {"enum": names}}) == []
    assert within(1, [1, True, "1", None], {"items": {"enum": [True, 1.0, "1", None]}}) == []
    assert len(within(1, [0, False, "", [], {}], {"items": {"enum": [True, 1.0, "1", None]}})) == 5


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ([[number] for number in range(3000)], {"items": {"enum": [[number] for number in range(3000)]}}),
        ([list(range(2000))] * 500, {"items": {"not": {"const": [*range(1999), 0]}}}),
        ("é" * 2_000_000, {"allOf": [{"minLength": 1}] * 500}),
        ([number * (2**61 - 1) for number in range(60_000)], {"allOf": [{"uniqueItems": True}] * 20}),
        ({f"k{number}": 1 for number in range(10_000)}, {"allOf": [{"additionalProperties": True}] * 200}),
        ({}, {"extends": [{"required": [f"x{number}" for number in range(20_000)]}] * 10}),
        ({}, {"properties": {"k" * 50_000: {"properties": {f"c{number}": {} for number in range(5000)}}}}),
        (list(range(500_000)), {"items": {"type": "string"}}),
    ],
)
def test_what_would_take_very_long_is_refused_soon(value: Any, schema: dict[str, Any]) -> None:
    [message] = within(4, value, schema)
    assert "more than" in message or "longer than" in message


def test_ten_thousand_items_are_compared_with_each_other_in_no_time() -> None:
    assert within(1, [{"a": number} for number in range(10_000)], {"uniqueItems": True}) == []
    assert within(1, [{"a": 1}, *range(10_000), {"a": 1.0}], {"uniqueItems": True}) == ["contains duplicate item"]


def test_a_tree_of_moderate_depth_passes() -> None:
    schema = {"$ref": "#/definitions/n", "definitions": {"n": {"items": {"$ref": "#/definitions/n"}, "type": "array"}}}
    assert validate(nested(12, list), schema) == []


def test_a_crowd_of_schemas_with_names_fits_into_memory() -> None:
    crowd = [{"if": True, "then": {"id": f"n{number}", "const": 1}} for number in range(4000)]
    tracemalloc.start()
    try:
        assert within(4, 1, {"allOf": crowd}) == []
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_that_would_fill_the_memory_is_refused() -> None:
    told = ["What is wrong with the value would take more than 20000000 characters to tell"]
    names = [f"name-{number}" for number in range(5000)]
    assert within(2, {}, {"required": names}) == told
    assert within(2, ["x"] * 5000, {"items": {"enum": names}}) == told
    assert within(4, [{}] * 5000, {"items": {"required": names}}) == told


def test_problems_that_quote_each_other_are_weighed_before_they_are_told() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"allOf": [schema]}
    assert within(1, 1, schema) == ["What is wrong with the value would take more than 20000000 characters to tell"]


def test_a_giant_among_the_values_that_are_to_be_patterns_is_refused() -> None:
    [message] = within(1, "a{1}" * 500_000, {"format": "regex"})
    assert message == "The pattern is longer than 16384 characters"


def test_a_time_of_very_many_digits_is_one() -> None:
    assert within(1, "1" * 5000, {"format": "utc-millisec"}) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"contains": {"$id": "/named", "type": "string"}}, ["text"]),
        ({"propertyNames": {"$id": "/named", "type": "string"}}, {"key": 1}),
        ({"if": {"$id": "/named", "type": "object"}, "then": {"$id": "/other", "required": []}}, {}),
        ({"properties": {}, "additionalProperties": None}, {"key": 1}),
    ],
)
def test_a_schema_that_is_kept_grows_with_no_value(schema: Any, value: Any) -> None:
    compiled = compile_schema(schema)
    assert compiled.validate(value) == []
    tracemalloc.start()
    try:
        for _ in range(500):
            compiled.validate(value)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 20_000
