"""query string -> values, as express' `qs` reads it: repeated keys and brackets make lists and objects."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

MAX_PARAMETERS = 1000
MAX_DEPTH = 5

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_INDEX = re.compile(r"0|[1-9][0-9]{0,2}")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


def decode_strictly(text: str) -> str:
    """decodeURIComponent: raises ValueError where an escape is malformed or not UTF-8."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("malformed escape")
    return unquote(text, errors="strict")


def decode(text: str) -> str:
    """As qs does: `+` is a space, and what cannot be decoded stays as it is."""
    text = text.replace("+", " ")
    try:
        return decode_strictly(text)
    except ValueError:
        return text


def parse_query(query: str) -> dict[str, Any]:
    """`a=1&b=2&b=3&c[]=4&d[e]=5` -> `{"a": "1", "b": ["2", "3"], "c": ["4"], "d": {"e": "5"}}`.

    A key alone has the empty string as its value. Keys beyond the 1000th are dropped, as by qs. What is said of a list by keys of
    several spellings (`a=1&a[0]=2`) is all in it; values of one key go together first."""
    values: dict[str, Any] = {}
    if not query:
        return values
    for key, found in _by_key(query).items():
        value = found[0] if len(found) == 1 else _listing(*found)
        if "[" in key:
            _put_nested(values, key, value)
        else:
            _add(values, key, value)
    return {key: _settle(value) for key, value in values.items()}


def _by_key(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        key, value = _split(part)
        if key and key != "__proto__":
            found.setdefault(key, []).append(value)
    return found


def _split(part: str) -> tuple[str, str]:
    decoded = (
        part
        if "%5" not in part
        else part.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]")
    )
    bracket = decoded.find("]=")
    at = bracket + 1 if bracket != -1 else decoded.find("=")
    if at == -1:
        return decode(decoded), ""
    # only the key's brackets count as brackets: the value is decoded as it was sent
    raw_value = decoded[at + 1 :] if decoded == part else part[part.index("=") + 1 :]
    return decode(decoded[:at]), decode(raw_value)


class _Listing(dict[str, Any]):
    """An object all of whose keys are indices or `[]` so far: it becomes a list."""

    end = 0

    def __setitem__(self, key: str, value: Any) -> None:
        self.end = max(self.end, int(key) + 1)
        super().__setitem__(key, value)

    def append(self, value: Any) -> None:
        self[str(self.end)] = value

    def place(self, index: str, value: Any) -> None:
        """There, or at the end where something is there already."""
        present = self.get(index)
        if present is None:
            self[index] = value
        elif isinstance(present, _Listing) and isinstance(value, _Listing):
            present.merge(value)
        else:
            self.append(value)

    def merge(self, other: _Listing) -> None:
        for index, value in other.items():
            self.place(index, value)


def _listing(*values: Any) -> _Listing:
    made = _Listing()
    for value in values:
        made.append(value)
    return made


def _add(node: dict[str, Any], key: str, value: Any) -> None:
    several = isinstance(value, _Listing)
    present = node.get(key)
    if isinstance(node, _Listing):
        if key:
            node.place(key, value)
        else:
            node.merge(value if several else _listing(value))
    elif not key:
        node[str(len(node))] = value
    elif present is None:
        node[key] = value
    elif isinstance(present, _Listing):
        if several:
            present.merge(value)
        else:
            present.append(value)
    else:
        node[key] = _listing(present, *(value.values() if several else [value]))


def _put_nested(values: dict[str, Any], key: str, value: Any) -> None:
    root, names = key[: key.index("[")], _BRACKET.findall(key)[:MAX_DEPTH]
    if not root:
        root, names = (names[0] or "0") if names else key, names[1:]
    node = values
    path = [root, *names]
    for name, following in zip(path, names, strict=False):
        node = _child(node, name, following)
    if path[-1] != "__proto__":
        _add(node, path[-1], value)


def _child(node: dict[str, Any], name: str, following: str) -> dict[str, Any]:
    """The object below a name that `following` is put into: a listing if that is an index or empty."""
    indexed = not following or bool(_INDEX.fullmatch(following))
    present = node.get(name) if name else None
    if present is None:
        fresh: dict[str, Any] = _Listing() if indexed else {}
        _add(node, name, fresh)
        return fresh
    if isinstance(present, dict) and not isinstance(present, _Listing):
        return present
    listing = node[name] = present if isinstance(present, _Listing) else _listing(present)
    if indexed:
        return listing
    inner: dict[str, Any] = {}
    listing.append(inner)
    return inner


def _settle(value: Any) -> Any:
    if isinstance(value, _Listing):
        return [_settle(value[index]) for index in sorted(value, key=int)]
    if isinstance(value, dict):
        return {key: _settle(item) for key, item in value.items()}
    return value
