"""JSON as `JSON.stringify(value, keys, space)` lays it out. Expectations were computed with Node 20."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom_plugins.roadiehq.json_text import stringify


@pytest.mark.parametrize(
    ("value", "keys", "space", "text"),
    [
        ({"b": 1, "1": 2.0, "0": -0.0}, None, "", '{"0":0,"1":2,"b":1}'),
        ({"b": 1, "a": [{"b": 2, "c": 3}], "0": 4}, ["a", "0", "zz", "b", "a"], "", '{"a":[{"b":2}],"0":4,"b":1}'),
        ({"a": [1e21, 10**400, None]}, None, 1, '{\n "a": [\n  1e+21,\n  null,\n  null\n ]\n}'),
        ([{}, []], None, "more than ten", "[\nmore than {},\nmore than []\n]"),
        ("half a \ud83d, a \ud83d\ude00\n", None, "", '"half a \\ud83d, a 😀\\n"'),
    ],
)
def test_a_value_is_written_as_node_writes_it(value: Any, keys: list[str] | None, space: str | int, text: str) -> None:
    assert stringify(value, keys, space) == text
