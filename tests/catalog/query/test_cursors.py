from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenroom.errors import InputError
from greenroom.javascript.json_text import json_text
from greenroom_catalog.query.cursors import Cursor, decode, encode, from_base64, to_base64
from greenroom_catalog.query.filters import After, Order


def _coded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


_WHOLE = {"orderFields": [], "isPrevious": False, "orderFieldValues": ["7"], "totalItems": 3}


def test_a_cursor_survives_the_way_to_the_client_and_back() -> None:
    cursor = Cursor(
        orders=(Order("metadata.name", "desc"),),
        query={"kind": "é"},
        term="x",
        fields=["kind"],
        position=["été", "12"],
        first=["zzz", "1"],
        backwards=True,
        total=9,
    )
    assert decode(encode(cursor)) == cursor


def test_the_official_client_sees_by_the_query_member_whether_to_go_on_by_post() -> None:
    assert "query" in json.loads(base64.b64decode(encode(Cursor(query={"kind": "api"}, position=["1"]))))
    assert "query" not in json.loads(base64.b64decode(encode(Cursor(position=["1"]))))


def test_filters_of_older_cursors_still_count() -> None:
    older = {"anyOf": [{"key": "kind", "values": ["api"]}, {"not": {"allOf": [{"key": "a"}]}}]}
    assert decode(_coded({**_WHOLE, "filter": older})).query == {
        "$any": [{"kind": "api"}, {"$not": {"$all": [{"a": {"$exists": True}}]}}]
    }


def test_a_cursor_in_url_safe_base64_without_padding_is_read_too() -> None:
    text = base64.urlsafe_b64encode(json.dumps({**_WHOLE, "query": {"kind": "ÿþ>?"}}).encode()).decode().rstrip("=")
    assert decode(text).after() == After(None, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zzz", "Malformed cursor: SyntaxError: Unexpected token '\ufffd', \"\ufffd<\" is not valid JSON"),
        (_coded({"a": 1}), 'Malformed cursor: InputError: Malformed cursor: [\n  {\n    "code": "invalid_type",'),
        (_coded({**_WHOLE, "query": {"a": None}}), "Malformed cursor: InputError: Malformed cursor: ["),
        (_coded({**_WHOLE, "totalItems": "3"}), "Malformed cursor: InputError: Malformed cursor: ["),
    ],
)
def test_what_is_no_cursor_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        decode(text)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "change",
    [
        {"orderFieldValues": ["x"]},
        {"orderFieldValues": ["1", "2"]},
        {"orderFieldValues": ["-1"]},
        {"orderFieldValues": ["9" * 30]},
        {"orderFieldValues": [None]},
        {"orderFields": [{"field": "kind", "order": "asc"}], "orderFieldValues": [None, "1"]},
        {"orderFields": [{"field": "kind", "order": "asc"}], "orderFieldValues": ["1"]},
        {"orderFields": [{"field": "kind", "order": "asc"}], "orderFieldValues": ["a\0", "1"]},
    ],
)
def test_a_forged_position_never_reaches_the_database(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^Malformed cursor"):
        decode(_coded({**_WHOLE, **change})).after()


def test_a_total_is_what_the_cursor_says() -> None:
    for total in (7, -5, 1.5, 1e300):
        assert decode(_coded({**_WHOLE, "totalItems": total})).total == total


def test_bytes_that_are_no_text_are_read_as_nodes_buffers_read_them() -> None:
    content = base64.b64encode(b'{"orderFields":[],"isPrevious":false,"orderFieldValues":[],"query":{"kind":"\xff"}}')
    assert decode(content.decode()).query == {"kind": "\ufffd"}


@pytest.mark.parametrize("nothing", [0, False, ""])
def test_a_predicate_that_javascript_takes_for_nothing_says_nothing(nothing: object) -> None:
    assert decode(_coded({**_WHOLE, "query": nothing})).query is None
    assert decode(_coded({**_WHOLE, "query": {}})).query == {}


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(_values)
@example("a:1.5e3")
@example({"a": [1e-7, -0.0, 1e21, 5.0, float("inf")]})
@settings(max_examples=200, deadline=None)
def test_a_cursor_is_printed_as_javascript_prints_it(value: object) -> None:
    content = {"totalItems": value}
    assert from_base64(to_base64(content)).decode() == json_text(content)
