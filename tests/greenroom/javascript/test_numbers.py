"""Numbers as JavaScript writes and reads them."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.javascript.numbers import as_whole, exponential, number_text, parse_float, read_number, shortest
from tests.support.waiting import slowness


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-9, "1.5e-9"), (123456789012345680000, "123456789012345680000"), (2**70, "1.1805916207174113e+21"),
        (10**400, "Infinity"), (-1.25e30, "-1.25e+30"), (5e-324, "5e-324"), (123.456, "123.456"), (2**53 + 1, "9007199254740992"),
        (math.nan, "NaN"), (0.0001, "0.0001"), (0.00001234, "0.00001234"), (1e16, "10000000000000000"), (-math.inf, "-Infinity"),
    ],
)  # fmt: skip
def test_numbers_are_printed_as_javascript_prints_them(number: float, text: str) -> None:
    assert number_text(number) == text


def test_numbers_in_texts_are_read_as_javascript_reads_them() -> None:
    assert [read_number(text) for text in ("", " 5 ", "0x1F", "0b11", "1e3", "-.5", "-Infinity")] == [
        0, 5, 31, 3, 1000, -0.5, -math.inf,
    ]  # fmt: skip
    assert all(math.isnan(read_number(text)) for text in ("5 5", "abc", "1_000", "٣", "-0x1", "0x", "inf", "nan"))


def test_a_number_of_very_many_digits_is_read_although_python_would_not() -> None:
    assert read_number("9" * 5000) == math.inf
    assert read_number("0x" + "f" * 5000) == math.inf
    assert read_number("0" * 5000 + "7") == 7


@pytest.mark.parametrize("text", ["1" * 200_000 + "x", "1" * 200_000 + "." + "1" * 200_000 + "x", "." * 200_000])
def test_a_long_text_that_is_no_number_keeps_nobody_waiting(text: str) -> None:
    began = time.thread_time()
    assert math.isnan(read_number(text))
    assert time.thread_time() - began < slowness()


def test_what_a_text_begins_with_is_enough_for_parse_float() -> None:
    assert [parse_float(text) for text in (" 42.50px", "-1e2e", ".5.5")] == [42.5, -100, 0.5]
    assert math.isnan(parse_float("px"))


def test_a_whole_number_is_an_int_as_far_as_doubles_are_exact() -> None:
    wholes = [as_whole(number) for number in (1.0, -0.0, 1.5, 2.0**53, 2.0**54)]
    assert [(number, type(number)) for number in wholes] == [
        (1, int),
        (0, int),
        (1.5, float),
        (2**53, int),
        (2**54, float),
    ]


def test_exponents_are_written_as_javascript_writes_them() -> None:
    numbers = (-0.0, 1.5e-9, 123456.0, -100.0)
    assert [exponential(number) for number in numbers] == ["0e+0", "1.5e-9", "1.23456e+5", "-1e+2"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_digits_name_the_same_double(number: float) -> None:
    sign, digits, point = shortest(number)
    assert float(f"{sign}0.{digits}e{point}") == number
    assert float(number_text(number)) == number
