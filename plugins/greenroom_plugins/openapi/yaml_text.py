"""JSON value -> YAML text, laid out as npm's `yaml` lays it out by default: what upstream serves as a definition.

Two spaces a level, lines folded at 80 columns, strings plain where they can be, block scalars for what has lines. Lengths are
counted in UTF-16 units, as JavaScript does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

WIDTH = 80
LEAST_CONTENT = 20
LONGEST_KEY = 1024
SHORTEST_MANY_LINES = 40
"""Characters from which on a double-quoted string is written on several lines."""

_NO_PLAIN = re.compile(r"""^[\n\t ,\[\]{}#&*!|>'"%@`]|^[?-]\Z|^[?-][ \t]|[\n:][ \t]|[ \t]\n|[\n\t ]#|[\n\t :]\Z""")
_NO_STRING = re.compile(
    r"(?:~|[Nn]ull|NULL)?|[Tt]rue|TRUE|[Ff]alse|FALSE|0o[0-7]+|[-+]?[0-9]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)"
)
_DOCUMENT_MARK = re.compile(r"^(?:%|---|\.\.\.)", re.MULTILINE)
_NEWLINES = re.compile(r"\n+")
_MORE_INDENTED = re.compile(r"(?:^|\n)([\t ][^\n\r\u2028\u2029]*)(?:([\n\t ]*)\n(?![\n\t ]))?")
_ESCAPES = {"0000": "\\0", "0007": "\\a", "000b": "\\v", "001b": "\\e"}


def dump(value: Any) -> str:
    """The text of a document. Values that are the same object are written once, and referred to. Raises RecursionError."""
    return _as_text(_Writer(value).node(value, "", 0) + "\n")


def _as_units(text: str) -> str:
    """Each character beyond the BMP as its two surrogates, so that it counts as two."""
    if text.isascii() or max(text) < "\U00010000":
        return text
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2])) for at in range(0, len(units), 2))


def _as_text(units: str) -> str:
    return units if units.isascii() else units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _Writer:
    """Writes one document; knows which of its parts come more than once."""

    def __init__(self, root: Any) -> None:
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
        for item in value.values() if isinstance(value, dict) else value:
            self._find_twins(item, seen)

    def node(self, value: Any, indent: str, at: int | None) -> str:
        """Text of a value whose lines, but the first, begin with `indent`. `at` is the column of a scalar's first character."""
        if isinstance(value, str):
            return _string(_as_units(value), indent, at)
        if not isinstance(value, dict | list):
            return _scalar(value)
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
            lines = [self._pair(key, item, indent) for key, item in value.items()]
        else:
            lines = ["- " + self.node(item, indent + "  ", None) for item in value]
        return f"\n{indent}".join(lines)

    def _pair(self, key: str, value: Any, indent: str) -> str:
        inner = indent + "  "
        written = _key(_as_units(key), inner)
        if len(written) > LONGEST_KEY:
            return f"? {written}\n{indent}: {self.node(value, inner, None)}"
        if isinstance(value, dict | list):
            text = self.node(value, inner, None)
            apart = value and not text.startswith(("&", "*"))
            return f"{written}:\n{inner}{text}" if apart else f"{written}: {text}"
        text = self.node(value, inner, len(written) + 2)
        return f"{written}:{text}" if text.startswith("\n") else f"{written}: {text}"


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value) if isinstance(value, int) else _number(value)


def _number(value: float) -> str:
    """As JavaScript prints it."""
    text = re.sub(r"e([+-])0+", r"e\1", repr(value)).removesuffix(".0")
    return f"{Decimal(text):f}" if 1e-6 <= abs(value) < 1e-4 else text


# --- strings ---------------------------------------------------------------------------------------------------------


def _key(text: str, indent: str) -> str:
    if "\n" in text or _NO_PLAIN.search(text) or _NO_STRING.fullmatch(text):
        return _quoted_key(text)
    return _quoted_key(text) if _DOCUMENT_MARK.search(text) and indent == "  " else text


def _quoted_key(text: str) -> str:
    if '"' in text and "'" not in text and "\n" not in text:
        return f"'{text}'"
    return _escaped(text, None)


def _string(text: str, indent: str, at: int | None) -> str:
    if _NO_PLAIN.search(text):
        return _block(text, indent, at) if "\n" in text else _quoted(text, indent, at)
    if "\n" in text:
        return _block(text, indent, at)
    if _DOCUMENT_MARK.search(text) and not indent:
        return _block(text, "  ", at)
    if _NO_STRING.fullmatch(text):
        return _quoted(text, indent, at)
    return _folded(text, indent, at)


def _quoted(text: str, indent: str, at: int | None) -> str:
    if '"' in text and "'" not in text and not re.search(r"[ \t]\n|\n[ \t]", text):
        return _folded("'" + _spread(text, f"\n{indent}") + "'", indent, at)
    inner = indent or ("  " if _DOCUMENT_MARK.search(text) else "")
    return _folded(_escaped(text, inner), inner, at, quoted=True)


