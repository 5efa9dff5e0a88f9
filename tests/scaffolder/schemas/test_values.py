"""JSON values as upstream's validator compares them."""

from __future__ import annotations

from greenroom_scaffolder.schemas.values import same


def test_an_object_without_keys_is_an_empty_list_but_not_the_other_way_round() -> None:
    assert same({}, [])
    assert not same([], {})
    assert same({"0": "a"}, ["a"])
    assert not same(1, True)
    assert same(2**53, 2**53 + 1)
    assert same({"a": [1.0, None]}, {"a": [1, None]})
    assert not same({"a": None}, {"b": None})
