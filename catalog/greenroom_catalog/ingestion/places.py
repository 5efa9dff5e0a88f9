"""text -> places: where each key and value of a YAML document stands, so that a path becomes a line and a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from greenroom_catalog.ingestion.documents import nodes
from greenroom_catalog.ingestion.documents.pictures import Lines
from greenroom_catalog.ingestion.documents.values import key_of
from greenroom_catalog.ingestion.parser import Path, composed


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
    documents, lines = composed(text)
    for document in documents:
        if lines.spot(document.contents.start).line == line:
            found: dict[_Key, Node] = {}
            _note(document.contents, (), None, lines, found)
            return found
    return {}


def _note(node: nodes.Node, path: _Key, key: Span | None, lines: Lines, found: dict[_Key, Node]) -> None:
    """Of keys that come twice, the first counts."""
    found.setdefault(path, Node(_span(node, lines), key))
    if isinstance(node, nodes.Sequence):
        for index, item in enumerate(node.items):
            _note(item, (*path, str(index)), None, lines, found)
    elif isinstance(node, nodes.Mapping):
        for name, value in node.pairs:
            step = key_of(name) if isinstance(name, nodes.Scalar) else "?"
            _note(value or name, (*path, step), _span(name, lines), lines, found)


def _span(node: nodes.Node, lines: Lines) -> Span:
    start = lines.place(node.start)
    is_whole = isinstance(node, nodes.Mapping | nodes.Sequence)
    return Span(*start, *(start if is_whole else lines.place(node.stop)))
