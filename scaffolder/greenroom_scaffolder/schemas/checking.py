"""What a check is: value -> problems, within bounds; and what the keywords' checks need to know of where their schema stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from msgspec import UNSET

from greenroom_scaffolder.schemas.problems import (
    Path,
    Problem,
    TooMuchError,
    WrongKeywordError,
    property_text,
    schema_or_id,
)
from greenroom_scaffolder.schemas.references import Scope

Found: TypeAlias = Sequence[Problem]
NOTHING: Final[Found] = ()
DEEPEST = 64
TOO_DEEP = f"The value or its schema is nested deeper than {DEEPEST} levels"
MOST_STEPS = 1_000_000
MOST_TOLD = 20_000_000
TOO_MUCH_TO_TELL = f"What is wrong with the value would take more than {MOST_TOLD} characters to tell"
SECONDS, PATTERN_SECONDS = 5.0, 1.0
"""Of the thread that validates: a busy machine makes no value too large."""
_LOOK_AT_CLOCK = 256
"""Steps between two looks at the clock."""


class Run:
    """What one validation may use up: depth, steps, what it tells, and time."""

    def __init__(self, name: str) -> None:
        self.name, self.depth, self.steps, self.told = name, 0, 0, 0
        self.looks = _LOOK_AT_CLOCK
        self.deadline = time.thread_time() + SECONDS
        self.pattern_deadline = 0.0

    def enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooMuchError(TOO_DEEP)
        self.spend(1)

    def spend(self, steps: int) -> None:
        """Called for parts of the schema that are looked at, and for parts of values that are gone through."""
        self.steps += steps
        if self.steps > self.looks:
            self.looks = self.steps + _LOOK_AT_CLOCK
            if time.thread_time() > self.deadline:
                raise TooMuchError(f"Holding the value against its schema takes longer than {SECONDS:g} seconds")
            if self.steps > MOST_STEPS:
                raise TooMuchError(f"Holding the value against its schema takes more than {MOST_STEPS} steps")

    def leave(self) -> None:
        self.depth -= 1

    def tell(self, characters: int) -> None:
        """Called for each problem."""
        self.told += 100 + characters
        if self.told > MOST_TOLD:
            raise TooMuchError(TOO_MUCH_TO_TELL)

    def before_pattern(self) -> None:
        """Called before a pattern is tried."""
        now = time.thread_time()
        self.pattern_deadline = self.pattern_deadline or now + PATTERN_SECONDS
        if now > self.pattern_deadline:
            raise TooMuchError(f"Matching the patterns of the schema takes longer than {PATTERN_SECONDS:g} seconds")


Check: TypeAlias = Callable[[Any, Path, Run], Found]
"""A value (`UNSET` if there is none), the way to it, what may be used up -> what is wrong, in upstream's order."""


class Compiler(Protocol):
    """Makes checks of schemas, each only once."""

    def check(self, schema: Any, scope: Scope) -> Check: ...


class Site:
    """A schema, and all that its keywords' checks need to know of where it stands."""

    __slots__ = ("_entered", "compiler", "schema", "scope")

    def __init__(self, schema: Any, scope: Scope, compiler: Compiler) -> None:
        self.schema, self.scope, self.compiler = schema, scope, compiler
        self._entered: dict[int, tuple[Check, Any]] = {}

    def problem(self, value: Any, path: Path, run: Run, message: str, name: str, argument: Any = UNSET) -> Problem:
        text = property_text(path, run.name)
        run.tell(len(text) + len(message))
        schema = schema_or_id(self.schema)
        return Problem(list(path), text, message, schema, value, name, argument, f"{text} {message}")

    def here(self, schema: Any) -> Check:
        """The check of another schema for the same value."""
        return self.compiler.check(schema, self.scope)

    def inside(self, schema: Any) -> Check:
        """The check of a schema for what is inside of the value, or after `if`: it may name itself.

        Made once for each schema: one with a name of its own makes a new scope, and so another check, each time it is entered."""
        known = self._entered.get(id(schema))
        if known is None:
            check = self.compiler.check(schema, self.scope.entering(schema))
            known = self._entered[id(schema)] = check, schema  # what is kept keeps its id
        return known[0]


Keyword: TypeAlias = Callable[[Site], Check | None]


def schema_at(site: Site, keyword: str) -> Any:
    """The keyword's value, which has to be a schema."""
    schema = site.schema[keyword]
    if not isinstance(schema, Mapping | list | bool):
        raise WrongKeywordError(f'Expected "{keyword}" keyword to be a schema')
    return schema
