"""served entities -> what requests about them are made of: keys, values and refs that hit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from greenroom.entity import Entity, ref_of

LONGEST = 200
"""UTF-16 units: a longer key or value cannot be sorted by."""


class Vocabulary(msgspec.Struct):
    """What some entities have."""

    refs: list[str]
    values: dict[str, list[str]]
    """Search key, as it is spelled -> values, as they are printed."""
    sortable: list[str]
    """Keys that never have two values, null, or one too long: rows sorted by one can be compared place by place."""
    relations: list[str]


def vocabulary(entities: Sequence[Entity]) -> Vocabulary:
    """Of entities as they are served."""
    values: dict[str, dict[str, None]] = {}
    spoilt: set[str] = set()
    spellings: dict[str, str] = {}
    relations: dict[str, None] = {}
    for entity in entities:
        seen: set[str] = set()
        for key, value in _rows(entity):
            values.setdefault(key, {})
            if (
                key.lower() in seen
                or not isinstance(value, str)
                or max(map(_length, (key.lower(), value.lower()))) > LONGEST
            ):
                spoilt.add(key.lower())
            if spellings.setdefault(key.lower(), key) != key:
                spoilt.add(key.lower())
            seen.add(key.lower())
            if value is not None:
                values[key][_printed(value)] = None
        relations |= dict.fromkeys(relation["type"] for relation in entity.get("relations", ()))
    sortable = [key for key in values if key.lower() not in spoilt and not key.startswith("relations.")]
    held = {key: list(found) for key, found in values.items()}
    return Vocabulary([ref_of(entity) for entity in entities], held, sortable, list(relations))


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _printed(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _rows(entity: Entity) -> Iterator[tuple[str, Any]]:
    for key, value in entity.items():
        if key == "relations":
            yield from ((f"relations.{relation['type']}", relation["targetRef"]) for relation in value)
        elif key != "status":
            yield from _inside(key, value)


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield path, None  # elsewhere it may be a text: rows without one come in any order, and would show this
        for key, inner in value.items():
            yield from _inside(f"{path}.{key}", inner)
    elif isinstance(value, list):
        yield path, None  # the key is one that may have several values, or none
        for item in value:
            yield from _inside(path, item)
            if isinstance(item, str):
                # an empty one is the key of the list itself, with a dot behind it: who looks for its value finds the list
                yield f"{path}.{item}", "true" if item else None
    elif path not in ("metadata.uid", "metadata.etag"):
        yield path, value
