"""tokens -> expression, by the precedence of nunjitsu, which has ways of its own around `not`, `is` and `//`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn, cast

import msgspec

from greenroom.javascript.numbers import number_text
from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.diagnostics import quote_diagnostic
from greenroom_scaffolder.templating.lexer import Token, tokens
from greenroom_scaffolder.templating.limits import Limits, RenderError
from greenroom_scaffolder.templating.nodes import Arguments, Expression
from greenroom_scaffolder.templating.numerals import number
from greenroom_scaffolder.templating.values import RESERVED

__all__ = ["MUTATING", "SHORT", "Parser", "Traits", "read_expression"]

MUTATING = frozenset(
    [
        "add",
        "append",
        "clear",
        "copyWithin",
        "delete",
        "fill",
        "insert",
        "pop",
        "push",
        "remove",
        "reverse",
        "set",
        "shift",
        "sort",
        "splice",
        "unshift",
    ]
)
"""Methods that change what they are called on."""

SHORT = 128
"""Characters of expressions that are remembered once they are read. Each may take some hundred bytes."""
_LITERALS = {"true": True, "false": False, "none": None, "null": None}
_EQUALITY, _PRODUCT = 6, 9
_LEVELS = {
    "or": 1,
    "and": 2,
    "in": 4,
    "not": 4,
    "is": 5,
    "==": 6,
    "===": 6,
    "!=": 6,
    "!==": 6,
    "<": 7,
    "<=": 7,
    ">": 7,
    ">=": 7,
    "+": 8,
    "-": 8,
    "~": 8,
    "*": 9,
    "/": 9,
    "//": 9,
    "%": 9,
    "**": 10,
}
_NAMED = frozenset({"or", "and", "in", "not", "is"})
_BY_VALUE = frozenset({"==", "===", "!=", "!==", "<", "<=", ">", ">="})
"""Operators that upstream takes for such also where they are written as a string."""


class Traits(msgspec.Struct):
    """What is known of a template once it is read, gathered while reading."""

    mutates: bool = False
    """Whether it may change a list of its context, so that it needs a copy."""
    dynamic_lookup: bool = False
    indirect_call: bool = False
    bound: set[str] = msgspec.field(default_factory=set)
    """Every name that some part of the template gives a value to."""
    loop: bool = False
    """Whether `loop` is asked for anywhere."""
    nodes: int = 0

    def take_in(self, part: Traits) -> None:
        """Knows of a part as well."""
        self.mutates |= part.mutates
        self.dynamic_lookup |= part.dynamic_lookup
        self.indirect_call |= part.indirect_call
        self.loop |= part.loop
        self.nodes += part.nodes


def read_expression(source: str, limits: Limits) -> tuple[Expression, Traits]:
    """What stands in `${{ }}`, with offsets from its start: most expressions are met again, in other files or tasks."""
    read = _remembered if len(source) <= SHORT else _read
    return read(source, limits.depth, limits.nodes)


def _read(source: str, depth: int, most: int) -> tuple[Expression, Traits]:
    traits = Traits()
    return Parser(source, 0, traits, depth, most).expression(), traits


_remembered = lru_cache(2048)(_read)


class Parser:
    """Reads one expression, target list or signature, standing at `base` in the template."""

    def __init__(self, source: str, base: int, traits: Traits, depth: int, most: int) -> None:
        """Nested at most `depth` levels deep, of at most so many tokens."""
        self._tokens = tokens(source, base, most)
        self._index = 0
        self._depth, self._maximum = 0, depth
        self._traits = traits
        traits.nodes += len(self._tokens)

    def expression(self) -> Expression:
        """The whole of it."""
        found = self._choice()
        self._end()
        return found

    def targets(self) -> list[nodes.Name]:
        """Names with commas between them: what `for` and `set` give values to."""
        found: list[nodes.Name] = []
        while True:
            token = self._expect("name")
            if token[1] in _LITERALS:
                self._fail("Binding targets must be ordinary names", token)
            found.append(self._name(token))
            self._traits.bound.add(token[1])
            if not self._take(","):
                break
        self._end()
        return found

    def signature(self) -> tuple[list[nodes.Name], list[tuple[nodes.Name, Expression]]]:
        """What a macro is called with: names, then names with defaults. Ends with a parenthesis."""
        arguments = self._arguments()
        self._end()
        for argument in arguments.positional:
            if not isinstance(argument, nodes.Name):
                raise RenderError("Formal parameters must be names", argument.at)
        names = cast("list[nodes.Name]", arguments.positional)
        self._traits.bound.update(name.name for name in names)
        self._traits.bound.update(name.name for name, _ in arguments.keywords)
        return names, arguments.keywords

    def filtered(self, value: Expression) -> nodes.Filter:
        """What a filter block says: one filter's name and arguments."""
        found = self._filter(value)
        self._end()
        return found

    def _choice(self) -> Expression:
        body = self._binary(1)
        if not self._take_name("if"):
            return body
        condition = self._binary(1)
        otherwise = self._nested(lambda: self._binary(1)) if self._take_name("else") else None
        return nodes.Choice(body.at, condition, body, otherwise)

    def _binary(self, lowest: int) -> Expression:
        """Operators of at least this level, by precedence climbing."""
        token = self._tokens[self._index]
        if lowest <= 3 and token[0] == "name" and token[1] == "not":
            self._index += 1
            left, highest = _negated(self._nested(lambda: self._binary(3)), token[2]), 2
        else:
            left, highest = self._piped(), 10
        while True:
            operator = self._operator()
            level = _LEVELS.get(operator, 0)
            if not lowest <= level <= highest:
                return left
            left = self._operation(operator, level, left)
            highest = 4 if level == 5 else level

    def _operator(self) -> str:
        """The binary operator that stands here, or nothing."""
        kind, value, _ = self._tokens[self._index]
        if value not in _LEVELS:
            return ""
        if kind == "operator" or value in _BY_VALUE:
            return value
        if value == "not":
            return "not" if self._tokens[self._index + 1][1] == "in" and kind != "eof" else ""
        return value if kind == "name" and value in _NAMED else ""

    def _operation(self, operator: str, level: int, left: Expression) -> Expression:
        if level == _PRODUCT:
            return self._product(left)
        self._index += 1
        if level <= 2:
            right = self._binary(level + 1)
            return nodes.Logical(left.at, cast("Any", operator), left, right)
        if operator == "is":
            return self._test(left)
        if level == 4:
            self._index += operator == "not"
            found: Expression = nodes.Membership(left.at, left, self._binary(5))
            return nodes.Not(left.at, found) if operator == "not" else found
        right = self._piped() if operator == "**" else self._binary(level + 1)
        return nodes.Binary(left.at, cast("Any", operator), left, right)

    def _test(self, left: Expression) -> Expression:
        negated = self._take_name("not")
        right = self._binary(_EQUALITY)
        name, arguments = _test_name(right)
        found = nodes.Test(right.at, left, name, arguments)
        return nodes.Not(left.at, found) if negated else found

    def _product(self, left: Expression) -> Expression:
        """Factors from left to right; `//` takes what `%` binds before it, and all of its right side, into one division."""
        first, rest = self._division(left)
        found = _chained(first, rest)
        while self._at_operator("*", "/"):
            operator = self._next()[1]
            first, rest = self._division(self._binary(10))
            found = _chained(nodes.Binary(found.at, cast("Any", operator), found, first), rest)
        return found

    def _division(self, first: Expression) -> tuple[Expression, list[tuple[str, Expression]]]:
        rest = self._remainders()
        while self._take("//"):
            divisor = self._binary(10)
            quotient = _chained(first, [*rest, ("/", divisor), *self._remainders()])
            first, rest = nodes.Unary(quotient.at, "floor", quotient), []
        return first, rest

    def _remainders(self) -> list[tuple[str, Expression]]:
        found: list[tuple[str, Expression]] = []
        while self._take("%"):
            found.append(("%", self._binary(10)))
        return found

    def _piped(self) -> Expression:
        found = self._unary()
        while self._take("|"):
            found = self._filter(found)
        return found

    def _filter(self, value: Expression) -> nodes.Filter:
        first = self._expect("name")
        self._allow(first[1], first[2])
        name = first[1]
        while self._take("."):
            segment = self._expect("name")
            self._allow(segment[1], segment[2])
            name += "." + segment[1]
        arguments = self._nested(self._arguments) if self._take("(") else Arguments(first[2], [], [])
        return nodes.Filter(first[2], name, value, arguments)

    def _unary(self) -> Expression:
        kind, value, at = self._tokens[self._index]
        if kind != "operator" or value not in ("-", "+"):
            return self._postfix()
        self._index += 1
        target = self._nested(self._unary)
        if isinstance(target, nodes.Unary) and target.operator == value:
            raise RenderError(f"Repeated unparenthesized unary {value} is not supported", target.at)
        return nodes.Unary(at, cast("Any", value), target)

    def _postfix(self) -> Expression:
        found = self._primary()
        while True:
            kind, value, _ = self._tokens[self._index]
            if kind != "operator":
                return found
            if value == ".":
                self._index += 1
                found = self._member(found)
            elif value == "[":
                self._index += 1
                found = self._subscripted(found)
            elif value == "(":
                self._index += 1
                found = self._called(found)
            else:
                return found

    def _member(self, target: Expression) -> Expression:
        key = self._expect("name")
        self._allow(key[1], key[2])
        self._traits.mutates |= key[1] in MUTATING
        return nodes.Lookup(key[2], target, nodes.Constant(key[2], key[1]))

    def _subscripted(self, target: Expression) -> Expression:
        key = self._nested(self._subscript)
        self._require("]")
        if isinstance(key, nodes.Constant):
            if type(key.value) is str:
                self._allow(key.value, key.at)
                self._traits.mutates |= key.value in MUTATING
        else:
            self._traits.dynamic_lookup = True
        return nodes.Lookup(key.at, target, key)

    def _called(self, target: Expression) -> Expression:
        if not isinstance(target, nodes.Lookup):
            self._traits.indirect_call = True
        elif not isinstance(target.key, nodes.Constant):
            self._traits.mutates = True
        return nodes.Call(target.at, target, self._nested(self._arguments))

    def _subscript(self) -> Expression:
        at = self._tokens[self._index][2]
        start = None if self._tokens[self._index][1] in (":", "]") else self._choice()
        if not self._take(":"):
            if start is None:
                self._fail("Expected subscript expression")
            return start
        stop = None if self._tokens[self._index][1] in (":", "]") else self._choice()
        step = self._choice() if self._take(":") and self._tokens[self._index][1] != "]" else None
        nothing = nodes.Constant(at, None)
        return nodes.Slice(at, start or nothing, stop or nothing, step or nodes.Constant(at, 1))

    def _primary(self) -> Expression:
        token = self._tokens[self._index]
        kind, value, at = token
        if kind == "name":
            self._index += 1
            return nodes.Constant(at, _LITERALS[value]) if value in _LITERALS else self._name(token)
        if kind == "string":
            self._index += 1
            return nodes.Constant(at, value)
        if kind == "number":
            self._index += 1
            return nodes.Constant(at, number(float(value)))
        if kind == "regex":
            self._index += 1
            return nodes.Constant(at, tuple(value.rsplit("/", 1)))
        if kind == "operator" and value in _DELIMITED:
            self._index += 1
            return _DELIMITED[value](self, at)
        if not value:
            self._fail("Unexpected expression token at end of input")
        raise RenderError(f"Unexpected expression token {quote_diagnostic(value)}", at)

    def _group(self, at: int) -> Expression:
        children = self._nested(lambda: self._delimited(")"))
        if not children:
            raise RenderError("Parenthesized expression cannot be empty", at)
        return nodes.Group(at, children)

    def _array(self, at: int) -> Expression:
        return nodes.Array(at, self._nested(lambda: self._delimited("]")))

    def _record(self, at: int) -> Expression:
        return nodes.Record(at, self._nested(self._pairs))

    def _pairs(self) -> list[tuple[str, Expression]]:
        found: list[tuple[str, Expression]] = []
        if self._take("}"):
            return found
        while True:
            token = self._tokens[self._index]
            if token[0] != "string" and (token[0] != "name" or token[1] in _LITERALS):
                self._fail("Dictionary keys must be strings or names")
            self._index += 1
            self._allow(token[1], token[2])
            self._require(":")
            found.append((token[1], self._choice()))
            if not self._take(","):
                break
        self._require("}")
        return found

    def _delimited(self, end: str) -> list[Expression]:
        if self._take(end):
            return []
        found = [self._choice()]
        while self._take(","):
            found.append(self._choice())
        self._require(end)
        return found

    def _arguments(self) -> Arguments:
        found = Arguments(self._tokens[self._index][2], [], [])
        if self._take(")"):
            return found
        while True:
            kind = self._tokens[self._index][0]
            if kind == "name" and self._tokens[self._index + 1][1] == "=":
                key = self._name(self._next())
                self._require("=")
                found.keywords.append((key, self._choice()))
            else:
                found.positional.append(self._choice())
            if not self._take(","):
                break
        self._require(")")
        return found

    def _name(self, token: Token) -> nodes.Name:
        self._allow(token[1], token[2])
        if token[1] == "loop":
            self._traits.loop = True
        return nodes.Name(token[2], token[1])

    def _allow(self, name: str, at: int) -> None:
        if name in RESERVED:
            raise RenderError(f"Template name {quote_diagnostic(name)} is reserved", at)

    def _next(self) -> Token:
        self._index += 1
        return self._tokens[self._index - 1]

    def _at_operator(self, *operators: str) -> bool:
        kind, value, _ = self._tokens[self._index]
        return kind == "operator" and value in operators

    def _take(self, operator: str) -> bool:
        kind, value, _ = self._tokens[self._index]
        if value != operator or kind != "operator":
            return False
        self._index += 1
        return True

    def _take_name(self, name: str) -> bool:
        kind, value, _ = self._tokens[self._index]
        if value != name or kind != "name":
            return False
        self._index += 1
        return True

    def _expect(self, kind: str) -> Token:
        token = self._tokens[self._index]
        if token[0] != kind:
            received = quote_diagnostic(token[1]) if token[1] else "end of input"
            self._fail(f"Expected {kind}, received {received}")
        self._index += 1
        return token

    def _end(self) -> None:
        if self._tokens[self._index][0] != "eof":
            self._expect("eof")

    def _require(self, operator: str) -> None:
        if not self._take(operator):
            self._fail(f"Expected {operator}")

    def _nested(self, parse: Callable[[], Any]) -> Any:
        self._depth += 1
        if self._depth > self._maximum:
            raise RenderError(f"Template parsing exceeded the nesting depth limit of {self._maximum}", limit=True)
        found = parse()
        self._depth -= 1
        return found

    def _fail(self, problem: str, token: Token | None = None) -> NoReturn:
        raise RenderError(problem, (token or self._tokens[self._index])[2])


