"""What libyaml says of a text that is no YAML -> what npm yaml says of it, and where.

People look for these messages on the web, so they are upstream's. The two parsers notice some mistakes at different places, so
the message is chosen by what stands at the place that libyaml points at. For the mistakes that people make (bad indentation,
missing quotes and brackets, tabs, reserved characters) message and place are upstream's in nearly all cases; for exotic ones the
message may be that of a related mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser
from yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
    Token,
    ValueToken,
)

SAME_COLUMN = "All mapping items must start at the same column"
NESTED = "Nested mappings are not allowed in compact mappings"
ONE_LINE = "Implicit keys need to be on a single line"
NO_VALUE = "Implicit map keys need to be followed by map values"
TABS = "Tabs are not allowed as indentation"


class Complaint(NamedTuple):
    """A message without its place, and the place, counted from 1."""

    message: str
    line: int
    column: int


def complain(error: yaml.YAMLError, text: str, *, was_ended: bool = True) -> Complaint:
    """The error that libyaml ended with -> upstream's.

    `text` is what libyaml was given; its last line break was added unless the text `was_ended` by one."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Complaint(str(error).partition("\n")[0], 1, 1)
    failure = _Failure(error, text)
    rule = _RULES.get(str(error.problem))
    if rule is None:
        return failure.here(failure.problem[:1].upper() + failure.problem[1:])
    complaint = rule(failure)
    if complaint.line == len(failure.lines) > 1 and not was_ended:
        return Complaint(complaint.message, complaint.line - 1, len(failure.lines[-2]) + 1)
    return complaint


def picture(text: str, line: int, column: int) -> str:
    """The line of an error, cut to 80 characters around a caret that points at it, in the form in which npm yaml ends a message.

    Where the caret stands before all text of the line, the line before is shown as well."""
    lines = text.split("\n")
    if line > len(lines):
        return ""
    shown, caret = lines[line - 1].rstrip("\r"), column - 1
    if caret >= 60 and len(shown) > 80:
        start = min(caret - 39, len(shown) - 79)
        shown, caret = f"…{shown[start:]}", caret - start + 1
    shown = _cut(shown)
    if line > 1 and not shown[:caret].strip(" "):
        shown = f"{_cut(lines[line - 2])}\n{shown}"
    return f":\n\n{shown}\n{' ' * caret}^\n" if shown.strip(" ") else ""


def _cut(line: str) -> str:
    return f"{line[:79]}…" if len(line) > 80 else line


