"""Requests that upstream refuses, and what it says. Recorded from the real backend at /api/catalog."""

import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import InputError
from greenroom.web import load_document
from greenroom.web.operations import LARGEST, Operation, coerce, compile_operations
from greenroom.web.validation import Compiler, SchemaError
from tests.support.asgi import Client

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_client_reads_the_same_refusals_as_from_upstream(door: Client, method: str) -> None:
    differences = []
    for recorded_method, target, headers, body, expected in RECORDED:
        if recorded_method != method:
            continue
        sent = body.encode("latin-1")
        reply = await door.request(method, f"/api/catalog{target}", headers, sent)
        got = "not found" if reply.status == 404 else reply.error["message"] if reply.status == 400 else None
        if got != expected:
            differences.append((target, headers, body, expected, got))
    assert differences == []


async def test_a_refusal_names_the_request_relative_to_the_plugin(door: Client) -> None:
    reply = await door.get("/api/catalog/entities?limit=x")
    assert reply.status == 400
    assert reply.json == {
        "error": {"name": "InputError", "message": "request/query/limit must be integer"},
        "request": {"method": "GET", "url": "/entities?limit=x"},
        "response": {"statusCode": 400},
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=20", {"limit": 20}),
        ("limit=0x10&offset=1e2", {"limit": 16, "offset": 100}),
        ("limit=%205", {"limit": 5}),
        ("limit=Infinity", {"limit": 2**63 - 1}),
        ("limit=99999999999999999999", {"limit": 2**63 - 1}),
        ("filter=kind=a,b", {"filter": ["kind=a,b"]}),
        ("filter=a&filter=b", {"filter": ["a", "b"]}),
        ("filter[]=a", {"filter": ["a"]}),
        ("filter[1]=b&filter[0]=a", {"filter": ["a", "b"]}),
        ("filter=a&filter[0]=b", {"filter": ["a", "b"]}),
        ("filter[]=a&filter[0]=b&filter=c", {"filter": ["a", "b", "c"]}),
        ("filter=a&filter[]=b&filter=c", {"filter": ["a", "c", "b"]}),
        ("filter[2]=a&filter[]=b", {"filter": ["b", "a"]}),
        ("filter%5B%5D=a%5Bb%5D", {"filter": ["a[b]"]}),
        ("filter=a%2Bb+c", {"filter": ["a+b c"]}),
        ("filter=%zz", {"filter": ["%zz"]}),
        ("fields=a,b", {"fields": ["a", "b"]}),
        ("fields=a,b&fields=c", {"fields": ["a,b", "c"]}),
        ("after=x", {"after": "x"}),
        ("", {}),
    ],
)
async def test_handlers_get_query_parameters_of_the_documented_types(
    door: Client, query: str, expected: dict[str, Any]
) -> None:
    assert (await door.get(f"/api/catalog/entities?{query}")).json["query"] == expected


async def test_many_filters_are_all_heard(door: Client) -> None:
    query = "&".join(f"filter=kind=k{index}" for index in range(30))
    assert len((await door.get(f"/api/catalog/entities?{query}")).json["query"]["filter"]) == 30


def operation(parameters: list[dict[str, Any]], body: dict[str, Any] | None = None) -> Operation:
    document = {"paths": {"/x": {"get": {"operationId": "X", "parameters": parameters, "requestBody": body or {}}}}}
    return compile_operations(document)["X"]


def test_reserved_characters_are_refused_where_the_document_does_not_allow_them() -> None:
    checked = operation([{"in": "query", "name": "q", "schema": {"type": "string"}}])
    with pytest.raises(InputError, match=r"^Parameter 'q' must be url encoded\. Its value may not contain reserved"):
        checked.check("q=a:b", {}, {}, None)
    assert checked.check("q=a%3Ab", {}, {}, None)[0] == {"q": "a:b"}


def test_a_free_form_object_parameter_lets_unknown_ones_pass() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    checked = operation([{"in": "query", "name": "filters", "schema": schema}])
    assert checked.check("unknown=", {}, {}, None)[0] == {"unknown": ""}


