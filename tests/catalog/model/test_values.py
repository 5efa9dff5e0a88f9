"""JSON values as JavaScript holds and prints them. Expectations were computed with Node 20."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import InputError
from greenroom.javascript.values import text_of
from greenroom.urls import is_url
from greenroom_catalog.model.values import (
    _SURPRISES,
    _has_surprises,
    from_json,
    is_settled,
    normalise,
)


@pytest.mark.parametrize(
    ("text", "served", "shown"),
    [
        ("12345678901234567890", "12345678901234567000", "12345678901234567000"),
        ("1.0", "1", "1"),
        ("-0", "0", "0"),
        ("-0.0", "0", "0"),
        ("1e21", "1e21", "1e+21"),
        ("1e20", "100000000000000000000", "100000000000000000000"),
        ("9007199254740993", "9007199254740992", "9007199254740992"),
        ("1e-7", "1e-7", "1e-7"),
        ("0.00001234", "0.00001234", "0.00001234"),
        ("123456.789e3", "123456789", "123456789"),
        ("1.5e300", "1.5e300", "1.5e+300"),
        ("-1.25e-9", "-1.25e-9", "-1.25e-9"),
        ("1e400", "null", "null"),
    ],
)
def test_a_number_is_served_and_searched_as_javascript_prints_it(text: str, served: str, shown: str) -> None:
    value = from_json(text)
    assert json.loads(msgspec.json.encode(value)) == json.loads(served)
    assert ("." in served or "e" in served) or msgspec.json.encode(value).decode() == served
    assert text_of(value) == shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_double_loses_its_value(number: float) -> None:
    value = from_json(repr(number))
    assert float(text_of(value)) == number
    assert float(msgspec.json.encode(value)) == number


@given(st.integers(-(10**25), 10**25))
def test_a_whole_number_becomes_the_nearest_double(number: int) -> None:
    assert float(text_of(from_json(str(number)))) == float(number)


def test_keys_that_are_indices_come_first() -> None:
    assert list(from_json('{"b": 1, "10": 2, "2": 3, "01": 4, "4294967295": 5}')) == [
        "2",
        "10",
        "b",
        "01",
        "4294967295",
    ]


def test_lone_surrogates_are_replaced_and_pairs_are_joined() -> None:
    assert from_json('{"\\ud800": "\\ud83d\\ude00\\udc00"}') == {"\ufffd": "😀\ufffd"}
    assert normalise(["\ud83d\ude00", "\ud83d"]) == ["😀", "\ufffd"]


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", "{'a': 1}", b"\xff", "[" * 100_000, "1e", "\ud800"])
def test_what_is_no_json_is_the_askers_mistake(text: str | bytes) -> None:
    with pytest.raises(InputError):
        from_json(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.com/a?b#c", True),
        ("HTTP:/x", True),
        ("  https://x\n", True),
        ("mailto:a@b", True),
        ("x", False),
        ("//x", False),
        ("https://", False),
        ("http://a b", False),
        ("http://a:65535", True),
        ("http://a:65536", False),
        ("http://a:00080", True),
        ("http://a:8x", False),
        ("http://[::1]:80/", True),
        ("http://[::1", False),
        ("http://1.2.3.256", False),
        ("http://0x7f.1", True),
        ("http://09", False),
        ("http://a%20b", False),
        ("http://ü.de", True),
        ("http://\u00ad", False),
        ("http://xn--a", False),
        ("http://user@", False),
        ("foo://", True),
        ("foo://a b", False),
        ("file://a:80/x", False),
        ("file:///x", True),
        ("${{ values.x }}", False),
    ],
)
def test_links_are_judged_as_upstream_judges_them(text: str, expected: bool) -> None:
    assert is_url(text) is expected


@given(st.text('0123456789" :\t\n\\udD8fFeE+x').map(str.encode))
def test_the_quick_look_for_surprises_misses_none(data: bytes) -> None:
    assert _has_surprises(data) == (_SURPRISES.search(data) is not None)
    assert _has_surprises(data + b"1234567890123456")
    assert _has_surprises(data + b'"7"\n:')
    assert _has_surprises(data + b"1E+300")
    assert _has_surprises(data + b"\\uDc00")


@pytest.mark.parametrize(
    "value",
    [
        {"name": "shop-12", "tags": ["a", "1e5x"], "n": [1, -2, True, None], "text": "é, \n"},
        {"version": "3.0.0"},
        {"n": 1.0},
        {"n": [-0.0, 1e5, 1e16, 1e20, 1e22]},
        {"b": 1, "10": 2},
        {"n": 2**53 + 1},
        {"n": float("nan")},
    ],
)
def test_what_a_provider_brings_is_taken_as_it_is_written_only_if_javascript_would_write_it_so(value: object) -> None:
    written = msgspec.json.encode(value)
    assert not is_settled(written) or msgspec.json.encode(from_json(written)) == written


def test_most_documents_need_no_second_look() -> None:
    assert is_settled(b'{"kind":"Component","metadata":{"name":"shop-1234","labels":{"tier":"2"}},"spec":{"n":17}}')
