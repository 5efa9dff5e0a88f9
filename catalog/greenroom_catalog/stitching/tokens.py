"""entity -> Projection: the columns, tokens and values by which it is found (spec 02 §2.2).

A search key is the lower-cased dotted path of a scalar. A filter compares whole values, so each key, and each key with a value,
becomes one 64-bit token and a row holds an array of them; what sorting, prefixes and facets need stays readable beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom_catalog.model.values import js_text

LONGEST = 200
"""Characters: a longer key is left out, a longer value is known to exist and no more."""

COLUMN_BYTES = 250
"""A longer value is found and sorted by `search_values`, as if its key had no column."""

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

SINGLE = frozenset({"kind", "metadata.namespace", "metadata.name"})
"""Keys that every entity has exactly once: their column says everything, and they have no tokens."""

TAGS = "metadata.tags"
UID = "metadata.uid"

_ELSEWHERE = frozenset({TAGS, UID})
"""Keys whose values stand in a column of another shape (`search.tags`, `refresh_state.entity_id`)."""

_UNSEARCHED = frozenset({"attachments", "relations", "status"})
_UNSEARCHED_METADATA = frozenset({"name", "namespace", "uid", "etag"})

Value = str | tuple[str, str]
"""A value as it is compared (lower-cased), with how it was written where that differs."""


class Projection(msgspec.Struct, frozen=True):
    """How one entity is found. `columns` maps a column of `search` to its value; NUL, which Postgres cannot hold, is dropped."""

    columns: dict[str, Value]
    tags: list[str]
    tokens: list[int]
    values: dict[str, list[Value | None]]
    """None stands for null, or a value too long to compare, beside others of the key: paged lists show it as a row."""


def pair(key: str, value: str) -> str:
    """The text whose token says that the key has the value. NUL, which no key has, parts them: `a=b` may be a key."""
    return f"{key}\0{value}"


def token(text: str) -> int:
    """blake2b-64 of a key, or of a `pair`, signed as Postgres wants it.

    Cryptographic, so that nobody can write an entity which by chance of hashing matches another team's filter."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def project(entity: Entity, uid: str) -> Projection:
    """Project a stitched entity. Raises InputError when two of its keys differ only in letter case."""
    found, tokens, gaps = _collect(_flatten(entity, uid))
    columns: dict[str, Value] = {}
    values: dict[str, list[Value | None]] = {}
    for key, held in found.items():
        alone = len(held) == 1 and (key not in gaps or key in SINGLE)
        if alone and key in COLUMNS and _fits(only := next(iter(held.values()))):
            columns[COLUMNS[key]] = only
        elif held and key not in _ELSEWHERE:
            values[key] = [*held.values(), None] if key in gaps else list(held.values())
    return Projection(columns, [original(tag) for tag in found.get(TAGS, {}).values()], tokens, values)


def original(value: Value) -> str:
    """The value as it was written."""
    return value if isinstance(value, str) else value[1]


def _fits(value: Value) -> bool:
    """Whether a value may stand in a column: eight of them make a row of an index, which holds 2,700 bytes."""
    texts = (value,) if isinstance(value, str) else value
    return all(4 * len(text) <= COLUMN_BYTES or len(text.encode()) <= COLUMN_BYTES for text in texts)


Row = tuple[str, str | None]
"""A path, as spelled, and the text of the scalar at its end; None for null."""

Found = dict[str, dict[str, Value]]
"""Search key -> its values by their lower-cased form, as first written. An empty dict: the key exists, without a value."""


def _collect(rows: Iterable[Row]) -> tuple[Found, list[int], set[str]]:
    """What can be searched for, the token of each key and of each pair of key and value, and the keys with a gap: where
    null stands, or a value that is too long."""
    found: Found = {}
    tokens: list[int] = []
    gaps: set[str] = set()
    spelling: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for path, text in rows:
        key, key_token = _key(path)
        if spelling.setdefault(key, path) != path:
            clashes[path] = key
        if key_token is None:
            continue
        held = found.get(key)
        if held is None:
            held = found[key] = {}
            if key not in SINGLE:
                tokens.append(key_token)
        if text is None or _is_long(lower := text.lower()):
            gaps.add(key)
        elif lower not in held:
            held[lower] = _storable(lower) if lower == text else (_storable(lower), _storable(text))
            if key not in SINGLE:
                tokens.append(token(f"{key}\0{lower}"))
    if clashes:
        listed = "', '".join(clashes.values())
        raise InputError(f"Entity has duplicate keys that vary only in casing, '{listed}'")
    return found, tokens, gaps


@lru_cache(maxsize=1 << 14)
def _key(path: str) -> tuple[str, int | None]:
    """The search key of a path, and its token; None when it is too long. Most entities have most of their keys in common."""
    key = path.lower().replace("\0", "")
    return key, None if _is_long(key) else token(key)


def _storable(text: str) -> str:
    return text.replace("\0", "")


def _is_long(text: str) -> bool:
    """Whether it is over the limit as JavaScript counts, in UTF-16 units."""
    length = len(text)
    if 2 * length <= LONGEST or length > LONGEST or text.isascii():
        return length > LONGEST
    return len(text.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST


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
    if isinstance(value, str) or value is None:
        rows.append((path, value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            _visit(f"{path}.{key}", inner, rows, elements)
    elif isinstance(value, list):
        for item in value:
            _visit(path, item, rows, elements)
            if isinstance(item, str):
                element = f"{path}.{item}"
                if element.lower() not in elements:
                    elements.add(element.lower())
                    rows.append((element, "true"))
    else:
        rows.append((path, js_text(value)))
