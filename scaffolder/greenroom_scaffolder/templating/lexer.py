"""text -> pieces: literal text, and what stands within `${{ }}` and `{% %}`; and such content -> tokens."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from greenroom.javascript.texts import WHITESPACE
from greenroom_scaffolder.templating.diagnostics import quote_diagnostic
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.patterns import is_valid

__all__ = ["CODE_SPACE", "Delimiters", "Piece", "Token", "has_delimiters", "pieces", "skip_code", "tokens"]

CODE_SPACE = " \t\n\r\xa0"
"""White space within tags: less than JavaScript's own."""

_MAXIMUM_PATTERN = 16384


class Piece(NamedTuple):
    """A stretch of the template."""

    kind: Literal["text", "variable", "block"]
    value: str
    at: int
    """Where it starts in the template: of a tag, its opening."""
    value_at: int
    """Where `value` starts."""


Token = tuple[str, str, int]
"""Kind (`name number string regex operator eof`), value, and where it starts in the template."""


class Delimiters(NamedTuple):
    """How tags are written, and what becomes of the space around them."""

    variable: str = "${{"
    trim_blocks: bool = False
    lstrip_blocks: bool = False


_OPENING = {
    "${{": re.compile(r"\$\{\{|\{%|\{#|#\}"),
    "{{": re.compile(r"\{\{|\{%|\{#|#\}"),
}
_NAMES: dict[str, Literal["variable", "block"]] = {"${{": "variable", "{{": "variable", "{%": "block"}
_CLOSING = {"variable": "}}", "block": "%}"}
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPACE = re.compile(f"[{WHITESPACE}]*")
_NEWLINE = re.compile(r"\r?\n")


def has_delimiters(text: str, variable: str) -> bool:
    """Whether anything in the text means something; a stray end of a comment does."""
    return _OPENING[variable].search(text) is not None


def pieces(source: str, delimiters: Delimiters) -> list[Piece]:
    """Raises RenderError for tags that do not end."""
    return _Cutter(source, delimiters).cut()


