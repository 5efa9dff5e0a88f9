"""JSON value -> YAML text, laid out as npm's `yaml` lays it out by default: what upstream serves and writes.

Two spaces a level, lines folded at 80 columns, strings plain where they can be, block scalars for what has lines. Lengths are
counted in UTF-16 units, as JavaScript does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from greenroom.javascript.numbers import as_double, number_text
from greenroom.javascript.objects import keys
from greenroom.javascript.texts import quoted, units, well_formed

LONGEST_KEY = 1024

Quoting = Literal["PLAIN", "QUOTE_DOUBLE", "QUOTE_SINGLE", "BLOCK_LITERAL", "BLOCK_FOLDED"]


class Style(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How a document is laid out: options of npm's `yaml`, by its names."""

    indent: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    indent_seq: bool = True
    line_width: int = 80
    """0: lines are not folded."""
    min_content_width: int = 20
    null_str: str = "null"
    true_str: str = "true"
    false_str: str = "false"
    single_quote: bool | None = None
    """Whether what needs quotes gets single ones, where either would do; False: never."""
    block_quote: bool | Literal["literal", "folded"] = True
    default_string_type: Quoting = "PLAIN"
    default_key_type: Quoting | None = None
    double_quoted_as_json: bool = msgspec.field(default=False, name="doubleQuotedAsJSON")
    double_quoted_min_multi_line_length: int = 40
    """Characters from which on a double-quoted string is written on several lines."""
    directives: bool | None = None
    """Whether the document begins with `---`."""

    @property
    def last_start(self) -> int:
        """A scalar that would begin behind this column begins on a line of its own."""
        return self.line_width - max(2, self.least_content)

    @property
    def least_content(self) -> int:
        return 0 if self.line_width < self.min_content_width else self.min_content_width


PLAIN = Style()

_NO_PLAIN = re.compile(r"""^[\n\t ,\[\]{}#&*!|>'"%@`]|^[?-]\Z|^[?-][ \t]|[\n:][ \t]|[ \t]\n|[\n\t ]#|[\n\t :]\Z""")
_ONLY_ESCAPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]"
)
_NO_STRING = re.compile(
    r"(?:~|[Nn]ull|NULL)?|[Tt]rue|TRUE|[Ff]alse|FALSE|0o[0-7]+|[-+]?[0-9]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)"
)
_DOCUMENT_MARK = re.compile(r"^(?:%|---|\.\.\.)", re.MULTILINE)
_NEWLINES = re.compile(r"\n+")
_MORE_INDENTED = re.compile(r"(?:^|\n)([\t ][^\n\r\u2028\u2029]*)(?:([\n\t ]*)\n(?![\n\t ]))?")
_ESCAPES = {"0000": "\\0", "0007": "\\a", "000b": "\\v", "001b": "\\e"}


def dump(value: Any, style: Style = PLAIN) -> str:
    """The text of a document. Values that are the same object are written once, and referred to. Raises RecursionError."""
    text = well_formed(_Writer(value, style).node(value, "", 0) + "\n")
    if not style.directives:
        return text
    return f"--- {text}" if text.startswith(("|", ">")) else f"---\n{text}"


