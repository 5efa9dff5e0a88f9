"""What error messages show: places in a template, and parts of it that can do no harm."""

from __future__ import annotations

import re

from greenroom.javascript.texts import length

__all__ = ["harmless", "position", "quote_diagnostic"]

_LONGEST, _LONGEST_QUOTE = 1024, 200
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that change the direction of writing, and halves of pairs."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def position(source: str, at: int) -> tuple[int, int]:
    """The line and column of an offset, both from one, columns in code units."""
    before = source[:at]
    line = before[before.rfind("\n") + 1 :]
    return before.count("\n") + 1, length(line) + 1


def harmless(message: str) -> str:
    """Without what would rearrange a log or a terminal, and of bounded length: parts of it are a template's own text."""
    escaped = message if _plain(message) else _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", message)
    return escaped if len(escaped) <= _LONGEST else f"{escaped[:_LONGEST]}…"


def quote_diagnostic(value: str) -> str:
    """`value` in quotes as error messages show it: cut after 200 characters, nothing that could rearrange a terminal."""
    if len(value) > _LONGEST_QUOTE:
        value = value[:_LONGEST_QUOTE] + "…"
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if _plain(quoted):
        return quoted
    return _UNSAFE.sub(lambda match: _SHORT.get(match[0]) or f"\\u{ord(match[0]):04x}", quoted)


def _plain(text: str) -> bool:
    """Whether nothing in it can be unsafe: as most, and told sooner than a pattern could."""
    return text.isascii() and text.isprintable()
