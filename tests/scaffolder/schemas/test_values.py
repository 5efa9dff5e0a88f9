"""JSON values as JavaScript sees them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import UNSET

from greenroom_scaffolder.schemas.values import number_of, same, text_of


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


def test_an_object_without_keys_is_an_empty_list_but_not_the_other_way_round() -> None:
    assert same({}, [])
    assert not same([], {})
    assert same({"0": "a"}, ["a"])
    assert not same(1, True)
    assert same(2**53, 2**53 + 1)
    assert same({"a": [1.0, None]}, {"a": [1, None]})
    assert not same({"a": None}, {"b": None})
