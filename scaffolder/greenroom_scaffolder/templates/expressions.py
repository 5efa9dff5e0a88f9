"""template string -> the names, filters and functions that its expressions use, and where; or why it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.lexer import Delimiters, has_delimiters
from greenroom_scaffolder.templating.limits import Limits, RenderError
from greenroom_scaffolder.templating.statements import parse

_DELIMITERS: Final = Delimiters("${{", trim_blocks=False, lstrip_blocks=False)
_LIMITS: Final = Limits(source=256 * 1024)
_GUARDS: Final = frozenset({"default", "d"})
_ASKING: Final = frozenset({"defined", "undefined", "none", "null"})
_BARE: Final = re.compile(r"\{\{ (?:parameters|steps)\.")
_RAW: Final = re.compile(r"\{%-?\s*(?:raw|verbatim)\s*-?%\}")
_RAW_END: Final = re.compile(r"\{%\s*end(?:raw|verbatim)\s*%\}")


class Reference(msgspec.Struct, frozen=True):
    """`steps.fetch.output["x"]` is the path `steps fetch output x`; it ends where a key is not written out."""

    path: tuple[str, ...]
    at: int
    guarded: bool = False
    """Whether the expression expects that it may be undefined."""


class Use(msgspec.Struct, frozen=True):
    name: str
    at: int


class Called(msgspec.Struct, frozen=True):
    """A method of a value."""

    name: str
    at: int
    of: str | None
    """The name that the value begins with, if it begins with one."""


class Uses(msgspec.Struct):
    """What a template string uses; offsets are into the string."""

    references: list[Reference] = []
    filters: list[Use] = []
    tests: list[Use] = []
    calls: list[Use] = []
    """Functions that are called by their bare name."""
    methods: list[Called] = []
    dashes: list[Use] = []
    """What looks like a dotted path with a dash in it, and is a subtraction."""
    bare: list[Use] = []
    """What would be an expression, had it a dollar before it."""
    flaw: str | None = None
    """Why it cannot be read; it then stays as it is written."""
    flaw_at: int = 0


def has_expression(text: str) -> bool:
    """Whether there is anything to render in a text."""
    return has_delimiters(text, _DELIMITERS.variable)


def uses_of(text: str, around: Collection[str]) -> Uses:
    """`around` are the names that there are, whatever the text says. Never raises: what cannot be read is `flaw`."""
    if not has_expression(text):
        return Uses(bare=list(_bare(text, 0)))
    try:
        body = parse(text, _DELIMITERS, _LIMITS).body
        walk = _Walk(text, around, frozenset(_exported(body)))
        walk.statements(body, frozenset())
    except RenderError as error:
        return Uses(flaw=error.problem, flaw_at=error.at or 0)
    except RecursionError:
        return Uses(flaw="Template parsing exceeded the nesting depth limit")
    return _asked_for(walk.uses)


def _asked_for(uses: Uses) -> Uses:
    """What a text asks for in one place it may expect to be undefined in all: `x.y if x is defined`."""
    asked = {one.path for one in uses.references if one.guarded}
    found = [msgspec.structs.replace(one, guarded=one.guarded or one.path in asked) for one in uses.references]
    return msgspec.structs.replace(uses, references=found)


def _bare(text: str, at: int) -> Iterator[Use]:
    return (Use(found[0], at + found.start()) for found in _BARE.finditer(text))


def _assigned(body: list[nodes.Statement]) -> Iterator[str]:
    """The names that statements give values to where they stand: what is set in a loop or a block stays there."""
    for node in body:
        match node:
            case nodes.Set():
                yield from (target.name for target in node.targets)
                yield from _assigned(node.body)
            case nodes.Macro():
                yield node.name
            case nodes.Output(value=nodes.Filter(input=nodes.Capture(body=inner))):
                yield from _assigned(inner)
            case nodes.If() | nodes.Switch():
                for inner in _branches(node):
                    yield from _assigned(inner)


def _exported(body: list[nodes.Statement]) -> Iterator[str]:
    """What macros see of the names around them, when they are called: what is set last, and further down, too."""
    yield from _assigned(body)
    yield from _macros(body)


def _macros(body: list[nodes.Statement]) -> Iterator[str]:
    """Those that are known everywhere once they are declared, also within other macros and in blocks."""
    for node in body:
        match node:
            case nodes.Macro():
                yield node.name
                yield from _macros(node.body)
            case nodes.Block():
                yield from _macros(node.body)
            case nodes.If() | nodes.Switch():
                for inner in _branches(node):
                    yield from _macros(inner)


def _branches(node: nodes.If | nodes.Switch) -> Iterator[list[nodes.Statement]]:
    yield from (
        (case.body for case in node.cases) if isinstance(node, nodes.Switch) else (body for _, body in node.branches)
    )
    yield node.otherwise or []


class _Walk:
    """Goes through statements and expressions; `known` are the names that the template itself has set."""

    def __init__(self, text: str, around: Collection[str], exported: frozenset[str]) -> None:
        self.text, self.around, self.exported = text, around, exported
        self.uses = Uses()
        self.guarded = self.base = 0

    def use(self, name: str, at: int) -> Use:
        return Use(name, self.base + at)

    def statements(self, body: list[nodes.Statement], known: frozenset[str]) -> frozenset[str]:
        for statement in body:
            known = self.statement(statement, known)
        return known

    def statement(self, node: Any, known: frozenset[str]) -> frozenset[str]:
        """Visits a statement; answers the names that are known after it."""
        match node:
            case nodes.Text():
                self.written(node)
            case nodes.Output():
                before, self.base = self.base, node.base
                self.expression(node.value, known)
                self.base = before
                return known.union(_assigned([node]))
            case nodes.If():
                return self.branches(node, known)
            case nodes.For():
                self.loop(node, known)
            case nodes.Set():
                if node.value is not None:
                    self.expression(node.value, known)
                return self.statements(node.body, known) | {target.name for target in node.targets}
            case nodes.Macro():
                self.macro(node, self.exported | {"caller"})
                return known | {node.name, *_macros(node.body)}
            case nodes.CallBlock():
                self.macro(node.caller, known)
                self.expression(node.call, known)
            case nodes.Block():
                self.statements(node.body, known)
                return known.union(_macros(node.body))
            case nodes.Switch():
                return self.switch(node, known)
        return known

    def written(self, node: nodes.Text) -> None:
        """A text, but for what stands raw at its beginning."""
        at, skipped = node.at, 0
        if self.text.endswith("%}", 0, at) and _RAW.fullmatch(self.text, self.text.rfind("{%", 0, at), at):
            end = _RAW_END.search(self.text, at)
            at, skipped = (end.end(), end.start() - at) if end is not None else (at, len(node.value))
        self.uses.bare.extend(_bare(node.value[skipped:], at))

    def loop(self, node: nodes.For, known: frozenset[str]) -> None:
        """What one round sets, the next ones know, and nobody else."""
        self.expression(node.value, known)
        targets = {target.name for target in node.targets}
        self.statements(node.body, known | targets | {"loop", *_assigned(node.body)})
        self.statements(node.otherwise or [], known)

    def branches(self, node: nodes.If, known: frozenset[str]) -> frozenset[str]:
        after = known
        for condition, body in node.branches:
            self.asked(condition, known)
            after |= self.statements(body, known)
        return after | self.statements(node.otherwise or [], known)

    def switch(self, node: nodes.Switch, known: frozenset[str]) -> frozenset[str]:
        self.expression(node.value, known)
        after = known
        for case in node.cases:
            self.expression(case.condition, known)
            after |= self.statements(case.body, known)
        return after | self.statements(node.otherwise or [], known)

    def macro(self, node: nodes.Macro, known: frozenset[str]) -> None:
        """A macro from within: `known` is what it sees of the names around it."""
        known |= {name.name for name in node.positional} | {name.name for name, _ in node.defaults}
        for _, default in node.defaults:
            self.expression(default, known)
        self.statements(node.body, known)

    def asked(self, node: Any, known: frozenset[str]) -> None:
        """An expression of which it is asked whether it is anything at all."""
        self.guarded += 1
        self.expression(node, known)
        self.guarded -= 1

    def expression(self, node: Any, known: frozenset[str]) -> None:
        path = _path(node)
        if path is not None:
            self.reference(node, path, known)
            return
        match node:
            case nodes.Lookup():
                self.expression(node.target, known)
                self.expression(node.key, known)
            case nodes.Call():
                self.call(node, known)
            case nodes.Filter():
                self.filter(node, known)
            case nodes.Test():
                self.uses.tests.append(self.use(node.name, node.at))
                (self.asked if node.name in _ASKING else self.expression)(node.left, known)
                self.arguments(node.arguments, known)
            case nodes.Binary():
                self.binary(node, known)
            case nodes.Choice():
                self.asked(node.condition, known)
                self.expression(node.body, known)
                self.rest([node.otherwise], known)
            case nodes.Logical():
                first, steps = _chain(node)
                for inner in (first, *(step.right for step in steps)):
                    self.asked(inner, known)
            case nodes.Not():
                self.asked(node.target, known)
            case nodes.Capture():
                self.statements(node.body, known)
            case _:
                self.rest(_inside(node), known)

    def rest(self, inner: Any, known: frozenset[str]) -> None:
        for node in inner:
            if node is not None:
                self.expression(node, known)

    def reference(self, node: Any, path: tuple[tuple[str, ...], Any], known: frozenset[str]) -> None:
        names, unknown_key = path
        if names[0] not in known:
            self.uses.references.append(Reference(names, self.base + _start(node), guarded=self.guarded > 0))
        if unknown_key is not None:
            self.expression(unknown_key, known)

    def call(self, node: nodes.Call, known: frozenset[str]) -> None:
        if isinstance(node.target, nodes.Name):
            if node.target.name not in known:
                self.uses.calls.append(self.use(node.target.name, node.target.at))
        elif isinstance(node.target, nodes.Lookup):
            self.method(node.target)
            self.expression(node.target.target, known)
        else:
            self.expression(node.target, known)
        self.arguments(node.arguments, known)

    def method(self, node: nodes.Lookup) -> None:
        if isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str):
            path = _path(node)
            self.uses.methods.append(Called(node.key.value, self.base + node.at, path[0][0] if path else None))

    def filter(self, node: nodes.Filter, known: frozenset[str]) -> None:
        self.uses.filters.append(self.use(node.name, node.at))
        (self.asked if node.name in _GUARDS else self.expression)(node.input, known)
        self.arguments(node.arguments, known)

    def filters_of(self, node: Any, known: frozenset[str]) -> None:
        """The filters that something goes through, without it."""
        while isinstance(node, nodes.Filter):
            self.uses.filters.append(self.use(node.name, node.at))
            self.arguments(node.arguments, known)
            node = node.input

    def arguments(self, arguments: nodes.Arguments | None, known: frozenset[str]) -> None:
        if arguments is not None:
            self.rest([*arguments.positional, *(value for _, value in arguments.keywords)], known)

    def binary(self, node: nodes.Binary, known: frozenset[str]) -> None:
        first, steps = _chain(node)
        operands, signs = [first, *(step.right for step in steps)], [*(step.operator for step in steps), ""]
        at = 0
        while at < len(operands):
            start, end, behind = self.dashed(operands, signs, at, known)
            if behind - at > 1:
                self.uses.dashes.append(Use(self.text[start:end], start))
            else:
                self.expression(operands[at], known)
            for meant in operands[at + 1 : behind]:
                self.filters_of(meant, known)
            at = behind

    def dashed(self, operands: list[Any], signs: list[str], at: int, known: frozenset[str]) -> tuple[int, int, int]:
        """Where `steps.a-b.output` stands, which subtracts what is nowhere; and the operand behind what belongs to it."""
        start = self.base + _start(operands[at])
        names, _ = _path(operands[at]) or ((), None)
        end, behind = start + len(".".join(names)), at + 1
        if len(names) < 2 or self.text[start:end] != ".".join(names):
            return start, end, behind
        while signs[behind - 1] == "-":
            right = _written(operands[behind])
            if right is None or right[0] in known or right[0] in self.around:
                break
            dash = f"-{'.'.join(right)}"
            if not self.text.startswith(dash, end):
                break
            end, behind = end + len(dash), behind + 1
        return start, end, behind


def _chain(node: Any) -> tuple[Any, list[Any]]:
    """The first operand, and the operators from left to right with what stands behind each: there may be thousands."""
    steps: list[Any] = []
    kind = type(node)
    while isinstance(node, kind):
        steps.append(node)
        node = node.left
    return node, steps[::-1]


def _written(node: Any) -> tuple[str, ...] | None:
    while isinstance(node, nodes.Filter):
        node = node.input  # a filter binds stronger than the dash
    found = _path(node)
    return found[0] if found is not None and found[1] is None else None


def _inside(node: Any) -> Iterator[Any]:
    """The expressions directly within one of the other kinds."""
    for name in node.__struct_fields__ if isinstance(node, msgspec.Struct) else ():
        member = getattr(node, name)
        if isinstance(member, msgspec.Struct):
            yield member
        elif isinstance(member, list):
            yield from (each[1] if isinstance(each, tuple) else each for each in member)


def _path(node: Any) -> tuple[tuple[str, ...], Any] | None:
    """The written-out beginning of a name or a lookup, and the first key that is not written out, if any; None for all else."""
    keys: list[Any] = []
    while isinstance(node, nodes.Lookup):
        keys.append(node.key)
        node = node.target
    if not isinstance(node, nodes.Name):
        return None
    names = [node.name]
    for key in reversed(keys):
        if not isinstance(key, nodes.Constant) or not isinstance(key.value, str):
            return (tuple(names), key) if key is keys[0] else None
        names.append(key.value)
    return tuple(names), None


def _start(node: Any) -> int:
    while isinstance(node, nodes.Lookup | nodes.Binary):
        node = node.target if isinstance(node, nodes.Lookup) else node.left
    at: int = node.at
    return at
