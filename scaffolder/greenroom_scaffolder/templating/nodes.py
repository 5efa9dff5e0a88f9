"""What templates consist of, once read. `at` is an offset into the template: the place that errors of this node name."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = [
    "Arguments",
    "Array",
    "Binary",
    "Block",
    "Call",
    "CallBlock",
    "Capture",
    "Case",
    "Choice",
    "Constant",
    "Expression",
    "Filter",
    "For",
    "Group",
    "If",
    "Logical",
    "Lookup",
    "Macro",
    "Membership",
    "Name",
    "Not",
    "Output",
    "Record",
    "Set",
    "Slice",
    "Statement",
    "Switch",
    "Test",
    "Text",
    "Unary",
]


class Constant(msgspec.Struct, gc=False):
    at: int
    value: Any
    """A string, number, boolean or None; or `(source, flags)` of a regular expression."""


class Name(msgspec.Struct, gc=False):
    at: int
    name: str


class Lookup(msgspec.Struct):
    """`target.key`, `target[key]`."""

    at: int
    target: Expression
    key: Expression


class Slice(msgspec.Struct):
    """`start:stop:step`, between the brackets of a lookup."""

    at: int
    start: Expression
    stop: Expression
    step: Expression


class Arguments(msgspec.Struct):
    at: int
    positional: list[Expression]
    keywords: list[tuple[Name, Expression]]


class Call(msgspec.Struct):
    at: int
    target: Expression
    arguments: Arguments


class Filter(msgspec.Struct):
    at: int
    """Where its name stands."""
    name: str
    input: Expression
    arguments: Arguments


class Test(msgspec.Struct):
    """`left is name`, `left is name(argument)`."""

    at: int
    left: Expression
    name: str
    arguments: Arguments | None


class Binary(msgspec.Struct):
    at: int
    operator: Literal["+", "-", "~", "*", "/", "%", "**", "==", "===", "!=", "!==", "<", "<=", ">", ">="]
    left: Expression
    right: Expression


class Logical(msgspec.Struct):
    at: int
    operator: Literal["and", "or"]
    left: Expression
    right: Expression


class Membership(msgspec.Struct):
    """`left in right`."""

    at: int
    left: Expression
    right: Expression


class Not(msgspec.Struct):
    at: int
    target: Expression


class Unary(msgspec.Struct):
    """`-x`, `+x`, and what `//` does after dividing (`floor`)."""

    at: int
    operator: Literal["-", "+", "floor"]
    target: Expression


class Choice(msgspec.Struct):
    """`body if condition else otherwise`."""

    at: int
    condition: Expression
    body: Expression
    otherwise: Expression | None


class Group(msgspec.Struct):
    """`(a, b)`: the last of them."""

    at: int
    children: list[Expression]


class Array(msgspec.Struct):
    at: int
    children: list[Expression]


class Record(msgspec.Struct):
    at: int
    pairs: list[tuple[str, Expression]]


class Capture(msgspec.Struct):
    """Statements whose text is a value: of a filter block."""

    at: int
    body: list[Statement]


Expression: TypeAlias = (
    Constant
    | Name
    | Lookup
    | Slice
    | Call
    | Filter
    | Test
    | Binary
    | Logical
    | Membership
    | Not
    | Unary
    | Choice
    | Group
    | Array
    | Record
    | Capture
)


class Text(msgspec.Struct, gc=False):
    at: int
    value: str


class Output(msgspec.Struct):
    at: int
    value: Expression
    """Its offsets are counted from `base`: the same expression of another place is the same object."""
    base: int
    source: str | None
    """What the expression was read from; None of a filter block."""


class If(msgspec.Struct):
    at: int
    branches: list[tuple[Expression, list[Statement]]]
    otherwise: list[Statement] | None


class For(msgspec.Struct):
    at: int
    targets: list[Name]
    value: Expression
    body: list[Statement]
    otherwise: list[Statement] | None


class Set(msgspec.Struct):
    """`set a, b = value`, or of a block: all targets get the same."""

    at: int
    targets: list[Name]
    value: Expression | None
    body: list[Statement]


class Macro(msgspec.Struct):
    """Also the body of a call block, under the name `caller`."""

    at: int
    name: str
    positional: list[Name]
    defaults: list[tuple[Name, Expression]]
    body: list[Statement]


class CallBlock(msgspec.Struct):
    at: int
    call: Call
    caller: Macro


class Block(msgspec.Struct):
    at: int
    name: str
    body: list[Statement]


class Case(msgspec.Struct):
    at: int
    condition: Expression
    body: list[Statement]


class Switch(msgspec.Struct):
    at: int
    value: Expression
    cases: list[Case]
    otherwise: list[Statement] | None


Statement: TypeAlias = Text | Output | If | For | Set | Macro | CallBlock | Block | Switch