_DELIMITED: dict[str, Callable[[Parser, int], Expression]] = {
    "(": Parser._group,
    "[": Parser._array,
    "{": Parser._record,
}


def _chained(left: Expression, rest: list[tuple[str, Expression]]) -> Expression:
    for operator, right in rest:
        left = nodes.Binary(left.at, cast("Any", operator), left, right)
    return left


def _negated(target: Expression, at: int) -> Expression:
    """`not` reaches past sums, products and comparisons to their leftmost part alone, as in nunjucks."""
    if not isinstance(target, nodes.Binary) or target.operator == "**":
        return nodes.Not(at, target)
    return nodes.Binary(at, target.operator, _negated(target.left, at), target.right)


def _test_name(right: Expression) -> tuple[str, Arguments | None]:
    """Which test stands right of `is`, and its arguments: read off the expression without evaluating it."""
    if isinstance(right, nodes.Call):
        return _plain_name(right.target), right.arguments
    if isinstance(right, nodes.Filter):
        arguments = msgspec.structs.replace(right.arguments, positional=[right.input, *right.arguments.positional])
        return right.name, arguments
    return _plain_name(right), None


def _plain_name(node: Expression) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if not isinstance(node, nodes.Constant):
        return "undefined"
    value = node.value
    if isinstance(value, tuple):
        return "/".join(("", *value))
    if type(value) in (int, float):
        return number_text(value)
    return {None: "null", True: "true", False: "false"}.get(value) or str(value)