class _Writer:
    """Writes one document; knows which of its parts come more than once."""

    def __init__(self, root: Any, style: Style) -> None:
        self._style = style
        self._step = " " * style.indent
        self._names: dict[int, str] = {}
        self._written: set[int] = set()
        self._find_twins(root, set())

    def _find_twins(self, value: Any, seen: set[int]) -> None:
        if not isinstance(value, dict | list):
            return
        if id(value) in seen:
            self._names.setdefault(id(value), f"a{len(self._names) + 1}")
            return
        seen.add(id(value))
        for item in [value[key] for key in keys(value)] if isinstance(value, dict) else value:
            self._find_twins(item, seen)

    def node(self, value: Any, indent: str, at: int | None) -> str:
        """Text of a value whose lines, but the first, begin with `indent`. `at` is the column of a scalar's first character."""
        if isinstance(value, str):
            return _string(self._style, units(value), indent, at)
        if not isinstance(value, dict | list):
            return _scalar(self._style, value)
        name = self._names.get(id(value))
        if name is None:
            return self._collection(value, indent)
        if id(value) in self._written:
            return f"*{name}"
        self._written.add(id(value))
        written = self._collection(value, indent)
        return f"&{name} {written}" if not value else f"&{name}\n{indent}{written}"

    def _collection(self, value: dict[str, Any] | list[Any], indent: str) -> str:
        if not value:
            return "{}" if isinstance(value, dict) else "[]"
        if isinstance(value, dict):
            lines = [self._pair(key, value[key], indent) for key in keys(value)]
        else:
            lines = ["- " + self.node(item, indent + "  ", None) for item in value]
        return f"\n{indent}".join(lines)

    def _pair(self, key: str, value: Any, indent: str) -> str:
        inner = indent + self._step
        if isinstance(value, list) and not self._style.indent_seq and len(self._step) >= 2:
            inner = inner[2:]
        written = _key(self._style, units(key), indent)
        if len(written) > LONGEST_KEY:
            return f"? {written}\n{indent}: {self.node(value, inner, None)}"
        if isinstance(value, dict | list):
            text = self.node(value, inner, None)
            apart = value and not text.startswith(("&", "*"))
            return f"{written}:\n{inner}{text}" if apart else f"{written}: {text}"
        text = self.node(value, inner, len(written) + 2)
        return f"{written}:{text}" if not text or text.startswith("\n") else f"{written}: {text}"


def _scalar(style: Style, value: Any) -> str:
    if value is None:
        return style.null_str
    if isinstance(value, bool):
        return style.true_str if value else style.false_str
    number = as_double(value)
    if math.isfinite(number):
        return number_text(value)
    return ".nan" if number != number else ".inf" if number > 0 else "-.inf"


# --- strings ---------------------------------------------------------------------------------------------------------


def _key(style: Style, text: str, indent: str) -> str:
    """`indent` is that of the line which the key begins."""
    kind = style.default_key_type or style.default_string_type
    if _ONLY_ESCAPED.search(text) or kind == "QUOTE_DOUBLE":
        return _escaped(style, text, None)
    if kind == "QUOTE_SINGLE":
        return _single_quoted_key(style, text)
    if kind != "PLAIN" or "\n" in text or _NO_PLAIN.search(text) or _NO_STRING.fullmatch(text):
        return _quoted_key(style, text)
    return _quoted_key(style, text) if _DOCUMENT_MARK.search(text) and not indent else text


def _quoted_key(style: Style, text: str) -> str:
    return _single_quoted_key(style, text) if _prefers_single(style, text) else _escaped(style, text, None)


def _single_quoted_key(style: Style, text: str) -> str:
    if style.single_quote is False or "\n" in text:
        return _escaped(style, text, None)
    return "'" + text.replace("'", "''") + "'"


def _prefers_single(style: Style, text: str) -> bool:
    double, single = '"' in text, "'" in text
    return style.single_quote is not False and (double if double is not single else bool(style.single_quote))


def _string(style: Style, text: str, indent: str, at: int | None) -> str:
    kind = style.default_string_type
    if _ONLY_ESCAPED.search(text) or kind == "QUOTE_DOUBLE":
        return _double_quoted(style, text, indent, at)
    if kind == "QUOTE_SINGLE":
        return _single_quoted(style, text, indent, at)
    if kind != "PLAIN":
        return _block(style, text, indent, at)
    if _NO_PLAIN.search(text):
        return _block(style, text, indent, at) if "\n" in text else _quoted(style, text, indent, at)
    if "\n" in text:
        return _block(style, text, indent, at)
    if _DOCUMENT_MARK.search(text) and not indent:
        return _block(style, text, "  ", at)
    if _NO_STRING.fullmatch(text):
        return _quoted(style, text, indent, at)
    return _folded(style, text, indent, at)


def _quoted(style: Style, text: str, indent: str, at: int | None) -> str:
    single = _prefers_single(style, text)
    return _single_quoted(style, text, indent, at) if single else _double_quoted(style, text, indent, at)


