"""JavaScript regular expressions, run by the `regex` package, which (unlike `re`) can be told when to give up.

A pattern is read by JavaScript's grammar (without the flag `u`, with its leniencies for the web) and written anew with
every character escaped, so that nothing of Python's dialect (possessive quantifiers, inline flags, sets within sets,
named lists) is within a template's reach.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from greenroom_scaffolder.templating.limits import Budget, RenderError
from greenroom_scaffolder.templating.units import text_of, units
from greenroom_scaffolder.templating.values import UNDEFINED, Pattern

__all__ = ["InvalidPatternError", "check", "expand", "replace", "split", "test"]

_SPACES = "\\t\\n\\x0b\\x0c\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": _SPACES}
_INVERSE = {
    "D": "\\x00-/:-\\U0010ffff",
    "W": "\\x00-/:-@\\[-\\^`{-\\U0010ffff",
    "S": "\\x00-\\x08\\x0e-\\x1f!-\\x9f\\xa1-\\u167f\\u1681-\\u1fff\\u200b-\\u2027\\u202a-\\u202e\\u2030-\\u205e\\u2060-\\u2fff"
    "\\u3001-\\ufefe\\uff00-\\U0010ffff",
}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_WORD_START, _WORD_END = "(?<![A-Za-z0-9_])(?=[A-Za-z0-9_])", "(?<=[A-Za-z0-9_])(?![A-Za-z0-9_])"
_NOT_A_BOUNDARY = "(?:(?<=[A-Za-z0-9_])(?=[A-Za-z0-9_])|(?<![A-Za-z0-9_])(?![A-Za-z0-9_]))"
_LINE_ENDS = "\\n\\r\\u2028\\u2029"
_BRACES = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_MAXIMUM_DEPTH = 50
_MAXIMUM_REPEAT = 2**31
_MAXIMUM_WEIGHT = 20_000
"""Nodes of a pattern when `{n}` is laid out n times, as `regex` does: nested ones would fill the memory."""


class InvalidPatternError(ValueError):
    """Not a regular expression of JavaScript's."""


