"""The list of actions, which the template editor shows, and in which steps look for theirs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from greenroom.errors import ConflictError, InputError, NotFoundError
from greenroom.plugin import Action, ActionContext, Example, action
from greenroom_scaffolder.actions.registry import Registry


class Shout(msgspec.Struct):
    text: str


def named(id_: str, **more: Any) -> Action[Any]:
    async def run(ctx: ActionContext[Any]) -> None: ...

    return action(id_, **more)(run)


def test_two_actions_of_one_id_stop_the_start() -> None:
    with pytest.raises(ConflictError, match="Template action with ID 'acme:shout' has already been registered"):
        Registry([named("acme:shout"), named("acme:shout")])


def test_an_unknown_action_is_told_of_in_upstreams_words() -> None:
    with pytest.raises(
        NotFoundError, match=r"^Template action with ID 'nope' is not registered\. See https://backstage"
    ):
        Registry([]).get("nope")


def test_actions_are_listed_in_the_order_of_localecompare() -> None:
    """Node answered this order: ids.sort((a, b) => a.localeCompare(b))."""
    expected = ["a b", "a_b", "a-b", "a:b", "a.b", "a/b", "a1", "aa", "aA", "AA", "ab", "aB", "Ab", "b"]
    assert [one.id for one in Registry(map(named, reversed(expected)))] == expected


def test_an_action_is_listed_with_members_in_upstreams_order_and_without_those_it_lacks() -> None:
    @action(
        "acme:shout",
        examples=[Example("Say it", "steps: []"), Example("d", "e", "n")],
        output_schema={"type": "object"},
    )
    async def shout(ctx: ActionContext[Shout]) -> None:
        """Say it louder."""

    whole, bare = Registry([shout, named("zz")]).listing()
    assert msgspec.json.encode(whole) == (
        b'{"id":"acme:shout","description":"Say it louder.","examples":[{"description":"Say it","example":"steps: []"},'
        b'{"description":"d","example":"e","notes":"n"}],"schema":{"input":{"type":"object","properties":{"text":{"type":'
        b'"string"}},"required":["text"],"additionalProperties":false},"output":{"type":"object"}}}'
    )
    assert bare == {"id": "zz", "schema": {}}


def test_a_wrong_input_is_told_of_in_the_words_of_upstreams_validator() -> None:
    schema = {"type": "object", "properties": {"message": {"type": "string"}}, "additionalProperties": False}
    registry = Registry([logs := named("debug:log", input_schema=schema)])
    registry.check(logs, {"message": "x"}, "debug:log")
    with pytest.raises(InputError) as failure:
        registry.check(logs, {"message": 5, "messag": "x"}, "debug:log[1]")
    assert failure.value.message == (
        "Invalid input passed to action debug:log[1], instance.message is not of a type(s) string, "
        'instance is not allowed to have the additional property "messag"'
    )


def test_an_action_without_schema_takes_anything() -> None:
    registry = Registry([anything := named("x:y")])
    registry.check(anything, {"what": ["ever"]}, "x:y")