def _single_quoted(style: Style, text: str, indent: str, at: int | None) -> str:
    if style.single_quote is False or re.search(r"[ \t]\n|\n[ \t]", text):
        return _double_quoted(style, text, indent, at)
    inner = indent or ("  " if _DOCUMENT_MARK.search(text) else "")
    raw = "'" + _spread(text.replace("'", "''"), f"\n{inner}") + "'"
    return _folded(style, raw, inner, at)


def _double_quoted(style: Style, text: str, indent: str, at: int | None) -> str:
    if style.double_quoted_as_json:
        return _escaped(style, text, None)
    inner = indent or ("  " if _DOCUMENT_MARK.search(text) else "")
    return _folded_quoted(style, _escaped(style, text, inner), inner, at)


def _spread(text: str, after: str) -> str:
    """The text with something after each run of newlines."""
    return _NEWLINES.sub(lambda run: run[0] + after, text)


def _escaped(style: Style, text: str, indent: str | None) -> str:
    """In double quotes; on several lines if it has some, is not short, and `indent` is given."""
    raw = units(quoted(text))
    if style.double_quoted_as_json:
        return raw
    many = indent is not None and len(raw) >= style.double_quoted_min_multi_line_length
    found = re.compile(r" (?=\\n)|\\u([0-9a-f]{4})|(?:\\n)+|\\.")

    def write(one: re.Match[str]) -> str:
        escape = one[0]
        if escape == " ":
            return "\\ "
        if one[1] is not None:
            return _ESCAPES.get(one[1]) or (f"\\x{one[1][2:]}" if one[1].startswith("00") else escape)
        if not escape.startswith("\\n") or not many:
            return escape
        return _lines(escape.count("\\n"), raw[one.end() :], indent or "")

    return found.sub(write, raw)


def _lines(count: int, rest: str, indent: str) -> str:
    """A run of newlines in a double-quoted string; the last is written as an escape if the string ends there."""
    if rest == '"':
        return "\\n" if count == 1 else "\n\n" + "\n" * (count - 2) + indent + "\\n"
    return "\n\n" + "\n" * (count - 1) + indent + ("\\" if rest.startswith(" ") else "")


def _block(style: Style, text: str, indent: str, at: int | None) -> str:
    if not style.block_quote or re.search(r"\n[\t ]+\Z", text):
        return _quoted(style, text, indent, at)
    inner = indent or ("  " if _DOCUMENT_MARK.search(text) else "")
    literal = _is_literal(style, text, inner)
    body = text.rstrip("\n\t ")
    end = text[len(body) :]
    chomp = "-" if "\n" not in end else "" if end.index("\n") == len(end) - 1 and body else "+"
    end = re.sub(r"(?:^|(?<!\n))\n+(?!\n|\Z)", lambda run: run[0] + inner, end.removesuffix("\n"))
    lead = body[: len(body) - len(body.lstrip(" \n"))]
    start = lead[: lead.rfind("\n") + 1]
    head = (("2" if inner else "1") if " " in lead else "") + chomp
    body, start = body[len(start) :], _spread(start, inner)
    if not literal:
        flowing = _MORE_INDENTED.sub(lambda m: m[1] + (m[2] or ""), _NEWLINES.sub(lambda run: "\n" + run[0], body))
        written = _folded_block(style, f"{start}{_spread(flowing, inner)}{end}", inner, len(indent))
        if written is not None:
            return f">{head}\n{inner}{written}"
    return f"|{head}\n{inner}{start}{_spread(body, inner)}{end}"


def _is_literal(style: Style, text: str, indent: str) -> bool:
    if isinstance(style.block_quote, str):
        return style.block_quote == "literal"
    return not _is_wide(style, text, indent)


def _is_wide(style: Style, text: str, indent: str) -> bool:
    limit = style.line_width - len(indent)
    return style.line_width > 0 and len(text) > limit and any(len(line) > limit for line in text.split("\n"))


# --- folding ---------------------------------------------------------------------------------------------------------

