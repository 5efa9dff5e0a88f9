"""What an action answers -> JSON of a bounded size, so that nothing else gets into the database."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from greenroom.errors import GreenroomError, InputError
from greenroom_scaffolder.tasks.scribe import sound
from greenroom_scaffolder.templating import UNDEFINED

DEEPEST = 200
"""Lists and objects within each other."""


class AnswerError(InputError):
    """The answer is not JSON, or too much of it"""


def plain(value: Any, most: int, what: str = "The output") -> Any:
    """A copy of plain JSON; what is undefined is left out, as are NaN and the infinite, which become null as in JavaScript.

    `most`: characters of all texts and keys, and eight for each value. Raises AnswerError, before it has copied more than that."""
    return measured(value, most, what)[0]


def measured(value: Any, most: int, what: str) -> tuple[Any, int]:
    """The same, and how much it came to."""
    copy = _Copy(most, what)
    return copy.of(value, 0), most - copy.left


class _Copy:
    def __init__(self, most: int, what: str) -> None:
        self._most, self.left, self._what = most, most, what

    def of(self, value: Any, depth: int) -> Any:
        self._spend(8)
        if isinstance(value, str):
            self._spend(len(value))
            return sound(value)
        if value is None or value is UNDEFINED or isinstance(value, bool | int):
            return None if value is UNDEFINED else value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if depth >= DEEPEST:
            raise AnswerError(f"{self._what} is nested deeper than {DEEPEST} levels")
        return self._container(value, depth + 1)

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {self._key(key): self.of(inner, depth) for key, inner in value.items() if inner is not UNDEFINED}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(inner, depth) for inner in value]
        if isinstance(value, PurePath):
            return self.of(str(value), depth)
        return self.of(self._builtin(value), depth)

    def _key(self, key: Any) -> str:
        text = sound(key if isinstance(key, str) else str(key))
        self._spend(len(text))
        return text

    def _builtin(self, value: Any) -> Any:
        """Structs, dates and the like."""
        try:
            made = msgspec.to_builtins(value)
        except TypeError as error:
            raise AnswerError(
                f"{self._what} holds something of type {type(value).__name__}, which is not JSON"
            ) from error
        if type(made) is type(value):
            raise AnswerError(f"{self._what} holds something of type {type(value).__name__}, which is not JSON")
        return made

    def _spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise AnswerError(f"{self._what} is larger than {self._most} characters")


def converted(given: Any, shape: type[Any] | None, called: str) -> Any:
    """A rendered input as the Struct that an action asks for. Raises InputError in the words of a schema's."""
    if shape is None:
        return given
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(_integral(given), shape)
    except msgspec.ValidationError as error:
        told, _, where = str(error).partition(" - at ")
        place = where.strip("`").replace("$", "instance", 1) or "instance"
        raise InputError(f"Invalid input passed to action {called}, {place}: {told}") from error


def _integral(value: Any) -> Any:
    """JavaScript has but one kind of numbers: what was computed may be 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _integral(inner) for key, inner in value.items()}
    return [_integral(inner) for inner in value] if isinstance(value, list) else value


def said(error: BaseException) -> str:
    """The message of an error alone, never empty of meaning."""
    return error.message if isinstance(error, GreenroomError) else str(error)