class _Failure:
    """The place of an error, and what is around it. Lines and columns count from 0 in here."""

    def __init__(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark: Any = error.problem_mark
        around: Any = error.context_mark or mark
        self.problem = str(error.problem)
        self.context = str(error.context or "")
        self.text = text
        self.lines = text.split("\n")
        self.line: int = mark.line
        self.column: int = mark.column
        self.start_line: int = around.line
        self.start_column: int = around.column

    @property
    def rest(self) -> str:
        """The line from the place of the error on."""
        return self._from(self.line, self.column)

    @property
    def begun(self) -> str:
        """The line from the start of the broken construct on."""
        return self._from(self.start_line, self.start_column)

    def _from(self, line: int, column: int) -> str:
        return self.lines[line][column:] if line < len(self.lines) else ""

    @property
    def is_first_of_line(self) -> bool:
        return not self._line(self.line)[: self.column].strip(" \t")

    def _line(self, number: int) -> str:
        return self.lines[number] if number < len(self.lines) else ""

    def here(self, message: str) -> Complaint:
        return Complaint(message, self.line + 1, self.column + 1)

    def at_start(self, message: str) -> Complaint:
        return Complaint(message, self.start_line + 1, self.start_column + 1)

    def after_content(self, message: str) -> Complaint:
        """At the first column of the line that follows what was sound: npm yaml counts comments and blank lines in between
        to what comes next."""
        line = self.line
        while line > 0 and (not (before := self.lines[line - 1].strip()) or before.startswith("#")):
            line -= 1
        if line > 0 and (empty := self.lines[line - 1].rstrip()).endswith(":"):
            return Complaint(message, line, len(empty) + 1)
        return Complaint(message, line + 1, 1)

    def tokens(self) -> list[Token]:
        """All that was read before the error."""
        found: list[Token] = []
        parser = CParser(self.text)
        try:
            while (token := parser.get_token()) is not None:
                found.append(token)
        except yaml.YAMLError:
            pass
        return found

    def last_scalar(self) -> tuple[Token | None, ScalarToken | None]:
        """The last scalar before the error, and the token before it."""
        tokens = self.tokens()
        for index in range(len(tokens) - 1, 0, -1):
            token = tokens[index]
            if isinstance(token, ScalarToken):
                return tokens[index - 1], token
        return None, None

    def open_bracket(self) -> tuple[str, int, int]:
        """The innermost `[` or `{` that is still open at the error, and its place."""
        opened: list[Token] = []
        for token in self.tokens():
            if (token.start_mark.line, token.start_mark.column) >= (self.line, self.column):
                break
            if isinstance(token, FlowSequenceStartToken | FlowMappingStartToken):
                opened.append(token)
            elif opened and isinstance(token, FlowSequenceEndToken | FlowMappingEndToken):
                opened.pop()
        if not opened:
            return self.begun[:1], self.start_line, self.start_column
        mark = opened[-1].start_mark
        return "[" if isinstance(opened[-1], FlowSequenceStartToken) else "{", mark.line, mark.column


def _unexpected_colon(failure: _Failure) -> Complaint:
    before, scalar = failure.last_scalar()
    if scalar is None:
        return failure.here(NESTED)
    is_value = isinstance(before, ValueToken) and before.start_mark.line == scalar.start_mark.line
    message = NESTED if is_value else ONE_LINE
    return Complaint(message, scalar.start_mark.line + 1, scalar.start_mark.column + 1)


def _no_colon(failure: _Failure) -> Complaint:
    if failure.begun[:1] in ("'", '"'):
        return _no_closing_quote(failure)
    goes_on = failure.column > 0 or failure.line > failure.start_line + 1
    return failure.at_start(ONE_LINE if goes_on else NO_VALUE)


def _no_key(failure: _Failure) -> Complaint:
    first = failure.rest[:1]
    if first in ("]", "}"):
        return failure.here(_stray_end(first))
    if not failure.is_first_of_line:
        return failure.here(_at_node_end(first))
    if first == ",":
        return failure.here("Plain value cannot start with flow indicator character ,")
    if re.match(r"-(?:\s|\Z)", failure.rest):
        return failure.after_content("A block sequence may not be used as an implicit map key")
    if (colon := re.match(r":\s+(?=\S)", failure.rest)) is not None:
        return failure.here(NESTED)._replace(column=failure.column + colon.end() + 1)
    return failure.after_content(SAME_COLUMN)


def _no_dash(failure: _Failure) -> Complaint:
    if failure.rest[:1] in ("]", "}"):
        return failure.here(_stray_end(failure.rest[:1]))
    if not failure.is_first_of_line:
        return failure.here(_at_node_end(failure.rest[:1]))
    if re.match(r"-(?:\s|\Z)", failure.rest):
        return failure.here("All sequence items must start at the same column")
    if failure.column > failure.start_column:
        return failure.after_content("Sequence item without - indicator")
    return failure.after_content(SAME_COLUMN)


def _no_document_start(failure: _Failure) -> Complaint:
    first = failure.rest[:1]
    if first in ("]", "}"):
        return failure.here(_stray_end(first))
    return failure.here(_at_node_end(first))


def _cannot_start(failure: _Failure) -> Complaint:
    first = failure.rest[:1]
    if first == "\t":
        return Complaint(TABS, failure.line + 1, 1)
    what = {"%": "directive indicator character", "|": "block scalar indicator", ">": "block scalar indicator"}
    return failure.here(f"Plain value cannot start with {what.get(first, 'reserved character')} {first}")


def _flow_not_ended(failure: _Failure) -> Complaint:
    """A flow collection that breaks off: at a line that is not indented, at the end of the text, or for want of a comma."""
    bracket, line, column = failure.open_bracket()
    kind, end = ("sequence", "]") if bracket == "[" else ("map", "}")
    opening = failure.lines[line]
    message = f"Flow {kind} must end with a {end}"
    if opening[:column].strip():
        message = f"Flow {kind} in block collection must be sufficiently indented and end with a {end}"
        for number in range(line + 1, min(failure.line + 1, len(failure.lines))):
            following = failure.lines[number]
            if _is_dedented(following, opening) and following.strip()[0] not in "]}":
                return Complaint(message, number + 1, _indent(following) + 1)
    first = failure.rest[:1]
    if first in ("]", "}") or not failure.text[_offset(failure) :].strip():
        return failure.here(message)
    if first == ",":
        return failure.here(f"Unexpected , in flow {kind}")
    if first == "-":
        return failure.here("Block collections are not allowed within flow collections")
    return failure.here(f"Missing , {'or : ' if kind == 'map' else ''}between flow {kind} items")


def _no_content(failure: _Failure) -> Complaint:
    first = failure.rest[:1]
    if "flow" in failure.context:
        return _flow_not_ended(failure)
    if first in ("]", "}"):
        return failure.here(_stray_end(first))
    if first == ",":
        return failure.here("Plain value cannot start with flow indicator character ,")
    return failure.here(_at_node_end(first))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_dedented(line: str, opening: str) -> bool:
    """Whether a line that holds something stands no deeper than the one in which a construct began."""
    return bool(line.strip()) and _indent(line) <= _indent(opening)


def _no_closing_quote(failure: _Failure) -> Complaint:
    """npm yaml ends a quoted text at the first line that is not indented enough."""
    quote, line = failure.begun[:1], failure.start_line
    opening = failure.lines[line]
    is_key = not opening[: failure.start_column].strip(" -")
    while line + 1 < len(failure.lines):
        if _is_dedented(failure.lines[line + 1], opening):
            break
        line += 1
    while line > failure.start_line and not failure.lines[line].strip():
        line -= 1
    if is_key and line > failure.start_line:
        return failure.at_start(ONE_LINE)
    return Complaint(f"Missing closing {quote}quote", line + 1, len(failure.lines[line].rstrip("\r")) + 1)


def _bad_escape(failure: _Failure) -> Complaint:
    found = re.search(r"\\(?:x.{0,2}|u.{0,4}|U.{0,8}|.)", failure.text[max(0, _offset(failure) - 2) :])
    start = max(0, _offset(failure) - 2) + (found.start() if found is not None else 0)
    column = start - (failure.text.rfind("\n", 0, start) + 1)
    return Complaint(f"Invalid escape sequence {found[0] if found is not None else ''}", failure.line + 1, column + 1)


def _stray_dash(failure: _Failure) -> Complaint:
    before = failure.lines[failure.line][: failure.column].rstrip()
    if before.endswith(":"):
        return failure.here("Unexpected block-seq-ind on same line with key")
    return failure.here("Unexpected seq-item-ind at node end")


def _empty_name(failure: _Failure) -> Complaint:
    what = "Alias" if "alias" in failure.context else "Anchor"
    return failure.at_start(f"{what} cannot be an empty string")


def _bad_block_header(failure: _Failure) -> Complaint:
    header = re.match(r"([|>](?:[-+][1-9]?|[1-9][-+]?)?)(\S*)\s*(\S*)", failure.begun)
    if header is None or not failure.lines[failure.start_line][: failure.start_column].strip():
        return failure.at_start(ONE_LINE)
    if not header[2]:
        return failure.here(f"Not a YAML token: {header[3]}")
    complaint = failure.at_start(f"Block scalar header includes extra characters: {header[1]}{header[2]}")
    return complaint._replace(column=failure.start_column + len(header[1]) + 1)


def _stray_end(bracket: str) -> str:
    name = "flow-seq-end" if bracket == "]" else "flow-map-end"
    return f'Unexpected {name} token in YAML stream: "{bracket}"'


def _at_node_end(first: str) -> str:
    names = {"'": "single-quoted-scalar", '"': "double-quoted-scalar", "[": "flow-seq-start", "{": "flow-map-start"}
    return f"Unexpected {names.get(first, 'scalar')} at node end"


def _offset(failure: _Failure) -> int:
    return sum(len(line) + 1 for line in failure.lines[: failure.line]) + failure.column


_RULES: Mapping[str, Callable[[_Failure], Complaint]] = {
    "mapping values are not allowed in this context": _unexpected_colon,
    "could not find expected ':'": _no_colon,
    "did not find expected key": _no_key,
    "did not find expected '-' indicator": _no_dash,
    "did not find expected <document start>": _no_document_start,
    "found character that cannot start any token": _cannot_start,
    "found a tab character that violates indentation": lambda failure: Complaint(TABS, failure.line + 1, 1),
    "did not find expected ',' or ']'": _flow_not_ended,
    "did not find expected ',' or '}'": _flow_not_ended,
    "did not find expected node content": _no_content,
    "found unexpected end of stream": _no_closing_quote,
    "found unexpected document indicator": _no_closing_quote,
    "found unknown escape character": _bad_escape,
    "found invalid Unicode character escape code": _bad_escape,
    "did not find expected hexdecimal number": _bad_escape,
    "block sequence entries are not allowed in this context": _stray_dash,
    "did not find expected alphabetic or numeric character": _empty_name,
    "did not find expected comment or line break": _bad_block_header,
    "found a tab character where an indentation space is expected": lambda failure: failure.here(
        "Block scalar lines must not be less indented than their first line"
    ),
}
