"""`fields` -> the part of each document that was asked for (spec 02 §1.2).

Documents are opened only along the asked paths; everything found is passed on as the bytes it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom_catalog.model.values import is_index, js_trim

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

Opened = dict[str, msgspec.Raw] | list[msgspec.Raw] | None
"""The inside of an object or array; None for a scalar."""

Tree = dict[str, Any]


def parse_fields(given: Iterable[str] | None, whole: Iterable[str] | None = None) -> list[str] | None:
    """Comma-separated and repeated paths -> each once, in order; None when there are none. Raises InputError.

    Of the `whole` ones, which come first, each is one path, with its commas."""
    parts = [*(whole or ()), *(part for text in given or () for part in text.split(","))]
    fields = list(dict.fromkeys(filter(None, map(js_trim, parts))))
    for field in fields:
        if "[" in field:
            raise InputError(f'Invalid field "{field}", array type fields are not supported')
    return fields or None


class Projection:
    """Cuts documents down to some fields."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = [field.split(".") for field in fields]

    def __call__(self, document: bytes) -> bytes:
        """JSON -> JSON."""
        opened: dict[tuple[str, ...], Opened] = {(): _object(document)}
        tree: Tree = {}
        for parts in self._fields:
            found = _find(opened, parts)
            if found is not None:
                _put(tree, *found)
        return _encode(tree)


def _find(opened: dict[tuple[str, ...], Opened], parts: list[str]) -> tuple[tuple[str, ...], msgspec.Raw] | None:
    """Walk down a dotted path. A part that is no key is tried again joined with the next, for keys that hold dots."""
    path: tuple[str, ...] = ()
    inside = opened[()]
    value: msgspec.Raw | None = None
    pending: str | None = None
    last = len(parts) - 1
    for position, part in enumerate(parts):
        key = part if pending is None else f"{pending}.{part}"
        inner = _member(inside, key)
        if inner is None:
            pending = key
            continue
        pending, value, path = None, inner, (*path, key)
        if position < last:
            if path not in opened:
                opened[path] = _open(inner)
            inside = opened[path]
    return (path, value) if pending is None and value is not None else None


def _member(inside: Opened, key: str) -> msgspec.Raw | None:
    if isinstance(inside, dict):
        return inside.get(key)
    if isinstance(inside, list) and is_index(key) and int(key) < len(inside):
        return inside[int(key)]
    return None


def _open(value: msgspec.Raw) -> Opened:
    content = memoryview(value)
    first = bytes(content[:1])
    return _object(content) if first == b"{" else _array(content) if first == b"[" else None


def _put(tree: Tree, path: tuple[str, ...], value: msgspec.Raw) -> None:
    """Set a value, making what is above it: an array where the next key is an index, as lodash's `set` does."""
    node: Any = tree
    for key, following in pairwise(path):
        inner = _get(node, key)
        if isinstance(inner, msgspec.Raw):
            return  # the whole of it was asked for already
        if inner is None:
            inner = [] if is_index(following) else {}
            _set(node, key, inner)
        node = inner
    _set(node, path[-1], value)


def _get(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    return node[int(key)] if is_index(key) and int(key) < len(node) else None


def _set(node: Any, key: str, value: Any) -> None:
    if isinstance(node, dict):
        node[key] = value
    elif is_index(key) and int(key) < 1000:  # other properties of an array are not part of its JSON
        node.extend([None] * (int(key) + 1 - len(node)))
        node[int(key)] = value
