"""entity -> Projection: the columns, tokens and values by which it is found (spec 02 §2.2).

A search key is the lower-cased dotted path of a scalar. A filter compares whole values, so each key, and each key with a value,
becomes one 64-bit token and a row holds an array of them; what sorting, prefixes and facets need stays readable beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from struct import unpack
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom_catalog.model import UNSEARCHED
from greenroom_catalog.model.values import js_text

LONGEST = 200
"""Characters: a longer key is left out, a longer value is known to exist and no more."""

_OFTEN_SEEN = LONGEST
"""Characters of a path beyond which it is not remembered."""

MOST_SEEN = 64
"""Values of a key whose digests are remembered: what has more, such as a URL, has a new one for each entity."""

MOST_LISTED = 100
"""Keys that a message names."""

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

_USUAL = {"apiversion": "backstage.io/v1alpha1", "metadata.annotations.backstage.io/techdocs-ref": "dir:."}

_SHORT = {
    "metadata.annotations.backstage.io/": "!",
    "metadata.annotations.": "@",
    "metadata.labels.": "#",
    "metadata.links.": "%",
    "metadata.": "~",
    "spec.": "$",
    "relations.": ">",
}
_MARKS = frozenset("=!@#%~$>")

TAGS = "metadata.tags"
UID = "metadata.uid"

_ELSEWHERE = frozenset({TAGS, UID})
"""Keys whose values stand in a column of another shape (`search.tags`, `refresh_state.entity_id`)."""

_UNSEARCHED_METADATA = frozenset({"name", "namespace", "uid", "etag"})

Value = str | tuple[str, str]
"""A value as it is compared (lower-cased), with how it was written where that differs."""


Held = str | list[Value | None]
"""The values of a key; one that is compared as it was written stands alone. None stands for null, or a value too long to compare,
beside others of the key: paged lists show it as a row."""


class Projection(msgspec.Struct, frozen=True):
    """How one entity is found. `columns` maps a column of `search` to its value; NUL, which Postgres cannot hold, is dropped."""

    columns: dict[str, Value]
    tags: list[str]
    tokens: list[int]
    values: dict[str, Held]
    """Of the keys without a column, but for those that have their `usual` value."""


def pair(key: str, value: str) -> str:
    """The text whose token says that the key has the value. NUL, which no key has, parts them: `a=b` may be a key."""
    return f"{key}\0{value}"


def usual(key: str) -> str:
    """The value of a key which, where it is the only one, has the token of the pair and leaves no other trace: `true`, which each
    element of a list makes, or what most entities have."""
    return _USUAL.get(key, "true")


@lru_cache(maxsize=1 << 14)
def shortened(key: str) -> str:
    """A key as it stands in `search_values`. No two keys become one."""
    for prefix, mark in _SHORT.items():
        if key.startswith(prefix):
            return mark + key[len(prefix) :]
    return f"={key}" if key[:1] in _MARKS else key


def token(text: str) -> int:
    """blake2b-64 of a key, or of a `pair`, signed as Postgres wants it.

    Cryptographic, so that nobody can write an entity which by chance of hashing matches another team's filter."""
    return int.from_bytes(_digest(text), "big", signed=True)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def project(entity: Entity, uid: str) -> Projection:
    """Project a stitched entity. Raises InputError when two of its keys differ only in letter case."""
    found, gaps, tokens, common = _collect(_flatten(entity, uid))
    columns: dict[str, Value] = {}
    values: dict[str, Held] = {}
    for key, held in found.items():
        if key in common:
            continue
        column = COLUMNS.get(key)
        if (
            column
            and len(held) == 1
            and (key not in gaps or key in SINGLE)
            and _fits(only := next(iter(held.values())))
        ):
            columns[column] = only
        elif held and key not in _ELSEWHERE:
            values[key] = _held([*held.values()], key in gaps)
    return Projection(columns, [original(tag) for tag in found.get(TAGS, {}).values()], tokens, values)


def _held(values: list[Value], gap: bool) -> Held:
    if gap:
        return [*values, None]
    return only if len(values) == 1 and isinstance(only := values[0], str) else [*values]


