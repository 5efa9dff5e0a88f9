"""`value is name`: the tests that expressions know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenroom.javascript.values import truthy
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.numerals import remainder
from greenroom_scaffolder.templating.scope import Run
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    Pattern,
    Safe,
    Template,
    compare,
    number_of,
    pay_for,
    refuse_callables,
    same,
)

__all__ = ["TESTS", "apply"]


def _iterable(value: Any) -> bool:
    if value is UNDEFINED or value is None:
        raise RenderError("iterable test requires a value")
    return isinstance(value, str | Safe | list)


def _in_case(run: Run, value: Any, change: Callable[[str], str]) -> bool:
    if type(value) is Safe:
        return False
    if type(value) is not str:
        raise RenderError("Filter input must be a string")
    pay_for(run, value)
    return change(value) == value


TESTS: dict[str, tuple[int, Callable[..., bool]]] = {
    "callable": (0, lambda run, value: isinstance(value, Template)),
    "defined": (0, lambda run, value: value is not UNDEFINED),
    "divisibleby": (1, lambda run, value, by: remainder(number_of(value, run), number_of(by, run)) == 0),
    "escaped": (0, lambda run, value: type(value) is Safe),
    "eq": (1, lambda run, value, other: same(value, other, run)),
    "equalto": (1, lambda run, value, other: same(value, other, run)),
    "even": (0, lambda run, value: remainder(number_of(value, run), 2) == 0),
    "falsy": (0, lambda run, value: not truthy(value)),
    "ge": (1, lambda run, value, other: compare(value, other, run) >= 0),
    "greaterthan": (1, lambda run, value, other: compare(value, other, run) > 0),
    "gt": (1, lambda run, value, other: compare(value, other, run) > 0),
    "iterable": (0, lambda run, value: _iterable(value)),
    "le": (1, lambda run, value, other: compare(value, other, run) <= 0),
    "lessthan": (1, lambda run, value, other: compare(value, other, run) < 0),
    "lower": (0, lambda run, value: _in_case(run, value, str.lower)),
    "lt": (1, lambda run, value, other: compare(value, other, run) < 0),
    "mapping": (0, lambda run, value: isinstance(value, dict | Safe | Pattern)),
    "ne": (1, lambda run, value, other: not same(value, other, run)),
    "null": (0, lambda run, value: value is None),
    "number": (0, lambda run, value: type(value) in (int, float)),
    "odd": (0, lambda run, value: remainder(number_of(value, run), 2) == 1),
    "sameas": (1, lambda run, value, other: same(value, other, run)),
    "string": (0, lambda run, value: type(value) is str),
    "truthy": (0, lambda run, value: truthy(value)),
    "undefined": (0, lambda run, value: value is UNDEFINED),
    "upper": (0, lambda run, value: _in_case(run, value, str.upper)),
}
"""How many arguments each takes, and what it answers."""

_OF_CALLABLES = frozenset({"callable", "eq", "equalto", "sameas", "ne"})


def apply(run: Run, name: str, value: Any, arguments: list[Any]) -> bool:
    if name not in _OF_CALLABLES:
        refuse_callables(value, *arguments)
    return TESTS[name][1](run, value, *arguments)
