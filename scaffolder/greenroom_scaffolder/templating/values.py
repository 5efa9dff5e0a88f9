"""What expressions work on, and how JavaScript converts, compares and adds it.

Values are plain Python (`dict list str int float bool None`), the sentinel UNDEFINED, and the few classes below. No
attribute of a Python object is ever looked up by a name from a template: members are found in tables of our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

from greenroom.javascript.numbers import number_text, read_number
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import from_units, units
from greenroom_scaffolder.templating import numerals
from greenroom_scaffolder.templating.limits import Budget, RenderError
from greenroom_scaffolder.templating.numerals import Number

__all__ = [
    "RESERVED",
    "UNDEFINED",
    "UNSPEAKABLE",
    "Pattern",
    "Safe",
    "Tainted",
    "Template",
    "Undefined",
    "add",
    "as_json",
    "compare",
    "contained",
    "kind_of",
    "loosely_equal",
    "number_of",
    "pay_for",
    "primitive",
    "public",
    "rendered",
    "same",
    "same_text",
    "sees_undefined",
    "text",
]


class Undefined:
    """JavaScript's `undefined`: what is not there. There is one, UNDEFINED, and it is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()

RESERVED = frozenset({"constructor", "prototype", "__proto__"})
"""Names that no template may say: in JavaScript they lead out of the data."""

_SHORT = 256
"""Characters of a text that nobody is charged for."""

_UNCALLABLE = "Callable values cannot be coerced"


