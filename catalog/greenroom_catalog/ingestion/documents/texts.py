"""scalar as written -> its text: folded lines, quotes, escapes, block scalars.

`complain` is told of what is wrong, and from which offset to which; the best reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from greenroom.javascript.texts import well_formed
from greenroom_catalog.ingestion.documents.grammar import Block, Wrong

Complain: TypeAlias = Callable[[int | tuple[int, int], str], None]

COMMENT_TOUCHES = "Comments must be separated from other tokens by white space characters"

_STARTS = {
    "\t": "a tab character",
    ",": "flow indicator character ,",
    "%": "directive indicator character %",
    "|": "block scalar indicator |",
    ">": "block scalar indicator >",
    "@": "reserved character @",
    "`": "reserved character `",
}
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "\t": "\t",
}
_HEX = {"x": 2, "u": 4, "U": 8}
_QUOTED = re.compile(r"\\(?:\r?\n[ \t]*|.|\Z)|\r?\n(?:[ \t\n]|\r\n)*", re.DOTALL)


def plain(source: str, offset: int, complain: Complain) -> str:
    """An unquoted scalar."""
    wrong = _STARTS.get(source[:1])
    if wrong is not None:
        complain(offset, f"Plain value cannot start with {wrong}")
    return _fold(source) if "\n" in source else source


def single_quoted(source: str, offset: int, complain: Complain) -> str:
    if len(source) == 1 or source[-1] != "'":
        complain(offset + len(source), "Missing closing 'quote")
    inside = source[1:-1]
    return (_fold(inside) if "\n" in inside else inside).replace("''", "'")


def double_quoted(source: str, offset: int, complain: Complain) -> str:
    """Raises CodePointError."""
    text = _unescaped(source, offset, complain) if "\\" in source or "\n" in source else source[1:-1]
    if len(source) == 1 or source[-1] != '"':
        complain(offset + len(source), 'Missing closing "quote')
    return text


def _unescaped(source: str, offset: int, complain: Complain) -> str:
    parts: list[str] = []
    at, end = 1, len(source) - 1
    while (found := _QUOTED.search(source, at)) is not None and found.start() < end:
        before, text = source[at : found.start()], found[0]
        at = found.end()
        if text[0] != "\\":
            parts += [before.rstrip(" \t"), "\n" * (text.count("\n") - 1) or " "]
            continue
        parts.append(before)
        if "\n" in text:
            continue
        if (escaped := _ESCAPES.get(text[1:])) is not None:
            parts.append(escaped)
            continue
        length = _HEX.get(text[1:], 0)
        character = _character(source[at : at + length], length)
        if character is None:
            character = source[found.start() : found.start() + 2 + length]
            shown = re.sub("[\U00010000-\U0010ffff]", "\ufffd", character)  # npm yaml shows half of it
            complain(offset + found.start(), f"Invalid escape sequence {shown}")
        parts.append(character)
        at += length
    return well_formed("".join([*parts, source[at:end]]))


def _character(code: str, length: int) -> str | None:
    if not length or len(code) != length or re.fullmatch("[0-9a-fA-F]+", code) is None:
        return None
    point = int(code, 16)
    if point > 0x10FFFF:
        raise CodePointError(f"Invalid code point {point}")
    return chr(point)


def _fold(source: str) -> str:
    """Single line breaks become spaces, more become one less; white space around them goes."""
    lines = re.split(r"\r?\n", source)
    result, separator = [lines[0].rstrip(" \t")], " "
    for line in lines[1:-1]:
        bare = line.strip(" \t")
        if bare:
            result += [separator, bare]
            separator = " "
        elif separator == "\n":
            result.append("\n")
        else:
            separator = "\n"
    return "".join([*result, separator, lines[-1].lstrip(" \t")])


class CodePointError(Exception):
    """An escaped character that Unicode does not have. It ends the whole file."""


class _Header(NamedTuple):
    folded: bool
    indent: int
    chomp: str
    length: int


def block(scalar: Block, complain: Complain, *, at_root: bool) -> str:
    """A scalar after `|` or `>`."""
    header = _header(scalar, complain)
    lines = _lines(scalar.source) if scalar.source else []
    end = len(lines)
    while end > 0 and lines[end - 1][1] in ("", "\r"):
        end -= 1
    if end == 0:
        return "\n" * max(1, len(lines) - 1) if header.chomp == "+" and lines else ""
    first, trim = _measure(scalar, header, lines, complain, at_root=at_root)
    for index in range(len(lines) - 1, end - 1, -1):
        if len(lines[index][0]) > trim:
            end = index + 1
            break
    offset = scalar.offset + header.length + sum(len(indent) + len(rest) + 1 for indent, rest in lines[:first])
    content = _dedented(lines[first:end], header, trim, offset, complain)
    text = "".join(f"{indent[trim:]}\n" for indent, _ in lines[:first])
    text += _folded(content) if header.folded else "\n".join(indent + rest for indent, rest in content)
    if header.chomp == "-":
        return text
    if header.chomp == "+":
        text += "".join(f"\n{indent[trim:]}" for indent, _ in lines[end:])
        return text if text.endswith("\n") else f"{text}\n"
    return f"{text}\n"


def _lines(source: str) -> list[tuple[str, str]]:
    """Indent and rest of each line."""
    found = []
    for line in source.split("\n"):
        bare = line.lstrip(" ")
        found.append((line[: len(line) - len(bare)], bare))
    return found


def _header(scalar: Block, complain: Complain) -> _Header:
    first = scalar.props[0]
    indent, chomp, wrong = 0, "", -1
    for index, mark in enumerate(first.source[1:], 1):
        if not chomp and mark in "-+":
            chomp = mark
        elif not indent and mark in "123456789":
            indent = int(mark)
        elif wrong < 0:
            wrong = index
    if wrong >= 0:
        complain(first.offset + wrong, f"Block scalar header includes extra characters: {first.source}")
    length, has_space = len(first.source), False
    for token in scalar.props[1:]:
        length += len(token.source)
        has_space = has_space or token.kind == "space"
        if isinstance(token, Wrong):
            complain((token.offset, token.offset + len(token.source)), token.message)
        elif token.kind == "comment" and not has_space:
            complain((token.offset, token.offset + len(token.source)), COMMENT_TOUCHES)
    return _Header(first.source[0] == ">", indent, chomp, length)


def _measure(
    scalar: Block, header: _Header, lines: list[tuple[str, str]], complain: Complain, *, at_root: bool
) -> tuple[int, int]:
    """The first line that holds something, and how far all are indented."""
    trim = scalar.indent + header.indent
    offset = scalar.offset + header.length
    for index, (indent, rest) in enumerate(lines):
        if rest not in ("", "\r"):
            if len(indent) < trim:
                complain(
                    offset + len(indent),
                    "Block scalars with more-indented leading empty lines must use an explicit indentation indicator",
                )
            if header.indent == 0:
                trim = len(indent)
            if trim == 0 and not at_root:
                complain(offset, "Block scalar values in collections must be indented")
            return index, trim
        if header.indent == 0 and len(indent) > trim:
            trim = len(indent)
        offset += len(indent) + len(rest) + 1
    return 0, trim


def _dedented(
    lines: list[tuple[str, str]], header: _Header, trim: int, offset: int, complain: Complain
) -> list[tuple[str, str]]:
    """What each line is indented by beyond all of them, and its rest."""
    found = []
    for indent, rest in lines:
        offset += len(indent) + len(rest) + 1
        crlf = rest.endswith("\r")
        text = rest[:-1] if crlf else rest
        if text and len(indent) < trim:
            than = "explicit indentation indicator" if header.indent else "first line"
            complain(
                offset - len(text) - (2 if crlf else 1),
                f"Block scalar lines must not be less indented than their {than}",
            )
        found.append((indent[trim:], text))
    return found


def _folded(lines: list[tuple[str, str]]) -> str:
    text, separator, was_deeper = "", "", False
    for indent, rest in lines:
        if indent or rest[:1] == "\t":
            if separator == " ":
                separator = "\n"
            elif not was_deeper and separator == "\n":
                separator = "\n\n"
            text += separator + indent + rest
            separator, was_deeper = "\n", True
        elif rest:
            text += separator + rest
            separator, was_deeper = " ", False
        elif separator == "\n":
            text += "\n"
        else:
            separator = "\n"
    return text
