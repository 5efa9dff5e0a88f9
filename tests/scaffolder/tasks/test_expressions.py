"""The input of a step + what is known -> what its action is given."""

from __future__ import annotations

from typing import Any

from greenroom_scaffolder.tasks.expressions import Renderer
from greenroom_scaffolder.templating import UNDEFINED, Engine

CONTEXT: dict[str, Any] = {"parameters": {"name": "my-app"}}


def resolved(tree: Any) -> Any:
    return Renderer(Engine()).resolve(tree, CONTEXT)


def test_what_is_undefined_leaves_keys_out_and_keeps_the_places_of_a_list() -> None:
    tree = {"a": "${{ parameters.missing }}", "b": ["${{ parameters.missing }}"], "c": {"d": "${{ nope.at.all }}"}}
    assert resolved(tree) == {"b": [None], "c": {}}
    assert resolved("${{ parameters.missing }}") is UNDEFINED


def test_keys_and_values_that_are_no_text_stay() -> None:
    tree: dict[str, Any] = {"${{ parameters.name }}": 1, "n": None, "t": True, "f": 1.5, "l": []}
    assert resolved(tree) == tree


def test_integer_like_keys_come_first_as_in_javascript() -> None:
    assert list(resolved({"b": "1", "10": "2", "9": "3"})) == ["9", "10", "b"]