class _Reader:
    """One pattern -> the same for `regex`."""

    def __init__(self, source: str, flags: str) -> None:
        self.source, self.at, self.depth = source, 0, 0
        self.multiline = "m" in flags
        self.groups = _count_groups(source)
        self.names = _group_names(source)
        self.opened = 0

    def read(self) -> str:
        written, _ = self.alternatives()
        if self.at < len(self.source):
            raise InvalidPatternError("Unmatched ')'")
        return written

    def alternatives(self) -> tuple[str, int]:
        """What is written, and how many nodes it takes when its repetitions are laid out."""
        branches, weight = [], 0
        while True:
            branch, more = self.branch()
            branches.append(branch)
            weight += more
            if not self.take("|"):
                return "|".join(branches), weight

    def branch(self) -> tuple[str, int]:
        written: list[str] = []
        weight = 0
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            atom, repeatable, more = self.atom()
            low, bounds = self.quantifier()
            if bounds and not repeatable:
                raise InvalidPatternError("Nothing to repeat")
            written.append(f"(?:{atom}){bounds}{self.laziness()}" if bounds else atom)
            weight += more * max(low, 1)
            if weight > _MAXIMUM_WEIGHT:
                raise InvalidPatternError("Regular expression too large")
        return "".join(written), weight

    def laziness(self) -> str:
        lazy = "?" if self.take("?") else ""
        if self.quantifier()[1]:
            raise InvalidPatternError("Nothing to repeat")
        return lazy

    def take(self, text: str) -> bool:
        if not self.source.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def quantifier(self) -> tuple[int, str]:
        """How often at least, and how it is written; nothing where none stands here."""
        character = self.source[self.at : self.at + 1]
        if character and character in "*+?":
            self.at += 1
            return 1, character
        found = _BRACES.match(self.source, self.at)
        if found is None:
            return 1, ""
        self.at = found.end()
        low = int(found[1][:20])
        high = low if not found[2] else int(found[3][:20]) if found[3] else None
        if high is not None and high < low:
            raise InvalidPatternError("Numbers out of order in {} quantifier")
        return low, f"{{{low},{'' if high is None or high >= _MAXIMUM_REPEAT else high}}}"

    def atom(self) -> tuple[str, bool, int]:
        """What is written, whether it may be repeated, and its weight."""
        character = self.source[self.at]
        self.at += 1
        if character == "\\":
            return *self.escape(), 1
        if character == "(":
            return self.group()
        if character == "[":
            return self.set(), True, 1
        if character == ".":
            return f"[^{_LINE_ENDS}]", True, 1
        if character == "^":
            return (f"(?:\\A|(?<=[{_LINE_ENDS}]))" if self.multiline else "\\A"), False, 1
        if character == "$":
            return (f"(?:\\Z|(?=[{_LINE_ENDS}]))" if self.multiline else "\\Z"), False, 1
        if character in "*+?" or (character == "{" and _BRACES.match(self.source, self.at - 1)):
            raise InvalidPatternError("Nothing to repeat")
        return _literal(character), True, 1

    def group(self) -> tuple[str, bool, int]:
        self.depth += 1
        if self.depth > _MAXIMUM_DEPTH:
            raise InvalidPatternError("Groups are nested too deeply")
        opening, repeatable = self.opening()
        inner, weight = self.alternatives()
        if not self.take(")"):
            raise InvalidPatternError("Unterminated group")
        self.depth -= 1
        return f"{opening}{inner})", repeatable, weight + 1

    def opening(self) -> tuple[str, bool]:
        for lookaround, repeatable in (("?:", True), ("?=", True), ("?!", True), ("?<=", False), ("?<!", False)):
            if self.take(lookaround):
                return f"({lookaround}", repeatable
        if self.take("?"):
            found = _GROUP_NAME.match(self.source, self.at + 1) if self.take("<") else None
            if found is None or found.start() != self.at:
                found = _GROUP_NAME.match(self.source, self.at)
            if found is None or self.source[self.at - 1] != "<" or self.source[found.end() : found.end() + 1] != ">":
                raise InvalidPatternError("Invalid group")
            self.at = found.end() + 1
        self.opened += 1
        return "(", True

    def escape(self) -> tuple[str, bool]:
        if self.at >= len(self.source):
            raise InvalidPatternError("\\ at end of pattern")
        character = self.source[self.at]
        if character == "b":
            self.at += 1
            return f"(?:{_WORD_START}|{_WORD_END})", False
        if character == "B":
            self.at += 1
            return _NOT_A_BOUNDARY, False
        if character in _CLASSES or character in _INVERSE:
            self.at += 1
            return f"[{_CLASSES.get(character) or _INVERSE[character]}]", True
        if character in "123456789":
            reference = self.reference()
            if reference is not None:
                return reference, True
        if character == "k" and self.names:
            return self.named_reference(), True
        return _literal(self.character()), True

    def reference(self) -> str | None:
        """`\\1`: what group 1 matched, or nothing where it has not. More than there are groups is a character's code."""
        found = re.compile("[0-9]+").match(self.source, self.at)
        number = int(found[0][:9]) if found else 0
        if found is None or number > self.groups:
            return None
        self.at = found.end()
        return f"(?({number})\\{number}|)" if number < 100 else f"(?({number})\\g<{number}>|)"

    def named_reference(self) -> str:
        self.at += 1
        found = _GROUP_NAME.match(self.source, self.at + 1)
        if (
            found is None
            or not self.take("<")
            or self.source[found.end() : found.end() + 1] != ">"
            or found[0] not in self.names
        ):
            raise InvalidPatternError("Invalid named reference")
        self.at = found.end() + 1
        number = self.names[found[0]]
        return f"(?({number})\\g<{number}>|)"

    def character(self) -> str:
        """One escaped character, with the backslash read already."""
        character = self.source[self.at]
        self.at += 1
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in "xu":
            return self.hexadecimal(2 if character == "x" else 4) or character
        if character == "c":
            return self.control()
        if character in "01234567":
            return self.octal(character)
        return character

    def hexadecimal(self, length: int) -> str:
        digits = self.source[self.at : self.at + length]
        if len(digits) < length or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            return ""
        self.at += length
        return chr(int(digits, 16))

    def control(self) -> str:
        letter = self.source[self.at : self.at + 1]
        if letter.isascii() and letter.isalpha():
            self.at += 1
            return chr(ord(letter) % 32)
        self.at -= 1
        return "\\"

    def octal(self, first: str) -> str:
        found = re.compile("[0-3][0-7]{0,2}|[4-7][0-7]?").match(self.source, self.at - 1)
        digits = found[0] if found else first
        self.at += len(digits) - 1
        return chr(int(digits, 8))

    def set(self) -> str:
        """A set of characters, with the bracket read already."""
        negated = self.take("^")
        written: list[str] = []
        while not self.take("]"):
            written.append(self.span())
        if not written:
            return "(?s:.)" if negated else "(?!)"
        return f"[{'^' if negated else ''}{''.join(written)}]"

    def span(self) -> str:
        low, low_is_class = self.member()
        if not self.source.startswith("-", self.at) or self.source.startswith("-]", self.at):
            return low if low_is_class else _literal(low)
        self.at += 1
        high, high_is_class = self.member()
        if low_is_class or high_is_class:
            return f"{low if low_is_class else _literal(low)}{_literal('-')}{high if high_is_class else _literal(high)}"
        if low > high:
            raise InvalidPatternError("Range out of order in character class")
        return f"{_literal(low)}-{_literal(high)}"

    def member(self) -> tuple[str, bool]:
        """One character of a set, or a class like `\\d`, and whether it is that."""
        if self.at >= len(self.source):
            raise InvalidPatternError("Unterminated character class")
        character = self.source[self.at]
        self.at += 1
        if character != "\\":
            return character, False
        if self.at >= len(self.source):
            raise InvalidPatternError("\\ at end of pattern")
        character = self.source[self.at]
        if character in _CLASSES or character in _INVERSE:
            self.at += 1
            return _CLASSES.get(character) or _INVERSE[character], True
        if character == "b":
            self.at += 1
            return "\b", False
        return self.character(), False


