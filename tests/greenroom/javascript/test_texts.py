"""Text as JavaScript counts and quotes it."""

from __future__ import annotations

from greenroom.javascript.json_text import json_text
from greenroom.javascript.texts import (
    from_units,
    length,
    quoted,
    sorted_texts,
    split_units,
    trim,
    units,
    well_formed,
)


def test_an_emoji_counts_as_two_and_is_whole_again_afterwards() -> None:
    assert len(units("a😀b")) == length("a😀b") == 4
    assert length("ab") == 2
    assert from_units(units("a😀b")) == "a😀b"
    assert split_units("😀") == ["\ud83d", "\ude00"]


def test_half_an_emoji_can_be_written_to_a_file() -> None:
    assert well_formed("a\ud83d") == "a\ufffd"
    assert quoted("\ud83d") == '"\\ud83d"'
    assert quoted("😀\x7f\n") == '"😀\x7f\\n"'


def test_white_space_is_javascripts() -> None:
    assert trim("\ufeff\xa0 a\x85 \u2029") == "a\x85"
    assert trim("\ufeff\u2003x\x1f ") == "x\x1f"


def test_texts_are_sorted_by_code_units() -> None:
    assert sorted_texts(["b", "\ufffd", "😀", "B"]) == ["B", "b", "😀", "\ufffd"]
    assert sorted_texts(["b", "a"]) == ["a", "b"]


def test_json_is_written_without_spaces_and_with_indices_first() -> None:
    assert json_text({"b": [1.0, None, True], "1": "ä\ud800"}) == '{"1":"ä\\ud800","b":[1,null,true]}'
    assert json_text({"a": [1e21, "ü\n", None]}) == '{"a":[1e+21,"ü\\n",null]}'
    assert json_text({"a": [], "b": {"c": 1e400}}, "  ") == '{\n  "a": [],\n  "b": {\n    "c": null\n  }\n}'
