"""Text that libyaml refuses, or takes for something else, though npm yaml does not: mended so that both read the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from yaml.reader import ReaderError

_MOST_WORK = 20_000_000  # characters that are read again for the sake of mends; about a second

_BREAKS_TO_LIBYAML = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\r(?!\n)")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_DOCUMENT_START = re.compile(r"---(?=[ \t\r\n]|\Z)")
_DOCUMENT_END = re.compile(r"\.\.\.(?=[ \t\r\n]|\Z)")


class Chunk(NamedTuple):
    """The text of one document, with the directives and comments before it."""

    text: str
    lines_before: int


def chunks_of(text: str) -> Iterator[Chunk]:
    """Splits at the lines that start or end a document. Neither can be part of one."""
    lines: list[str] = []
    has_content, begun = False, 0
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text)):
        if has_content and _DOCUMENT_START.match(line):
            yield Chunk("".join(lines), begun)
            lines, begun = [], number
        lines.append(line)
        if not _DOCUMENT_END.match(line):
            has_content = has_content or not (line.isspace() or line[0] in "#%")
        elif not has_content:
            lines[-1] = "\n"
        else:
            yield Chunk("".join(lines), begun)
            lines, has_content, begun = [], False, number + 1
    if lines:
        yield Chunk("".join(lines), begun)


class Mended:
    """A text as libyaml should see it, and how to get from there back to what it says."""

    def __init__(self, text: str) -> None:
        self._source = text
        self.was_ended = text.endswith("\n")
        self.text = text if self.was_ended else f"{text}\n"
        self._stand_ins: dict[str, str] = {}
        self._work = 0
        if ("\r" in text or not text.isascii()) and _BREAKS_TO_LIBYAML.search(text) is not None:
            self._hide()

    @property
    def is_coded(self) -> bool:
        return bool(self._stand_ins)

    def restore(self, text: str) -> str:
        """A scalar with the characters that it has in the file."""
        return "".join(self._stand_ins.get(character, character) for character in text)

    def alias_at(self, line: int, column: int) -> str:
        """The name of the alias at a place (from 0) as the file has it."""
        found = re.compile(r"\*([^\s,\[\]{}]+)").match(self._source, self._offset(line, column))
        return found[1] if found is not None else ""

    def mend(self, error: yaml.YAMLError) -> bool:
        """Whether the text has been changed so that reading it again may get further."""
        self._work += len(self.text)
        if self._work > _MOST_WORK:
            return False
        if isinstance(error, ReaderError):
            return not self.is_coded and self._hide()
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            return self._mend_at(str(error.problem), self._offset(error.problem_mark.line, error.problem_mark.column))
        return False

    def _hide(self) -> bool:
        """Puts characters of no meaning in the place of those that libyaml does not let through, or takes for line breaks."""
        free = (character for point in range(0x10FFFD, 0xF0000, -1) if (character := chr(point)) not in self.text)
        self._stand_ins = dict(zip(free, set(_FORBIDDEN.findall(self.text)), strict=False))
        self.text = self.text.translate({ord(hidden): shown for shown, hidden in self._stand_ins.items()})
        return self.is_coded

    def _mend_at(self, problem: str, offset: int) -> bool:
        if problem == "found invalid Unicode character escape code":
            return self._join_surrogates(offset - len(r"\u"))
        if problem in ("found unknown directive name", "found unexpected non-alphabetical character"):
            return self._silence_directive(offset)
        if problem in (
            "found a tab character that violates indentation",
            "found character that cannot start any token",
        ):
            return self._blank_line(offset)
        if problem == "did not find expected alphabetic or numeric character":
            return self._rename(offset)
        if problem == "did not find expected whitespace or line break":
            return self._end_tag(offset)
        return False

    def _rename(self, offset: int) -> bool:
        """Names of anchors and aliases may hold more than letters and digits. Both are changed in the same way."""
        if re.match(r"[^\s,\[\]{}_]", self.text[offset : offset + 1]) is None:
            return False
        self.text = f"{self.text[:offset]}_{self.text[offset + 1 :]}"
        return True

    def _end_tag(self, offset: int) -> bool:
        """A tag that stands before the end of a flow collection tags nothing."""
        if self.text[offset : offset + 1] not in (",", "]", "}"):
            return False
        self.text = f"{self.text[:offset]} {self.text[offset:]}"
        return True

    def _silence_directive(self, offset: int) -> bool:
        """An unknown directive is as good as a comment."""
        start = self.text.rfind("\n", 0, offset) + 1
        if self.text[start : start + 1] != "%":
            return False
        self.text = f"{self.text[:start]}#{self.text[start + 1 :]}"
        return True

    def _blank_line(self, offset: int) -> bool:
        """Tabs do no harm in a line that holds nothing else, or a comment."""
        start, end = self.text.rfind("\n", 0, offset) + 1, self.text.find("\n", offset)
        line = self.text[start:end]
        bare = line.strip(" \t\r")
        if "\t" not in line or (bare and bare[0] != "#"):
            return False
        self.text = self.text[:start] + line.replace("\t", " ") + self.text[end:]
        return True

    def _join_surrogates(self, offset: int) -> bool:
        """Two escaped surrogates are one character; one alone is none. Mends the rest of the line at once."""
        end = self.text.find("\n", offset)
        line = self.text[offset:end]
        if _SURROGATES.match(line) is not None:
            line = _SURROGATES.sub(_join, line)
        elif re.match(r"\\u[dD][89a-fA-F]", line) is not None:
            line = f"\\uFFFD{line[6:]}"
        else:
            return False
        self.text = self.text[:offset] + line + self.text[end:]
        return True

    def _offset(self, line: int, column: int) -> int:
        start = 0
        for _ in range(line):
            start = self.text.find("\n", start) + 1
        return start + column


def _join(pair: re.Match[str]) -> str:
    point = 0x10000 + ((int(pair[1], 16) & 0x3FF) << 10) + (int(pair[2], 16) & 0x3FF)
    return f"\\U{point:08X}"
