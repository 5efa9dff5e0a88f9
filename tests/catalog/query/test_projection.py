from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import InputError
from greenroom_catalog.query.projection import Projection, parse_fields

DOCUMENT = (
    b'{"kind":"API","metadata":{"name":"a","labels":{"example.com/x":"Y","0":"zero"},"tags":["t1","t2"],"big":1e+21,'
    b'"nothing":null},"spec":{"a.b":{"c":1},"list":[{"x":1},{"x":2}]},"relations":[]}'
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("kind", b'{"kind":"API"}'),
        ("metadata.name,kind", b'{"metadata":{"name":"a"},"kind":"API"}'),
        ("metadata.labels.example.com/x", b'{"metadata":{"labels":{"example.com/x":"Y"}}}'),
        ("spec.a.b.c", b'{"spec":{"a.b":{"c":1}}}'),
        ("metadata.big", b'{"metadata":{"big":1e+21}}'),
        ("metadata.nothing", b'{"metadata":{"nothing":null}}'),
        ("metadata.tags.1", b'{"metadata":{"tags":[null,"t2"]}}'),
        ("spec.list.1.x", b'{"spec":{"list":[null,{"x":2}]}}'),
        ("metadata.labels.0", b'{"metadata":{"labels":["zero"]}}'),
        ("metadata.labels,metadata.labels.0", b'{"metadata":{"labels":{"example.com/x":"Y","0":"zero"}}}'),
        ("nope", b"{}"),
        ("metadata.nope", b"{}"),
        ("metadata.labels.nope,spec.nope,kind", b'{"kind":"API"}'),
        ("metadata.name.x", b"{}"),
        ("metadata.", b"{}"),
        ("metadata.tags.99999999", b"{}"),
    ],
)
def test_a_field_brings_what_it_brings_upstream(fields: str, expected: bytes) -> None:
    parsed = parse_fields([fields])
    assert parsed is not None
    assert Projection(parsed)(DOCUMENT) == expected


def test_no_fields_mean_everything_and_array_syntax_is_refused() -> None:
    assert parse_fields([",", " "], None) is None
    assert parse_fields(["a,b"], ["b", " c ", "d,e"]) == ["b", "c", "d,e", "a"]
    with pytest.raises(InputError) as caught:
        parse_fields(["a[0]"])
    assert caught.value.message == 'Invalid field "a[0]", array type fields are not supported'


KEYS = st.sampled_from(["kind", "spec", "name", "a", "a.b", "b", "0", "x-y", "labels"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 9) | st.just("text"),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=8,
)
FIELDS = st.lists(st.lists(KEYS, min_size=1, max_size=3).map(".".join), min_size=1, max_size=4)
BRINGS_NOTHING = "1"
"""A field that no document has, and that turns off the quick way."""


@settings(max_examples=150)
@given(st.dictionaries(KEYS, VALUES, max_size=4), FIELDS)
def test_the_quick_way_brings_what_the_long_one_does(document: dict[str, Any], fields: list[str]) -> None:
    encoded = msgspec.json.encode(document)
    assert Projection(fields)(encoded) == Projection([*fields, BRINGS_NOTHING])(encoded)


@settings(max_examples=150)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4), FIELDS)
def test_many_at_once_are_cut_as_each_would_be(documents: list[dict[str, Any]], fields: list[str]) -> None:
    encoded = [msgspec.json.encode(document) for document in documents]
    cut = Projection(fields)
    for _ in range(2):
        assert cut.each(encoded) == b",".join(map(Projection(fields), encoded))
