"""A wrong word -> the right one: which of the known words was probably meant, and how a name must be spelled."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_MISTAKES = 2


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that differs only in case or in a mistake or two; None when none is that near."""
    lowered = word.lower()
    best, fewest = None, 1 + min(MOST_MISTAKES, len(word) // 3)
    for other in dict.fromkeys(known):
        mistakes = 0 if other.lower() == lowered else _mistakes(lowered, other.lower(), fewest)
        if mistakes < fewest:
            best, fewest = other, mistakes
    return best


def _mistakes(word: str, other: str, enough: int) -> int:
    """Letters to add, drop, change or swap to get from one word to the other; at least `enough`, if that many."""
    if abs(len(word) - len(other)) >= enough:
        return enough
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) >= enough:
            return enough
    return row[-1]


def as_name(text: str) -> str:
    """A text made fit for `metadata.name` or a label's value; empty when nothing of it is."""
    return _cut(re.sub(r"[^A-Za-z0-9_.]+", "-", text), "-_.")


def as_namespace(text: str) -> str:
    """A text made fit for `metadata.namespace`."""
    return _cut(re.sub(r"[^a-z0-9]+", "-", text.lower()), "-")


def as_tag(text: str) -> str:
    """A text made fit for a tag."""
    return _cut(re.sub(r"[^a-z0-9:+#]+", "-", text.lower()), "-")


def as_key(text: str) -> str:
    """A text made fit for the key of a label or an annotation: `[prefix/]name`."""
    prefix, slash, name = text.partition("/")
    if not slash:
        return as_name(prefix)
    domain = ".".join(filter(None, (as_namespace(label) for label in prefix.split("."))))
    return f"{domain}/{as_name(name)}" if domain and as_name(name) else as_name(name)


def _cut(text: str, edges: str) -> str:
    return text.strip(edges)[:63].strip(edges)
