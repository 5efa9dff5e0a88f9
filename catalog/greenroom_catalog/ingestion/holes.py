"""entity -> holes: where placeholders stand, and the entity with a text in their place.

Which objects are placeholders is said by `placeholders`, which reads what they point at; here nothing is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

RESOLVED = frozenset({"text", "json", "yaml", "openapi", "asyncapi"})
"""Placeholders that the catalog and its own plugins replace."""
OPAQUE = frozenset({"json", "yaml"})
"""Those that may come to anything, and so are not judged."""

_MUST_BE_SPELLED = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})
"""What is looked at before placeholders are replaced."""


class Hole(NamedTuple):
    """A placeholder: `{$key: argument}` at `path`."""

    path: tuple[str | int, ...]
    key: str
    argument: Any


def holes_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Hole]:
    """All placeholders of an entity."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from holes_of(item, (*path, index))
    elif isinstance(value, dict):
        if len(value) == 1 and (key := next(iter(value)))[:1] == "$" and key[1:] in RESOLVED:
            if path not in _MUST_BE_SPELLED:
                yield Hole(path, key[1:], value[key])
        elif not any(key.startswith("$") for key in value):
            for name, item in value.items():
                yield from holes_of(item, (*path, name))


def filled(value: Any, holes: list[Hole]) -> Any:
    """The same value with a text in each hole. The given one is not changed."""
    if not holes:
        return value
    return _filled(value, (), frozenset(hole.path for hole in holes))


def _filled(value: Any, path: tuple[str | int, ...], holes: frozenset[tuple[str | int, ...]]) -> Any:
    if path in holes:
        return "x"
    if isinstance(value, dict):
        return {name: _filled(item, (*path, name), holes) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, (*path, index), holes) for index, item in enumerate(value)]
    return value
