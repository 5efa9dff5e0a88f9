"""YAML text -> values, by the core schema of YAML 1.2: `yes` and dates are texts, `012` is twelve."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from greenroom.errors import InputError
from greenroom.javascript.values import kind_of, text_of
from greenroom.settings.documents import MAX_NODES, TAG, CoreLoader

DEEPEST = 200
_MOST_DIGITS = 400
"""Of a number: one that has more is infinite to JavaScript."""
_SEVERAL = "Source contains multiple documents; please use YAML.parseAllDocuments()"


def parse_one(text: str, path: str) -> Any:
    """The value of the only document; None if there is none. Raises InputError that names the file, also for a key that is there
    twice."""
    found = _parsed(text, path, unique=True)
    if len(found) > 1:
        raise InputError(f"{_SEVERAL} ({path})")
    return found[0] if found else None


def parse_all(text: str, path: str) -> list[Any]:
    """The value of each document; of a key that is there twice the last counts, as upstream does not look at what its parser
    finds wrong here. Raises InputError that names the file, and where in it something is wrong."""
    return _parsed(text, path, unique=False)


def _parsed(text: str, path: str, *, unique: bool) -> list[Any]:
    text = text.removeprefix("\ufeff")
    loader = CoreLoader(text)
    found = []
    try:
        _check_size(text, path)
        while loader.check_node():
            found.append(_Builder(path, unique=unique).built(loader.get_node()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError(f"{path} is not valid YAML: {error.problem or error.context}{where}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return found


def _check_size(text: str, path: str) -> None:
    """What is nested deeper than anybody nests would end the process, since the library goes down in C; and each value takes a
    kilobyte before one can look at it."""
    depth = count = 0
    for event in yaml.parse(text, CoreLoader):
        count += isinstance(event, NodeEvent)
        if count > MAX_NODES:
            raise _too_many(path)
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise InputError(f"{path} is nested too deeply")


def _too_many(path: str) -> InputError:
    return InputError(f"{path} has more than {MAX_NODES} values, aliases written out")


class _Builder:
    """One document; aliases are written out, and bounded."""

    def __init__(self, path: str, *, unique: bool) -> None:
        self._path, self._unique, self._count = path, unique, 0
        self._open: set[int] = set()

    def built(self, node: Node) -> Any:
        self._count += 1
        if self._count > MAX_NODES or id(node) in self._open:
            raise _too_many(self._path)
        if isinstance(node, ScalarNode):
            return _scalar(node)
        self._open.add(id(node))
        value = dict(self._members(node)) if isinstance(node, MappingNode) else self._items(node)
        self._open.discard(id(node))
        return value

    def _items(self, node: Node) -> list[Any]:
        return [self.built(one) for one in node.value] if isinstance(node, SequenceNode) else []

    def _members(self, node: MappingNode) -> Iterator[tuple[str, Any]]:
        """Keys that are no texts go by what JavaScript makes of them: `1.50` is "1.5", and `~` is empty."""
        seen: set[tuple[str, Any]] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise InputError(f"{self._path} has a key that is no text (line {key.start_mark.line + 1})")
            name = _scalar(key)
            if self._unique and (kind_of(name), name) in seen:
                raise InputError(f"{self._path}: Map keys must be unique (line {key.start_mark.line + 1})")
            seen.add((kind_of(name), name))
            yield "" if name is None else text_of(name), self.built(value)


def _scalar(node: ScalarNode) -> Any:
    """A text with a tag that does not suit it stays a text: `!!int abc`."""
    text: str = node.value
    kinds = CoreLoader.yaml_implicit_resolvers.get(text[:1], ())
    if node.tag != next((kind for kind, pattern in kinds if pattern.match(text)), None):
        return text
    if node.tag == TAG + "null":
        return None
    if node.tag == TAG + "bool":
        return text.lower() == "true"
    return _whole(text) if node.tag == TAG + "int" else _number(text)


def _whole(text: str) -> float:
    if len(text) > _MOST_DIGITS:
        return math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _number(text: str) -> float:
    lowered = text.lower()
    if lowered.endswith(".nan"):
        return math.nan
    return float(text) if not lowered.endswith(".inf") else math.copysign(math.inf, -1 if text[0] == "-" else 1)
