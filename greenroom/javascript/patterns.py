"""A JavaScript regular expression -> the same one for the `regex` package, which (unlike `re`) can be told when to give up.

The expression is read by a parser of its own and written anew, every character escaped: what looks the same in both languages
often is not (`$`, `\\d`, `\\s`, `\\b`, `.`, `[^]`, references to groups that took no part), and nothing of Python's dialect
(possessive quantifiers, inline flags, sets within sets, named lists) is to be within reach of whoever writes a pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import regex

from greenroom.javascript.texts import units

__all__ = ["Expression", "PatternError", "PatternTooLargeError", "compiled", "translated"]

LONGEST = 16_384
"""Characters, as nunjitsu has it."""
LARGEST = 20_000
"""Characters, once what is repeated a number of times is written out, as `regex` does."""
DEEPEST_REPEATS = 10
_DEEPEST = 100
_LAST = 0x10FFFF
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_DIGITS = ((0x30, 0x39),)
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_LINE_ENDS = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_LINE_END = r"[\n\r\u2028\u2029]"
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_AT_EDGE = r"(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))"
_NOT_AT_EDGE = r"(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))"
_NOTHING = "(?:)"
"""What a reference matches within the group that it refers to, and to a group that takes no part."""
_COUNTED = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_NAME = re.compile(r"[^\W\d][\w\u200c\u200d$]*|\$[\w\u200c\u200d$]*")
_PROPERTY = re.compile(r"\{(\w+(?:=\w+)?)\}")
_MOST_REPEATS = 2**31 - 1

Ranges: TypeAlias = tuple[tuple[int, int], ...]


class PatternError(Exception):
    """The expression breaks a rule; the text is V8's."""


class PatternTooLargeError(Exception):
    """The expression would take `regex` very much memory, or long to compile."""


class Expression(NamedTuple):
    """A regular expression as `regex` writes it: its groups are numbered, and those that have names are in `names`."""

    written: str
    names: dict[str, int]


@lru_cache(maxsize=256)
def translated(source: str, flags: str = "", *, strict: bool = False) -> Expression:
    """`new RegExp(source, flags)`, with the flags `i` and `m` (others concern the caller).

    `strict` is the flag `u`; without it, by the forgiving rules, texts must be given in `units`. Raises PatternError,
    PatternTooLargeError."""
    if len(source) > LONGEST:
        raise PatternTooLargeError(f"The pattern is longer than {LONGEST} characters")
    reader = _Reader(source if strict else units(source), strict=strict, multiline="m" in flags)
    return Expression(reader.read(), reader.names)


@lru_cache(maxsize=256)  # the largest take half a megabyte
def compiled(source: str, flags: str = "", *, strict: bool = False) -> regex.Pattern[str]:
    """The same, ready to be searched for; raises the same."""
    written = translated(source, flags, strict=strict).written
    try:
        return regex.compile(written, regex.VERSION0 | (regex.IGNORECASE if "i" in flags else 0), cache_pattern=False)
    except regex.error as error:  # a Unicode property that only one of the two languages knows
        raise PatternError("Invalid property name") from error


