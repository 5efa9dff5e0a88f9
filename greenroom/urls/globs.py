"""pattern -> regular expression: `*` and `?` stay within a folder, `**` does not, `{a,b}` is either, as minimatch reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|/|[^*?/]+")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")
_NAME = r"(?![.])[^/]+"
"""Wildcards do not match a leading dot: `.github` is left out unless it is named."""


def compile_globs(patterns: Iterable[str]) -> Callable[[bytes], bool]:
    """A test of paths against any of the patterns, whose leading slashes count for nothing. Paths are bytes, as Git's are."""
    plain = [choice.removeprefix("/") for pattern in patterns for choice in expand(pattern)]
    whole = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in plain).encode(), re.DOTALL)
    return lambda path: whole.fullmatch(path) is not None


def expand(pattern: str) -> Iterator[str]:
    """`a{b,c}` -> `ab`, `ac`."""
    found = _CHOICE.search(pattern)
    if found is None:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from expand(pattern[: found.start()] + choice + pattern[found.end() :])


def is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?") or _CHOICE.search(pattern) is not None


def translate(pattern: str) -> str:
    """The regular expression of one pattern without braces; it is for bytes, hence escaped beyond ASCII."""
    parts: list[str] = []
    for token in _TOKEN.findall(pattern):
        starts = not parts or parts[-1].endswith("/") or parts[-1].endswith("/)*")
        parts.append(_expression(token, starts=starts))
    return "".join(parts)


def _expression(token: str, *, starts: bool) -> str:
    if token == "**/" and starts:  # noqa: S105 - a token of a pattern
        return rf"(?:{_NAME}/)*"
    if token == "**" and starts:  # noqa: S105
        return rf"{_NAME}(?:/{_NAME})*"
    if token in ("*", "**", "**/"):
        return (r"(?![.])" if starts else "") + r"[^/]*" + token.lstrip("*")
    if token == "?":  # noqa: S105
        return (r"(?![.])" if starts else "") + r"[^/]"
    return "".join(re.escape(chr(byte)) if byte < 0x80 else rf"\x{byte:02x}" for byte in token.encode())
