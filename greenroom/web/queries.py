"""query string -> values, as express' `qs` reads it: repeated keys and brackets make lists and objects."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

MAX_PARAMETERS = 1000
MAX_DEPTH = 5

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
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

    A key alone has the empty string as its value. Keys beyond the 1000th are dropped, as by qs."""
    values: dict[str, Any] = {}
    if not query:
        return values
    for part in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        key, value = _split(part)
        if not key or key == "__proto__":
            continue
        if "[" in key:
            _put_nested(values, key, value)
        else:
            _add(values, key, value)
    return {key: _settle(value) for key, value in values.items()}


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


class _Indexed(dict[str, Any]):
    """An object all of whose keys are indices or `[]` so far: it becomes a list."""


def _add(values: dict[str, Any], key: str, value: Any) -> None:
    if key not in values:
        values[key] = value
        return
    present = values[key]
    if isinstance(present, _Indexed):
        present[str(len(present))] = value
    else:
        values[key] = _Indexed({"0": present, "1": value})


def _put_nested(values: dict[str, Any], key: str, value: str) -> None:
    root, names = key[: key.index("[")], _BRACKET.findall(key)[:MAX_DEPTH]
    if not root:
        root, names = (names[0] or "0") if names else key, names[1:]
    if not names:
        _add(values, root, value)
        return
    node = values
    for name, following in zip([root, *names[:-1]], names, strict=True):
        node = _child(node, name, following)
    if names[-1] != "__proto__":
        _add(node, names[-1] or str(len(node)), value)


def _child(node: dict[str, Any], name: str, following: str) -> dict[str, Any]:
    name = name or str(len(node))
    indexed = following == "" or following.isdecimal()
    present = node.get(name)
    if present is None:
        fresh: dict[str, Any] = _Indexed() if indexed else {}
        node[name] = fresh
        return fresh
    if isinstance(present, _Indexed):
        return present if indexed else _wrapped(present)
    if isinstance(present, dict):
        return present
    node[name] = _Indexed({"0": present})
    return node[name] if indexed else _wrapped(node[name])


def _wrapped(listing: _Indexed) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    listing[str(len(listing))] = inner
    return inner


def _settle(value: Any) -> Any:
    if isinstance(value, _Indexed):
        return [_settle(item) for item in value.values()]
    if isinstance(value, dict):
        return {key: _settle(item) for key, item in value.items()}
    return value
