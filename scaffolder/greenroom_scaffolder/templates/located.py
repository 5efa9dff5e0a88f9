"""text -> values that know where they stand in it: YAML as upstream reads it (1.2, no merging), bounded.

A template is looked at here before any catalog has seen it, so nothing is taken on trust: nesting, values and aliases have limits.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, cast

import msgspec
import yaml

from greenroom.javascript.values import text_of

LONGEST: Final = 2_000_000
"""Characters of a file."""
DEEPEST: Final = 100
MOST_VALUES: Final = 200_000
"""Of a file, each alias counted with all that it stands for."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Those that the parser counts lines by."""
_LONGEST_INTEGER = 400
_SNIPPET = 12


class Place(msgspec.Struct, frozen=True):
    """Line and column, from 1; 0 of both where a value came without a file."""

    line: int = 0
    column: int = 0


class Source:
    """The text of a file, in which places are found again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in _LINE_BREAK.finditer(text))]
        self._seen: dict[tuple[str, Place], list[int]] = {}
        self._counted: dict[tuple[str, Place], tuple[int, int]] = {}

    def nth(self, snippet: str, number: int, after: Place, before: Place) -> Place | None:
        """Where the snippet stands for the `number`th time between two places."""
        seen = self._seen.setdefault((snippet, after), [])
        end = self._offset(before)
        while len(seen) < number:
            at = self.text.find(snippet, seen[-1] + 1 if seen else self._offset(after), end)
            if at < 0:
                return None
            seen.append(at)
        line = bisect_right(self._starts, seen[number - 1])
        return Place(line, seen[number - 1] - self._starts[line - 1] + 1)

    def count(self, snippet: str, value: str, end: int, after: Place) -> int:
        """How often the snippet stands in a value before `end`. What was counted for an earlier end is not looked at again."""
        counted, number = self._counted.get((snippet, after), (0, 0))
        if counted > end:
            counted, number = 0, 0
        number += value.count(snippet, counted, end)
        self._counted[snippet, after] = end, number
        return number

    def _offset(self, place: Place) -> int:
        return self._starts[place.line - 1] + place.column - 1


class Unreadable(Exception):  # noqa: N818 - it becomes a finding
    """A file that is no YAML, or too much of it."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message, self.place = message, place


class Located(msgspec.Struct):
    """A value, and where it stands. `members` of an object and `items` of a list know the same of what is inside."""

    value: Any
    place: Place
    source: Source | None = None
    end: Place = Place()
    """Of a text that has a source."""
    members: dict[str, Located] = {}
    keys: dict[str, Place] = {}
    items: list[Located] = []
    repeated: list[tuple[str, Place]] = []
    """Keys that an object has more than once."""

    def get(self, *path: str | int) -> Located | None:
        """What stands under keys and indices, if anything does."""
        found: Located | None = self
        for step in path:
            if found is not None and isinstance(step, int):
                found = found.items[step] if step < len(found.items) else None
            elif found is not None:
                found = found.members.get(str(step))
        return found

    def place_of(self, *path: str | int) -> Place:
        """Where the value under a path stands, or its key, or else the nearest thing around it."""
        found = self
        for step in path:
            inner = found.get(step)
            if inner is None:
                break
            found = inner
        return found.place

    def place_in(self, at: int) -> Place:
        """Where in the file the character number `at` of this text stands; where it is escaped, the text's own place."""
        if self.source is None or not isinstance(self.value, str):
            return self.place
        snippet = self.value[at : at + _SNIPPET].partition("\n")[0]
        word = snippet.partition(" ")[0]  # a blank may be the end of a line that is folded
        found = (self._nth(self.source, part, at) for part in (snippet, word) if part)
        return next(filter(None, found), self.place)

    def _nth(self, source: Source, snippet: str, at: int) -> Place | None:
        number = source.count(snippet, self.value, at + len(snippet), self.place)
        return source.nth(snippet, number, self.place, self.end)

    def texts(self) -> Iterator[tuple[tuple[str | int, ...], Located]]:
        """All texts within, and the ways to them."""
        if isinstance(self.value, str):
            yield (), self
        for key, member in self.members.items():
            for path, text in member.texts():
                yield (key, *path), text
        for index, item in enumerate(self.items):
            for path, text in item.texts():
                yield (index, *path), text


