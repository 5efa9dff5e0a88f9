"""pieces -> statements: what is said in `{% %}`, and which tag ends which."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NoReturn

import msgspec

from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.diagnostics import position, quote_diagnostic
from greenroom_scaffolder.templating.lexer import CODE_SPACE, Delimiters, Piece, pieces, skip_code
from greenroom_scaffolder.templating.limits import Limits, RenderError
from greenroom_scaffolder.templating.nodes import Expression, Statement
from greenroom_scaffolder.templating.parser import Parser, Traits, read_expression
from greenroom_scaffolder.templating.suggestions import unknown

__all__ = ["Parsed", "parse"]

_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNATURE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[ \t\n\r\xa0]*\((.*)\)", re.DOTALL)
_LOOK_AT_CLOCK = 512
"""Pieces of a template between two looks at the clock."""
_LOADING = ("include", "import", "from", "extends")
_STATEMENTS = ("if", "for", "set", "macro", "call", "filter", "block", "switch", *_LOADING)
_BARE = frozenset({"else", "endif", "endfor", "endmacro", "endcall", "endfilter", "endset", "default", "endswitch"})
_STOPS = _BARE | {"elif", "elseif", "case"}


class Parsed(msgspec.Struct):
    """A template that was read."""

    body: list[Statement]
    traits: Traits


def parse(source: str, delimiters: Delimiters, limits: Limits) -> Parsed:
    """Raises RenderError where the template says something that is none, or is too large."""
    if len(source) > limits.source:
        raise RenderError(f"Template parsing exceeded the source code unit limit of {limits.source}", limit=True)
    reader = _Reader(pieces(source, delimiters), limits)
    body, _ = reader.body(())
    _check_blocks(reader.blocks, source)
    return Parsed(body, reader.traits)


def _check_blocks(blocks: list[tuple[str, int]], source: str) -> None:
    """Raises for a name that two blocks have."""
    first: dict[str, int] = {}
    for name, at in sorted(blocks, key=lambda block: block[1]):
        if name in first:
            line, column = position(source, first[name])
            where = f"the first declaration is at line {line}, column {column}"
            raise RenderError(f"Block {quote_diagnostic(name)} is declared more than once; {where}", at)
        first[name] = at


def _name(piece: Piece) -> str:
    found = _TAG.match(piece.value)
    return found[0] if found else ""


def _rest(piece: Piece) -> str:
    return piece.value[len(_name(piece)) :].strip(CODE_SPACE)


def _base(piece: Piece, source: str, *, from_end: bool = True) -> int:
    """Where in the template the part `source` of a tag stands; upstream looks for its text, and so may find it too early."""
    shown = source[:-1] if source.endswith(")") and source not in piece.value else source
    if not shown:
        return piece.value_at + len(piece.value)
    return piece.value_at + max(0, piece.value.rfind(shown) if from_end else piece.value.find(shown))


class _Reader:
    def __init__(self, found: list[Piece], limits: Limits) -> None:
        self._pieces, self._index = found, 0
        self._depth, self._maximum = 0, limits.depth
        self._limits, self._deadline = limits, time.monotonic() + limits.seconds
        self.blocks: list[tuple[str, int]] = []
        self._macros = 0
        self.traits = Traits()

    def body(self, stops: tuple[str, ...]) -> tuple[list[Statement], Piece | None]:
        """Statements up to a tag of these names, and that tag; up to the end where there is none."""
        self._depth += 1
        if self._depth > self._maximum:
            raise RenderError(f"Template parsing exceeded the nesting depth limit of {self._maximum}", limit=True)
        found: list[Statement] = []
        stop = None
        while self._index < len(self._pieces):
            piece = self._pieces[self._index]
            self._index += 1
            self._count()
            if piece.kind == "text":
                found.append(nodes.Text(piece.at, piece.value))
            elif piece.kind == "variable":
                found.append(self._output(piece))
            elif (name := _name(piece)) in stops:
                if name in _BARE and _rest(piece):
                    self._fail(f"{name} tag does not accept trailing content", piece)
                stop = piece
                break
            else:
                if name in _STOPS:
                    self._fail(_mismatch(name, stops), piece)
                found.append(self._statement(name, piece))
        self._depth -= 1
        return found, stop

    def _output(self, piece: Piece) -> nodes.Output:
        try:
            expression, traits = read_expression(piece.value, self._limits)
        except RenderError as failure:
            raise failure.place(piece.value_at)  # noqa: B904 - it is the same one
        self.traits.take_in(traits)
        return nodes.Output(piece.at, expression, piece.value_at, piece.value)

    def _count(self) -> None:
        self.traits.nodes += 1
        if self.traits.nodes > self._limits.nodes:
            raise RenderError(f"Template parsing exceeded the AST node limit of {self._limits.nodes}", limit=True)
        if self._index % _LOOK_AT_CLOCK == 0 and time.monotonic() > self._deadline:
            raise RenderError(f"Template parsing exceeded the limit of {self._limits.seconds:g} seconds", limit=True)

    def _statement(self, name: str, piece: Piece) -> Statement:
        read = _READERS.get(name)
        if read:
            return read(self, piece)
        if name in _LOADING:
            self._fail(f"Unsupported template-loading tag {quote_diagnostic(name)}", piece)
        if not name:
            self._fail("Template block tag cannot be empty", piece)
        raise RenderError(unknown("template tag", name, _STATEMENTS), piece.at)

    def _until(self, *stops: str, missing: str, piece: Piece) -> tuple[list[Statement], Piece]:
        body, stop = self.body(stops)
        if stop is None:
            self._fail(f"Missing {missing} tag", piece)
        return body, stop

    def _if(self, piece: Piece) -> nodes.If:
        found = nodes.If(piece.at, [], None)
        branch = piece
        while True:
            condition = self._parser(branch, _rest(branch)).expression()
            body, stop = self._until("elif", "elseif", "else", "endif", missing="endif", piece=branch)
            found.branches.append((condition, body))
            if _name(stop) == "else":
                found.otherwise, _ = self._until("endif", missing="endif", piece=branch)
            if _name(stop) in ("else", "endif"):
                return found
            branch = stop

    def _for(self, piece: Piece) -> nodes.For:
        header = _rest(piece)
        split = _split_in(header)
        if split is None:
            self._fail("For tag requires an in expression", piece)
        left, right = split
        targets = self._parser(piece, left, from_end=False).targets()
        if [target.name for target in targets] == ["loop"]:
            self._fail("A single loop target cannot be named loop", piece)
        self.traits.bound.add("loop")
        value = self._parser(piece, right).expression()
        body, stop = self._until("else", "endfor", missing="endfor", piece=piece)
        otherwise = self._until("endfor", missing="endfor", piece=piece)[0] if _name(stop) == "else" else None
        return nodes.For(piece.at, targets, value, body, otherwise)

    def _set(self, piece: Piece) -> nodes.Set:
        header = _rest(piece)
        assignment = _top_level(header, "=")
        if assignment >= 0:
            targets = self._parser(piece, header[:assignment], from_end=False).targets()
            return nodes.Set(piece.at, targets, self._parser(piece, header[assignment + 1 :]).expression(), [])
        targets = self._parser(piece, header, from_end=False).targets()
        return nodes.Set(piece.at, targets, None, self._captured("endset", "set", piece))

    def _captured(self, end: str, what: str, piece: Piece) -> list[Statement]:
        macros = self._macros
        body, _ = self._until(end, missing=end, piece=piece)
        if self._macros > macros:
            self._fail(f"Macro declarations are not supported inside {what} captures", piece)
        return body

    def _macro(self, piece: Piece) -> nodes.Macro:
        signature = _SIGNATURE.fullmatch(_rest(piece))
        if signature is None:
            self._fail("Invalid macro signature", piece)
        name = self._parser(piece, signature[1], from_end=False).expression()
        if not isinstance(name, nodes.Name):
            self._fail("Macro name must be an identifier", piece)
        positional, defaults = self._signature(piece, signature[2])
        body, _ = self._until("endmacro", missing="endmacro", piece=piece)
        self._macros += 1
        self.traits.bound.add(name.name)
        return nodes.Macro(piece.at, name.name, positional, defaults, body)

    def _signature(self, piece: Piece, source: str) -> tuple[list[nodes.Name], list[tuple[nodes.Name, Expression]]]:
        if not source.strip(CODE_SPACE):
            return [], []
        return self._parser(piece, source, suffix=")").signature()

    def _call(self, piece: Piece) -> nodes.CallBlock:
        source, parameters = _rest(piece), ""
        if source.startswith("("):
            closing = _closing(source)
            if closing < 0:
                self._fail("Invalid call-block arguments", piece)
            parameters, source = source[1:closing], source[closing + 1 :].strip(CODE_SPACE)
        call = self._parser(piece, source).expression()
        if not isinstance(call, nodes.Call):
            self._fail("Call block requires a function call", piece)
        if not _is_static(call.target):
            self._fail("Call block target must be a static macro reference", piece)
        body, _ = self._until("endcall", missing="endcall", piece=piece)
        positional, defaults = self._signature(piece, parameters)
        self.traits.bound.add("caller")
        return nodes.CallBlock(piece.at, call, nodes.Macro(piece.at, "caller", positional, defaults, body))

    def _filter(self, piece: Piece) -> nodes.Output:
        header = _rest(piece)
        capture = nodes.Capture(piece.at, self._captured("endfilter", "filter", piece))
        return nodes.Output(piece.at, self._parser(piece, header).filtered(capture), 0, None)

    def _block(self, piece: Piece) -> nodes.Block:
        name = self._parser(piece, _rest(piece)).expression()
        if not isinstance(name, nodes.Name):
            self._fail("Block name must be an identifier", piece)
        body, stop = self._until("endblock", missing="endblock", piece=piece)
        if _rest(stop) not in ("", name.name):
            self._fail("Endblock name must match its opening block", stop)
        self.blocks.append((name.name, piece.at))
        return nodes.Block(piece.at, name.name, body)

    def _switch(self, piece: Piece) -> nodes.Switch:
        found = nodes.Switch(piece.at, self._parser(piece, _rest(piece)).expression(), [], None)
        stray, stop = self._until("case", "default", "endswitch", missing="endswitch", piece=piece)
        if stray:
            self._fail("Switch content must begin with case or default", piece)
        while _name(stop) == "case":
            condition = self._parser(stop, _rest(stop)).expression()
            case = nodes.Case(stop.at, condition, [])
            case.body, stop = self._until("case", "default", "endswitch", missing="endswitch", piece=piece)
            found.cases.append(case)
        if _name(stop) == "default":
            found.otherwise, stop = self._until("endswitch", missing="endswitch", piece=piece)
        if not found.cases and found.otherwise is None:
            self._fail("Switch requires at least one case or default", piece)
        return found

    def _parser(self, piece: Piece, source: str, *, from_end: bool = True, suffix: str = "") -> Parser:
        base = _base(piece, source, from_end=from_end)
        return Parser(source + suffix, base, self.traits, self._maximum, self._limits.nodes)

    def _fail(self, problem: str, piece: Piece) -> NoReturn:
        raise RenderError(problem, piece.at)


_READERS: dict[str, Callable[[_Reader, Piece], Statement]] = {
    name: getattr(_Reader, f"_{name}") for name in ("if", "for", "set", "macro", "call", "filter", "block", "switch")
}


def _mismatch(name: str, expected: tuple[str, ...]) -> str:
    if not expected:
        return f"Unexpected {quote_diagnostic(name)} tag without a matching opening tag"
    names = [quote_diagnostic(each) for each in expected]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, or {names[-1]}"
    return f"Unexpected {quote_diagnostic(name)} tag; expected {listed}"


def _is_static(target: Expression) -> bool:
    while isinstance(target, nodes.Lookup):
        if not isinstance(target.key, nodes.Constant) or isinstance(target.key.value, tuple):
            return False
        target = target.target
    return isinstance(target, nodes.Name)


_CODE = re.compile(r"[\"']|(?<![A-Za-z0-9_])r/|[A-Za-z0-9_]+|[()\[\]{}=]")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def _code(source: str) -> list[tuple[str, int]]:
    """Words, brackets and equals signs of an expression, without what stands in strings and regular expressions."""
    found: list[tuple[str, int]] = []
    at = 0
    while match := _CODE.search(source, at):
        if match[0] in ("'", '"', "r/"):
            after = skip_code(source, match.start())
            at = len(source) if after is None else after
        else:
            found.append((match[0], match.start()))
            at = match.end()
    return found


def _top_level(source: str, sign: str) -> int:
    """Where a sign stands outside of all brackets, or -1."""
    depth = 0
    for word, at in _code(source):
        depth += (word in "([{") - (word in ")]}")
        if word == sign and depth == 0:
            return at
    return -1


def _split_in(header: str) -> tuple[str, str] | None:
    """Both sides of the first `in` that stands alone, outside of all brackets."""
    depth = 0
    for word, at in _code(header):
        depth += (word in "([{") - (word in ")]}")
        if word != "in" or depth or (at and header[at - 1] not in CODE_SPACE):
            continue
        if header[at + 2 : at + 3] in ("", *CODE_SPACE):
            return header[:at].strip(CODE_SPACE), header[at + 2 :].strip(CODE_SPACE)
    return None


def _closing(source: str) -> int:
    """Where the bracket that the source begins with is closed, or -1."""
    opened: list[str] = []
    for word, at in _code(source):
        if word in ("(", "[", "{"):
            opened.append(word)
        elif word in _PAIRS and opened[-1] == _PAIRS[word]:
            opened.pop()
            if not opened:
                return at
    return -1
