"""Order of members as JavaScript has it."""

from __future__ import annotations

from typing import Any

from greenroom.javascript.objects import entries, in_order, index_of, is_index, keys


def test_keys_that_look_like_indices_come_first() -> None:
    record = dict.fromkeys(["b", "10", "a", "9", "01", "-1", "4294967295", ""])
    expected = ["9", "10", "b", "a", "01", "-1", "4294967295", ""]
    assert [key for key, _ in entries(record)] == expected
    assert keys(record) == list(in_order(record)) == expected


def test_what_is_in_order_is_left_alone() -> None:
    record: dict[str, Any] = {"b": 1, "01": 2}
    assert in_order(record) is record


def test_only_what_is_printed_so_is_an_index() -> None:
    assert [index_of(key) for key in ("0", "12", "01", "", "-1", "1.0", "٣")] == [0, 12, None, None, None, None, None]
    assert [is_index(key) for key in ("0", "4294967294", "4294967295", "01", "x")] == [True, True, False, False, False]
