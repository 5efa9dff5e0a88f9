"""The text of a config file -> its value, and the line on which each part of it stands.

YAML is read by the rules of the 1.2 core schema, as the npm package `yaml` does for upstream: `yes`, dates and `1_000`
are strings, `017` is 17, `<<` is a key like any other, a key is always a string, and a key given twice is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from greenroom.errors import ConfigError
from greenroom.javascript.numbers import as_whole

Place = tuple[str | int, ...]
"""Where a value stands: keys of objects and indexes of arrays, from the root."""

MAX_NODES = 200_000
"""More values than any config has; aliases of aliases reach it within a dozen lines."""

TAG = "tag:yaml.org,2002:"


class CoreLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where it is there
    """Composes nodes, and tags plain scalars by the core schema alone."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML fills it in add_implicit_resolver


for _kind, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", list("-+0123456789.")),
    ("float", r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z", list("-+.")),
):
    CoreLoader.add_implicit_resolver(TAG + _kind, re.compile(_pattern), _first)


class ParsedFile:
    """A config file as it was read: `value`, and `line(place)` for each of its parts."""

    def __init__(self, name: str, value: object, lines: dict[Place, int]) -> None:
        self.name, self.value, self._lines = name, value, lines

    def line(self, place: Place) -> int | None:
        """The line (from 1) on which the value at a place, or the nearest one around it, begins. None in JSON files."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place)


def read_text(path: Path) -> str:
    """The text of a file. Raises ConfigError for one that is missing, unreadable, or not UTF-8."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise ConfigError(str(path), "the file does not exist") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"the file is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(str(path), f"the file cannot be read: {error.strerror}") from None


def parse_yaml(text: str, name: str) -> ParsedFile:
    """Parse one YAML document. Raises ConfigError with line and column."""
    try:
        loader = CoreLoader(text.removeprefix("\ufeff"))
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        builder = _Builder(name)
        value = builder.build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(name, error) from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(name, f"{error.reason} (character {error.position + 1})") from None
    except RecursionError:
        raise ConfigError(name, "the file is nested too deeply") from None
    return ParsedFile(name, value, builder.lines)


def parse_json(text: str, name: str) -> ParsedFile:
    """Parse a JSON file. Raises ConfigError."""
    try:
        return ParsedFile(name, msgspec.json.decode(text), {})
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(name, f"the file is not JSON: {error}") from None


PARSERS: dict[str, Callable[[str, str], ParsedFile]] = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml}
"""By file extension, what `$include` can read."""


class _Builder:
    """One walk over a tree of nodes, with aliases written out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: Node, place: Place) -> object:
        self._count += 1
        if self._count > MAX_NODES:
            raise _at(self.name, node, "aliases make this file too large")
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return _scalar(self.name, node)
        if id(node) in self._open:
            raise _at(self.name, node, "an alias stands inside of what it refers to")
        self._open.add(id(node))
        value = self._mapping(node, place) if isinstance(node, MappingNode) else self._sequence(node, place)
        self._open.discard(id(node))
        return value

    def _sequence(self, node: Node, place: Place) -> list[object]:
        items = node.value if isinstance(node, SequenceNode) else []
        return [self.build(item, (*place, index)) for index, item in enumerate(items)]

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in result:
                raise _at(self.name, key_node, f"the key {key!r} is given twice")
            self.lines[(*place, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*place, key))
        return result

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise _at(self.name, node, "a key must be a plain value", "quote a text that begins with `{` or `[`")
        value = _scalar(self.name, node)
        if isinstance(value, str):
            return value
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(name: str, node: ScalarNode) -> object:
    """The value of a scalar; an unknown tag is passed over, as upstream does with a warning."""
    text: str = node.value
    kind = node.tag.removeprefix(TAG)
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return text[:1] in "tT"
        if kind == "int":
            return _whole(text)
        if kind == "float":
            return _number(text)
    except ValueError:
        raise _at(name, node, f"{text!r} is not a number") from None
    return text


def _whole(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _number(text: str) -> int | float:
    """A JavaScript number: `1e3` and `5.` are whole."""
    low = text.lower()
    if low.endswith("inf"):
        return -math.inf if low[0] == "-" else math.inf
    if low == ".nan":
        return math.nan
    return as_whole(float(low))


def _at(name: str, node: Node, problem: str, hint: str = "") -> ConfigError:
    mark = node.start_mark
    return ConfigError(f"line {mark.line + 1}, column {mark.column + 1}", problem, hint=hint, file=name)


def _syntax_error(name: str, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
    problem = error.problem or "the YAML cannot be read"
    if "found another document" in problem:
        return ConfigError(place, "a config file holds one document", hint="remove the `---`", file=name)
    hint = (
        "indent with spaces"
        if "'\\t'" in problem
        else "quote a text that holds `: ` or ` #`"
        if "mapping values" in problem
        else ""
    )
    return ConfigError(place, problem, hint=hint, file=name)
