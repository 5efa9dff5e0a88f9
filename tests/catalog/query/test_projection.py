from __future__ import annotations

import pytest

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
