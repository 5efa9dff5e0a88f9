"""JSON values as JavaScript sees them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import UNSET

from greenroom_scaffolder.schemas.values import json_text, keys_of, number_of, number_text, same, text_of


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-9, "1.5e-9"), (123456789012345680000, "123456789012345680000"), (2**70, "1.1805916207174113e+21"),
        (10**400, "Infinity"), (-1.25e30, "-1.25e+30"), (5e-324, "5e-324"), (123.456, "123.456"),
    ],
)  # fmt: skip
def test_numbers_are_printed_as_javascript_prints_them(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, None, [2, "a"]], "1,,2,a"),
        ({"a": 1}, "[object Object]"),
        (UNSET, "undefined"),
    ],
)
def test_values_in_messages_are_javascripts_texts(value: Any, text: str) -> None:
    assert text_of(value) == text


NO_NUMBERS: list[Any] = ["5 5", "abc", {}, "1_000", "٣", [1, 2]]


def test_numbers_in_texts_are_read_as_javascript_reads_them() -> None:
    assert [number_of(text) for text in ("", " 5 ", "0x1f", "1e3", "-.5", [7], None)] == [0, 5, 31, 1000, -0.5, 7, 0]
    assert all(math.isnan(number_of(value)) for value in NO_NUMBERS)


def test_keys_that_look_like_indices_come_first() -> None:
    assert keys_of({"b": 1, "10": 1, "a": 1, "9": 1, "01": 1, "-1": 1}) == ["9", "10", "b", "a", "01", "-1"]


def test_an_object_without_keys_is_an_empty_list_but_not_the_other_way_round() -> None:
    assert same({}, [])
    assert not same([], {})
    assert same({"0": "a"}, ["a"])
    assert not same(1, True)
    assert same({"a": [1.0, None]}, {"a": [1, None]})
    assert not same({"a": None}, {"b": None})


def test_json_is_written_without_spaces() -> None:
    assert json_text({"b": [1.0, None, True], "1": "ä\ud800"}) == '{"1":"ä\\ud800","b":[1,null,true]}'