def test_a_path_parameter_is_checked_and_typed() -> None:
    checked = operation([{"in": "path", "name": "n", "required": True, "schema": {"type": "integer", "maximum": 5}}])
    assert checked.check("", {"n": "4"}, {}, None)[1] == {"n": 4}
    with pytest.raises(InputError, match="request/params/n must be <= 5"):
        checked.check("", {"n": "6"}, {}, None)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": ["string", "null"]}, 1, ["x must be string,null"]),
        ({"type": "string", "nullable": True}, None, []),
        ({"type": "string", "minLength": 2}, "a", ["x must NOT have fewer than 2 characters"]),
        ({"type": "string", "maxLength": 1}, "ab", ["x must NOT have more than 1 characters"]),
        ({"type": "string", "pattern": "^a"}, "b", ['x must match pattern "^a"']),
        ({"type": "string", "format": "uuid"}, "b", ['x must match format "uuid"']),
        ({"type": "integer"}, 1.5, ["x must be integer"]),
        ({"type": "integer"}, 2.0, []),
        ({"type": "number"}, True, ["x must be number"]),
        ({"type": "number", "exclusiveMinimum": 0}, 0, ["x must be > 0"]),
        ({"type": "number", "multipleOf": 2}, 3, ["x must be multiple of 2"]),
        ({"type": "array", "minItems": 1}, [], ["x must NOT have fewer than 1 items"]),
        (
            {"type": "array", "uniqueItems": True},
            [1, 2, 1],
            ["x must NOT have duplicate items (items ## 0 and 2 are identical)"],
        ),
        ({"type": "object", "minProperties": 1}, {}, ["x must NOT have fewer than 1 properties"]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a/b": 1}, ["x/a~1b must be string"]),
        ({"const": 1}, True, ["x must be equal to constant"]),
        ({"enum": ["a", "b"]}, "c", ["x must be equal to one of the allowed values: a, b"]),
        ({"not": {"type": "string"}}, "c", ["x must NOT be valid"]),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            1,
            ["x must be string", "x must be null", "x must match a schema in anyOf"],
        ),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, ["x must match exactly one schema in oneOf"]),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, {}, ["x must have required property 'a'"]),
        (
            {"type": "object", "required": ["a"], "additionalProperties": False},
            {"b": 1},
            ["x must have required property 'a'"],
        ),
    ],
)
def test_a_value_that_breaks_a_rule_is_told_of_in_the_words_of_ajv(
    schema: dict[str, Any], value: Any, expected: list[str]
) -> None:
    assert list(Compiler({}).compile(schema)(value, "x")) == expected


def test_a_schema_that_refers_to_itself_is_checked_all_the_way_down() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    check = Compiler({"components": {"schemas": {"Node": node}}}).compile({"$ref": "#/components/schemas/Node"})
    assert list(check({"next": {"next": {"next": 1}}}, "x")) == ["x/next/next/next must be object"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minimal": 1},
        {"type": "string", "format": "colour"},
        {"maximum": 1, "exclusiveMaximum": True},
    ],
)
def test_a_document_that_asks_for_a_check_nobody_does_stops_the_start(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        Compiler({}).compile(schema)


@pytest.mark.parametrize(
    ("text", "types", "expected"),
    [
        ("1", ("string", "integer"), "1"),
        ("true", ("boolean",), True),
        ("yes", ("boolean",), "yes"),
        ("1.5", ("number",), 1.5),
        ("\u0661", ("integer",), "\u0661"),
        ("1_000", ("integer",), "1_000"),
        ("", ("integer",), ""),
        ("", ("null",), None),
        ("0x1F ", ("integer",), 31),
        ("\x1f1", ("integer",), "\x1f1"),
        ("\ufeff1e2", ("integer",), 100),
        ("-Infinity", ("integer",), -LARGEST),
        ("99999999999999999999", ("integer",), LARGEST),
    ],
)
def test_text_becomes_a_value_only_where_javascript_agrees(text: str, types: tuple[str, ...], expected: Any) -> None:
    coerced = coerce(text, types)
    assert (coerced, type(coerced)) == (expected, type(expected))


def test_every_document_in_the_repository_can_be_checked_against() -> None:
    assert len(compile_operations(load_document("catalog"))) == 20


def test_a_query_string_that_was_seen_before_is_answered_alike() -> None:
    """Whether it was right or wrong; and what comes with it is looked at each time."""
    checked = compile_operations(load_document("catalog"))["GetEntitiesByQuery"]
    for _ in range(3):
        assert checked.check("limit=5&filter=kind=a", {}, {}, None)[0] == {"limit": 5, "filter": ["kind=a"]}
        with pytest.raises(InputError, match="request/query/limit must be integer"):
            checked.check("limit=x", {}, {}, None)
        with pytest.raises(InputError, match="Unknown query parameter 'nope'"):
            checked.check("nope=1", {}, {}, None)
