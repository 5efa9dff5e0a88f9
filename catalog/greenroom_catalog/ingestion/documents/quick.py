"""text -> JSON values by libyaml's parser, for the texts that nobody could read in two ways: nearly all, and ten times as fast.

Whatever libyaml refuses, and whatever it might see otherwise than npm yaml, is a doubt: `composing` is the judge then. Anchors,
tags and directives are left to it as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from greenroom.javascript.objects import in_order
from greenroom_catalog.ingestion.documents.composing import DEEPEST
from greenroom_catalog.ingestion.documents.values import is_number
from greenroom_catalog.ingestion.scalars import SPECIAL, key_text, resolve

Event: TypeAlias = Any
"""An event of libyaml's. The stubs allow None where a parser never gives it."""

_ODD_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
_TAB_AS_INDENT = re.compile(r"^[ \t]*\t[ \t]*[^ \t\r\n#]", re.MULTILINE)
_TOUCHING_COMMENT = re.compile(r"[\[{\]},|>]#")
_HALF_CHARACTER = re.compile(r"\\[uU][dD]")
_BARE = re.compile(r"(?=.{1,72}\Z)[A-Za-z_][\w.-]*(?: *\| *[A-Za-z_]\w*)*\Z", re.ASCII)
"""What stands between double braces, mostly, and is a text to everybody."""
_DIGITS = frozenset("0123456789")
_BLOCK_STYLES = ("|", ">")


class DoubtError(Exception):
    """The text needs a closer look."""


def values(text: str) -> Iterator[tuple[Any, int]]:
    """The value of each document, and its line from 1. Raises DoubtError, maybe after some documents."""
    if _is_doubtful(text):
        raise DoubtError
    walk = _Walk(text)
    try:
        yield from walk.documents()
    except yaml.YAMLError:
        raise DoubtError from None


def _is_doubtful(text: str) -> bool:
    """Whether there is anything that libyaml lets through though npm yaml may not, or takes for something else."""
    return (
        (not text.isascii() and _ODD_BREAKS.search(text) is not None)
        or ("\r" in text and text.count("\r") != text.count("\r\n"))
        or text.startswith("%")
        or "\n%" in text
        or text.endswith((" ", "\t"))
        or ("\t" in text and _TAB_AS_INDENT.search(text) is not None)
        or ("#" in text and _TOUCHING_COMMENT.search(text) is not None)
        or ("\\" in text and _HALF_CHARACTER.search(text) is not None)
    )


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[str] = []
        self._in_flow = False
        self._has_quoted_hash = "'#" in text or '"#' in text
        self._next: Callable[[], Event] = CParser(text if text.endswith("\n") else f"{text}\n").get_event

    def documents(self) -> Iterator[tuple[Any, int]]:
        while True:
            event = self._next()
            if isinstance(event, DocumentStartEvent):
                root = self._next()
                value = self._node(root, 0)
                if value is None and is_number(root.value):
                    raise DoubtError
                self._next()
                yield value, root.start_mark.line + 1
            elif isinstance(event, StreamEndEvent):
                return

    def _node(self, event: Event, depth: int) -> Any:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if depth >= DEEPEST or event.anchor is not None or event.tag is not None:  # an alias has an anchor as well
            raise DoubtError
        if not event.flow_style or self._in_flow:
            return self._collection(event, depth + 1)[0]
        self._in_flow = True
        value, end = self._collection(event, depth + 1)
        self._in_flow = False
        start = event.start_mark
        if end.start_mark.line != start.line and (depth or start.column):
            self._check_indent(start.line, end.start_mark.line)
        return value

    def _collection(self, event: Event, depth: int) -> tuple[Any, Event]:
        """The value, and the event that ends it."""
        if isinstance(event, MappingStartEvent):
            return self._mapping(depth)
        get, node, items = self._next, self._node, []
        while not isinstance(event := get(), SequenceEndEvent):
            items.append(node(event, depth))
        return items, event

    def _mapping(self, depth: int) -> tuple[dict[str, Any], Event]:
        result: dict[str, Any] = {}
        get, scalar = self._next, self._scalar
        numbered = False
        while not isinstance(event := get(), MappingEndEvent):
            if event.anchor is not None or event.tag is not None:  # an alias has an anchor as well
                raise DoubtError
            if not isinstance(event, ScalarEvent):
                name = self._braced(event)
            else:
                name = event.value
                if not event.implicit[0]:
                    self._check_quote(event)
                elif not name or name[0] in SPECIAL:
                    name = key_text(resolve(name))
            if name in result:
                raise DoubtError
            if name[:1] in _DIGITS:
                numbered = True
            inner = get()
            result[name] = scalar(inner) if isinstance(inner, ScalarEvent) else self._node(inner, depth)
        return (in_order(result) if numbered else result), event

    def _scalar(self, event: ScalarEvent) -> Any:
        if event.tag is not None or event.anchor is not None:
            raise DoubtError
        if event.implicit[0]:
            return resolve(event.value)
        start: Any = event.start_mark
        end: Any = event.end_mark
        if event.style in _BLOCK_STYLES:
            line = self._line(start.line)
            if not line[: start.column].strip(" ") or not _DIGITS.isdisjoint(line[start.column + 1 : start.column + 3]):
                raise DoubtError
        else:
            self._check_quote(event)
            if start.line != end.line:
                self._check_indent(start.line, end.line)
        return event.value

    def _braced(self, event: Event) -> str:
        """The name of a key `{ x }`: `{{ x }}` is often left without quotes. Raises DoubtError for any other collection."""
        name, empty, end = self._next(), self._next(), self._next()
        shape = (MappingStartEvent, ScalarEvent, ScalarEvent, MappingEndEvent)
        if not all(map(isinstance, (event, name, empty, end), shape)) or not _BARE.match(name.value):
            raise DoubtError
        first: Any = event.start_mark
        last: Any = end.end_mark
        written = self._line(first.line)[first.column + 1 : last.column - 1]
        if first.line != last.line or written.strip(" ") != name.value:
            raise DoubtError
        return f"{{ {name.value} }}"

    def _check_quote(self, event: ScalarEvent) -> None:
        """A comment must not touch the quote before it."""
        end: Any = event.end_mark
        if self._has_quoted_hash and self._line(end.line)[end.column : end.column + 1] == "#":
            raise DoubtError

    def _check_indent(self, first: int, last: int) -> None:
        """A text in quotes or brackets may go on only where lines are indented more than the key before it."""
        beginning = self._line(first)
        least = len(beginning) - len(beginning.lstrip(" -?:"))
        for number in range(first + 1, last + 1):
            line = self._line(number)
            bare = line.lstrip(" ")
            if bare and len(line) - len(bare) <= least:
                raise DoubtError

    def _line(self, number: int) -> str:
        if not self._lines:
            self._lines = self._text.split("\n")
        return self._lines[number]
