"""`fields` -> the part of each document that was asked for (spec 02 §1.2).

Documents are opened only along the asked paths; everything found is passed on as the bytes it was. Where paths and documents
hold no surprises, which is nearly always, msgspec does it by itself, in a fifth of the time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.objects import is_index
from greenroom.javascript.texts import trim

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
    fields = list(dict.fromkeys(filter(None, map(trim, parts))))
    for field in fields:
        if "[" in field:
            raise InputError(f'Invalid field "{field}", array type fields are not supported')
    return fields or None


class Projection:
    """Cuts documents down to some fields."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = [field.split(".") for field in fields]
        quick = _quick(tuple(fields))
        self._quick = None if quick is None else quick[0]
        self._quick_array = None if quick is None else quick[1]

    def __call__(self, document: bytes) -> bytes:
        """JSON -> JSON."""
        found = None if self._quick is None else self._quick(document)
        return self._cut(document) if found is None else found

    def each(self, runs: Sequence[bytes]) -> bytes:
        """Documents, or runs of some with commas between them -> all of them with commas between them, each cut down.

        Some at once take a quarter less than one by one; many take more, as what they are put together in leaves the cache."""
        return b",".join(map(self._some, _parts(runs)))

    def _some(self, documents: bytes) -> bytes:
        """`documents` is an array."""
        found = None if self._quick_array is None else self._quick_array(documents)
        if found is not None:
            return found[1:-1]
        self._quick_array = None  # where one needs a closer look, others will
        return b",".join([self(bytes(document)) for document in _array(documents)])

    def _cut(self, document: bytes) -> bytes:
        opened: dict[tuple[str, ...], Opened] = {(): _object(document)}
        tree: Tree = {}
        for parts in self._fields:
            found = _find(opened, parts)
            if found is not None:
                _put(tree, *found)
        return _encode(tree)


AT_ONCE = 64 * 1024
"""Bytes of documents that are cut in one go, or a little more."""


def _parts(runs: Sequence[bytes]) -> Iterator[bytes]:
    """Arrays of all the documents."""
    part: list[bytes] = []
    size = 0
    for run in runs:
        part.append(run)
        size += len(run)
        if size >= AT_ONCE:
            yield b"[%b]" % b",".join(part)
            part, size = [], 0
    if part:
        yield b"[%b]" % b",".join(part)


MOST_QUICK, DEEPEST_QUICK = 100, 20
"""Fields, and dots in one, beyond which no structs are made: each level of one costs a frame of the stack."""

_plain = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*").fullmatch

Branch = dict[str, Any]
"""Asked keys of an object, in order: None for one whose value is wanted, a Branch for one that is looked into."""


Quick = Callable[[bytes], bytes | None]


@lru_cache(maxsize=64)  # a quarter of a millisecond each; frontends ask for the same fields again and again
def _quick(fields: tuple[str, ...]) -> tuple[Quick, Quick] | None:
    """Cuts by structs of these fields, of one document and of an array, which answer None where one needs a closer look.

    None if all would: for odd keys, overlaps, and orders in which it depends on the document which key comes first."""
    if len(fields) > MOST_QUICK or any(field.count(".") > DEEPEST_QUICK for field in fields):
        return None
    branch = _branch(fields)
    if branch is None:
        return None
    shape = _struct(branch)
    one, array = msgspec.json.Decoder(shape).decode, msgspec.json.Decoder(list[shape]).decode  # type: ignore[valid-type]
    crowns = _crowns(shape, ())

    def cut(document: bytes) -> bytes | None:
        try:
            found = one(document)
        except msgspec.ValidationError:  # something to look into is missing, or no object
            return None
        return None if any(reach(found) == bare for reach, bare in crowns) else _encode(found)

    def cut_array(documents: bytes) -> bytes | None:
        try:
            found = array(documents)
        except msgspec.ValidationError:
            return None
        return None if any(bare in map(reach, found) for reach, bare in crowns) else _encode(found)

    return cut, cut_array


def _branch(fields: Sequence[str]) -> Branch | None:
    root: Branch = {}
    for field in fields:
        node, parts = root, field.split(".")
        if not all(map(_plain, parts)):
            return None
        for part in parts[:-1]:
            if part not in node:
                node[part] = {}
            elif node[part] is None or next(reversed(node)) != part:
                return None
            node = node[part]
        if parts[-1] in node:
            return None
        node[parts[-1]] = None
    return root


def _struct(branch: Branch) -> type[msgspec.Struct]:
    """With a field for each key, called `f0`, `f1`, … in Python. What is looked into must be there."""
    fields: list[Any] = []
    for number, (_, inner) in enumerate(branch.items()):
        wanted = msgspec.Raw | msgspec.UnsetType
        fields.append((f"f{number}", wanted, msgspec.UNSET) if inner is None else (f"f{number}", _struct(inner)))
    renamed = {f"f{number}": key for number, key in enumerate(branch)}
    # for the collector they are nothing: they hold nothing that refers to them
    return msgspec.defstruct("Cut", fields, rename=renamed, kw_only=True, gc=False)


def _crowns(shape: type[msgspec.Struct], above: tuple[str, ...]) -> list[tuple[Callable[[Any], Any], msgspec.Struct]]:
    """How to reach each inner object that has wanted values only, and what it is like if it has none: then it is not shown."""
    inside = [field for field in msgspec.structs.fields(shape) if field.required]
    if not inside and above:
        return [(attrgetter(".".join(above)), shape())]
    return [crown for field in inside for crown in _crowns(field.type, (*above, field.name))]


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
            if not _begins(inside, f"{key}."):
                return None
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


def _begins(inside: Opened, start: str) -> bool:
    """Whether some key begins so: else no further part can complete it, and ten thousand parts are not joined one by one."""
    return isinstance(inside, dict) and any(key.startswith(start) for key in inside)


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
