"""entity -> Projection: the columns, tokens and values by which it is found (spec 02 §2.2).

A search key is the lower-cased dotted path of a scalar. A filter compares whole values, so each key, and each key with a value,
becomes one 64-bit token and a row holds an array of them; what sorting, prefixes and facets need stays readable beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from struct import unpack
from typing import Any

import msgspec

from greenroom.entity import Entity
from greenroom.errors import InputError
from greenroom.javascript.texts import length
from greenroom.javascript.values import text_of
from greenroom_catalog.model import UNSEARCHED

LONGEST = 200
"""Characters: a longer key is left out, a longer value is known to exist and no more."""

_OFTEN_SEEN = LONGEST
"""Characters of a path beyond which it is not remembered."""

MOST_PLACES = 1 << 13
"""Paths that are remembered: some hundreds are in every entity, and a few, such as the elements of its lists, in no other."""

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
    found = _Found(entity, uid)
    gaps = found.gaps
    columns: dict[str, Value] = {}
    values: dict[str, Held] = {}
    digests: list[bytes] = []
    for key, (place, lower, text) in found.by_key.items():
        if lower is None or key in gaps:
            _project_many(place, found.values_of(key), key in gaps, columns, values, digests)
        elif text == place.usual:
            digests.append(place.usual_digest)
        else:
            if not place.is_single:
                digests += (place.digest, place.seen.get(lower) or place.pair_digest(lower))
            value = _value(lower, text)
            if place.column and _fits(value):
                columns[place.column] = value
            elif not place.is_elsewhere:
                values[key] = value if isinstance(value, str) else [value]
    tags = [original(tag) for tag in found.values_of(TAGS).values()]
    return Projection(columns, tags, list(unpack(f">{len(digests)}q", b"".join(digests))), values)


def _project_many(
    place: _Place,
    held: Mapping[str, Value],
    gap: bool,
    columns: dict[str, Value],
    values: dict[str, Held],
    digests: list[bytes],
) -> None:
    """The same for a key that has more than one value, or none, or a gap."""
    if not place.is_single:
        digests.append(place.digest)
        digests += [place.seen.get(one) or place.pair_digest(one) for one in held]
    only = next(iter(held.values())) if len(held) == 1 else None
    if place.is_single and place.column and only is not None and _fits(only):
        columns[place.column] = only
    elif held and not place.is_elsewhere:
        values[place.key] = [*held.values(), None] if gap else [*held.values()]


def original(value: Value) -> str:
    """The value as it was written."""
    return value if isinstance(value, str) else value[1]


def _fits(value: Value) -> bool:
    """Whether a value may stand in a column: eight of them make a row of an index, which holds 2,700 bytes."""
    if not isinstance(value, str):
        return _fits(value[0]) and _fits(value[1])
    return 4 * len(value) <= COLUMN_BYTES or len(value.encode()) <= COLUMN_BYTES


class _Place:
    """A path at which entities have values, and what is known by it alone. Most entities have most of theirs in common: as a tree
    they are remembered, so that no path is put together, lower-cased and looked up twice."""

    __slots__ = (
        "_digest", "_pairs", "_usual_digest", "children", "column", "inside", "is_elsewhere", "is_long", "is_single", "key",
        "lower", "path", "seen", "usual",
    )  # fmt: skip

    def __init__(self, path: str) -> None:
        self.path = path
        self.inside = f"{path}."
        self.lower = path.lower()
        self.key = key = self.lower.replace("\0", "")
        self.is_long = _is_long(key)
        self.is_single = key in SINGLE
        self.is_elsewhere = key in _ELSEWHERE
        self.column = COLUMNS.get(key)
        self.usual = None if self.is_single else usual(key)
        self.children: dict[str, _Place] = {}
        self.seen: dict[str, bytes] = {}
        """Digests of pairs with values, a few that were met."""
        self._digest = self._usual_digest = b""
        self._pairs: blake2b | None = None

    @property
    def digest(self) -> bytes:
        """The token of the key."""
        if not self._digest:
            self._digest = _digest(self.key)
        return self._digest

    @property
    def usual_digest(self) -> bytes:
        """The token of the key with its usual value."""
        if not self._usual_digest:
            self._usual_digest = _digest(pair(self.key, usual(self.key)))
        return self._usual_digest

    def pair_digest(self, value: str) -> bytes:
        """The token of the key with a value. A hash that has the key already is copied, which is quicker than to begin one."""
        if self._pairs is None:
            self._pairs = blake2b(pair(self.key, "").encode("utf-8", "surrogatepass"), digest_size=8)
        whole = self._pairs.copy()
        whole.update(value.encode("utf-8", "surrogatepass"))
        found = whole.digest()
        if len(self.seen) < MOST_SEEN:
            self.seen[value] = found
        return found


class _Tree:
    """Places that were met, all of them below one that is none."""

    def __init__(self) -> None:
        self.root = _Place("")
        self.root.inside = ""
        self._size = 0

    @property
    def is_full(self) -> bool:
        return self._size >= MOST_PLACES

    def child(self, parent: _Place, name: str) -> _Place:
        """The place of that name below, remembered if there is room."""
        found = parent.children.get(name)
        if found is None:
            found = _Place(parent.inside + name)
            if len(found.path) <= _OFTEN_SEEN and not self.is_full:
                self._size += 1
                parent.children[name] = found
        return found


_tree = lru_cache(maxsize=1)(_Tree)
"""That of this process."""


def _tree_with_room() -> _Tree:
    """Once it is full, all is forgotten: what most entities have is soon back."""
    if _tree().is_full:
        _tree.cache_clear()
    return _tree()


class _Found:
    """What can be searched for in an entity, found depth first, as upstream meets it. Raises InputError."""

    def __init__(self, entity: Entity, uid: str) -> None:
        self.by_key: dict[str, tuple[_Place, str | None, str]] = {}
        """Search key -> its place and its only value, in lower case and as written; None: there are several, or none."""
        self.gaps: set[str] = set()
        """Keys where null stands, or a value that is too long."""
        self._several: dict[str, dict[str, Value]] = {}
        self._elements: set[str] = set()
        self._long: dict[str, str] = {}
        self._clashes: dict[str, str] = {}
        self._child = _tree_with_room().child
        self._flatten(entity, uid)
        if self._clashes:
            listed = "', '".join(islice(self._clashes.values(), MOST_LISTED))
            raise InputError(f"Entity has duplicate keys that vary only in casing, '{listed}'")

    def values_of(self, key: str) -> Mapping[str, Value]:
        """The values by their lower-cased form, as first written. None of them: the key exists, without a value."""
        if key not in self.by_key:
            return {}
        _, lower, text = self.by_key[key]
        return self._several[key] if lower is None else {lower: _value(lower, text)}

    def _flatten(self, entity: Entity, uid: str) -> None:
        metadata, child, root = entity["metadata"], self._child, _tree().root
        under = child(root, "metadata")
        for key, value in entity.items():
            if key == "metadata":
                self._visit(
                    under, {name: inner for name, inner in metadata.items() if name not in _UNSEARCHED_METADATA}
                )
            elif key not in UNSEARCHED:
                self._visit(root, {key: value})
        namespace = child(under, "namespace")
        self._add(child(under, "name"), metadata["name"])
        self._add(namespace, metadata.get("namespace"))
        self._add(child(under, "uid"), uid)
        if not metadata.get("namespace"):
            self._add(namespace, "default")
        relations = child(root, "relations")
        for relation in entity.get("relations", ()):
            self._add(child(relations, relation["type"]), relation["targetRef"])

    def _visit(self, place: _Place, value: Any) -> None:
        """`tags: [Java]` gives `tags` = `Java` and `tags.Java` = true; of spellings of the latter, the first stands for all."""
        if isinstance(value, dict):
            children, child_of, by_key = place.children, self._child, self.by_key
            for name, inner in value.items():
                child = children.get(name) or child_of(place, name)
                if type(inner) is str:
                    if child.key not in by_key and 2 * len(inner) <= LONGEST and not child.is_long and inner.isascii():
                        by_key[child.key] = (child, inner.lower(), inner)
                    else:
                        self._add(child, inner)
                else:
                    self._visit(child, inner)
        elif isinstance(value, list):
            for item in value:
                self._visit(place, item)
                if isinstance(item, str):
                    element = self._child(place, item)
                    if element.lower not in self._elements:
                        self._elements.add(element.lower)
                        self._add(element, "true")
        else:
            self._add(place, value if isinstance(value, str) or value is None else text_of(value))

    def _add(self, place: _Place, text: str | None) -> None:
        """A scalar; None for null."""
        key = place.key
        if place.is_long:
            if self._long.setdefault(key, place.path) != place.path:
                self._clashes[place.path] = key
            return
        known = self.by_key.get(key)
        if known is not None and known[0].path != place.path:
            self._clashes[place.path] = key
        if text is None or (2 * len(lower := text.lower()) > LONGEST and _is_long(lower)):
            self.gaps.add(key)
            if known is None:
                self.by_key[key] = (place, None, "")
                self._several[key] = {}
        elif known is None:
            self.by_key[key] = (place, lower, text)
        elif known[1] is None:
            self._several[key].setdefault(lower, _value(lower, text))
        elif known[1] != lower:
            self.by_key[key] = (known[0], None, "")
            self._several[key] = {known[1]: _value(known[1], known[2]), lower: _value(lower, text)}


def _value(lower: str, text: str) -> Value:
    value = lower if lower == text else (lower, text)
    return value if "\0" not in lower else _storable(value)


def _storable(value: Value) -> Value:
    """Without NUL."""
    return (
        value.replace("\0", "") if isinstance(value, str) else (value[0].replace("\0", ""), value[1].replace("\0", ""))
    )


def _is_long(text: str) -> bool:
    """Whether it is over the limit as JavaScript counts, in UTF-16 units."""
    characters = len(text)
    return characters > LONGEST or (2 * characters > LONGEST and length(text) > LONGEST)
