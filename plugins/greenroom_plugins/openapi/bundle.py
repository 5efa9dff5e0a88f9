"""Definition + the files it refers to -> one definition whose every `$ref` stays inside.

What is put where is what npm's json-schema-ref-parser 15 decides, which upstream uses: each part of another file takes the place
of one reference to it, the nearest to the root, and all others point there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any, TypeAlias
from urllib.parse import urljoin

import msgspec

from greenroom.errors import GreenroomError
from greenroom.javascript.objects import keys
from greenroom_plugins.openapi.references import (
    BundleError,
    Graph,
    Place,
    Target,
    Tokens,
    is_extended,
    is_reference,
    to_pointer,
)

MOST_FILES = 200
MOST_REFERENCES = 20_000

ROOT = "/-" * 40 + "/"
"""Where the definition seems to stand, so far down that no `../` ends above it. As upstream, a file is known by the path that leads
to it from here; so one that refers to the definition by its file name is given another copy."""

Keep: TypeAlias = Callable[[str], bool]

_KEPT_IN_ASYNCAPI_3 = [
    re.compile(f"#/{part}{path}")
    for part in ("", "components/")
    for path in (
        "channels/.*/servers",
        "operations/.*/channel",
        "operations/.*/messages",
        "operations/.*/reply/channel",
        "operations/.*/reply/messages",
    )
]
"""Where AsyncAPI 3 wants references to be references, by their place from the root."""


class ForeignReferenceError(GreenroomError):
    """A reference is no URL that can be read"""

    name = "SyntaxError"  # as json-schema-ref-parser calls it


class EndlessError(GreenroomError):
    """Maximum call stack size exceeded"""

    name = "RangeError"  # as Node says where references with members of their own go round in circles


# --- reading ---------------------------------------------------------------------------------------------------------


async def read_all(
    root: Any, url: str, resolve: Callable[[str, str], str], read: Callable[[str], Awaitable[Any]]
) -> dict[str, Any]:
    """What the definition, which stands at `url`, and every file that it leads to hold, by path from `ROOT`.

    Raises BundleError for too many, ForeignReferenceError, and what `resolve` and `read` raise."""
    files: dict[str, Any] = {ROOT: root}
    urls, waiting = {ROOT: url}, [ROOT]
    while waiting:
        parent = waiting.pop(0)
        for reference in external_references(files[parent]):
            target = reference.partition("#")[0]
            file = urljoin(parent, target)
            if file in files:
                continue
            if len(files) > MOST_FILES:
                raise BundleError(f"It refers to more than {MOST_FILES} files")
            urls[file] = _url(file, target, urls[parent], resolve)
            files[file] = await read(urls[file])
            waiting.append(file)
    return files


def _url(file: str, target: str, base: str, resolve: Callable[[str, str], str]) -> str:
    scheme = re.match(r"(\w{2,})://", file)
    if scheme is not None and scheme[1].lower() not in ("http", "https", "file"):
        raise ForeignReferenceError(f'Unable to resolve $ref pointer "{file}"')
    return resolve(target, base)


def external_references(value: Any) -> list[str]:
    """The references to other files, in order."""
    found: list[str] = []
    pending = [value]
    while pending:
        one = pending.pop()
        if is_reference(one) and not one["$ref"].startswith("#"):
            found.append(one["$ref"])
        if isinstance(one, dict):
            pending += [one[key] for key in reversed(keys(one))]
        elif isinstance(one, list):
            pending += reversed(one)
    return found


# --- taking stock ----------------------------------------------------------------------------------------------------


class Entry(msgspec.Struct):
    """One reference that was met: where it is held, where that is from the root, and what it leads to."""

    holder: Any
    key: str | int
    reference: Any
    from_root: Tokens
    target: Target
    hops: int

    def order(self) -> tuple[Any, ...]:
        """Of those to the same part of the same file, the first is replaced by it."""
        path = to_pointer(self.from_root)
        definitions = max(path.rfind("/definitions"), path.rfind("/$defs"))
        return (
            self.target.place.file,
            self.target.place.pointer(),
            not self.target.is_itself,
            is_extended(self.reference),
            self.hops,
            len(self.from_root),
            -definitions,
            len(path),
        )


class _Inventory:
    """Walks all files from the root, and notes each reference once."""

    def __init__(self, graph: Graph, keep: Keep) -> None:
        self._graph = graph
        self._keep = keep
        self._seen: dict[int, Any] = {}
        self.entries: dict[tuple[int, str | int], Entry] = {}

    def walk(self, value: Any, file: str, from_root: Tokens, hops: int) -> None:
        """Note the references in a value, which comes from that file."""
        if not isinstance(value, dict | list) or id(value) in self._seen or self._keep(to_pointer(from_root)):
            return
        self._seen[id(value)] = value
        if is_reference(value):  # to itself, or round in a circle; upstream notes it under this key
            self._note(value, "null", value, file, from_root, hops)
            return
        for key, item in _members(value):
            path = (*from_root, str(key))
            if is_reference(item):
                self._note(value, key, item, file, path, hops)
            else:
                self.walk(item, file, path, hops)

    def _note(
        self, holder: Any, key: str | int, reference: dict[str, Any], file: str, from_root: Tokens, hops: int
    ) -> None:
        origin = self._graph.from_root(from_root)
        target = self._graph.find(origin._replace(file=file).of(reference["$ref"]), origin)
        hops += target.hops
        known = self.entries.get((id(holder), key))
        if known is not None and len(from_root) >= len(known.from_root) and hops >= known.hops:
            return
        self.entries.pop((id(holder), key), None)
        if len(self.entries) >= MOST_REFERENCES:
            raise BundleError(f"It has more than {MOST_REFERENCES} references")
        self.entries[id(holder), key] = Entry(holder, key, reference, from_root, target, hops)
        if known is None or target.place.file != ROOT:
            self.walk(target.value, target.place.file, from_root, hops + 1)


def _members(value: dict[str, Any] | list[Any]) -> list[tuple[str | int, Any]]:
    """With definitions first, then from the shortest name to the longest."""
    if isinstance(value, list):
        return list(enumerate(value))  # sorted already: an index is longer than those before it or as long
    return [(key, value[key]) for key in sorted(keys(value), key=cmp_to_key(_definitions_then_short))]


def _definitions_then_short(one: str, other: str) -> int:
    """Of two names of definitions either is less than the other: not sound, but that is what upstream sorts by."""
    if "definitions" in (one, other) or "$defs" in (one, other):
        return -1 if one in ("definitions", "$defs") else 1
    return len(one) - len(other)


# --- bundling --------------------------------------------------------------------------------------------------------


def bundle(files: Mapping[str, Any]) -> Any:
    """The root with everything that it needs in it; what the files hold is changed.

    Raises BundleError, MissingPointerError, InvalidPointerError."""
    root = files[ROOT]
    graph = Graph(files, ROOT)
    inventory = _Inventory(graph, _kept_places(root))
    inventory.walk(root, ROOT, (), 0)
    entries = sorted(inventory.entries.values(), key=Entry.order)
    _rewrite(entries, graph)
    for entry in entries:
        if isinstance(entry.reference, dict) and str(entry.reference.get("$ref")).startswith("#/"):
            entry.reference["$ref"] = _direct(root, entry.reference["$ref"])
    return root


def _rewrite(entries: Sequence[Entry], graph: Graph) -> None:
    placed: Place | None = None
    at: Tokens = ()
    for entry in entries:
        place = entry.target.place
        if place.file == ROOT:
            entry.reference["$ref"] = place.pointer()
        elif placed is not None and placed.file == place.file and place.tokens[: len(placed.tokens)] == placed.tokens:
            entry.reference["$ref"] = to_pointer((*at, *place.tokens[len(placed.tokens) :]))
        else:
            placed, at = place, entry.from_root
            entry.holder[entry.key] = entry.reference = graph.merged(entry.reference, entry.target.value)
            if entry.target.is_itself and isinstance(entry.reference, dict):
                entry.reference["$ref"] = to_pointer(at)


def _kept_places(root: Any) -> Keep:
    version = root.get("asyncapi") if isinstance(root, dict) else None
    if re.match(r"\s*\+?0*3(?!\d)", str(version or "")) is None:
        return lambda path: False
    return lambda path: any(pattern.search(path) for pattern in _KEPT_IN_ASYNCAPI_3)


def _direct(root: Any, pointer: str) -> str:
    """The pointer without other references on its way, which JSON Schema does not look through."""
    current, steps = root, list[str]()
    for step in pointer[2:].split("/"):
        onward = current.get("$ref") if isinstance(current, dict) and _named(step) not in current else None
        if isinstance(onward, str) and onward.startswith("#/"):
            steps = onward[2:].split("/")
            current = root
            for one in steps:
                current = _stepped(current, one)
        if not isinstance(current, dict | list):
            return pointer
        current = _stepped(current, step)
        steps.append(step)
    return "#/" + "/".join(steps)


def _stepped(value: Any, step: str) -> Any:
    if isinstance(value, list):
        return value[int(step)] if step.isdecimal() and int(step) < len(value) else None
    return value.get(_named(step)) if isinstance(value, dict) else None


def _named(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def bundled(files: Mapping[str, Any], dump: Callable[[Any], str]) -> str:
    """Bundle, and write. Raises as `bundle`, and EndlessError."""
    try:
        return dump(bundle(files))
    except RecursionError:
        raise EndlessError from None
