"""Text as JavaScript counts it: in UTF-16 code units, so that an emoji has a length of two."""

from __future__ import annotations

import re

__all__ = [
    "WHITESPACE",
    "escape_html",
    "position",
    "quote_diagnostic",
    "split_units",
    "text_of",
    "trim",
    "trim_end",
    "trim_start",
    "units",
    "well_formed",
]

WHITESPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What `trim()` and `\\s` take for white space in JavaScript."""

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
)
_HTML = re.compile(r"[&\"'<>\\]")
_ENTITIES = {"&": "&amp;", '"': "&quot;", "'": "&#39;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}


def units(text: str) -> str:
    """The same text, one character for each code unit: astral characters become pairs of surrogates."""
    if text.isascii() or not _ASTRAL.search(text):
        return text
    raw = text.encode("utf-16-le", "surrogatepass")
    return "".join(map(chr, memoryview(raw).cast("H")))


def text_of(code_units: str) -> str:
    """The opposite of `units`; halves of a pair that stand alone stay as they are."""
    if code_units.isascii() or not _SURROGATE.search(code_units):
        return code_units
    return code_units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def well_formed(text: str) -> str:
    """Without halves of pairs, which no UTF-8 can hold: U+FFFD in their place, as when Node writes a file."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def position(source: str, at: int) -> tuple[int, int]:
    """The line and column of an offset, both from one, columns in code units."""
    before = source[:at]
    line = before[before.rfind("\n") + 1 :]
    return before.count("\n") + 1, len(units(line)) + 1


def split_units(text: str) -> list[str]:
    return list(units(text))


def trim(text: str) -> str:
    return text.strip(WHITESPACE)


def trim_start(text: str) -> str:
    return text.lstrip(WHITESPACE)


def trim_end(text: str) -> str:
    return text.rstrip(WHITESPACE)


def escape_html(text: str) -> str:
    return _HTML.sub(lambda match: _ENTITIES[match[0]], text)


def quote_diagnostic(value: str) -> str:
    """`value` in quotes as error messages show it: cut after 200 characters, nothing that could rearrange a terminal."""
    if len(value) > 200:
        value = value[:200] + "…"
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for character, short in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\b", "\\b"), ("\f", "\\f")):
        quoted = quoted.replace(character, short)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
