"""text -> pieces: literal text, and what stands within `${{ }}` and `{% %}`; and such content -> tokens."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from greenroom_scaffolder.javascript.texts import WHITESPACE
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
    found: list[Piece] = []
    pending, pending_at, at = "", 0, 0
    opening_of = _OPENING[delimiters.variable]
    while at < len(source):
        opening = opening_of.search(source, at)
        start = opening.start() if opening else len(source)
        if start > at:
            pending_at = pending_at if pending else at
            pending += source[at:start]
        if opening is None:
            break
        if opening[0] == "#}":
            raise RenderError("Unexpected end of comment", start)
        if opening[0] == "{%" and delimiters.lstrip_blocks:
            pending = _without_indent(pending, source, start)
        inner = opening.end()
        if source.startswith("-", inner):
            pending = pending.rstrip(WHITESPACE)
            inner += 1
        if pending:
            found.append(Piece("text", pending, pending_at, pending_at))
            pending = ""
        if opening[0] == "{#":
            at = _after(source, *_comment_end(source, start, inner), block=False, delimiters=delimiters)
            continue
        piece, end, after = _tag(source, opening[0], start, inner)
        if piece.kind == "block" and piece.value.startswith(("raw", "verbatim")):
            name = _TAG.match(piece.value)
            if name and name[0] in ("raw", "verbatim"):
                pending_at, pending, at = _raw(source, name[0], piece, end, after, delimiters)
                continue
        found.append(piece)
        at = _after(source, end, after, block=piece.kind == "block", delimiters=delimiters)
    if pending:
        found.append(Piece("text", pending, pending_at, pending_at))
    return found


def _without_indent(pending: str, source: str, start: int) -> str:
    """Without the blanks before a block tag that nothing else precedes on its line."""
    line = source[source.rfind("\n", 0, start) + 1 : start]
    if line.strip(WHITESPACE):
        return pending
    newline = pending.rfind("\n") + 1
    return pending if pending[newline:].strip(WHITESPACE) else pending[:newline]


def _comment_end(source: str, start: int, inner: int) -> tuple[int, int]:
    end = source.find("#}", inner)
    if end < 0:
        raise RenderError("Unterminated comment tag", start)
    return end, end + 2


def _tag(source: str, opening: str, start: int, inner: int) -> tuple[Piece, int, int]:
    """The tag that opens at `start`, where its end is written, and where that ends."""
    kind = _NAMES[opening]
    closing = _CLOSING[kind]
    end = _terminator(source, inner, closing)
    if end < 0:
        raise RenderError(f"Unterminated {kind} tag", start)
    content = source[inner : end - 1 if source[end - 1] == "-" else end]
    value = content.lstrip(CODE_SPACE)
    value_at = inner + len(content) - len(value)
    if kind == "block":
        value = value.rstrip(CODE_SPACE)
    return Piece(kind, value, start, value_at), end, end + len(closing)


def _after(source: str, end: int, after: int, *, block: bool, delimiters: Delimiters) -> int:
    """Where text goes on behind a tag: past the space that `-` or `trim_blocks` takes away."""
    if source[end - 1] == "-":
        space = _SPACE.match(source, after)
        return space.end() if space else after
    if block and delimiters.trim_blocks:
        newline = _NEWLINE.match(source, after)
        return newline.end() if newline else after
    return after


def _raw(source: str, name: str, piece: Piece, end: int, after: int, delimiters: Delimiters) -> tuple[int, str, int]:
    """Where the text of a raw block starts, that text, and where the rest goes on."""
    if piece.value != name:
        raise RenderError(f"{name} tag does not accept trailing content", piece.at)
    if delimiters.trim_blocks:
        newline = _NEWLINE.match(source, after)
        after = newline.end() if newline else after
    depth, at = 1, after
    marker = re.compile(rf"\{{%[{WHITESPACE}]*(end)?{name}[{WHITESPACE}]*%\}}")
    while True:
        found = marker.search(source, at)
        if found is None:
            raise RenderError(f'Missing "end{name}" tag', piece.at)
        depth += -1 if found[1] else 1
        at = found.end()
        if not depth:
            break
    if "\n" in found[0]:
        raise RenderError(f"{name} closing tag cannot contain a line break", found.start())
    if source[end - 1] == "-":
        space = _SPACE.match(source, at)
        at = space.end() if space else at
    return after, source[after : found.start()], at


_SKIPPED = {
    closing: re.compile(rf"(?P<string>[\"'])|(?<![A-Za-z0-9_])(?P<regex>r/)|(?P<end>{re.escape(closing)})")
    for closing in ("}}", "%}")
}
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
        found = re.compile(r"[/\\]").search(source, at)
        if found is None:
            raise RenderError("Unterminated regular-expression literal", start)
        at = found.start()
        if source[at] == "/":
            break
        run = len(source) - at - len(source[at:].lstrip("\\"))
        at += run
        if source.startswith("/", at):
            if run % 2 == 0:
                raise RenderError("Ambiguous regular-expression delimiter escape", start)
            at += 1
    pattern = source[start + 2 : at]
    if len(pattern) > _MAXIMUM_PATTERN:
        raise RenderError("Regular-expression literal exceeds the maximum length", start)
    flags = _flags(source, start, at + 1)
    if not is_valid(pattern, flags):
        raise RenderError("Invalid regular-expression literal", start)
    return f"{pattern}/{flags}", at + 1 + len(flags)


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


def tokens(source: str, base: int) -> list[Token]:
    """The tokens of an expression, whose first character stands at `base` in the template. The last is `eof`."""
    found: list[Token] = []
    at = 0
    while at < len(source):
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
