"""composed documents -> JSON values: aliases resolved, keys made the names of JavaScript properties."""

from __future__ import annotations

import math
import re
from typing import Any

from greenroom.javascript.numbers import exponential
from greenroom.javascript.objects import in_order
from greenroom.javascript.texts import quoted
from greenroom.javascript.values import text_of
from greenroom_catalog.ingestion.documents.composing import Composed
from greenroom_catalog.ingestion.documents.nodes import Alias, Mapping, Node, Scalar, Sequence
from greenroom_catalog.ingestion.scalars import key_text, resolve

MOST_ALIASES = 100
"""How often an anchor may be used, counting uses within uses (npm yaml's `maxAliasCount`)."""

_NUMERIC = frozenset("+-.0123456789")
_WIDEST = 80
_NEEDS_QUOTES = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\A[ \t\n,\[\]{}#&*!|>'\"%@`]|\A[-?:](?:\s|\Z)|[,\[\]{}\n]|: |:\Z| #|\s\Z|\A\Z"
)


class AliasError(Exception):
    """An alias that stands for nothing, for what it is part of, or for too much. It ends the whole file."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Hidden(dict[str, Any]):
    """What JavaScript holds in an object of its own, such as a Set: JSON shows `{}`, but it is no mapping."""


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


def value_of(document: Composed) -> Any:
    """The JSON value of a sound document; NaN where it is a number that JSON does not have. Raises AliasError."""
    contents = document.contents
    if isinstance(contents, Scalar) and contents.value is None and is_number(contents.source):
        return math.nan
    return _Values(is_old=document.is_old).value(contents)


def is_number(source: str) -> bool:
    """Whether a scalar without a value was a number, not null."""
    return source[:1] in _NUMERIC


def key_of(key: Scalar) -> str:
    """The name of the property that a scalar is the key of."""
    return key_text(key.value)


class _Values:
    def __init__(self, *, is_old: bool) -> None:
        self._is_old = is_old
        self._anchors: dict[str, _Anchor] = {}
        self._open: list[_Anchor] = []

    def value(self, node: Node) -> Any:
        if isinstance(node, Scalar):
            if node.anchor is not None:
                self._anchors[node.anchor] = _Anchor(node.value)
            return node.value
        if isinstance(node, Alias):
            return self._alias(node).value
        result: Any = {} if isinstance(node, Mapping) else []
        anchor = self._opened(node.anchor, result)
        if isinstance(node, Mapping):
            self._fill(result, node)
        elif isinstance(node, Sequence):
            result += map(self.value, node.items)
        if anchor is not None:
            anchor.is_open = False
            self._open.remove(anchor)
        return Hidden() if getattr(node, "is_hidden", False) else result

    def _fill(self, result: dict[str, Any], mapping: Mapping) -> None:
        for key, item in mapping.pairs:
            name = self._key(key)
            value = None if item is None else self.value(item)
            if self._is_old and name == "<<" and isinstance(key, Scalar) and key.is_plain:
                _merge(result, value)
            else:
                result[name] = value
        ordered = in_order(result)
        if ordered is not result:
            result.clear()
            result.update(ordered)

    def _key(self, key: Node) -> str:
        value = self.value(key)
        if not isinstance(value, dict | list):
            return key_text(value)
        return _value_text(value) if isinstance(key, Alias) else _node_text(key)

    def _opened(self, name: str | None, value: Any) -> _Anchor | None:
        if name is None:
            return None
        anchor = self._anchors[name] = _Anchor(value, is_open=True)
        self._open.append(anchor)
        return anchor

    def _alias(self, alias: Alias) -> _Anchor:
        anchor = self._anchors.get(alias.name)
        if anchor is None:
            message = f"Unresolved alias (the anchor must be set before the alias): {alias.name}"
            raise AliasError(message, alias.start)
        if anchor.is_open:
            raise AliasError("Converting circular structure to JSON", alias.start)
        if anchor.use() > MOST_ALIASES:
            raise AliasError("Excessive alias count indicates a resource exhaustion attack", alias.start)
        for outer in self._open:
            outer.inner.append(anchor)
        return anchor


def _merge(result: dict[str, Any], value: Any) -> None:
    """The merge key of YAML 1.1: what is there already stays."""
    for source in value if isinstance(value, list) else [value]:
        if isinstance(source, dict):
            result.update({key: item for key, item in source.items() if key not in result})


def _node_text(node: Node | None, indent: str = "") -> str:
    """A collection that is a key, such as an unquoted `{{ x }}`: its text, as npm yaml writes it."""
    if isinstance(node, Mapping):
        return _enclosed("{", [_pair_text(key, item, f"{indent}  ") for key, item in node.pairs], "}", indent)
    if isinstance(node, Sequence):
        return _enclosed("[", [_inner_text(item, f"{indent}  ") for item in node.items], "]", indent)
    if isinstance(node, Alias):
        return f"*{node.name}"
    if not isinstance(node, Scalar):
        return ""
    if node.quote:
        text = str(node.value)
        return quoted(text) if node.quote == '"' else "'{}'".format(text.replace("'", "''"))
    return _plain_text(node) if node.is_plain and not isinstance(node.value, str) else _value_text(node.value)


def _inner_text(node: Node | None, indent: str = "") -> str:
    """A part of such a key: with its anchor, which the key itself is written without."""
    text = _node_text(node, indent)
    return text if node is None or node.anchor is None else f"&{node.anchor} {text}"


def _plain_text(node: Scalar) -> str:
    """Null and booleans as they were written; numbers are printed anew, in the style in which they were written."""
    value, source = node.value, node.source
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _without_value(source)
    if base := {"0o": "o", "0x": "x"}.get(source[:2]):
        return f"0{base}{int(value):{base}}"
    if "e" in source.lower():
        return exponential(float(value))
    text = text_of(value)
    if not source.endswith("0") or "." not in source or text.startswith("-"):
        return text
    places = len(source) - source.index(".") - 1
    return text + "." * ("." not in text) + "0" * (places - len(text.partition(".")[2]))


def _without_value(source: str) -> str:
    """Null, a boolean, or a number that JSON cannot hold."""
    text = source.lower().lstrip("+")
    if any(char.isdigit() for char in text):  # too large
        return f"{'-' * text.startswith('-')}.inf"
    return text if text in (".nan", ".inf", "-.inf") else source


def _enclosed(opening: str, parts: list[str], closing: str, indent: str) -> str:
    """On one line of at most 80 characters, or with a line for each part."""
    if not parts:
        return opening + closing
    lines = [*(f"{part}," for part in parts[:-1]), parts[-1]]
    if sum(len(line) + 2 for line in lines) + 2 <= _WIDEST and not any("\n" in line for line in lines):
        return f"{opening} {' '.join(lines)} {closing}"
    inside = "".join(f"\n{indent}  {line}" for line in lines)
    return f"{opening}{inside}\n{indent}{closing}"


def _pair_text(key: Node, item: Node | None, indent: str) -> str:
    name = _inner_text(key, indent)
    is_collection = isinstance(key, Mapping | Sequence)
    if is_collection:
        name = f"? {name}"
    if item is None:
        return name
    if is_collection:
        value = _inner_text(item, indent)
        return f"{name} : {value}" if value else f"{name} :"
    text = _inner_text(item, f"{indent}  ")
    own_lines = "\n" in text and isinstance(item, Mapping | Sequence)
    return f"{name}:\n{indent}  {text}" if own_lines else f"{name}:{text and ' '}{text}"


def _value_text(value: object) -> str:
    if isinstance(value, dict):
        inside = (f"{_value_text(key)}: {_value_text(item)}" for key, item in value.items())
        return f"{{ {', '.join(inside)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[ {', '.join(map(_value_text, value))} ]" if value else "[]"
    if isinstance(value, str) and (_NEEDS_QUOTES.search(value) or not isinstance(resolve(value), str)):
        return quoted(value)
    return text_of(value)
