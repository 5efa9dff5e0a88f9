"""value -> JSON text, as `JSON.stringify` writes it."""

from __future__ import annotations

import math
from typing import Any

from greenroom.javascript.numbers import as_double, number_text
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import quoted
from greenroom_scaffolder.templating.limits import Budget, RenderError
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    UNSPEAKABLE,
    Safe,
)

__all__ = ["indentation", "stringified"]


def indentation(spaces: Any) -> str:
    """What the second argument of `dump` asks for: at most ten characters."""
    if type(spaces) is str:
        return spaces[:10]
    if type(spaces) not in (int, float) or spaces != spaces or spaces <= 0:
        return ""
    return " " * int(min(spaces, 10))


def stringified(value: Any, indent: str, budget: Budget) -> Any:
    """Text, or UNDEFINED of undefined."""
    if value is UNDEFINED:
        return UNDEFINED
    return _Writer(indent, budget).value(value, "")


class _Writer:
    def __init__(self, indent: str, budget: Budget) -> None:
        self.indent, self.budget, self.size = indent, budget, 0

    def value(self, value: Any, line: str) -> str:
        kind = type(value)
        if kind is str:
            return self.counted(quoted(value))
        if kind is bool:
            return "true" if value else "false"
        if kind is int or kind is float:
            return number_text(value) if math.isfinite(as_double(value)) else "null"
        if value is None or value is UNDEFINED:
            return "null"
        if kind is Safe:
            return self.counted(quoted(value.text))
        return self.container(value, line)

    def container(self, value: Any, line: str) -> str:
        if isinstance(value, UNSPEAKABLE):
            raise RenderError("Callable values cannot be serialized")
        deeper = line + self.indent
        if isinstance(value, list):
            self.budget.spend(2 * len(value) + 5)
            return self.laid_out("[", [self.value(item, deeper) for item in value], "]", line)
        if not isinstance(value, dict):
            return "{}"
        self.budget.spend(2 * len(value) + 5)
        colon = ": " if self.indent else ":"
        members = [
            quoted(key) + colon + self.value(item, deeper) for key, item in entries(value) if item is not UNDEFINED
        ]
        return self.laid_out("{", members, "}", line)

    def laid_out(self, opening: str, parts: list[str], closing: str, line: str) -> str:
        if not parts:
            return opening + closing
        inner, outer = (f"\n{line}{self.indent}", f"\n{line}") if self.indent else ("", "")
        own = 2 + len(outer) + len(parts) * (len(inner) + 1)
        self.grow(own)
        self.budget.fits(own + sum(map(len, parts)))
        return f"{opening}{inner}{f',{inner}'.join(parts)}{outer}{closing}"

    def counted(self, text: str) -> str:
        self.grow(len(text))
        return text

    def grow(self, length: int) -> None:
        """Raises where more is written than may come out, before it is put together."""
        self.size += length
        self.budget.fits(self.size)
