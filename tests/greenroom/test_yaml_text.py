"""YAML that is written: laid out as npm's `yaml` does it, or moving to Greenroom would change every definition and file."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.yaml_text import Style, dump

LONG = "a text of many words that is longer than what fits into one line of eighty columns, so it is broken"
UNBROKEN = "x" * 90


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain words", "plain words"),
        ("", '""'),
        ("true", '"true"'),
        ("1.0", '"1.0"'),
        ("0x1f", '"0x1f"'),
        ("~", '"~"'),
        ("yes", "yes"),
        ("2020-01-01", "2020-01-01"),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ('a: "b"', "'a: \"b\"'"),
        ("- x", '"- x"'),
        ("-x", "-x"),
        ("\x00\x07\x7f", '"\\0\\a\x7f"'),
        ("😀", "😀"),
        ("\ud800", '"\\ud800"'),
        ("line\nbreak", "|-\n  line\n  break"),
        ("ends\n", "|\n  ends"),
        ("keeps\n\n", "|+\n  keeps\n"),
        ("  deep\nnot", "|2-\n    deep\n  not"),
        ("%x", '"%x"'),
        (1.0, "1"),
        (1e21, "1e+21"),
        (0.00001, "0.00001"),
        (1e-7, "1e-7"),
        (-0.0, "0"),
        (float("-inf"), "-.inf"),
        (float("nan"), ".nan"),
        (10**400, ".inf"),
        (123456789012345678, "123456789012345680"),
        (None, "null"),
        (True, "true"),
        ({}, "{}"),
        ([], "[]"),
        ([[1, [2]], {"b": 3}], "\n  - - 1\n    - - 2\n  - b: 3"),
    ],
)
def test_a_value_is_written_as_npm_yaml_writes_it(value: Any, text: str) -> None:
    written = dump({"k": value})
    assert written == f"k:{text}\n" if text.startswith("\n") else written == f"k: {text}\n"


def test_long_texts_are_folded_at_single_spaces() -> None:
    lines = LONG.replace(" columns", "\n  columns")
    assert dump({"k": LONG}) == f"k: {lines}\n"
    assert dump({"k": f"{LONG}\nand a line"}) == f"k: >-\n  {lines}\n\n  and a line\n"
    assert dump({"k": UNBROKEN}) == f"k: {UNBROKEN}\n"
    assert dump({"k": f"{UNBROKEN}\n{UNBROKEN}"}) == f"k: |-\n  {UNBROKEN}\n  {UNBROKEN}\n"


def test_a_quoted_word_that_is_too_long_is_broken_with_a_backslash() -> None:
    assert dump({"k": f"#/{UNBROKEN}"}) == f'k: "#/{"x" * 73}\\\n  {"x" * 17}"\n'


def test_indented_code_keeps_its_lines_in_a_folded_text() -> None:
    text = f"{LONG}\n\n    {LONG} {LONG}\n\nend\n"
    assert f"\n      {LONG} {LONG}\n" in dump({"k": text})


def test_keys_that_are_numbers_come_first_as_in_javascript() -> None:
    assert dump({"default": 1, "404": 2, "200": 3, "01": 4}) == '"200": 3\n"404": 2\ndefault: 1\n"01": 4\n'


def test_keys_are_quoted_where_they_would_mean_something_else() -> None:
    assert (
        dump({"null": 1, "a b": 2, "a: b": 3, "x\ny": 4, "é": 5}) == '"null": 1\na b: 2\n"a: b": 3\n"x\\ny": 4\né: 5\n'
    )


def test_a_key_beyond_a_thousand_characters_is_marked() -> None:
    assert dump({"k" * 1030: {"a": 1}}) == f"? {'k' * 1030}\n: a: 1\n"


def test_what_is_the_same_object_twice_is_written_once() -> None:
    same: dict[str, Any] = {"a": [1]}
    assert dump({"x": same, "y": same, "z": [same]}) == "x: &a1\n  a:\n    - 1\ny: *a1\nz:\n  - *a1\n"
    empty: list[Any] = []
    assert dump({"x": empty, "y": empty}) == "x: &a1 []\ny: *a1\n"


def test_endless_nesting_ends() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    assert dump({"x": circle}) == "x: &a1\n  again: *a1\n"


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(indent=4), "a:\n    - 1\n    - b: null\n      c: it's\nd: true\n"),
        (Style(indent=4, indent_seq=False), "a:\n  - 1\n  - b: null\n    c: it's\nd: true\n"),
        (Style(null_str="~", true_str="yes"), "a:\n  - 1\n  - b: ~\n    c: it's\nd: yes\n"),
        (Style(null_str="", directives=True), "---\na:\n  - 1\n  - b:\n    c: it's\nd: true\n"),
        (Style(default_string_type="QUOTE_SINGLE"), "'a':\n  - 1\n  - 'b': null\n    'c': 'it''s'\n'd': true\n"),
        (
            Style(default_string_type="QUOTE_DOUBLE", default_key_type="PLAIN"),
            'a:\n  - 1\n  - b: null\n    c: "it\'s"\nd: true\n',
        ),
    ],
)
def test_a_document_is_laid_out_as_options_of_npm_yaml_say(style: Style, text: str) -> None:
    assert dump({"a": [1, {"b": None, "c": "it's"}], "d": True}, style) == text


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(line_width=0), f"{LONG}\n"),
        (
            Style(line_width=40),
            "a text of many words that is longer than\nwhat fits into one line of eighty\ncolumns, so it is broken\n",
        ),
    ],
)
def test_lines_are_folded_where_the_style_says(style: Style, text: str) -> None:
    assert dump(LONG, style) == text


def test_what_needs_quotes_and_lines_is_written_as_the_style_says() -> None:
    assert dump({"a": "1", "b": "x: y"}, Style(single_quote=True)) == "a: '1'\nb: 'x: y'\n"
    assert dump("one\ntwo", Style(block_quote="folded")) == ">-\none\n\ntwo\n"
    assert dump("one\ntwo", Style(block_quote=False)) == '"one\\ntwo"\n'
    assert dump("one\ntwo", Style(directives=True)) == "--- |-\none\ntwo\n"