class _Reader:
    """Reads one expression from left to right, and gives the same one in the other language."""

    def __init__(self, source: str, *, strict: bool, multiline: bool) -> None:
        self.source, self.strict, self.multiline = source, strict, multiline
        self.at = self.depth = self.opened = self.size = self.repeats = 0
        self.open: set[int] = set()
        self.names: dict[str, int] = {}
        self.named: list[str] = []
        self.groups, self.has_names = _count_groups(source)

    def read(self) -> str:
        written = self.alternatives()
        if self.at < len(self.source):
            raise PatternError("Unmatched ')'")
        for name in self.named:
            if name not in self.names:
                raise PatternError("Invalid named capture referenced")
        return re.sub(r"\x00<(.+?)\x00>", lambda found: _reference(self.names[found[1]]), written)

    def peek(self, text: str) -> bool:
        return self.source.startswith(text, self.at)

    def take(self, text: str) -> bool:
        found = self.source.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def alternatives(self) -> str:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise PatternError("Regular expression too large")
        written: list[str] = []
        while self.at < len(self.source) and not self.peek(")"):
            written.append("|" if self.take("|") else self.term())
        self.depth -= 1
        return "".join(written)

    def term(self) -> str:
        before = self.size
        self.size += 1
        char = self.source[self.at]
        if char in "*+?" or (char == "{" and _COUNTED.match(self.source, self.at)):
            raise PatternError("Nothing to repeat")
        if self.strict and char in "{}]":
            raise PatternError("Lone quantifier brackets")
        if char in "^$" or self.peek("\\b") or self.peek("\\B"):
            return self.edge()
        if char == "(":
            return self.quantified_group(before)
        self.at += 1
        if char == "\\":
            return self.quantified(self.escape(), before)
        if char == "[":
            return self.quantified(self.character_class(), before)
        return self.quantified(_negated(_LINE_ENDS) if char == "." else _literal(ord(char)), before)

    def edge(self) -> str:
        if self.take("^"):
            return f"(?:\\A|(?<={_LINE_END}))" if self.multiline else r"\A"
        if self.take("$"):
            return f"(?:\\Z|(?={_LINE_END}))" if self.multiline else r"\Z"
        self.at += 2
        return _AT_EDGE if self.source[self.at - 1] == "b" else _NOT_AT_EDGE

    def quantified(self, atom: str, before: int) -> str:
        """The atom with its quantifier; `before` is the size of all before it. Raises PatternTooLargeError."""
        counted = _COUNTED.match(self.source, self.at)
        if counted:
            self.at = counted.end()
            least, times = _counted(counted)
            self.size += (self.size - before) * max(least - 1, 0)
        elif self.source[self.at : self.at + 1] in ("*", "+", "?"):
            times = self.source[self.at]
            self.at += 1
        elif self.strict and self.peek("{"):
            raise PatternError("Incomplete quantifier")
        else:
            return atom
        if self.size > LARGEST:
            raise PatternTooLargeError("The pattern repeats too much too often")
        return atom + times + ("?" if self.take("?") else "")

    def quantified_group(self, before: int) -> str:
        repeats, self.repeats = self.repeats, 0
        written, repeatable = self.group()
        quantified = self.quantified(written, before) if repeatable else written
        self.repeats = max(repeats, self.repeats + (quantified != written))
        if self.repeats > DEEPEST_REPEATS:
            raise PatternTooLargeError("The pattern repeats groups inside of groups too often")
        return quantified

    def group(self) -> tuple[str, bool]:
        """The group, and whether it may be repeated: looking ahead may, by the forgiving rules."""
        self.at += 1
        for opening in ("?:", "?=", "?!", "?<=", "?<!"):
            if self.take(opening):
                looks = opening != "?:"
                body = f"({opening}{self.body()})"
                return (f"(?:{body})" if looks else body), not looks or ("<" not in opening and not self.strict)
        self.opened += 1
        number = self.opened
        if self.take("?"):
            self.name(number)
        self.open.add(number)
        body = self.body()
        self.open.remove(number)
        return f"({body})", True

    def body(self) -> str:
        written = self.alternatives()
        if not self.take(")"):
            raise PatternError("Unterminated group")
        return written

    def name(self, number: int) -> None:
        if not self.take("<"):
            raise PatternError("Invalid group")
        name = self.group_name()
        if name is None:
            raise PatternError("Invalid capture group name")
        if name in self.names:
            raise PatternError("Duplicate capture group name")
        self.names[name] = number

    def group_name(self) -> str | None:
        found = _NAME.match(self.source, self.at)
        if not found or not self.source.startswith(">", found.end()):
            return None
        self.at = found.end() + 1
        return found[0]

    def escape(self) -> str:
        """What follows a backslash outside of a class."""
        if self.at >= len(self.source):
            raise PatternError("\\ at end of pattern")
        char = self.source[self.at]
        if char.lower() in _CLASSES and char.isascii():
            self.at += 1
            ranges = _CLASSES[char.lower()]
            return _negated(ranges) if char.isupper() else _class(ranges)
        if char in "pP" and self.strict:
            return self.unicode_property()
        if char in "123456789":
            return self.decimal()
        if char == "k" and (self.strict or self.has_names):
            return self.named_reference()
        return _literal(self.character())

    def unicode_property(self) -> str:
        found = _PROPERTY.match(self.source, self.at + 1)
        if not found:
            raise PatternError("Invalid property name")
        sign = self.source[self.at]
        self.at = found.end()
        return f"\\{sign}{{{found[1]}}}"

    def decimal(self) -> str:
        digits = re.compile("[0-9]+").match(self.source, self.at)
        number = int(digits[0][:6]) if digits else 0
        if digits and number <= self.groups:
            self.at = digits.end()
            return _NOTHING if number in self.open else _reference(number)
        if self.strict:
            raise PatternError("Invalid escape")
        return _literal(self.octal() if self.source[self.at] < "8" else self.itself())

    def named_reference(self) -> str:
        self.at += 1
        name = self.group_name() if self.take("<") else None
        if name is None:
            raise PatternError("Invalid named reference")
        if self.names.get(name) in self.open:
            return _NOTHING
        self.named.append(name)
        return f"\x00<{name}\x00>"

    def character(self, *, inside: bool = False) -> int:
        """The code of the character that an escape stands for."""
        char = self.source[self.at]
        if char in _CONTROLS:
            self.at += 1
            return _CONTROLS[char]
        if char == "c":
            return self.control(inside=inside)
        if char == "x":
            return self.hexadecimal(2)
        if char == "u":
            return self.unicode()
        if char == "0" and not self.source[self.at + 1 : self.at + 2].isdecimal():
            self.at += 1
            return 0
        if char in "01234567" and not self.strict:
            return self.octal()
        if self.strict and char not in _SYNTAX and not (inside and char == "-"):
            raise PatternError("Invalid escape")
        return self.itself()

    def itself(self) -> int:
        self.at += 1
        return ord(self.source[self.at - 1])

    def octal(self) -> int:
        found = re.compile("[0-3][0-7]{0,2}|[4-7][0-7]?").match(self.source, self.at)
        assert found is not None  # noqa: S101
        self.at = found.end()
        return int(found[0], 8)

    def control(self, *, inside: bool) -> int:
        letter = self.source[self.at + 1 : self.at + 2]
        known = letter.isascii() and (
            letter.isalpha() or (inside and not self.strict and (letter.isdigit() or letter == "_"))
        )
        if letter and known:
            self.at += 2
            return ord(letter) % 32
        if self.strict:
            raise PatternError("Invalid unicode escape")
        return ord("\\")  # the backslash stands for itself, and `c` comes next

    def hexadecimal(self, count: int) -> int:
        found = re.compile(f"[0-9a-fA-F]{{{count}}}").match(self.source, self.at + 1)
        if found:
            self.at = found.end()
            return int(found[0], 16)
        if self.strict:
            raise PatternError("Invalid Unicode escape" if count == 4 else "Invalid escape")
        return self.itself()

    def unicode(self) -> int:
        if self.strict and self.source.startswith("u{", self.at):
            found = re.compile(r"u\{([0-9a-fA-F]+)\}").match(self.source, self.at)
            if not found or int(found[1], 16) > _LAST:
                raise PatternError("Invalid Unicode escape")
            self.at = found.end()
            return int(found[1], 16)
        unit = self.hexadecimal(4)
        if self.strict and 0xD800 <= unit < 0xDC00 and self.peek("\\u"):
            return self.pair(unit)
        return unit

    def pair(self, high: int) -> int:
        found = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self.source, self.at)
        if not found:
            return high
        self.at = found.end()
        return 0x10000 + ((high - 0xD800) << 10) + int(found[1], 16) - 0xDC00

    def character_class(self) -> str:
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        properties: list[str] = []
        while not self.take("]"):
            if self.at >= len(self.source):
                raise PatternError("Unterminated character class")
            self.member(ranges, properties)
        written = "".join(properties)
        if not written:
            return (_negated if negated else _class)(tuple(ranges))
        return f"[{'^' if negated else ''}{written}{_inside(tuple(ranges))}]"

    def member(self, ranges: list[tuple[int, int]], properties: list[str]) -> None:
        """One character, one range or one escape of a class, added to what the class has."""
        first = self.class_atom(properties)
        if not (self.peek("-") and not self.peek("-]") and self.at + 1 < len(self.source)):
            ranges.extend(_single(first))
            return
        self.at += 1
        last = self.class_atom(properties)
        if isinstance(first, int) and isinstance(last, int):
            if first > last:
                raise PatternError("Range out of order in character class")
            ranges.append((first, last))
        elif self.strict:
            raise PatternError("Invalid character class")
        else:
            ranges.extend((*_single(first), (0x2D, 0x2D), *_single(last)))

    def class_atom(self, properties: list[str]) -> int | Ranges:
        """A character's code, or the ranges of an escape such as `\\d`."""
        if self.at >= len(self.source):
            raise PatternError("Unterminated character class")
        if not self.take("\\"):
            return self.itself()
        if self.at >= len(self.source):
            raise PatternError("\\ at end of pattern")
        char = self.source[self.at]
        if char.isascii() and char.lower() in _CLASSES:
            self.at += 1
            ranges = _CLASSES[char.lower()]
            return _complement(ranges) if char.isupper() else ranges
        if char == "b":
            self.at += 1
            return 0x08
        if char in "pP" and self.strict:
            properties.append(self.unicode_property())
            return ()
        if self.strict and char in "123456789":
            raise PatternError("Invalid class escape")
        return self.character(inside=True)


