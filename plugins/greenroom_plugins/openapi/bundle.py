"""Definition + the files it refers to -> one definition whose every `$ref` stays inside.

The choice of what is put where is that of npm's json-schema-ref-parser (15.x), which upstream uses: each part of another file is
put in place of one reference to it, the nearest to the root; all others point there. `$id` is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeGuard
from urllib.parse import unquote

import msgspec

from greenroom.errors import GreenroomError, InputError, describe
from greenroom_plugins.openapi.yaml_text import keys_in_order

MOST_FILES = 200
MOST_REFERENCES = 20_000
LONGEST_CHAIN = 50
"""References that lead from one to the next."""

ROOT = ""
"""Instead of a URL: the file that is bundled. One that refers to it by its URL is given another copy, as upstream."""

Files: TypeAlias = Mapping[str, Any]
"""What each file holds, by URL."""
Tokens: TypeAlias = tuple[str, ...]
Keep: TypeAlias = Callable[[str], bool]

_KEPT_IN_ASYNCAPI_3 = [
    re.compile(rf"#/{path}")
    for path in (
        "channels/.*/servers",
        "operations/.*/channel",
        "operations/.*/messages",
        "operations/.*/reply/channel",
        "operations/.*/reply/messages",
        "components/channels/.*/servers",
        "components/operations/.*/channel",
        "components/operations/.*/messages",
        "components/operations/.*/reply/channel",
        "components/operations/.*/reply/messages",
    )
]
"""Where AsyncAPI 3 wants references to be references, by their place from the root."""


class BundleError(GreenroomError):
    """The references cannot be followed"""


class UnreadableReferenceError(GreenroomError):
    """A file that is referred to cannot be read"""

    name = "ResolverError"  # as json-schema-ref-parser calls it


class MissingPointerError(GreenroomError):
    """A reference points at nothing"""

    name = "MissingPointerError"  # as json-schema-ref-parser calls it


# --- reading ---------------------------------------------------------------------------------------------------------


async def read_all(
    root: Any, base: str, resolve: Callable[[str, str], str], read: Callable[[str], Awaitable[Any]]
) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Every file that the root, which stands at `base`, leads to; and the URL of each reference, by file and text.

    Raises BundleError for too many, UnreadableReferenceError, and what `resolve` raises."""
    files: dict[str, Any] = {ROOT: root}
    urls: dict[tuple[str, str], str] = {}
    waiting = [ROOT]
    while waiting:
        file = waiting.pop(0)
        for reference in external_references(files[file]):
            target = reference.partition("#")[0]
            url = urls.setdefault((file, target), resolve(target, file or base))
            if url not in files:
                if len(files) >= MOST_FILES:
                    raise BundleError(f"It refers to more than {MOST_FILES} files")
                files[url] = await _read(url, read)
                waiting.append(url)
    return files, urls


async def _read(url: str, read: Callable[[str], Awaitable[Any]]) -> Any:
    try:
        return await read(url)
    except GreenroomError as error:
        raise UnreadableReferenceError(f'Error reading file "{url}", {describe(error)}') from error


def external_references(value: Any) -> list[str]:
    """The references to other files, in order."""
    found: list[str] = []
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if is_reference(one) and not one["$ref"].startswith("#"):
                found.append(one["$ref"])
            pending += reversed([one[key] for key in keys_in_order(one)])
        elif isinstance(one, list):
            pending += reversed(one)
    return found


def is_reference(value: Any) -> TypeGuard[dict[str, Any]]:
    """An object with a `$ref` that can be followed: to another file, or `#` and a pointer."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    return isinstance(reference, str) and reference != "" and (reference[0] != "#" or reference[:2] in ("#", "#/"))


# --- pointers --------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A spot in a file."""

    file: str
    tokens: Tokens

    def pointer(self) -> str:
        return to_pointer(self.tokens)


