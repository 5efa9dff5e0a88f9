"""bytes -> documents: split, decode, resolve.

YAML is read as upstream reads it, by the npm package `yaml` 2.x (YAML 1.2 core schema, merge keys off, unique keys), on top of
the events of libyaml's parser. Where the two disagree about the grammar, the text is mended and read again (`mending`); where
libyaml says what is wrong, the message is upstream's (`complaints`). JSON is YAML.

A broken document does not spoil its neighbours. Reading is bounded: nesting in depth, aliases in number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import yaml
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.complaints import Complaint, complain, picture
from greenroom_catalog.ingestion.mending import Mended, chunks_of
from greenroom_catalog.ingestion.scalars import (
    SPECIAL,
    TAG,
    Resolve,
    ScalarError,
    flow_text,
    key_text,
    resolve,
    resolve_old,
    resolve_tagged,
    type_of,
)
from greenroom_catalog.model.values import in_key_order, whole_text

DEEPEST = 200
"""Levels of nesting that are read. Upstream ends at some thousands, with its stack."""

MOST_ALIASES = 100
"""How often an anchor may be used, counting uses within uses (npm yaml's `maxAliasCount`)."""

Path: TypeAlias = Sequence[str | int]
"""Keys and indices that lead from a document's root to a value."""


Event: TypeAlias = Any
"""An event of libyaml's. The stubs allow None where a parser never gives it."""


class Parsed(NamedTuple):
    """A document that holds an object."""

    value: dict[str, Any]
    line: int
    """Where it starts, from 1."""


class Broken(NamedTuple):
    """A document that cannot be used, and where and why. Lines and columns count from 1."""

    message: str
    line: int
    column: int
    name: str = "YAMLParseError"
    """What upstream calls the error: YAMLParseError; Error for a root that is no object; else what its reader threw."""

    def error_at(self, location: str) -> GreenroomError:
        """The error as upstream words it for a file at `location`, which is `type:target`."""
        type_, _, target = location.partition(":")
        if self.name == "YAMLParseError":
            return GreenroomError(f"YAML error at {location}, YAMLParseError: {self.message}")
        if self.name == "Error":
            return GreenroomError(self.message)
        if self.name == "RangeError":
            return GreenroomError(f"Failed to parse YAML at {location}, RangeError: {self.message}")
        if type_ == "file":
            return GreenroomError(f"file {target} could not be read, {self.name}: {self.message}")
        return GreenroomError(f"Unable to read {type_}, {self.message}")


Document: TypeAlias = Parsed | Broken


def parse(content: bytes | str) -> list[Document]:
    """Every document of a YAML or JSON file in order. Documents that are empty are left out.

    Never raises for what is in the file. Bytes that are not UTF-8 are replaced, as upstream does."""
    text = _text(content)
    found: list[Document] = []
    try:
        for document in _documents(Mended(text)):
            found.append(document)  # noqa: PERF402 - those before a fatal one are kept
    except _TroubleError as trouble:
        if trouble.fatal:
            return [*found, trouble.broken(0)]
        found = list(_documents_one_by_one(text))
    return found


def position_of(content: bytes | str, path: Path, line: int | None = None) -> tuple[int, int]:
    """The line and column, from 1, of the value at `path`, or of the nearest value around it that exists.

    `line` is where the document starts (`Parsed.line`); None: the first. (1, 1) when there is no such document."""
    for chunk in chunks_of(_text(content)):
        get: Callable[[], Event] = CParser(Mended(chunk.text).text).get_event
        try:
            while not isinstance(event := get(), StreamEndEvent):
                if not isinstance(event, DocumentStartEvent):
                    continue
                root = get()
                if line in (None, root.start_mark.line + 1 + chunk.lines_before):
                    mark = _follow(get, root, path)
                    return mark.line + 1 + chunk.lines_before, mark.column + 1
                _skip(get, root)
        except yaml.YAMLError:
            continue
    return (1, 1)


def _follow(get: Callable[[], Event], event: Event, path: Path) -> Any:
    for step in path:
        inner = _enter(get, event, step)
        if inner is None:
            break
        event = inner
    return event.start_mark


def _enter(get: Callable[[], Event], event: Event, step: str | int) -> Event | None:
    """From the event that begins a collection to the one that begins its part."""
    if isinstance(event, SequenceStartEvent):
        index = 0
        while not isinstance(item := get(), SequenceEndEvent):
            if index == step:
                return item
            _skip(get, item)
            index += 1
    elif isinstance(event, MappingStartEvent):
        while not isinstance(key := get(), MappingEndEvent):
            _skip(get, key)
            value = get()
            if isinstance(key, ScalarEvent) and key.value == str(step):
                return value
            _skip(get, value)
    return None


def _skip(get: Callable[[], Event], event: Event) -> None:
    """Past the whole node that the event begins."""
    depth = 0
    while True:
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        if depth == 0:
            return
        event = get()


def _text(content: bytes | str) -> str:
    """As JavaScript would decode it: without a byte order mark, with U+FFFD for what is no UTF-8."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else whole_text(content)
    return text.removeprefix("\ufeff")


class _TroubleError(Exception):
    """The end of reading a document, or, if `fatal`, a file."""

    def __init__(self, complaint: Complaint, *, name: str = "YAMLParseError", text: str = "") -> None:
        """`text` is where the complaint's place is found."""
        super().__init__(complaint.message)
        self.complaint = complaint
        self.name = name
        self.fatal = name != "YAMLParseError"
        self.text = text

    def broken(self, lines_before: int) -> Broken:
        message, line, column = self.complaint
        if self.name == "YAMLParseError":
            message = f"{message} at line {line + lines_before}, column {column}{picture(self.text, line, column)}"
        return Broken(message, line + lines_before, column, self.name)


def _documents_one_by_one(text: str) -> Iterator[Document]:
    """As `_documents`, but each is read on its own, so that one that is broken costs no other."""
    for chunk in chunks_of(text):
        try:
            for document in _documents(Mended(chunk.text)):
                yield document._replace(line=document.line + chunk.lines_before)
        except _TroubleError as trouble:
            yield trouble.broken(chunk.lines_before)
            if trouble.fatal:
                return


def _documents(mended: Mended) -> Iterator[Document]:
    """Raises _TroubleError."""
    while True:
        found: list[Document] = []
        try:
            for value, line in _Walk(mended).values():
                document = _document(value, line)
                if document is not None:
                    found.append(document)
        except _TroubleError as trouble:
            if trouble.fatal:
                yield from found
            raise
        except yaml.YAMLError as error:
            if mended.mend(error):
                continue
            complaint = complain(error, mended.text, was_ended=mended.was_ended)
            raise _TroubleError(complaint, text=mended.text) from error
        except RecursionError:
            raise _TroubleError(Complaint("Maximum call stack size exceeded", 1, 1), name="RangeError") from None
        yield from found
        return


def _document(value: Any, line: int) -> Document | None:
    if isinstance(value, dict):
        return Parsed(value, line)
    if value is None:
        return None
    return Broken(f"Expected object at root, got {type_of(value)}", line, 1, "Error")


class _Anchor:
    """An anchored value, and how much its use costs: npm yaml's own reckoning, so that the same files pass."""

    __slots__ = ("inner", "is_open", "uses", "value", "weight")

    def __init__(self, value: Any, *, is_open: bool = False) -> None:
        self.value = value
        self.is_open = is_open
        self.uses = 1
        self.weight = 0
        self.inner: list[_Anchor] = []

    def use(self) -> int:
        """Counts one more use, and gives what all of them amount to."""
        self.uses += 1
        if self.weight == 0 and (self.value or not isinstance(self.value, dict | list)):
            self.weight = max([1, *(inner.uses * inner.weight for inner in self.inner)])
        return self.uses * self.weight


class _Walk:
    """Walks the events of one text. Reports the first thing wrong with a document once its grammar is known to be sound."""

    def __init__(self, mended: Mended) -> None:
        self._mended = mended
        self._next: Callable[[], Event] = CParser(mended.text).get_event
        self._restore = mended.restore if mended.is_coded else None
        self._complaint: Complaint | None = None
        self._dangling: Complaint | None = None
        self._anchors: dict[str, _Anchor] = {}
        self._open: list[_Anchor] = []
        self._resolve: Resolve = resolve
        self._old = False

    def values(self) -> Iterator[tuple[Any, int]]:
        """The value of each document, and its line."""
        while True:
            event = self._next()
            if isinstance(event, DocumentStartEvent):
                yield self._document(event)
            elif isinstance(event, StreamEndEvent):
                return

    def _document(self, start: DocumentStartEvent) -> tuple[Any, int]:
        self._anchors = {}
        self._complaint = self._dangling = None
        self._old = start.version == (1, 1)
        self._resolve = resolve_old if self._old else resolve
        try:
            event = self._next()
            value = self._node(event, 0)
            self._next()
        except yaml.YAMLError:
            self._raise_noted()
            raise
        self._raise_noted()
        if self._dangling is not None:
            raise _TroubleError(self._dangling, name="ReferenceError")
        return value, event.start_mark.line + 1

    def _raise_noted(self) -> None:
        if self._complaint is not None:
            raise _TroubleError(self._complaint, text=self._mended.text)

    def _note(self, message: str, event: Event) -> None:
        """What is wrong with a document is what is wrong first."""
        if self._complaint is None:
            self._complaint = Complaint(message, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Event, depth: int) -> Any:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if depth >= DEEPEST:
            raise RecursionError
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, depth + 1)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, depth + 1)
        return self._alias(event).value

    def _scalar(self, event: ScalarEvent) -> Any:
        text = event.value if self._restore is None else self._restore(event.value)
        tag = event.tag
        if tag is None:
            value = self._resolve(text) if event.implicit[0] else text
        else:
            try:
                value = resolve_tagged(tag, text, self._resolve)
            except ScalarError as error:
                self._note(str(error), event)
                value = text
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value)
        return value

    def _mapping(self, start: MappingStartEvent, depth: int) -> Any:
        result: dict[str, Any] = {}
        anchor = self._opened(start.anchor, result)
        get, is_simple = self._next, self._restore is None and not self._old
        seen: set[tuple[str, str]] | None = None  # keys with their types, once one was not a plain string
        numbered = False
        while not isinstance(event := get(), MappingEndEvent):
            if (
                seen is None
                and is_simple
                and isinstance(event, ScalarEvent)
                and event.tag is None
                and event.anchor is None
                and not (event.implicit[0] and (not event.value or event.value[0] in SPECIAL))
            ):
                name = event.value
                if name in result:
                    self._note(_DUPLICATE, event)
            else:
                seen = {("string", key) for key in result} if seen is None else seen
                name = self._key(event, seen, depth)
            if name[:1] in _DIGITS:
                numbered = True
            inner = get()
            value = self._scalar(inner) if isinstance(inner, ScalarEvent) else self._node(inner, depth)
            if name == "<<" and self._old and _is_plain(event):
                _merge(result, value)
            else:
                result[name] = value
        if numbered:
            _reorder(result)
        if start.tag is not None and start.tag.startswith(TAG):
            self._check_set(start, result)
        self._close(anchor)
        return result

    def _key(self, event: Event, seen: set[tuple[str, str]], depth: int) -> str:
        """A key that may be no plain string: the name of a JavaScript property, and a check that it is new."""
        if isinstance(event, AliasEvent):  # npm yaml never holds these for equal to others
            value = self._alias(event).value
            return flow_text(value) if isinstance(value, dict | list) else key_text(value)
        value = self._node(event, depth)
        if isinstance(value, dict | list):
            return flow_text(value)
        name = key_text(value)
        typed = (type_of(value), name)
        if typed in seen:
            self._note(_DUPLICATE, event)
        seen.add(typed)
        return name

    def _sequence(self, start: SequenceStartEvent, depth: int) -> Any:
        result: list[Any] = []
        anchor = self._opened(start.anchor, result)
        get, node = self._next, self._node
        while not isinstance(event := get(), SequenceEndEvent):
            result.append(node(event, depth))
        self._close(anchor)
        return {} if start.tag == f"{TAG}omap" else result

    def _check_set(self, start: MappingStartEvent, result: dict[str, Any]) -> None:
        """A `!!set` becomes a JavaScript Set, of which JSON shows nothing."""
        if start.tag != f"{TAG}set":
            return
        if any(value is not None for value in result.values()):
            self._note("Set items must all have null values", start)
        result.clear()

    def _opened(self, name: str | None, value: Any) -> _Anchor | None:
        if name is None:
            return None
        anchor = self._anchors[name] = _Anchor(value, is_open=True)
        self._open.append(anchor)
        return anchor

    def _close(self, anchor: _Anchor | None) -> None:
        if anchor is not None:
            anchor.is_open = False
            self._open.remove(anchor)

    def _alias(self, event: Event) -> _Anchor:
        """What npm yaml finds out only when the document is sound: an error here ends the file, and not the document."""
        name = str(event.anchor)
        anchor = self._anchors.get(name)
        problem = ""
        if anchor is None:
            name = self._mended.alias_at(event.start_mark.line, event.start_mark.column) or name
            problem = f"Unresolved alias (the anchor must be set before the alias): {name}"
            anchor = _Anchor(None)
        elif anchor.is_open:
            problem = "Converting circular structure to JSON"
        elif anchor.use() > MOST_ALIASES:
            problem = "Excessive alias count indicates a resource exhaustion attack"
        for outer in self._open:
            outer.inner.append(anchor)
        if problem and self._dangling is None:
            self._dangling = Complaint(problem, event.start_mark.line + 1, event.start_mark.column + 1)
        return anchor


_DIGITS = frozenset("0123456789")
_DUPLICATE = "Map keys must be unique"


def _is_plain(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and event.implicit[0]


def _merge(result: dict[str, Any], value: Any) -> None:
    """The merge key of YAML 1.1: what is there already stays."""
    for source in value if isinstance(value, list) else [value]:
        if isinstance(source, dict):
            result.update({key: item for key, item in source.items() if key not in result})


def _reorder(result: dict[str, Any]) -> None:
    ordered = in_key_order(result)
    if ordered is not result:
        result.clear()
        result.update(ordered)
