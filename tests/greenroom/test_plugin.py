"""The decorators refuse, where a plugin's author can see it, what would fail in a step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

import pytest

from greenroom.plugin import ActionContext, action

Ctx = ActionContext[Mapping[str, Any]]


def at_once(ctx: Ctx) -> Mapping[str, Any]:
    return {}


async def piecemeal(ctx: Ctx) -> AsyncIterator[int]:
    yield 1


async def shout(ctx: Ctx) -> Mapping[str, Any]:
    """Say it louder."""
    return {}


@pytest.mark.parametrize("function", [at_once, piecemeal])
def test_an_action_that_could_not_be_awaited_is_refused_where_it_is_written(function: Callable[..., Any]) -> None:
    said = rf"^@action\('acme:shout'\) wants an async function without yield: `async def {function.__name__}\(ctx\)`"
    with pytest.raises(TypeError, match=said):
        action("acme:shout")(function)


def test_an_action_may_be_wrapped_in_what_hands_on_its_awaitable() -> None:
    @wraps(shout)
    def wrapped(ctx: Ctx) -> Awaitable[Mapping[str, Any]]:
        return shout(ctx)

    assert action("acme:shout")(wrapped).description == "Say it louder."


def test_an_action_may_be_a_method() -> None:
    class Voice:
        async def shout(self, ctx: Ctx) -> Mapping[str, Any]:
            return {}

    assert action("acme:shout")(Voice().shout).id == "acme:shout"
