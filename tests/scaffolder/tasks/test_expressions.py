"""The input of a step + what is known -> what its action is given."""

from __future__ import annotations

import time
from typing import Any

import pytest

from greenroom_scaffolder.tasks import expressions
from greenroom_scaffolder.tasks.expressions import SECONDS, Renderer, TooMuchError, quick
from greenroom_scaffolder.templating import UNDEFINED, Engine
from tests.support.waiting import slowness

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


@pytest.mark.parametrize(
    "expression",
    [
        "range(200).fill(parameters.big)",
        "range(200).fill({a: [parameters.big]})",
        "range(200).fill([parameters.big] | groupby)",
    ],
)
def test_a_list_of_one_long_text_is_as_large_as_its_json_for_the_step_too(expression: str) -> None:
    context = {"parameters": {"big": "x" * 1000}}
    renderer = Renderer(Engine(), most=150_000)
    with pytest.raises(TooMuchError, match="larger than 150000 characters"):
        renderer.resolve({"data": f"${{{{ {expression} }}}}"}, context)
    assert len(Renderer(Engine(), most=500_000).resolve(f"${{{{ {expression} }}}}", context)) == 200


def test_a_step_that_had_to_wait_for_a_thread_has_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five dry runs whose expressions take six seconds the fifth failed."""
    clock = [0.0]
    monkeypatch.setattr(expressions, "monotonic", lambda: clock[0])
    renderer = Renderer(Engine())
    clock[0] += 60
    assert renderer.resolve("${{ parameters.name }}", CONTEXT) == "my-app"
    clock[0] += SECONDS - 1
    assert renderer.resolve("${{ parameters.name }}", CONTEXT) == "my-app"
    clock[0] += 2
    with pytest.raises(TooMuchError, match="take longer than 10 seconds together"):
        renderer.resolve("${{ parameters.name }}", CONTEXT)


@pytest.mark.parametrize("text", ["${{" * 1300, "${{ a" * 790, "${{'" * 990, '${{ "a ' * 570])
def test_a_text_of_many_beginnings_keeps_no_other_task_waiting(text: str) -> None:
    began = time.thread_time()
    for number in range(20):
        assert not quick({"input": {"message": f"{text}{number}"}})
    assert time.thread_time() - began < 0.5 * slowness()
