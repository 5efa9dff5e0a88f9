"""entity -> Projection: the columns, tokens and values by which it is found (spec 02 §2.2).

A search key is the lower-cased dotted path of a scalar. A filter compares whole values, so each `key` and `key=value` becomes
one 64-bit token and a row holds an array of them; what sorting, prefixes and facets need stays readable beside it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom_catalog.model.values import js_text

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
    tokens: set[int] = set()
    columns: dict[str, Value] = {}
    values: dict[str, list[str | Value]] = {}
    found = _collect(_flatten(entity, uid))
    for key, held in found.items():
        tokens.add(token(key))
        for lower in held:
            tokens.add(token(f"{key}={lower}"))
        if len(held) == 1 and key in COLUMNS:
            columns[COLUMNS[key]] = next(iter(held.items()))
        elif held and key not in _ELSEWHERE:
            values[key.replace("\0", "")] = [_storable(lower, original) for lower, original in held.items()]
    return Projection(columns, list(found.get(TAGS, {}).values()), sorted(tokens), values)


def _storable(lower: str, original: str) -> str | Value:
    """A value for a jsonb column, which cannot hold NUL."""
    lower, original = lower.replace("\0", ""), original.replace("\0", "")
    return lower if lower == original else (lower, original)


Row = tuple[str, Any]
"""A path, as spelled, and the scalar at its end."""


def _collect(rows: list[Row]) -> dict[str, dict[str, str]]:
    """Search key -> its values, lower-cased -> as first written. An empty dict: the key exists, without a value."""
    found: dict[str, dict[str, str]] = {}
    spelling: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for path, scalar in rows:
        key = path.lower()
        if spelling.setdefault(key, path) != path:
            clashes[path] = key
        held = found.get(key)
        if held is None:
            if _is_long(key):
                continue
            held = found[key] = {}
        if scalar is not None:
            text = scalar if type(scalar) is str else js_text(scalar)
            lower = text.lower()
            if not _is_long(lower):
                held.setdefault(lower, text)
    if clashes:
        listed = "', '".join(clashes.values())
        raise InputError(f"Entity has duplicate keys that vary only in casing, '{listed}'")
    return found


def _is_long(text: str) -> bool:
    """Whether it is over the limit as JavaScript counts, in UTF-16 units."""
    if len(text) > LONGEST:
        return True
    return (
        2 * len(text) > LONGEST and not text.isascii() and len(text.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST
    )


def _flatten(entity: Entity, uid: str) -> list[Row]:
    """Every path and scalar, depth first, as upstream meets them."""
    rows: list[Row] = []
    elements: set[str] = set()
    metadata = entity["metadata"]
    for key, value in entity.items():
        if key == "metadata":
            for name, inner in metadata.items():
                if name not in _UNSEARCHED_METADATA:
                    _visit(f"metadata.{name}", inner, rows, elements)
        elif key not in _UNSEARCHED:
            _visit(key, value, rows, elements)
    rows.append(("metadata.name", metadata["name"]))
    rows.append(("metadata.namespace", metadata.get("namespace")))
    rows.append((UID, uid))
    if not metadata.get("namespace"):
        rows.append(("metadata.namespace", "default"))
    rows += [(f"relations.{relation['type']}", relation["targetRef"]) for relation in entity.get("relations", ())]
    return rows


def _visit(path: str, value: Any, rows: list[Row], elements: set[str]) -> None:
    """`tags: [Java]` gives `tags` = `Java` and `tags.Java` = true; of spellings of the latter, the first stands for all."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _visit(f"{path}.{key}", inner, rows, elements)
    elif isinstance(value, list):
        for item in value:
            _visit(path, item, rows, elements)
            if isinstance(item, str):
                element = f"{path}.{item}"
                if element.lower() not in elements:
                    elements.add(element.lower())
                    rows.append((element, True))
    else:
        rows.append((path, value))
