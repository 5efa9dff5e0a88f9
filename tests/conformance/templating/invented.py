"""Contexts for templates of others: every dotted name in them is given a value, by chance but the same each time."""

from __future__ import annotations

import random
import re
from typing import Any

__all__ = ["context_for"]

_CODE = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_NAMES = re.compile(r"(?<![\w.\"'\]])([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[['\"][^'\"\]]+['\"]\])*)")
_STEP = re.compile(r"\.(\w+)|\[['\"]([^'\"\]]+)['\"]\]")
_WORDS = (
    "my-app",
    "Team Ä",
    "x",
    "",
    "github.com?owner=o&repo=r",
    "group:default/a-team",
    "42",
    "l1\nl2",
    "<b>&'\"",
    "a,b, c",
    "😀 ok",
)
_MEMBERS = (
    "length",
    "split",
    "replace",
    "toUpperCase",
    "toLowerCase",
    "join",
    "trim",
    "push",
    "includes",
    "startsWith",
    "map",
)


def context_for(template: str, seed: int, *, code_only: bool = True) -> dict[str, Any]:
    """`{name: {name: value}}` of everything that stands between delimiters, or anywhere."""
    chance = random.Random(f"{seed}:{template}")
    context: dict[str, Any] = {}
    for source in _CODE.findall(template) if code_only else [template]:
        for first, rest in _NAMES.findall(source):
            path = [first, *(dotted or quoted for dotted, quoted in _STEP.findall(rest))]
            while path[-1] in _MEMBERS and len(path) > 1:
                path.pop()
            _place(context, path, chance)
    return context


def _place(context: dict[str, Any], path: list[str], chance: random.Random) -> None:
    here = context
    for step in path[:-1]:
        below = here.setdefault(step, {})
        if not isinstance(below, dict):
            if chance.random() < 0.5:
                return
            below = here[step] = {}
        here = below
    if path[-1] not in here and chance.random() > 0.08 and len(path) > 1:
        here[path[-1]] = value(chance)


def value(chance: random.Random, depth: int = 0) -> Any:
    """Mostly text, as forms give; now and then anything else that JSON has."""
    kind = chance.random()
    if kind < 0.45 or depth > 2:
        return chance.choice(_WORDS)
    if kind < 0.6:
        return chance.random() < 0.5
    if kind < 0.72:
        return chance.choice((0, 1, 3, -2, 1.5, 10**21, 1e-7, 65535))
    if kind < 0.77:
        return None
    if kind < 0.88:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {
        chance.choice(("a", "b", "name", "key", "10", "2", "x-y")): value(chance, depth + 1)
        for _ in range(chance.randrange(4))
    }
