"""text -> places: where each key and value of a YAML document stands, so that a path becomes a line and a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import yaml
from yaml._yaml import CParser
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from greenroom_catalog.ingestion.mending import Mended, chunks_of
from greenroom_catalog.ingestion.parser import Path


class Span(NamedTuple):
    """A stretch of a file. Lines and columns (code points) count from 1; the end is the first place after it.

    Of a mapping or a list only the start is known: its end is its start."""

    line: int
    column: int
    end_line: int
    end_column: int


class Node(NamedTuple):
    """Where a value stands, and the key before it; a list's item and the root have none."""

    value: Span
    key: Span | None = None


_Key: TypeAlias = tuple[str, ...]
_Event: TypeAlias = Any
_START = Span(1, 1, 1, 1)


class Places:
    """Where things stand in a text. A document is read at the first question about it, and only then."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._documents: dict[int, Mapping[_Key, Node]] = {}

    def value(self, line: int, path: Path) -> Span:
        """Of the value at `path`, or the nearest around it, in the document that starts at `line` (`Parsed.line`)."""
        return self._nearest(line, path).value

    def key(self, line: int, path: Path) -> Span:
        """Of the key that leads to the value at `path`; of the value where there is none."""
        node = self._nearest(line, path)
        return node.key or node.value

    def has(self, line: int, path: Path) -> bool:
        """Whether the text itself spells out the value at `path`, and not by an alias around it."""
        return _key(path) in self._document(line)

    def _nearest(self, line: int, path: Path) -> Node:
        nodes, key = self._document(line), _key(path)
        for length in range(len(key), -1, -1):
            if (node := nodes.get(key[:length])) is not None:
                return node
        return Node(_START._replace(line=line, end_line=line))

    def _document(self, line: int) -> Mapping[_Key, Node]:
        found = self._documents.get(line)
        if found is None:
            found = self._documents[line] = _read(self._text, line)
        return found


def _key(path: Sequence[str | int]) -> _Key:
    return tuple(map(str, path))


def _read(text: str, line: int) -> Mapping[_Key, Node]:
    for chunk in chunks_of(text):
        if not chunk.lines_before < line <= chunk.lines_before + chunk.text.count("\n") + 1:
            continue
        get: Callable[[], _Event] = CParser(Mended(chunk.text).text).get_event
        try:
            while not isinstance(event := get(), StreamEndEvent):
                if isinstance(event, DocumentStartEvent):
                    walk = _Walk(get, chunk.lines_before)
                    walk.node(get(), ())
                    if walk.nodes[()].value.line == line:
                        return walk.nodes
        except yaml.YAMLError:
            continue
    return {}


class _Walk:
    def __init__(self, get: Callable[[], _Event], lines_before: int) -> None:
        self._get = get
        self._lines_before = lines_before
        self.nodes: dict[_Key, Node] = {}

    def node(self, event: _Event, path: _Key, key: Span | None = None) -> None:
        self.nodes.setdefault(path, Node(self._span(event), key))
        if isinstance(event, SequenceStartEvent):
            index = 0
            while not isinstance(item := self._get(), SequenceEndEvent):
                self.node(item, (*path, str(index)))
                index += 1
        elif isinstance(event, MappingStartEvent):
            while not isinstance(name := self._get(), MappingEndEvent):
                if isinstance(name, ScalarEvent):
                    self.node(self._get(), (*path, name.value), self._span(name))
                else:
                    self.node(name, (*path, "?"))
                    self.node(self._get(), (*path, "?"))

    def _span(self, event: _Event) -> Span:
        start, end = event.start_mark, event.end_mark
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            end = start
        before = self._lines_before + 1
        return Span(start.line + before, start.column + 1, end.line + before, end.column + 1)
