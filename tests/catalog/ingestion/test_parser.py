"""bytes -> documents. `yaml_cases.json` holds texts of ours with what npm yaml 2.8 makes of them, recorded from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_catalog.ingestion.documents import quick
from greenroom_catalog.ingestion.parser import Broken, Document, Parsed, parse, position_of
from greenroom_catalog.model.values import from_json

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("yaml_cases.json").read_text())
KINDS = {"YAMLParseError": "error", "Error": "root", "RangeError": "fatal", "ReferenceError": "throw"}


def outcome(document: Document) -> tuple[str, str]:
    """In the words of the recording: what came of it, and its JSON or its message."""
    if isinstance(document, Parsed):
        return "value", msgspec.json.encode(document.value).decode()
    kind = "circular" if "circular" in document.message else KINDS[document.name]
    return kind, "" if kind == "circular" else document.message


def recorded(answer: dict[str, str]) -> tuple[str, str]:
    if answer["kind"] != "value":
        return answer["kind"], answer.get("message", "")
    return "value", msgspec.json.encode(from_json(answer["text"])).decode()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["agree"] == "exactly"], ids=lambda case: case["text"][:40]
)
def test_a_file_is_read_as_upstream_reads_it(case: dict[str, Any]) -> None:
    assert [outcome(document) for document in parse(case["text"])] == [recorded(answer) for answer in case["npm"]]


def test_all_but_a_curiosity_of_the_recorded_answers_are_equal_to_the_letter() -> None:
    assert len(CASES) > 500
    assert [case["text"] for case in CASES if case["agree"] != "exactly"] == ["a: !!merge b"]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, {y: z}]\nc: |\n  text\n---\nd: 'e'\n",
        "host: {{ gitlab_hostname }}\nname: {{ name | lower }}\n",
        "color: '#fff'\nref: {$ref: \"#/definitions/x\"}\n",
        "text: 'two\n  lines'\r\n",
    ],
)
def test_what_people_write_is_read_quickly(text: str) -> None:
    assert [value for value, _ in quick.values(text)] == [document.value for document in parse(text)]  # type: ignore[union-attr]


def test_a_broken_document_does_not_hide_its_neighbours() -> None:
    found = parse("a: 1\n---\nb: [\n---\nc: 3\n")
    assert [type(document) for document in found] == [Parsed, Broken, Parsed]
    assert [document.line for document in found] == [1, 4, 5]


def test_an_error_names_file_line_and_column_and_shows_the_line() -> None:
    (broken,) = parse("kind: Component\nmetadata:\n  name: a\n  name: b\n")
    assert isinstance(broken, Broken)
    error = broken.error_at("url:https://example.test/x.yaml")
    assert error.name == "Error"
    assert error.message == (
        "YAML error at url:https://example.test/x.yaml, YAMLParseError: Map keys must be unique at line 4, column 3:\n\n"
        "  name: a\n  name: b\n  ^\n"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("? k: &a x\n", "{ k: &a x }"),
        ("? &top {k: &a [1, 2], l: &b }\n", "{ k: &a [ 1, 2 ], l: &b  }"),
        ("? - &a x\n  - *a\n", "[ &a x, *a ]"),
    ],
)
def test_a_key_that_is_a_collection_is_written_with_the_anchors_in_it_as_npm_yaml_does(text: str, key: str) -> None:
    (document,) = parse(text)
    assert isinstance(document, Parsed)
    assert document.value == {key: None}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("url:https://x/y", "Unable to read url, Unresolved alias (the anchor must be set before the alias): b"),
        (
            "file:/x/y",
            "file /x/y could not be read, ReferenceError: Unresolved alias (the anchor must be set before the alias): b",
        ),
    ],
)
def test_an_alias_of_nothing_ends_the_file_as_it_does_upstream(location: str, message: str) -> None:
    found = parse("a: 1\n---\na: *b\n---\nc: 1\n")
    assert [type(document) for document in found] == [Parsed, Broken]
    assert isinstance(found[1], Broken)
    assert found[1].error_at(location).message == message


@pytest.mark.parametrize(("text", "kind"), [("[1]", "object"), ("x", "string"), ("1", "number"), ("true", "boolean")])
def test_a_document_that_is_no_object_is_refused_in_upstreams_words(text: str, kind: str) -> None:
    (broken,) = parse(text)
    assert isinstance(broken, Broken)
    assert broken.error_at("url:x").message == f"Expected object at root, got {kind}"


def test_depth_and_aliases_are_bounded() -> None:
    deep, bomb = "[" * 100_000, "\n".join(f"a{i}: &a{i} [{'*a' + str(i - 1) + ',' if i else '1'} 1]" for i in range(1))
    bomb += "".join(f"\na{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20))
    for text in (deep, "- " * 100_000, bomb):
        (broken,) = parse(text)
        assert isinstance(broken, Broken)
        assert broken.error_at("url:x").message


def test_characters_that_libyaml_refuses_survive() -> None:
    (parsed,) = parse("a: x\x07y\nb: 'p\u2028q'\nc: r\x85s\n")
    assert parsed == Parsed({"a": "x\x07y", "b": "p\u2028q", "c": "r\x85s"}, 1)


def test_a_json_file_with_escaped_surrogates_is_read() -> None:
    lines = "".join(f'  "k{number}": "\\ud83d\\ude00 \\udc00",\n' for number in range(300))
    (parsed,) = parse(f'{{\n{lines}  "last": 1e400\n}}')
    assert isinstance(parsed, Parsed)
    assert parsed.value["k299"] == "😀 \ufffd"
    assert parsed.value["last"] is None


def test_bytes_that_are_no_text_do_no_harm() -> None:
    (parsed,) = parse(b"\xef\xbb\xbfa: \xff\n")
    assert parsed == Parsed({"a": "\ufffd"}, 1)


@given(st.one_of(st.binary(max_size=80), st.text("ab:-?[]{},#&*!|>'\"%@` \n\t\\ud80.~<=\r\x00\u2028", max_size=60)))
def test_no_input_raises(content: bytes | str) -> None:
    for document in parse(content):
        if isinstance(document, Broken):
            assert document.error_at("url:https://x").message
            assert document.line >= 1
            assert document.column >= 1
        else:
            msgspec.json.encode(document.value)
            line, column = position_of(content, ["a", 0], document.line)
            assert line >= 1
            assert column >= 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("a é\"\\\n:'#", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abcä :"', max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", max_size=3), json_values, max_size=4))
def test_json_is_yaml(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value)) == [Parsed(value, 1)]


@pytest.mark.parametrize(
    ("path", "line", "place"),
    [
        (["spec", "owner"], 4, (6, 10)),
        (["spec", "tags", 1], 4, (7, 13)),
        (["spec", "nothing"], 4, (6, 3)),
        ([], 4, (4, 1)),
        (["a"], None, (2, 4)),
        (["broken", 0], 9, (9, 9)),
        (["a"], 10, (1, 1)),
    ],
)
def test_a_message_can_point_at_the_line_of_a_value(
    path: list[str | int], line: int | None, place: tuple[int, int]
) -> None:
    text = "# first\na: 1\n---\nkind: x\nspec:\n  owner: me\n  tags: [a, b]\n---\nbroken: [\n"
    assert position_of(text, path, line) == place