_SINGLE_SPACE = re.compile(r"(?<=[^ \t\n]) (?=[^ \t\n])")
_BLANK = ("", " ", "\t", "\n")
_ESCAPED = {"x": 3, "u": 5}


def _step(style: Style, indent: str) -> int:
    """From one break to the next, at most; even deep inside, a line has some content."""
    return 1 + max(style.least_content, style.line_width - len(indent))


def _room(style: Style, indent: str, at: int | None) -> int:
    """Where the first line has to end if it begins in column `at`."""
    return style.line_width - (len(indent) if at is None or at > style.last_start else at)


def _folded(style: Style, text: str, indent: str, at: int | None) -> str:
    """A plain or single-quoted string, in lines."""
    if style.line_width <= 0 or len(text) <= _step(style, indent):
        return text
    room, step, written = _room(style, indent, at), _step(style, indent), list[str]()
    for line in text.split("\n"):
        written.append(f"\n{indent}".join(_lines_of(line, room, step)[0]))
        room = len(indent) + step - 1
    begin = f"\n{indent}" if at is not None and at > style.last_start else ""
    return begin + "\n".join(written)


def _lines_of(text: str, room: int, step: int) -> tuple[list[str], bool]:
    """A line in lines that fit, broken at single spaces as late as possible; and whether one is too long all the same."""
    breaks, waiting, too_long = [-1], 0, False
    for space in (*(found.start() for found in _SINGLE_SPACE.finditer(text)), len(text)):
        if space > room and waiting:
            breaks.append(waiting)
            room, waiting = max(waiting + step, room + 1), 0
        too_long |= space > room
        if space < room:
            waiting = space
        elif space < len(text):
            breaks.append(space)
            room, waiting = space + step, 0
    return [text[begin + 1 : end] for begin, end in pairwise([*breaks, len(text)])], too_long


def _folded_block(style: Style, text: str, indent: str, at: int) -> str | None:
    """The lines of a folded block; those with more indent are left as they are. None if one would be too long."""
    step = _step(style, indent)
    if style.line_width <= 0 or len(text) <= step:
        return text
    deeper = re.compile(f"[ \t]{{{len(indent) + 1}}}")
    room, lines = _room(style, indent, at), list[str]()
    for number, line in enumerate(text.split("\n")):
        if deeper.match(line):
            room = step - 1 if number == len(lines) == 0 else room
            lines.append(line)
            continue
        broken, too_long = _lines_of(line, room, step)
        if too_long:
            return None
        lines.append(f"\n{indent}".join(broken))
        room = len(indent) + step - 1
    return "\n".join(lines)


def _folded_quoted(style: Style, text: str, indent: str, at: int | None) -> str:
    """A double-quoted string, in lines: broken at single spaces, and where there are none at any place but in an escape."""
    if style.line_width <= 0 or len(text) <= _step(style, indent):
        return text
    written, begin = f"\n{indent}" if at is not None and at > style.last_start else "", 0
    for place, in_word in _quoted_breaks(text, len(indent), _room(style, indent, at), _step(style, indent)):
        written += text[begin:place] + (f"{text[place]}\\" if in_word else "") + f"\n{indent}"
        begin = place + 1
    return written + text[begin:]


def _quoted_breaks(text: str, indent: int, room: int, step: int) -> Iterator[tuple[int, bool]]:
    """Which characters are last in their lines; and whether that one has to stay, with a backslash behind."""
    here, space, escape, before = 0, 0, (-1, -1), ""
    while here < len(text):
        first = char = text[here]
        if char == "\\":
            escape = (here, here + _ESCAPED.get(text[here + 1], 1))
            here = escape[1]
        if char == "\n":
            room, space = here + indent + step, 0
        elif char == " " and before not in _BLANK and text[here + 1] not in _BLANK:
            space = here
        if char != "\n" and here >= room:
            while not space and before in (" ", "\t"):
                here, before, first = here + 1, first, text[here + 1 : here + 2]
            apart = here - 2 if here > escape[1] + 1 else escape[0] - 1
            yield (space, False) if space else (apart, True)
            room, space = (space or apart) + step, 0
        before = first
        here += 1
