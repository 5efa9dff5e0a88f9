"""entity -> Projection: the columns, tokens and values by which it is found (spec 02 §2.2).

A search key is the lower-cased dotted path of a scalar. A filter compares whole values, so each `key` and `key=value` becomes
one 64-bit token and a row holds an array of them; what sorting, prefixes and facets need stays readable beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom_catalog.model.scalars import js_text

LONGEST = 200
"""Characters: a longer key is left out, a longer value is known to exist and no more."""

COLUMNS = {
    "kind": "kind",
    "metadata.namespace": "namespace",
    "metadata.name": "name",
    "metadata.title": "title",
    "spec.type": "type",
    "spec.lifecycle": "lifecycle",
    "spec.owner": "owner",
    "relations.ownedby": "owned_by",
}
"""Search keys with a column of their own in the table `search`."""

TAGS = "metadata.tags"
UID = "metadata.uid"

_ELSEWHERE = frozenset({TAGS, UID})
"""Keys whose values stand in a column of another shape (`search.tags`, `refresh_state.entity_id`)."""

_UNSEARCHED = frozenset({"attachments", "relations", "status"})
_UNSEARCHED_METADATA = frozenset({"name", "namespace", "uid", "etag"})

Value = tuple[str, str]
"""A value as it is compared (lower-cased) and as it was written."""


class Projection(msgspec.Struct, frozen=True):
    """How one entity is found. `columns` maps a column of `search` to its value."""

    columns: dict[str, Value]
    tags: list[str]
    tokens: list[int]
    values: dict[str, list[str | Value]]


@lru_cache(maxsize=1 << 17)
def token(text: str) -> int:
    """blake2b-64 of a `key` or `key=value`, signed as Postgres wants it.

    Cryptographic, so that nobody can write an entity which by chance of hashing matches another team's filter."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def project(entity: Entity, uid: str) -> Projection:
    """Project a stitched entity. Raises InputError when two of its keys differ only in letter case."""
    found = _collect(entity, uid)
    tokens: set[int] = set()
    columns: dict[str, Value] = {}
    values: dict[str, list[str | Value]] = {}
    for key, held in found.items():
        tokens.add(token(key))
        tokens.update(token(f"{key}={lower}") for lower in held)
        if not held:
            continue
        column = COLUMNS.get(key)
        if column is not None and len(held) == 1:
            columns[column] = next(iter(held.items()))
        elif key not in _ELSEWHERE:
            values[key] = [lower if lower == original else (lower, original) for lower, original in held.items()]
    return Projection(columns, list(found.get(TAGS, {}).values()), sorted(tokens), values)


def _collect(entity: Entity, uid: str) -> dict[str, dict[str, str]]:
    """Search key -> its values, lower-cased -> as first written. An empty dict: the key exists, without a value."""
    found: dict[str, dict[str, str]] = {}
    spelling: dict[str, str] = {}
    clashes: dict[str, str] = {}
    derived: set[str] = set()
    for path, scalar, is_element in _walk(entity, uid):
        key = path.lower()
        if is_element:  # `tags.Java` beside `tags.java` is no clash: the first spelling stands for both
            if key in derived:
                continue
            derived.add(key)
        if spelling.setdefault(key, path) != path:
            clashes[path] = key
        if _length(key) > LONGEST:
            continue
        held = found.setdefault(key, {})
        if scalar is not None:
            text = js_text(scalar)
            lower = text.lower()
            if _length(lower) <= LONGEST:
                held.setdefault(lower, text)
    if clashes:
        listed = "', '".join(clashes.values())
        raise InputError(f"Entity has duplicate keys that vary only in casing, '{listed}'")
    return found


def _length(text: str) -> int:
    """Length as JavaScript counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _walk(entity: Entity, uid: str) -> Iterator[tuple[str, Any, bool]]:
    """Every (path, scalar, whether it stands for an element of a string array), depth first, as upstream meets them."""
    for key, value in entity.items():
        if key == "metadata":
            for name, inner in value.items():
                if name not in _UNSEARCHED_METADATA:
                    yield from _visit(f"metadata.{name}", inner)
        elif key not in _UNSEARCHED:
            yield from _visit(key, value)
    metadata = entity["metadata"]
    yield "metadata.name", metadata["name"], False
    yield "metadata.namespace", metadata.get("namespace"), False
    yield UID, uid, False
    if not metadata.get("namespace"):
        yield "metadata.namespace", "default", False
    for relation in entity.get("relations", ()):
        yield f"relations.{relation['type']}", relation["targetRef"], False


def _visit(path: str, value: Any) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _visit(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for item in value:
            yield from _visit(path, item)
            if isinstance(item, str):
                yield f"{path}.{item}", True, True
    else:
        yield path, value, False