class _Cutter:
    """Cuts a template at its tags, and takes away the space around them that is not meant to be seen."""

    def __init__(self, source: str, delimiters: Delimiters) -> None:
        self.source, self.delimiters = source, delimiters
        self.found: list[Piece] = []
        self.at = self.behind = 0
        """Where text goes on, and where the last tag ends."""
        self.pending, self.pending_at = "", 0
        """Text that the next tag may shorten."""

    def cut(self) -> list[Piece]:
        openings = _OPENING[self.delimiters.variable]
        while opening := openings.search(self.source, self.at):
            self.wait(self.at, self.source[self.at : opening.start()])
            self.tag(opening[0], opening.start(), opening.end())
        self.wait(self.at, self.source[self.at :])
        self.flush()
        return self.found

    def wait(self, at: int, text: str) -> None:
        self.pending_at = self.pending_at if self.pending else at
        self.pending += text

    def flush(self) -> None:
        if self.pending:
            self.found.append(Piece("text", self.pending, self.pending_at, self.pending_at))
            self.pending = ""

    def tag(self, opening: str, start: int, inner: int) -> None:
        """The tag that opens at `start`; what it says begins at `inner`."""
        if opening == "#}":
            raise RenderError("Unexpected end of comment", start)
        if opening == "{%" and self.delimiters.lstrip_blocks:
            self.drop_indent(start)
        if self.source.startswith("-", inner):
            self.pending = self.pending.rstrip(WHITESPACE)
            inner += 1
        self.flush()
        if opening == "{#":
            self.go_on(self.comment_end(start, inner), 2, block=False)
            return
        piece, end = _tag(self.source, opening, start, inner)
        name = _TAG.match(piece.value) if piece.kind == "block" else None
        if name and name[0] in ("raw", "verbatim"):
            self.raw(name[0], piece, end)
            return
        self.found.append(piece)
        self.go_on(end, 2, block=piece.kind == "block")

    def drop_indent(self, start: int) -> None:
        """The blanks before a block tag go if nothing else precedes it on its line."""
        newline = self.source.rfind("\n", self.behind, start)
        if newline < 0 < self.behind or self.source[newline + 1 : start].strip(WHITESPACE):
            return
        kept = self.pending.rfind("\n") + 1
        if not self.pending[kept:].strip(WHITESPACE):
            self.pending = self.pending[:kept]

    def comment_end(self, start: int, inner: int) -> int:
        end = self.source.find("#}", inner)
        if end < 0:
            raise RenderError("Unterminated comment tag", start)
        return end

    def go_on(self, end: int, length: int, *, block: bool) -> None:
        """Behind a tag whose closing stands at `end`, past the space that `-` or `trim_blocks` takes away."""
        self.at = self.behind = end + length
        if self.source[end - 1] == "-":
            self.skip(_SPACE)
        elif block and self.delimiters.trim_blocks:
            self.skip(_NEWLINE)

    def skip(self, space: re.Pattern[str]) -> None:
        found = space.match(self.source, self.at)
        self.at = found.end() if found else self.at

    def raw(self, name: str, piece: Piece, end: int) -> None:
        """What stands between `raw` and `endraw` is text, whatever it says; raw blocks may stand within each other."""
        if piece.value != name:
            raise RenderError(f"{name} tag does not accept trailing content", piece.at)
        self.at = end + 2
        if self.delimiters.trim_blocks:
            self.skip(_NEWLINE)
        closing = self.raw_end(name, piece)
        if "\n" in closing[0]:
            raise RenderError(f"{name} closing tag cannot contain a line break", closing.start())
        self.wait(self.at, self.source[self.at : closing.start()])
        self.at = self.behind = closing.end()
        if self.source[end - 1] == "-":
            self.skip(_SPACE)

    def raw_end(self, name: str, piece: Piece) -> re.Match[str]:
        depth = 1
        for marker in re.compile(rf"\{{%[{WHITESPACE}]*(end)?{name}[{WHITESPACE}]*%\}}").finditer(self.source, self.at):
            depth += -1 if marker[1] else 1
            if not depth:
                return marker
        raise RenderError(f'Missing "end{name}" tag', piece.at)


def _tag(source: str, opening: str, start: int, inner: int) -> tuple[Piece, int]:
    """The tag that opens at `start`, and where its closing stands."""
    kind = _NAMES[opening]
    end = _terminator(source, inner, _CLOSING[kind])
    if end < 0:
        raise RenderError(f"Unterminated {kind} tag", start)
    content = source[inner : end - 1 if source[end - 1] == "-" else end]
    value = content.lstrip(CODE_SPACE)
    value_at = inner + len(content) - len(value)
    if kind == "block":
        value = value.rstrip(CODE_SPACE)
    return Piece(kind, value, start, value_at), end


_SKIPPED = {
    closing: re.compile(rf"(?P<string>[\"'])|(?<![A-Za-z0-9_])(?P<regex>r/)|(?P<end>{re.escape(closing)})")
    for closing in ("}}", "%}")
}
_SLASH = re.compile(r"/|\\+")
_STRING_REST = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL) for quote in "\"'"}


def _terminator(source: str, start: int, closing: str) -> int:
    """Where the tag ends: not within a string or a regular expression. -1 where it does not."""
    at = start
    while found := _SKIPPED[closing].search(source, at):
        if found["end"]:
            return found.start()
        after = skip_code(source, found.start())
        if after is None:
            return -1
        at = after
    return -1


def skip_code(source: str, at: int) -> int | None:
    """Past the string or regular expression that starts at `at`; None where it has no end."""
    if source[at] == "r":
        return _regex(source, at)[1]
    rest = _STRING_REST[source[at]].match(source, at + 1)
    return rest.end() if rest else None


