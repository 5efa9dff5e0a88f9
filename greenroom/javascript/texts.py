"""Text as JavaScript counts it: in UTF-16 code units, so that an emoji has a length of two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from json.encoder import encode_basestring

__all__ = [
    "WHITESPACE",
    "from_units",
    "length",
    "quoted",
    "sorted_texts",
    "split_units",
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
"""What `trim()`, `Number()` and `\\s` take for white space; also fit for the inside of a character class."""

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def units(text: str) -> str:
    """The same text, one character for each code unit: astral characters become pairs of surrogates."""
    if text.isascii() or not _ASTRAL.search(text):
        return text
    raw = text.encode("utf-16-le", "surrogatepass")
    return "".join(map(chr, memoryview(raw).cast("H")))


def from_units(code_units: str) -> str:
    """The opposite of `units`; halves of a pair that stand alone stay as they are."""
    if code_units.isascii() or not _SURROGATE.search(code_units):
        return code_units
    return code_units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def length(text: str) -> int:
    """`text.length`."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def sorted_texts(texts: Iterable[str]) -> list[str]:
    """As `sort()` puts them: by code units, where an emoji comes before U+FFFD."""
    found = list(texts)
    return sorted(found) if all(map(str.isascii, found)) else sorted(found, key=units)


def well_formed(text: str) -> str:
    """Without halves of pairs, which no UTF-8 can hold: U+FFFD in their place, as when Node writes a file."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def split_units(text: str) -> list[str]:
    """`text.split("")`."""
    return list(units(text))


def trim(text: str) -> str:
    return text.strip(WHITESPACE)


def trim_start(text: str) -> str:
    return text.lstrip(WHITESPACE)


def trim_end(text: str) -> str:
    return text.rstrip(WHITESPACE)


def quoted(text: str) -> str:
    """`JSON.stringify(text)`: halves of pairs that stand alone are escaped."""
    written: str = encode_basestring(text)
    if written.isascii():
        return written
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", from_units(written))
