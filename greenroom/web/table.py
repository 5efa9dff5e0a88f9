"""method + path -> handler, as express matches: any case, one slash more or less at the end, escapes within a segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Segment(NamedTuple):
    """A piece of a path template: its text, or the name of the parameter that stands there."""

    text: str
    parameter: str = ""
    rest: bool = False
    """Whether the parameter takes all that is left of the path, slashes included."""


class Match(NamedTuple, Generic[T]):
    target: T
    path: str
    """The path in the spelling of the template, parameters still escaped."""
    parameters: dict[str, str]
    """By name, still escaped."""


class Row(NamedTuple, Generic[T]):
    methods: tuple[str, ...]
    segments: tuple[Segment, ...]
    target: T


class Table(Generic[T]):
    """The routes of one plugin, in the order in which they were declared."""

    def __init__(self, rows: Sequence[Row[T]]) -> None:
        self._rows = list(rows)
        self._fixed: dict[tuple[str, str], Match[T]] = {}
        self._open: dict[tuple[str, int], list[Row[T]]] = {}
        self._rest: list[Row[T]] = []
        for row in sorted(rows, key=lambda row: [bool(segment.parameter) for segment in row.segments]):
            self._file(row)

    def _file(self, row: Row[T]) -> None:
        path = "/" + "/".join(segment.text for segment in row.segments)
        if any(segment.rest for segment in row.segments):
            self._rest.append(row)
        elif not any(segment.parameter for segment in row.segments):
            for method in row.methods:
                self._fixed.setdefault((method, path.lower()), Match(row.target, path, {}))
        else:
            for method in row.methods:
                self._open.setdefault((method, len(row.segments)), []).append(row)

    def find(self, method: str, path: str) -> Match[T] | None:
        """The handler for a path that begins with a slash and is still escaped. A fixed path wins over a parameter."""
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        fixed = self._fixed.get((method, path.lower()))
        if fixed is not None:
            return fixed
        parts = path[1:].split("/")
        for row in self._open.get((method, len(parts)), ()):
            match = _match(row, parts)
            if match is not None:
                return match
        for row in self._rest:
            if method in row.methods and (match := _match(row, parts)) is not None:
                return match
        return None

    def methods(self, path: str) -> list[str]:
        """What `Allow` says to OPTIONS: the methods of every route that matches, in the order of declaration."""
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        parts = [] if path == "/" else path[1:].split("/")
        found = [method for row in self._rows if _match(row, parts) is not None for method in row.methods]
        spelled = [name for method in found for name in ((method, "HEAD") if method == "GET" else (method,))]
        return list(dict.fromkeys(spelled))


def _match(row: Row[T], parts: Sequence[str]) -> Match[T] | None:
    parameters: dict[str, str] = {}
    spelled: list[str] = []
    for index, segment in enumerate(row.segments):
        if segment.rest:
            parameters[segment.parameter] = "/".join(parts[index:])
            spelled.extend(parts[index:])
            return Match(row.target, "/" + "/".join(spelled), parameters)
        if index >= len(parts) or not parts[index]:
            return None
        if segment.parameter:
            parameters[segment.parameter] = parts[index]
            spelled.append(parts[index])
        elif parts[index].lower() != segment.text.lower():
            return None
        else:
            spelled.append(segment.text)
    if len(parts) != len(row.segments):
        return None
    return Match(row.target, "/" + "/".join(spelled), parameters)


def segments(template: str) -> tuple[Segment, ...]:
    """A litestar path template (`/by-uid/{uid:str}`, `/static/{file:path}`) as segments."""
    found = []
    for part in template.strip("/").split("/"):
        if part.startswith("{") and part.endswith("}"):
            name, _, kind = part[1:-1].partition(":")
            found.append(Segment("", name.strip(), kind.strip() == "path"))
        elif part:
            found.append(Segment(part))
    return tuple(found)