class Target(NamedTuple):
    """What a reference leads to in the end, over how many others."""

    place: Place
    value: Any
    hops: int = 0
    circular: bool = False


def to_pointer(tokens: Sequence[str]) -> str:
    """`#/a/b~1c`."""
    return "#" + "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def to_tokens(pointer: str) -> Tokens:
    """Raises BundleError for what is no pointer."""
    text = pointer.removeprefix("#")
    if not text:
        return ()
    first, *tokens = (unquote(token.replace("~1", "/").replace("~0", "~")) for token in text.split("/"))
    if first:
        raise BundleError(f"Invalid $ref pointer {pointer!r}: pointers need to begin with #/")
    return tuple(tokens)


class Graph:
    """All files, and where their references lead."""

    def __init__(self, files: Files, urls: Mapping[tuple[str, str], str]) -> None:
        self.files = files
        self._urls = urls

    def place(self, reference: str, file: str) -> Place:
        """What a reference in a file means."""
        target, _, pointer = reference.partition("#")
        return Place(self._urls[file, target] if target else file, to_tokens(pointer))

    def follow(self, place: Place, depth: int = 0) -> Target:
        """The value at a place, past references on the way and at the end. Raises MissingPointerError, BundleError."""
        if depth > LONGEST_CHAIN:
            raise BundleError(f"References lead to each other, more than {LONGEST_CHAIN} times")
        at, value, hops = Place(place.file, ()), self.files[place.file], 0
        for number, token in enumerate(place.tokens):
            if is_reference(value):
                through = self._step(at, value, depth)
                at, value, hops = through.place, through.value, hops + through.hops
            value = _member(value, token, place)
            at = Place(at.file, (*at.tokens, token))
            if value is None and number + 1 == len(place.tokens):
                raise _missing(token, place)
        if not is_reference(value):
            return Target(at, value, hops)
        if self.place(value["$ref"], at.file) == at:
            return Target(at, value, hops, circular=True)
        end = self._step(at, value, depth)
        return Target(end.place, end.value, hops + end.hops, end.circular)

    def _step(self, at: Place, reference: Mapping[str, Any], depth: int) -> Target:
        """What a reference leads to; one with members of its own stays where it is, with those of its target added."""
        found = self.follow(self.place(reference["$ref"], at.file), depth + 1)
        if len(reference) > 1:
            return Target(at, merged(reference, found.value), found.hops + 1)
        return Target(found.place, found.value, found.hops + 1, found.circular)


def merged(reference: Mapping[str, Any], value: Any) -> Any:
    """The value in place of its reference, whose other members win."""
    if len(reference) == 1 or not isinstance(value, dict):
        return value
    own = {key: item for key, item in reference.items() if key != "$ref"}
    return {**own, **{key: item for key, item in value.items() if key not in own}}


def _member(value: Any, token: str, place: Place) -> Any:
    if isinstance(value, dict) and token in value:
        return value[token]
    if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
        return value[int(token)]
    raise _missing(token, place)


def _missing(token: str, place: Place) -> MissingPointerError:
    return MissingPointerError(f'Missing $ref pointer "{place.pointer()}". Token "{token}" does not exist.')


