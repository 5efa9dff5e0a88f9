"""The few JSON Schema keywords that entities are checked with: value -> the first thing wrong with it, as AJV would say it.

A check is a function from a JSON value to None, or to the Problem that AJV reports first for the same schema: it looks at the
type, then at missing and at unknown properties, then at each known property in the schema's order. Checks are built once,
from tables (`kinds`, `validator`), and cost a microsecond or two for each object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias


class Problem(NamedTuple):
    """What is wrong, and where, as a JSON pointer from the value that was checked."""

    pointer: str
    message: str
    params: Mapping[str, Any]

    def under(self, key: str | int) -> Problem:
        """The same problem, seen from the value that holds this one under `key`."""
        step = str(key).replace("~", "~0").replace("/", "~1")
        return Problem(f"/{step}{self.pointer}", self.message, self.params)

    def path(self) -> list[str | int]:
        """The pointer as keys and indices; a key that looks like an index comes as a number."""
        steps = (step.replace("~1", "/").replace("~0", "~") for step in self.pointer.split("/")[1:])
        return [int(step) if step.isdecimal() else step for step in steps]


Check: TypeAlias = Callable[[Any], Problem | None]


def must_be(name: str) -> Problem:
    return Problem("", f"must be {name}", {"type": name})


def anything(value: Any) -> Problem | None:
    return None


def string(*, least: int = 0, most: int | None = None) -> Check:
    """`least` is 0 or 1. Lengths are in code points."""
    wrong_type = must_be("string")
    too_short = Problem("", f"must NOT have fewer than {least} characters", {"limit": least})

    def check(value: Any) -> Problem | None:
        if not isinstance(value, str):
            return wrong_type
        if least and not value:
            return too_short
        if most is not None and len(value) > most:
            return Problem("", f"must NOT have more than {most} characters", {"limit": most})
        return None

    return check


def matching(pattern: str) -> Check:
    """A non-empty string that the pattern is found in."""
    search = re.compile(pattern, re.ASCII).search
    text = string(least=1)

    def check(value: Any) -> Problem | None:
        problem = text(value)
        if problem is None and search(value) is None:
            return Problem("", f'must match pattern "{pattern}"', {"pattern": pattern})
        return problem

    return check


def one_of_strings(*allowed: str) -> Check:
    def check(value: Any) -> Problem | None:
        if not isinstance(value, str):
            return must_be("string")
        if value not in allowed:
            return Problem("", "must be equal to one of the allowed values", {"allowedValues": ",".join(allowed)})
        return None

    return check


def string_or_boolean(value: Any) -> Problem | None:
    return None if isinstance(value, str | bool) else must_be("string,boolean")


def array(item: Check) -> Check:
    wrong_type = must_be("array")

    def check(value: Any) -> Problem | None:
        if not isinstance(value, list):
            return wrong_type
        for index, element in enumerate(value):
            if (problem := item(element)) is not None:
                return problem.under(index)
        return None

    return check


def thing(
    properties: Mapping[str, Check] | None = None,
    *,
    required: Sequence[str] = (),
    others: Check | None = anything,
) -> Check:
    """An object. `others` checks the properties that have no check of their own; None forbids them."""
    known = dict(properties or {})
    checks = tuple(known.items())
    check_others = _others(known, others)
    wrong_type = must_be("object")

    def check(value: Any) -> Problem | None:
        if not isinstance(value, dict):
            return wrong_type
        for name in required:
            if name not in value:
                return Problem("", f"must have required property '{name}'", {"missingProperty": name})
        if check_others is not None and (problem := check_others(value)) is not None:
            return problem
        for name, check_property in checks:
            if name in value and (problem := check_property(value[name])) is not None:
                return problem.under(name)
        return None

    return check


def _others(known: Mapping[str, Check], others: Check | None) -> Check | None:
    if others is anything:
        return None

    def check(value: Any) -> Problem | None:
        for name, item in value.items():
            if name in known:
                continue
            if others is None:
                return Problem("", "must NOT have additional properties", {"additionalProperty": name})
            if (problem := others(item)) is not None:
                return problem.under(name)
        return None

    return check


def texts_by_key(value: Any) -> Problem | None:
    """An object whose values are strings, except under keys that `^.+$` does not match (such as the empty one)."""
    if not isinstance(value, dict):
        return must_be("object")
    for key, item in value.items():
        if not isinstance(item, str) and _LINE.search(key) is not None:
            return must_be("string").under(key)
    return None


def either(first: Check, second: Check) -> Check:
    """Two alternatives that exclude each other. Neither: the problem is the first one's."""

    def check(value: Any) -> Problem | None:
        problem = first(value)
        return problem if problem is not None and second(value) is not None else None

    return check


_LINE = re.compile(r"\A[^\n\r\u2028\u2029]+\Z")

text = string(least=1)
"""A non-empty string: what nearly every field of an entity is."""

texts = array(text)