def _literal(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_OPENINGS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?<([A-Za-z_$][A-Za-z0-9_$]*)>", re.DOTALL)


def _count_groups(source: str) -> int:
    return sum(found[0].startswith("(") for found in _OPENINGS.finditer(source))


def _group_names(source: str) -> dict[str, int]:
    names: dict[str, int] = {}
    number = 0
    for found in _OPENINGS.finditer(source):
        if found[0].startswith("("):
            number += 1
            if found[1]:
                if found[1] in names:
                    raise InvalidPatternError("Duplicate capture group name")
                names[found[1]] = number
    return names


@lru_cache(256)
def _translated(source: str, flags: str) -> str:
    return _Reader(units(source), flags).read()


def check(source: str, flags: str) -> None:
    """Raises InvalidPatternError for what is not a pattern."""
    _translated(source, flags)


@lru_cache(256)
def _compiled(source: str, flags: str) -> Any:
    try:
        return regex.compile(_translated(source, flags), regex.V0 | (regex.IGNORECASE if "i" in flags else 0))
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise RenderError(f"Regular expression cannot be run: {error}") from error


def _find(pattern: Pattern, subject: str, start: int, budget: Budget, *, sticky: bool = False) -> Any:
    """The next match in code units, or None."""
    compiled = _compiled(pattern.source, pattern.flags)
    budget.spend(1)
    began = time.monotonic()
    try:
        seek = compiled.match if sticky else compiled.search
        return seek(subject, start, timeout=budget.regex_time())
    except TimeoutError as error:
        limit = budget.limits.regex_seconds
        raise RenderError(
            f"Template evaluation exceeded the limit of {limit:g} seconds in regular expressions", limit=True
        ) from error
    finally:
        budget.regex_took(time.monotonic() - began)


def _exec(pattern: Pattern, subject: str, budget: Budget) -> Any:
    """One match as `RegExp.prototype.exec` finds it, with its memory of where it was."""
    remembers, sticky = "g" in pattern.flags or "y" in pattern.flags, "y" in pattern.flags
    start = pattern.last_index if remembers else 0
    found = _find(pattern, subject, start, budget, sticky=sticky) if start <= len(subject) else None
    if remembers:
        pattern.last_index = found.end() if found else 0
    return found


def test(pattern: Pattern, subject: str, budget: Budget) -> bool:
    return _exec(pattern, units(subject), budget) is not None


def replace(pattern: Pattern, subject: str, replacement: str, budget: Budget) -> str:
    """`subject.replace(pattern, replacement)`."""
    subject, replacement = units(subject), units(replacement)
    names = _group_names(units(pattern.source))
    parts: list[str] = []
    done = size = 0
    for found in _matches(pattern, subject, budget):
        groups = [found[0], *found.groups()]
        new = expand(replacement, subject, found.start(), groups, names)
        parts += (subject[done : found.start()], new)
        size += len(new)
        budget.fits(size)
        done = found.end()
    return text_of("".join([*parts, subject[done:]]))


def _matches(pattern: Pattern, subject: str, budget: Budget) -> Iterator[Any]:
    if "g" not in pattern.flags:
        found = _exec(pattern, subject, budget)
        if found:
            yield found
        return
    pattern.last_index = 0
    while found := _exec(pattern, subject, budget):
        yield found
        if found.end() == found.start():
            pattern.last_index += 1


_DOLLAR = re.compile(r"\$(?:([$&`'])|([0-9]{1,2})|<([^>]*)>)")


def expand(replacement: str, subject: str, start: int, groups: list[str | None], names: dict[str, int]) -> str:
    """What `$1`, `$&` and the like in a replacement stand for."""
    if "$" not in replacement:
        return replacement
    end = start + len(groups[0] or "")

    def meant(found: re.Match[str]) -> str:
        sign, digits, name = found.groups()
        if sign:
            return {"$": "$", "&": subject[start:end], "`": subject[:start], "'": subject[end:]}[sign]
        if name is not None:
            return (groups[names[name]] or "" if name in names else "") if names else found[0]
        number = int(digits)
        if len(digits) == 2 and number >= len(groups):
            number, rest = int(digits[0]), digits[1]
        else:
            rest = ""
        return (groups[number] or "") + rest if 0 < number < len(groups) else found[0]

    return _DOLLAR.sub(meant, replacement)


def split(pattern: Pattern, subject: str, limit: int, budget: Budget) -> list[Any]:
    """`subject.split(pattern, limit)`: what the groups matched stands between the parts."""
    subject = units(subject)
    if not limit:
        return []
    if not subject:
        return [] if _find(pattern, subject, 0, budget, sticky=True) else [""]
    parts: list[Any] = []
    done = at = 0
    while at < len(subject):
        found = _find(pattern, subject, at, budget)
        if found is None or found.start() >= len(subject):
            break
        if found.end() == done or found.end() == found.start() == done:
            at += 1
            continue
        at = found.end()
        parts.append(text_of(subject[done : found.start()]))
        parts.extend(UNDEFINED if group is None else text_of(group) for group in found.groups())
        done = at
        at = max(at, done)
        budget.holds(len(parts))
        if len(parts) >= limit:
            return parts[:limit]
    parts.append(text_of(subject[done:]))
    return parts[:limit]