# --- bundling --------------------------------------------------------------------------------------------------------


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
            not self.target.circular,
            len(self.reference) > 1,
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
        self._seen: set[int] = set()
        self._alive: list[Any] = []
        self.entries: dict[tuple[int, str | int], Entry] = {}

    def walk(self, value: Any, file: str, from_root: Tokens, hops: int) -> None:
        if not isinstance(value, dict | list) or id(value) in self._seen or self._keep(to_pointer(from_root)):
            return
        self._seen.add(id(value))
        for key in _keys(value):
            item, path = value[key], (*from_root, str(key))
            if is_reference(item):
                self._note(value, key, file, path, hops)
            else:
                self.walk(item, file, path, hops)

    def _note(self, holder: Any, key: str | int, file: str, from_root: Tokens, hops: int) -> None:
        reference = holder[key]
        target = self._graph.follow(self._graph.place(reference["$ref"], file))
        hops += target.hops
        known = self.entries.get((id(holder), key))
        if known is not None and len(from_root) >= len(known.from_root) and hops >= known.hops:
            return
        self.entries.pop((id(holder), key), None)
        if len(self.entries) >= MOST_REFERENCES:
            raise BundleError(f"It has more than {MOST_REFERENCES} references")
        self.entries[id(holder), key] = Entry(holder, key, reference, from_root, target, hops)
        if known is None or target.place.file != ROOT:
            self._into(target, file, from_root, hops + 1)

    def _into(self, target: Target, file: str, from_root: Tokens, hops: int) -> None:
        self._alive.append(target.value)  # what was merged has to keep its identity
        if not is_reference(target.value):
            self.walk(target.value, target.place.file, from_root, hops)


def _keys(value: dict[str, Any] | list[Any]) -> Sequence[Any]:
    if isinstance(value, list):
        return sorted(range(len(value)), key=lambda index: len(str(index)))
    return sorted(keys_in_order(value), key=lambda key: -1 if key in ("definitions", "$defs") else len(key))


def bundle(files: Files, urls: Mapping[tuple[str, str], str]) -> Any:
    """The root with everything that it needs in it. The files are changed. Raises BundleError, MissingPointerError."""
    graph, root = Graph(files, urls), files[ROOT]
    inventory = _Inventory(graph, _kept_places(root))
    try:
        inventory.walk(root, ROOT, (), 0)
    except RecursionError:
        raise BundleError("It is nested too deeply") from None
    entries = sorted(inventory.entries.values(), key=Entry.order)
    placed: Place | None = None
    at: Tokens = ()
    for entry in entries:
        place = entry.target.place
        if place.file == ROOT:
            entry.reference["$ref"] = place.pointer()
        elif placed is not None and place.file == placed.file and place.tokens[: len(placed.tokens)] == placed.tokens:
            entry.reference["$ref"] = to_pointer((*at, *place.tokens[len(placed.tokens) :]))
        else:
            placed, at = place, entry.from_root
            entry.holder[entry.key] = entry.reference = merged(entry.reference, entry.target.value)
            if entry.target.circular:
                entry.reference["$ref"] = to_pointer(at)
    for entry in entries:
        if is_reference(entry.reference) and entry.reference["$ref"].startswith("#/"):
            entry.reference["$ref"] = _direct(root, entry.reference["$ref"])
    return root


def _kept_places(root: Any) -> Keep:
    version = root.get("asyncapi") if isinstance(root, dict) else None
    if re.match(r"\s*\+?0*3(?!\d)", str(version or "")) is None:
        return lambda path: False
    return lambda path: any(pattern.search(path) for pattern in _KEPT_IN_ASYNCAPI_3)


def _direct(root: Any, pointer: str) -> str:
    """The pointer without other references on its way, which JSON Schema does not look through."""
    current, steps = root, list[str]()
    for step in pointer[2:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(current, dict) and key not in current:
            onward = current.get("$ref")
            if isinstance(onward, str) and onward.startswith("#/"):
                steps = onward[2:].split("/")
                current = _walked(root, steps)
        current = _walked(current, [step])
        if current is None:
            return pointer
        steps.append(step)
    return "#/" + "/".join(steps)


def _walked(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdecimal() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def bundled(files: Files, urls: Mapping[tuple[str, str], str], dump: Callable[[Any], str]) -> str:
    """Bundle, and write. Raises BundleError, MissingPointerError."""
    try:
        return dump(bundle(files, urls))
    except RecursionError:
        raise BundleError("It is nested too deeply") from None


def checked(value: Any) -> Any:
    """A definition is an object. Raises InputError."""
    if not isinstance(value, dict):
        raise InputError("Expected an object at the root of the definition")
    return value
