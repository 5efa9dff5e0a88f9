"""bytes -> documents: decode, split, read, resolve.

YAML is read as upstream reads it, by the npm package `yaml` 2.x (YAML 1.2 core schema, merge keys off, unique keys). Texts that
leave no doubt go through libyaml (`documents.quick`); all others are read by npm yaml's own grammar, which also knows its
messages (`documents.composing`). JSON is YAML.

A broken document does not spoil its neighbours. Reading is bounded: nesting in depth, aliases in number, doubtful texts in size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from greenroom.errors import GreenroomError
from greenroom.javascript.texts import well_formed
from greenroom.javascript.values import kind_of
from greenroom_catalog.ingestion.documents import quick
from greenroom_catalog.ingestion.documents.composing import Composed, documents_of
from greenroom_catalog.ingestion.documents.grammar import parts_of
from greenroom_catalog.ingestion.documents.lexing import tokens_of
from greenroom_catalog.ingestion.documents.nodes import Mapping, Node, Scalar
from greenroom_catalog.ingestion.documents.nodes import Sequence as SequenceNode
from greenroom_catalog.ingestion.documents.pictures import Lines
from greenroom_catalog.ingestion.documents.texts import CodePointError
from greenroom_catalog.ingestion.documents.values import AliasError, Hidden, key_of, value_of

LARGEST_DOUBT = 2_000_000
"""Characters of a text that is read by npm yaml's grammar; some seconds. Larger ones are refused."""

Path: TypeAlias = Sequence[str | int]
"""Keys and indices that lead from a document's root to a value."""


class Parsed(NamedTuple):
    """A document that holds an object."""

    value: dict[str, Any]
    line: int
    """Where its contents start, from 1."""


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

Take: TypeAlias = Callable[[Any, int], Document | None]
"""What becomes of the value of a document, and its line; None: nothing."""


def parse(content: bytes | str) -> list[Document]:
    """Every document of a YAML or JSON file in order. Documents that are empty are left out.

    Never raises for what is in the file. Bytes that are not UTF-8 are replaced, as upstream does."""
    return _read(_text(content), _document)


def parse_values(content: bytes | str) -> list[Any]:
    """The value of every document of a file, whatever it is; the `Broken` of one that has none. Empty ones are null."""
    documents = _read(_text(content), Parsed)
    return [document if isinstance(document, Broken) else _finite(document.value) for document in documents]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _read(text: str, take: Take) -> list[Document]:
    try:
        documents = [take(value, line) for value, line in quick.values(text)]
    except quick.DoubtError:
        documents = list(_read_closely(text, take))
    return [document for document in documents if document is not None]


def _read_closely(text: str, take: Take) -> Iterator[Document | None]:
    if len(text) > LARGEST_DOUBT:
        yield Broken(f"The text is not plain YAML, and larger than {LARGEST_DOUBT} characters", 1, 1, "RangeError")
        return
    try:
        documents, lines = composed(text)
    except RecursionError:
        yield Broken("Maximum call stack size exceeded", 1, 1, "RangeError")
        return
    except CodePointError as error:
        yield Broken(str(error), 1, 1, "RangeError")
        return
    for document in documents:
        if document.problem is not None:
            spot = lines.spot(document.problem.start)
            yield Broken(lines.described(*document.problem), spot.line, spot.column)
            continue
        try:
            yield take(value_of(document), lines.spot(document.contents.start).line)
        except AliasError as error:
            yield Broken(str(error), *lines.spot(error.offset), "ReferenceError")
            return


def composed(text: str) -> tuple[list[Composed], Lines]:
    """The documents of a text as they stand there, broken ones too, and its lines. Raises RecursionError, CodePointError."""
    parts, starts = parts_of(tokens_of(text))
    return documents_of(parts), Lines(text, starts)


def _document(value: Any, line: int) -> Document | None:
    if isinstance(value, dict) and not isinstance(value, Hidden):
        return Parsed(value, line)
    if value is None:
        return None
    return Broken(f"Expected object at root, got {kind_of(value)}", line, 1, "Error")


def _text(content: bytes | str) -> str:
    """As JavaScript would decode it: with U+FFFD for what is no UTF-8."""
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else well_formed(content)


def position_of(content: bytes | str, path: Path, line: int | None = None) -> tuple[int, int]:
    """The line and column, from 1, of the value at `path`, or of the nearest value around it that exists.

    `line` is where the document starts (`Parsed.line`, `Broken.line` for the first that is not before it); None: the first.
    (1, 1) when there is no such document."""
    try:
        documents, lines = composed(_text(content))
    except (RecursionError, CodePointError):
        return (1, 1)
    for document in documents:
        if line is None or lines.spot(document.contents.start).line == line:
            return lines.place(_follow(document.contents, path).start)
    return (1, 1)


def _follow(node: Node, path: Path) -> Node:
    for step in path:
        inner = _enter(node, step)
        if inner is None:
            break
        node = inner
    return node


def _enter(node: Node, step: str | int) -> Node | None:
    if isinstance(node, SequenceNode):
        return node.items[step] if isinstance(step, int) and 0 <= step < len(node.items) else None
    if not isinstance(node, Mapping):
        return None
    found = (item or key for key, item in node.pairs if isinstance(key, Scalar) and key_of(key) == str(step))
    return next(found, None)