class Safe:
    """A text that came from a macro or the filter `safe`: an object in JavaScript, so that it equals nothing but itself."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Pattern:
    """A regular expression literal, and where its next search begins (flags `g` and `y`)."""

    __slots__ = ("flags", "last_index", "source")

    def __init__(self, source: str, flags: str) -> None:
        self.source, self.flags, self.last_index = source, flags, 0

    def __str__(self) -> str:
        escaped = (
            self.source.replace("\n", "\\n")
            .replace("\r", "\\r")
            .replace("\u2028", "\\u2028")
            .replace("\u2029", "\\u2029")
        )
        return f"/{escaped or '(?:)'}/{''.join(flag for flag in 'gimy' if flag in self.flags)}"


class Template:
    """Something that a template can call, and do nothing else with: a macro, a method, a global function."""

    __slots__ = ()

    def member(self, name: str) -> Any:
        """What stands behind `callable.name`."""
        return UNDEFINED


class Tainted:
    """A list or object that holds something callable, and so cannot be printed, compared or handed on."""


class TaintedList(list[Any], Tainted):
    """See Tainted."""


class TaintedDict(dict[str, Any], Tainted):
    """See Tainted."""


UNSPEAKABLE = (Template, Tainted)
"""What can be neither printed nor compared nor handed on."""

_F = TypeVar("_F", bound=Callable[..., Any])


def sees_undefined(function: _F) -> _F:
    """A filter or global that tells `undefined` from `null`: others are given None for both."""
    function.sees_undefined = True  # type: ignore[attr-defined]
    return function


def contained(values: list[Any]) -> list[Any]:
    """A list made by a template, which may hold what can only be called."""
    for value in values:
        if isinstance(value, UNSPEAKABLE):
            return TaintedList(values)
    return values


def contained_record(record: dict[str, Any]) -> dict[str, Any]:
    for value in record.values():
        if isinstance(value, UNSPEAKABLE):
            return TaintedDict(record)
    return record


def refuse_callables(*values: Any) -> None:
    for value in values:
        if isinstance(value, UNSPEAKABLE):
            raise RenderError(_UNCALLABLE)


def kind_of(value: Any) -> str:
    """How messages call it."""
    return _KINDS.get(type(value)) or next((name for kind, name in _KIN.items() if isinstance(value, kind)), _STRANGE)


_KINDS: dict[type, str] = {
    Undefined: "undefined",
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "record",
    Safe: "safe string",
    Pattern: "regular expression",
}
_KIN: dict[type, str] = {list: "array", dict: "record", Template: "callable"}
"""What they are derived from that are not of those types themselves."""
_STRANGE = "unknown value"


def primitive(value: Any, budget: Budget) -> Any:
    """What an operator sees of a value: containers and safe texts turn into text."""
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None or value is UNDEFINED:
        return value
    if kind is Safe:
        return value.text
    if kind is list:
        return joined(value, ",", budget)
    if kind is dict:
        return "[object Object]"
    if kind is Pattern:
        return str(value)
    raise RenderError(_UNCALLABLE)


def pay_for(budget: Budget, *values: Any) -> None:
    """What is gone through, or made, costs what it is long: short texts cost nothing, others a step for each 64 characters."""
    for value in values:
        kind = type(value)
        length = len(value) if kind is str else len(value.text) if kind is Safe else 0
        if length > _SHORT:
            budget.spend(length >> 6)


def joined(items: list[Any], separator: str, budget: Budget) -> str:
    """As `Array.prototype.join`: what is null or undefined is empty."""
    budget.spend(len(items) + 1)
    parts = [
        "" if item is None or item is UNDEFINED else item if type(item) is str else text(item, budget) for item in items
    ]
    budget.fits(sum(map(len, parts)) + len(separator) * len(parts))
    return from_units(separator.join(parts))


def text(value: Any, budget: Budget) -> str:
    """`String(value)`."""
    value = primitive(value, budget)
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if value is UNDEFINED:
        return "undefined"
    if type(value) is bool:
        return "true" if value else "false"
    return number_text(value)


def rendered(value: Any, budget: Budget) -> str:
    """What stands in the result: as `text`, but nothing for null and undefined."""
    if value is None or value is UNDEFINED:
        return ""
    return text(value, budget)


def number_of(value: Any, budget: Budget) -> Number:
    """`Number(value)`."""
    kind = type(value)
    if kind is int or kind is float:
        return numerals.number(value)
    if kind is bool:
        return 1 if value else 0
    if value is None:
        return 0
    if value is UNDEFINED:
        return math.nan
    read = str(primitive(value, budget))
    pay_for(budget, read)
    return numerals.number(read_number(read))


def same(left: Any, right: Any, budget: Budget) -> bool:
    """`left === right`: containers by identity."""
    kind = type(left)
    if kind is str:
        return type(right) is str and same_text(left, right, budget)
    if kind is int or kind is float:
        return type(right) in (int, float) and numerals.number(left) == numerals.number(right)
    return left is right


def same_text(left: str, right: str, budget: Budget) -> bool:
    """Whether two texts are alike, which only those can be that are equally long: they are paid for."""
    if len(left) > _SHORT and len(left) == len(right):
        budget.spend(len(left) >> 6)
    return left == right


def loosely_equal(left: Any, right: Any, budget: Budget) -> bool:
    """`left == right`, as JavaScript converts."""
    if same(left, right, budget):
        return True
    if not (_is_primitive(left) or _is_primitive(right)):
        return False
    return _equal_primitives(primitive(left, budget), primitive(right, budget), budget)


def _is_primitive(value: Any) -> bool:
    return value is None or value is UNDEFINED or type(value) in (str, int, float, bool)


def _equal_primitives(left: Any, right: Any, budget: Budget) -> bool:
    if left is None or left is UNDEFINED or right is None or right is UNDEFINED:
        return (left is None or left is UNDEFINED) and (right is None or right is UNDEFINED)
    if type(left) is str and type(right) is str:
        return same_text(left, right, budget)
    return number_of(left, budget) == number_of(right, budget)


def compare(left: Any, right: Any, budget: Budget) -> Number:
    """-1, 0 or 1 as `<` and `>` see it, NaN where neither holds."""
    left, right = primitive(left, budget), primitive(right, budget)
    if type(left) is str and type(right) is str:
        plain = left.isascii() and right.isascii()
        if not plain or len(left) > _SHORT < len(right):
            pay_for(budget, left, right)
        if not plain:
            left, right = units(left), units(right)
        return int(left > right) - int(left < right)
    left, right = number_of(left, budget), number_of(right, budget)
    if left < right:
        return -1
    if left > right:
        return 1
    return 0 if left == right else math.nan


def add(left: Any, right: Any, budget: Budget) -> Any:
    """`left + right`: text as soon as one of the two is text, or turns into it."""
    if type(left) is int and type(right) is int:
        return numerals.number(left + right)
    left, right = primitive(left, budget), primitive(right, budget)
    if type(left) is str or type(right) is str:
        return concatenated(text(left, budget), text(right, budget), budget)
    return numerals.number(number_of(left, budget) + number_of(right, budget))


def concatenated(left: str, right: str, budget: Budget) -> str:
    length = len(left) + len(right)
    if length > _SHORT:
        budget.fits(length)
        budget.spend(length >> 6)
    return from_units(left + right)


def as_json(value: float) -> Number:
    """As JavaScript's JSON has it: 2.0 is 2, and so is no zero negative. NaN and infinities stay."""
    return 0 if value == 0 else numerals.number(value)


_PLAIN = frozenset({str, int, bool, type(None)})
"""What is the same everywhere."""


def public(value: Any, budget: Budget) -> Any:
    """A copy for the world outside of templates: plain JSON. Undefined stays so at the top, and is null or left out within."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None or value is UNDEFINED:
        return value
    if kind is float:
        return as_json(value)
    if kind is Safe:
        return value.text
    if kind is list:
        budget.spend(len(value) + 1)
        return [item if type(item) in _PLAIN else None if item is UNDEFINED else public(item, budget) for item in value]
    if kind is dict:
        budget.spend(len(value) + 1)
        return {
            key: item if type(item) in _PLAIN else public(item, budget)
            for key, item in entries(value)
            if item is not UNDEFINED
        }
    if kind is Pattern:
        return str(value)
    raise RenderError(_UNCALLABLE)


def private(value: Any, budget: Budget) -> Any:
    """A copy that a template may change: containers within it stay as shared as they were."""
    copies: dict[int, Any] = {}

    def copied(each: Any) -> Any:
        if not isinstance(each, list | dict):
            return each
        known = copies.get(id(each))
        if known is not None:
            return known
        budget.spend(len(each) + 1)
        made: Any = [] if isinstance(each, list) else {}
        copies[id(each)] = made
        if isinstance(each, list):
            made.extend(map(copied, each))
        else:
            made.update((key, copied(item)) for key, item in each.items())
        return made

    return copied(value)
