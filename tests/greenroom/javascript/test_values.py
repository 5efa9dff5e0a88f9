"""What JavaScript makes of JSON values: texts, numbers, and what counts as true."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import UNSET

from greenroom.javascript.values import kind_of, number_of, text_of, truthy


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ("x", "x"),
        (17, "17"),
        (1e21, "1e+21"),
        (2**70, "1.1805916207174113e+21"),
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


def test_a_boolean_is_no_number() -> None:
    values: list[Any] = [True, 1, 1.5, "1", None, [], {}, UNSET]
    kinds = ["boolean", "number", "number", "string", "object", "object", "object", "undefined"]
    assert [kind_of(value) for value in values] == kinds


def test_empty_lists_and_objects_count_as_something() -> None:
    assert all(map(truthy, ([], {}, "0", 1, -0.5)))
    assert not any(map(truthy, (None, UNSET, "", 0, -0.0, math.nan, False)))