def _spread(text: str, after: str) -> str:
    """The text with something after each run of newlines."""
    return _NEWLINES.sub(lambda run: run[0] + after, text)


def _escaped(text: str, indent: str | None) -> str:
    """In double quotes; on several lines if it has some, is not short, and `indent` is given."""
    raw = json.dumps(text, ensure_ascii=False)
    raw = re.sub("[\ud800-\udfff]+", lambda run: _lone(run[0]), raw)
    many = indent is not None and len(raw) >= SHORTEST_MANY_LINES
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


def _lone(run: str) -> str:
    """Surrogates without a partner, as JSON.stringify writes them."""
    whole = re.compile("[\ud800-\udbff][\udc00-\udfff]|.")
    return whole.sub(lambda one: one[0] if len(one[0]) == 2 else f"\\u{ord(one[0]):04x}", run)


def _block(text: str, indent: str, at: int | None) -> str:
    if re.search(r"\n[\t ]+\Z", text):
        return _quoted(text, indent, at)
    inner = indent or ("  " if _DOCUMENT_MARK.search(text) else "")
    literal = not _is_wide(text, inner)
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
        overflows: list[bool] = []
        written = fold(
            f"{start}{_spread(flowing, inner)}{end}",
            inner,
            at=len(indent),
            block=True,
            overflow=lambda: overflows.append(True),
        )
        if not overflows:
            return f">{head}\n{inner}{written}"
    return f"|{head}\n{inner}{start}{_spread(body, inner)}{end}"


def _is_wide(text: str, indent: str) -> bool:
    limit = WIDTH - len(indent)
    return len(text) > limit and any(len(line) > limit for line in text.split("\n"))


def _folded(text: str, indent: str, at: int | None, *, quoted: bool = False) -> str:
    return fold(text, indent, at=at, quoted=quoted)


# --- folding ---------------------------------------------------------------------------------------------------------


def fold(
    text: str,
    indent: str,
    *,
    at: int | None = None,
    block: bool = False,
    quoted: bool = False,
    overflow: Callable[[], None] = lambda: None,
) -> str:
    """Break lines at single spaces, so that they fit. `at`: where the first line begins. `overflow` is told of a line that
    cannot be broken; only in quotes any place will do."""
    step = max(1 + LEAST_CONTENT, 1 + WIDTH - len(indent))
    if len(text) <= step:
        return text
    breaks, too_long = _breaks(text, len(indent), step, at, block=block, quoted=quoted)
    if too_long:
        overflow()
    if breaks is None or not breaks:
        return text
    out = [text[: breaks[0][0]]]
    for number, (place, is_escaped) in enumerate(breaks):
        end = breaks[number + 1][0] if number + 1 < len(breaks) else len(text)
        if place == 0:
            out = [f"\n{indent}{text[:end]}"]
        else:
            out.append((f"{text[place]}\\" if is_escaped else "") + f"\n{indent}{text[place + 1 : end]}")
    return "".join(out)


def _breaks(
    text: str, indent: int, step: int, at: int | None, *, block: bool, quoted: bool
) -> tuple[list[tuple[int, bool]] | None, bool]:
    """Where to break, and whether there in the middle of a word; None: not at all. And whether a line is too long."""
    found: list[tuple[int, bool]] = []
    end, too_long, split, before, escape = WIDTH - indent, False, 0, "", (-1, -1)
    if at is not None:
        if at > WIDTH - max(2, LEAST_CONTENT):
            found.append((0, False))
        else:
            end = WIDTH - at
    place = -1
    if block and (place := _past_indented(text, -1, indent)) != -1:
        end = place + step
    while (place := place + 1) < len(text):
        char = text[place]
        if quoted and char == "\\":
            escape = (place, place + {"x": 3, "u": 5, "U": 9}.get(text[place + 1 : place + 2], 1))
            place = escape[1]
        if char == "\n":
            if block:
                place = _past_indented(text, place, indent)
            end, split = place + indent + step, 0
        else:
            following = text[place + 1 : place + 2]
            if char == " " and before not in ("", " ", "\n", "\t") and following not in ("", " ", "\n", "\t"):
                split = place
            if place >= end:
                if split:
                    found.append((split, False))
                    end, split = split + step, 0
                elif quoted:
                    while before in (" ", "\t") and place + 1 < len(text):
                        before, place, too_long = char, place + 1, True
                        char = text[place]
                    middle = place - 2 if place > escape[1] + 1 else escape[0] - 1
                    if (middle, True) in found:
                        return None, too_long
                    found.append((middle, True))
                    end, split = middle + step, 0
                else:
                    too_long = True
        before = char
    return found, too_long


def _past_indented(text: str, place: int, indent: int) -> int:
    """The last newline of the more indented lines that begin after `place`: those are not folded."""
    end, start = place, place + 1
    char = text[start : start + 1]
    while char and char in " \t":
        if place < start + indent:
            place += 1
            char = text[place : place + 1]
        else:
            newline = text.find("\n", place + 1)
            end = place = len(text) if newline < 0 else newline
            start = place + 1
            char = text[start : start + 1]
    return end
