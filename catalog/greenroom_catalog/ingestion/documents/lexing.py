"""text -> tokens: where the words of a YAML text begin and end, and how far each line is indented.

The first of three steps that read YAML as npm's `yaml` 2.x does, mistakes included: what is a token, and what swallows what,
decides which error people see, and where. A token's `kind` is the name that error messages have for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

_WHITE = frozenset(" \n\r\t")
_FLOW_MARKS = frozenset(",[]{}")
_AFTER_NAME = re.compile(r"[ ,\[\]{}\n\r\t]|\Z")
_SPACES = re.compile(" *")
_BLANKS = re.compile("[ \t]*")
_TAG = re.compile(r"!(?:<[^ \n\r\t>]*>?|(?:[-0-9A-Za-z#;/?:@&=+$_.!~*'()]|%[0-9A-Fa-f]{2})*)")
_PLAIN_RUN = re.compile(r"[^: \t\r\n]+")
_PLAIN_RUN_IN_FLOW = re.compile(r"[^: \t\r\n,\[\]{}]+")
_END_OF_HEADER = re.compile(r"[ \n\r\t#]|\Z")

_KINDS = {
    "---": "doc-start",
    "...": "doc-end",
    "\n": "newline",
    "\r\n": "newline",
    "-": "seq-item-ind",
    "?": "explicit-key-ind",
    ":": "map-value-ind",
    "{": "flow-map-start",
    "}": "flow-map-end",
    "[": "flow-seq-start",
    "]": "flow-seq-end",
    ",": "comma",
    "\ufeff": "byte-order-mark",
}
_KINDS_BY_FIRST = {
    " ": "space",
    "\t": "space",
    "#": "comment",
    "%": "directive-line",
    "*": "alias",
    "&": "anchor",
    "!": "tag",
    "'": "single-quoted-scalar",
    '"': "double-quoted-scalar",
    "|": "block-scalar-header",
    ">": "block-scalar-header",
}

DOCUMENT, FLOW_BROKEN, NO_TOKEN = "doc-mode", "flow-error-end", ""
"""Kinds of tokens without a text: a document begins; a flow collection is broken off; and of a text that is no token."""

_State: TypeAlias = Callable[[], "_State"]


class Token:
    """A word of the text. `indent` is what its line is indented by, as far as the grammar has got when it takes the token."""

    __slots__ = ("end", "indent", "kind", "offset", "source")

    def __init__(self, kind: str, offset: int, source: str) -> None:
        self.kind = kind
        self.offset = offset
        self.source = source
        self.indent = 0
        self.end: list[Token] | None = None
        """What follows a scalar or an alias on its line."""


def tokens_of(text: str) -> list[Token]:
    """All tokens of a text, in order; together they are the text."""
    lexer = _Lexer(text)
    state: _State = lexer.stream
    while lexer.at < len(text):
        state = state()
    return lexer.found


class _Lexer:
    """Each state is a method that takes what comes next and returns the state after it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._newline = -1  # the next, if not before `at`
        self.found: list[Token] = []
        self.levels = 0  # flow collections around
        self.after_key = False  # in a flow collection: whether a colon may follow without a space after it
        self.least = 0  # how far the next lines must be indented to belong to what is being read
        self.indent = 0  # of this line

    # --- looking and taking ---

    def _char(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def _is_white(self, ahead: int) -> bool:
        character = self._char(ahead)
        return not character or character in _WHITE

    def _end_of_line(self) -> int:
        if self._newline < self.at:
            self._newline = self.text.find("\n", self.at)
            if self._newline < 0:
                self._newline = len(self.text)
        end = self._newline
        return end - 1 if self.at < end < len(self.text) and self.text[end - 1] == "\r" else end

    def _take(self, count: int) -> int:
        if count > 0:
            source = self.text[self.at : self.at + count]
            kind = _KINDS.get(source) or _KINDS_BY_FIRST.get(source[0], NO_TOKEN)
            self.found.append(Token(kind, self.at, source))
            self.at += count
        return max(count, 0)

    def _take_scalar(self, end: int) -> None:
        self.found.append(Token("scalar", self.at, self.text[self.at : end]))
        self.at = max(self.at, min(end, len(self.text)))

    def _take_spaces(self, *, tabs: bool) -> int:
        found = (_BLANKS if tabs else _SPACES).match(self.text, self.at)
        return self._take(found.end() - self.at) if found is not None else 0

    def _take_to(self, pattern: re.Pattern[str]) -> int:
        found = pattern.search(self.text, self.at)
        return self._take((found.start() if found is not None else len(self.text)) - self.at)

    def _take_newline(self) -> int:
        if self._char() == "\n":
            return self._take(1)
        return self._take(2) if self.text.startswith("\r\n", self.at) else 0

    def _take_rest(self) -> None:
        self._take(self._end_of_line() - self.at)

    def _is_marker(self, at: int) -> bool:
        after = self.text[at + 3 : at + 4]
        return self.text[at : at + 3] in ("---", "...") and (not after or after in _WHITE)

    def _continued(self, at: int) -> int:
        """Where on a line that begins at `at` a scalar goes on; -1 where it does not."""
        if self.least > 0:
            found = _SPACES.match(self.text, at)
            indent = found.end() - at if found is not None else 0
            if self.text.startswith("\r\n", at + indent):
                return at + indent + 1
            return at + indent if indent >= self.least or self.text[at + indent : at + indent + 1] == "\n" else -1
        return -1 if self._is_marker(at) else at

    # --- states ---

    def stream(self) -> _State:
        """Between documents."""
        if self._char() == "\ufeff":
            self._take(1)
        line = self.text[self.at : self._end_of_line()]
        if line[:1] == "%":
            comment = re.search(r"[ \t]#", line)
            self._take(len((line[: comment.start()] if comment is not None else line).rstrip(" \t")))
            self._take_spaces(tabs=True)
            self._take_rest()
            return self.stream
        bare = line.lstrip(" \t")
        if not bare or bare[0] == "#":
            self._take_spaces(tabs=True)
            self._take_rest()
            self._take_newline()
            return self.stream
        self.found.append(Token(DOCUMENT, self.at, ""))
        return self._line_start()

    def _line_start(self) -> _State:
        if self._is_marker(self.at):
            is_start = self._char() == "-"
            self._take(3)
            self.indent = self.least = 0
            return self.document if is_start else self.stream
        self.indent = self._take_spaces(tabs=False)
        if self.least > self.indent and not self._is_white(1):
            self.least = self.indent
        while self._char() in ("-", "?", ":") and self._is_white(1):
            self.least = self.indent + 1
            self.indent += self._take(1) + self._take_spaces(tabs=True)
        return self.document

    def document(self) -> _State:
        """In block context."""
        self._take_spaces(tabs=True)
        end = self._end_of_line()
        self._take_indicators()
        character = self._char() if self.at < end else ""
        if character in ("", "#"):
            self._take(end - self.at)
            self._take_newline()
            return self._line_start()
        if character in "{[":
            self._take(1)
            self.after_key, self.levels = False, 1
            return self.flow
        if character in "}]":
            self._take(1)
        elif character == "*":
            self._take_to(_AFTER_NAME)
        elif character in "\"'":
            return self._quoted()
        elif character in "|>":
            return self._block_scalar()
        else:
            self._plain()
        return self.document

    def flow(self) -> _State:
        """Inside a flow collection."""
        indent = self._take_white()
        end = self._end_of_line()
        if self._is_dedented(indent, end):
            self.levels = 0
            self.found.append(Token(FLOW_BROKEN, self.at, "\x18"))
            return self._line_start()
        while self._char() == "," and self.at < end:
            self._take(1)
            self._take_spaces(tabs=True)
            self.after_key = False
        self._take_indicators()
        character = self._char() if self.at < end else ""
        if character == "#":
            self._take(end - self.at)
        elif character and character in "{[":
            self._take(1)
            self.after_key = False
            self.levels += 1
        elif character and character in "}]":
            self._take(1)
            self.after_key = True
            self.levels -= 1
            return self.flow if self.levels else self.document
        elif character == "*":
            self._take_to(_AFTER_NAME)
        elif character and character in "\"'":
            self.after_key = True
            return self._quoted()
        elif character == ":" and (self.after_key or self._is_white(1) or self._char(1) == ","):
            self.after_key = False
            self._take(1)
            self._take_spaces(tabs=True)
        elif character:
            self.after_key = False
            self._plain()
        return self.flow

    def _take_white(self) -> int:
        """White space and line breaks in a flow collection; the indent of the last line begun, or -1."""
        indent = -1
        while True:
            broken = self._take_newline()
            spaces = 0
            if broken:
                spaces = self.indent = indent = self._take_spaces(tabs=False)
            if broken + spaces + self._take_spaces(tabs=True) == 0:
                return indent

    def _is_dedented(self, indent: int, end: int) -> bool:
        """Whether a line does not belong to the flow collection any more. Its very end may stand a little to the left."""
        character = self._char() if self.at < end else ""
        is_left = 0 <= indent < self.least and character != "#"
        if not is_left and not (indent == 0 and self._is_marker(self.at)):
            return False
        return not (indent == self.least - 1 and self.levels == 1 and character in ("]", "}"))

    def _quoted(self) -> _State:
        end = self._closing_quote()
        if end >= 0:
            newline = self.text.find("\n", self.at, end)
            while newline >= 0:
                goes_on = self._continued(newline + 1)
                if goes_on < 0:  # the line is indented too little: the text ends here, for want of a quote
                    end = newline - (2 if self.text[newline - 1] == "\r" else 1)
                    break
                newline = self.text.find("\n", goes_on, end)
        else:
            end = len(self.text)
        self._take(min(end + 1, len(self.text)) - self.at)
        return self.flow if self.levels else self.document

    def _closing_quote(self) -> int:
        quote = self._char()
        end = self.text.find(quote, self.at + 1)
        if quote == "'":
            while end >= 0 and self.text.startswith("'", end + 1):
                end = self.text.find("'", end + 2)
            return end
        while end >= 0:
            slash = end
            while self.text[slash - 1] == "\\":
                slash -= 1
            if (end - slash) % 2 == 0:
                return end
            end = self.text.find('"', end + 1)
        return end

    def _block_scalar(self) -> _State:
        end = self._end_of_line()
        header = re.compile("[-+1-9]*").match(self.text, self.at + 1)
        marks = header[0] if header is not None else ""
        digits = re.findall("[1-9]", marks)
        self._take_to(_END_OF_HEADER)
        self._take_spaces(tabs=True)
        self._take(end - self.at)
        self._take_newline()
        self._take_scalar(self._end_of_block(int(digits[-1]) - 1 if digits else -1, keep="+" in marks) + 1)
        return self._line_start()

    def _end_of_block(self, explicit: int, *, keep: bool) -> int:
        """Of the lines that make up a block scalar: the offset of the last line break."""
        text, start = self.text, self.at
        first = re.compile(r"(?: |\n|\r\n)*").match(text, start)
        content = first.end() if first is not None else start
        newline = max(text.rfind("\n", start, content), start - 1)
        indent = content - newline - 1
        if indent >= self.least:
            self.least = indent if explicit < 0 else explicit + (self.least or 1)
            while True:
                goes_on = self._continued(newline + 1)
                if goes_on < 0:
                    break
                newline = text.find("\n", goes_on)
                if newline < 0:
                    newline = len(text)
                    break
        after = _SPACES.match(text, newline + 1)
        rest = after.end() if after is not None else newline + 1
        if text[rest : rest + 1] == "\t":
            white = re.compile(r"[\t \r\n]*").match(text, rest)
            return (white.end() if white is not None else rest) - 1
        return newline if keep else self._without_blank_lines(newline, indent)

    def _without_blank_lines(self, newline: int, indent: int) -> int:
        while True:
            at = newline - 1
            if at >= 0 and self.text[at : at + 1] == "\r":
                at -= 1
            last = at
            while at >= 0 and self.text[at : at + 1] == " ":
                at -= 1
            if at < self.at or self.text[at : at + 1] != "\n" or at + 1 + indent <= last:
                return newline
            newline = at

    def _plain(self) -> None:
        text, run = self.text, _PLAIN_RUN_IN_FLOW if self.levels else _PLAIN_RUN
        end = at = self.at
        while at < len(text):
            if (found := run.match(text, at)) is not None:
                end = at = found.end()
                continue
            character, following = text[at], text[at + 1 : at + 2]
            if character == ":":
                if not following or following in _WHITE or (self.levels and following in _FLOW_MARKS):
                    break
                at += 1
                end = at
                continue
            if character not in _WHITE:
                break
            if character == "\r":
                if following == "\n":
                    at += 1
                    character, following = "\n", text[at + 1 : at + 2]
                else:
                    end = at + 1
            if following == "#" or (self.levels and following and following in _FLOW_MARKS):
                break
            if character == "\n":
                goes_on = self._continued(at + 1)
                if goes_on < 0:
                    break
                at = max(at, goes_on - 2)
            at += 1
        self._take_scalar(end)

    def _take_indicators(self) -> None:
        """Tags, anchors, and signs that stand alone: out of place, most of them."""
        while True:
            character = self._char()
            if character == "!":
                found = _TAG.match(self.text, self.at)
                self._take(found.end() - self.at if found is not None else 1)
            elif character == "&":
                self._take_to(_AFTER_NAME)
            elif (
                character
                and character in "-?:"
                and (self._is_white(1) or (self.levels and self._char(1) in _FLOW_MARKS))
            ):
                if not self.levels:
                    self.least = self.indent + 1
                else:
                    self.after_key = False
                self._take(1)
            else:
                return
            self._take_spaces(tabs=True)