def original(value: Value) -> str:
    """The value as it was written."""
    return value if isinstance(value, str) else value[1]


def _fits(value: Value) -> bool:
    """Whether a value may stand in a column: eight of them make a row of an index, which holds 2,700 bytes."""
    if not isinstance(value, str):
        return _fits(value[0]) and _fits(value[1])
    return 4 * len(value) <= COLUMN_BYTES or len(value.encode()) <= COLUMN_BYTES


Row = tuple[str, str | None]
"""A path, as spelled, and the text of the scalar at its end; None for null."""

Found = dict[str, dict[str, Value]]
"""Search key -> its values by their lower-cased form, as first written. An empty dict: the key exists, without a value."""


_Facts = tuple[bytes, bytes | None, str, bytes, dict[str, bytes]]
"""Of a search key: the digest that is its token; what comes before a value in the text of a pair, None if it has no pairs; its
usual value; the digest of the pair of both; and digests of pairs with other values, a few that were met."""


def _collect(rows: Iterable[Row]) -> tuple[Found, set[str], list[int], set[str]]:
    """What can be searched for; the keys with a gap: where null stands, or a value that is too long; the token of each key and of
    each pair of key and value; and the keys that come to their `usual` value."""
    found: Found = {}
    facts: list[tuple[str, _Facts, dict[str, Value]]] = []
    gaps: set[str] = set()
    spelling: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for path, text in rows:
        key, known = _key(path) if len(path) <= _OFTEN_SEEN else _facts(path)
        if spelling.setdefault(key, path) != path:
            clashes[path] = key
        if known is None:
            continue
        held = found.get(key)
        if held is None:
            held = found[key] = {}
            facts.append((key, known, held))
        if text is None or ((2 * len(lower := text.lower())) > LONGEST and _is_long(lower)):
            gaps.add(key)
        elif lower not in held:
            value = lower if lower == text else (lower, text)
            held[lower] = value if "\0" not in lower else _storable(value)
    if clashes:
        listed = "', '".join(islice(clashes.values(), MOST_LISTED))
        raise InputError(f"Entity has duplicate keys that vary only in casing, '{listed}'")
    return found, gaps, *_tokens(facts, gaps)


def _tokens(
    facts: Iterable[tuple[str, _Facts, Mapping[str, Value]]], gaps: AbstractSet[str]
) -> tuple[list[int], set[str]]:
    """The tokens, and the keys whose values come to the usual one, in its spelling, and nothing else."""
    digests: list[bytes] = []
    common: set[str] = set()
    for key, (digest, prefix, expected, both, seen), held in facts:
        if prefix is None:
            continue
        if len(held) == 1 and held.get(expected) == expected and key not in gaps:
            common.add(key)
            digests.append(both)
            continue
        digests.append(digest)
        digests += [seen.get(one) or _pair_digest(prefix, one, seen) for one in held]
    return list(unpack(f">{len(digests)}q", b"".join(digests))), common


def _pair_digest(prefix: bytes, value: str, seen: dict[str, bytes]) -> bytes:
    found = blake2b(prefix + value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    if len(seen) < MOST_SEEN:
        seen[value] = found
    return found


def _facts(path: str) -> tuple[str, _Facts | None]:
    """The search key of a path, and what else is known by it alone. A key that is too long has nothing; one that every entity has
    once has no pairs."""
    key = path.lower().replace("\0", "")
    if key in SINGLE:
        return key, (b"", None, "", b"", {})
    if _is_long(key):
        return key, None
    prefix, expected = f"{key}\0".encode("utf-8", "surrogatepass"), usual(key)
    return key, (_digest(key), prefix, expected, _digest(pair(key, expected)), {})


_key = lru_cache(maxsize=1 << 13)(_facts)
"""Most entities have most of their keys in common."""


def _storable(value: Value) -> Value:
    """Without NUL."""
    return (
        value.replace("\0", "") if isinstance(value, str) else (value[0].replace("\0", ""), value[1].replace("\0", ""))
    )


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
        elif key not in UNSEARCHED:
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