def _regex(source: str, start: int) -> tuple[str, int]:
    """The literal `r/pattern/flags` at `start`, as `pattern/flags`, and where it ends."""
    at = start + 2
    while True:
        found = _SLASH.search(source, at)
        if found is None:
            raise RenderError("Unterminated regular-expression literal", start)
        at = found.end()
        if found[0] == "/":
            break
        if source.startswith("/", at):
            if len(found[0]) % 2 == 0:
                raise RenderError("Ambiguous regular-expression delimiter escape", start)
            at += 1
    pattern = source[start + 2 : at - 1]
    if len(pattern) > _MAXIMUM_PATTERN:
        raise RenderError("Regular-expression literal exceeds the maximum length", start)
    flags = _flags(source, start, at)
    if not is_valid(pattern, flags):
        raise RenderError("Invalid regular-expression literal", start)
    return f"{pattern}/{flags}", at + len(flags)


def _flags(source: str, start: int, at: int) -> str:
    flags = ""
    while source[at : at + 1] and source[at] in "gimy":
        if source[at] in flags:
            raise RenderError("Duplicate regular-expression flag", start)
        flags += source[at]
        at += 1
    following = source[at : at + 1]
    if following.isascii() and following.isalpha():
        raise RenderError("Unsupported regular-expression flag", start)
    return flags


_TOKEN = re.compile(
    rf"[{CODE_SPACE}]+"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>===|!==|\*\*|//|==|!=|<=|>=|[()\[\]{}.,:|~+\-*/%<>=])"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<number>[0-9]+(?:\.[0-9]*)?)",
    re.DOTALL,
)
_MEMBER = re.compile(r"[0-9]+[A-Za-z_][A-Za-z0-9_]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}
_DIGITS = "0123456789"


def tokens(source: str, base: int, most: int) -> list[Token]:
    """The tokens of an expression, whose first character stands at `base` in the template. The last is `eof`.

    Raises RenderError, also where there are more than `most`."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        if len(found) > most:
            raise RenderError(f"Template parsing exceeded the AST node limit of {most}", limit=True)
        match = _TOKEN.match(source, at)
        kind = match.lastgroup if match else ""
        if match is None or kind == "number" or (kind == "operator" and match[0] == "."):
            token, at = _unusual(source, at, base, found)
            found.append(token)
            continue
        at = match.end()
        if kind == "name":
            if match[0] == "r" and source.startswith("/", at):
                value, at = _located_regex(source, match.start(), base)
                found.append(("regex", value, base + match.start()))
            else:
                found.append(("name", match[0], base + match.start()))
        elif kind == "operator":
            found.append(("operator", match[0], base + match.start()))
        elif kind == "string":
            value = match[0][1:-1]
            if "\\" in value:
                value = _ESCAPE.sub(lambda escape: _SHORT.get(escape[1], escape[1]), value)
            found.append(("string", value, base + match.start()))
    found.append(("eof", "", base + len(source)))
    return found


def _located_regex(source: str, start: int, base: int) -> tuple[str, int]:
    try:
        return _regex(source, start)
    except RenderError as failure:
        raise RenderError(failure.problem, base + start) from failure


def _unusual(source: str, at: int, base: int, before: list[Token]) -> tuple[Token, int]:
    """A number, a point, a member that begins with digits, or what cannot stand in an expression."""
    previous = before[-1] if before else None
    if previous and previous[:2] == ("operator", "."):
        member = _MEMBER.match(source, at)
        if member:
            return ("name", member[0], base + at), member.end()
    if source[at] == ".":
        if source[at + 1 : at + 2] and source[at + 1] in _DIGITS and not _ends_operand(previous):
            raise RenderError("Invalid numeric literal", base + at)
        return ("operator", ".", base + at), at + 1
    match = _TOKEN.match(source, at)
    if match is None:
        if source[at] in "\"'":
            raise RenderError("Unterminated string literal", base + at)
        raise RenderError(f"Unexpected character {quote_diagnostic(source[at])}", base + at)
    suffix = source[match.end() : match.end() + 1]
    if suffix == "_" or (suffix.isascii() and suffix.isalpha()):
        raise RenderError("Invalid numeric literal", base + at)
    return ("number", match[0], base + at), match.end()


def _ends_operand(token: Token | None) -> bool:
    return token is not None and (token[0] in ("name", "number", "string", "regex") or token[1] in (")", "]", "}"))