def without_place(value: Any) -> Located:
    """A JSON value that came without a file."""
    return all_at(Place(), value)


def all_at(place: Place, value: Any) -> Located:
    """A JSON value that stands at one place with all that is in it."""
    if isinstance(value, Mapping):
        members = {key: all_at(place, member) for key, member in value.items()}
        return Located(value, place, members=members, keys=dict.fromkeys(members, place))
    if isinstance(value, list):
        return Located(value, place, items=[all_at(place, item) for item in value])
    return Located(value, place)


def read_documents(text: str) -> list[Located]:
    """The documents of a YAML file. Raises Unreadable."""
    if len(text) > LONGEST:
        raise Unreadable(f"The file has more than {LONGEST} characters", Place(1, 1))
    try:
        return list(_Composer(text).documents())
    except UnicodeEncodeError as error:
        before = text[: error.start]
        place = Place(before.count("\n") + 1, error.start - before.rfind("\n"))
        raise Unreadable("The file is no text in UTF-8: half of a surrogate pair stands here", place) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise Unreadable(error.problem or str(error), place) from error
    except yaml.YAMLError as error:
        raise Unreadable(str(error).splitlines()[0], Place(1, 1)) from error


class _Event(Protocol):
    """What the parser tells of; which members there are depends on the kind of event."""

    anchor: str | None
    tag: str | None
    value: str
    style: str | None
    start_mark: Any


class _Composer:
    """Puts values together from the events of the parser."""

    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._source = Source(text)
        self._anchors: dict[str, tuple[Located, int]] = {}
        self._count = 0
        self._depth = 0

    def documents(self) -> Iterator[Located]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._next()

    def _next(self) -> Located:
        event = next(self._events)
        return self._value(event)

    def _value(self, event: Any) -> Located:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        before = self._count
        self._counted(1, place)
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(f"Values are nested deeper than {DEEPEST} levels", place)
        found = self._made(event, place)
        self._depth -= 1
        if event.anchor:
            self._anchors[event.anchor] = (found, self._count - before)
        return found

    def _made(self, event: Any, place: Place) -> Located:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            items = list(self._until(yaml.SequenceEndEvent))
            return Located([item.value for item in items], place, items=items)
        scalar = cast(_Event, event)
        plain = not scalar.style and scalar.tag != "tag:yaml.org,2002:str"
        end = Place(event.end_mark.line + 1, event.end_mark.column + 1)
        return Located(_resolved(scalar.value) if plain else scalar.value, place, self._source, end)

    def _until(self, end: type) -> Iterator[Located]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._value(event)

    def _mapping(self, place: Place) -> Located:
        found = Located({}, place)
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._value(event)
            name = "" if key.value is None else text_of(key.value)
            member = self._next()
            if name in found.members:
                found.repeated.append((name, key.place))
            found.value[name] = member.value
            found.members[name], found.keys[name] = member, key.place
        return found

    def _alias(self, event: Any, place: Place) -> Located:
        if event.anchor not in self._anchors:
            raise Unreadable(f"Unresolved alias: {event.anchor}", place)
        target, size = self._anchors[event.anchor]
        self._counted(size, place)
        return msgspec.structs.replace(target, place=place)

    def _counted(self, values: int, place: Place) -> None:
        self._count += values
        if self._count > MOST_VALUES:
            raise Unreadable(f"The file holds more than {MOST_VALUES} values, aliases counted in full", place)


def _resolved(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) < _LONGEST_INTEGER and _INTEGER.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16) if text[:2] in {"0o", "0x"} else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