def _single(atom: int | Ranges) -> Ranges:
    return ((atom, atom),) if isinstance(atom, int) else atom


def _counted(found: re.Match[str]) -> tuple[int, str]:
    """The least number of times, and the quantifier."""
    least, most = _times(found[1]), _times(found[3]) if found[3] else None
    if most is not None and most < least:
        raise PatternError("numbers out of order in {} quantifier")
    if not found[2]:
        return least, f"{{{least}}}"
    return least, f"{{{least},{'' if most is None else most}}}"


def _times(digits: str) -> int:
    """Python reads no more than some thousands of digits."""
    return min(int(digits.lstrip("0")[:12] or "0"), _MOST_REPEATS)


def _reference(number: int) -> str:
    """A reference to a group that took no part matches nothing at all, which is fine."""
    return f"(?({number})\\{number}|)" if number < 10 else f"(?({number})\\g<{number}>|)"


def _count_groups(source: str) -> tuple[int, bool]:
    """How many groups capture, and whether any has a name; escapes and classes are passed over."""
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]?", ".", source, flags=re.DOTALL)
    named = len(re.findall(r"\(\?<(?![=!])", bare))
    return named + len(re.findall(r"\((?!\?)", bare)), named > 0


def _literal(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\U{code:08x}"


def _inside(ranges: Ranges) -> str:
    return "".join(_literal(low) if low == high else f"{_literal(low)}-{_literal(high)}" for low, high in ranges)


def _class(ranges: Ranges) -> str:
    return f"[{_inside(ranges)}]" if ranges else "(?!)"


def _negated(ranges: Ranges) -> str:
    return f"[^{_inside(ranges)}]" if ranges else r"[\U00000000-\U0010ffff]"


def _complement(ranges: Ranges) -> Ranges:
    gaps, start = [], 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, _LAST))
