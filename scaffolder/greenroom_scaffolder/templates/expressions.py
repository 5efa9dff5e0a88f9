"""template string -> the names, filters and functions that its expressions use, and where; or why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.lexer import Delimiters, has_delimiters
from greenroom_scaffolder.templating.limits import Limits, RenderError
from greenroom_scaffolder.templating.statements import parse

_DELIMITERS: Final = Delimiters("${{", trim_blocks=False, lstrip_blocks=False)
_LIMITS: Final = Limits(source=256 * 1024)
_LOOP: Final = frozenset({"loop", "caller", "super"})
_GUARDS: Final = frozenset({"default", "d"})
_ASKING: Final = frozenset({"defined", "undefined", "none", "null"})


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
    flaw: str | None = None
    """Why it cannot be read; it then stays as it is written."""
    flaw_at: int = 0


def has_expression(text: str) -> bool:
    """Whether there is anything to render in a text."""
    return has_delimiters(text, _DELIMITERS.variable)


def uses_of(text: str) -> Uses:
    """Never raises: what cannot be read is `flaw`."""
    if not has_expression(text):
        return Uses()
    walk = _Walk(text)
    try:
        walk.statements(parse(text, _DELIMITERS, _LIMITS).body, frozenset())
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


class _Walk:
    """Goes through statements and expressions; `known` are the names that the template itself has set."""

    def __init__(self, text: str) -> None:
        self.text, self.uses = text, Uses()
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
            case nodes.Output():
                before, self.base = self.base, node.base
                self.expression(node.value, known)
                self.base = before
            case nodes.If():
                return self.branches(node, known)
            case nodes.For():
                self.expression(node.value, known)
                within = known | {target.name for target in node.targets} | _LOOP
                after = self.statements(node.body, within)
                return known | (self.statements(node.otherwise or [], known) | after) - within
            case nodes.Set():
                if node.value is not None:
                    self.expression(node.value, known)
                self.statements(node.body, known)
                return known | {target.name for target in node.targets}
            case nodes.Macro():
                return self.macro(node, known)
            case nodes.CallBlock():
                self.macro(node.caller, known)
                self.expression(node.call, known)
            case nodes.Block():
                return self.statements(node.body, known)
            case nodes.Switch():
                return self.switch(node, known)
        return known

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

    def macro(self, node: nodes.Macro, known: frozenset[str]) -> frozenset[str]:
        names = {name.name for name in node.positional} | {name.name for name, _ in node.defaults}
        for _, default in node.defaults:
            self.expression(default, known)
        self.statements(node.body, known | names | _LOOP | {node.name})
        return known | {node.name}

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
            case nodes.Logical() | nodes.Not():
                for inner in (node.left, node.right) if isinstance(node, nodes.Logical) else (node.target,):
                    self.asked(inner, known)
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
        dashed = _dashed(node)
        if dashed is not None and ".".join(dashed) in self.text:
            self.uses.dashes.append(self.use(".".join(dashed), _start(node)))
            self.filters_of(node.right, known)
            return
        self.expression(node.left, known)
        self.expression(node.right, known)


def _dashed(node: Any) -> tuple[str, ...] | None:
    """`steps.a-b.output`, which is a subtraction, as the path that was probably meant: `steps`, `a-b`, `output`."""
    if not isinstance(node, nodes.Binary) or node.operator != "-":
        return None
    left, right = _dashed(node.left) or _written(node.left), _written(node.right)
    if left is None or right is None or len(left) < 2:
        return None
    return (*left[:-1], f"{left[-1]}-{right[0]}", *right[1:])


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
    if isinstance(node, nodes.Name):
        return (node.name,), None
    if not isinstance(node, nodes.Lookup):
        return None
    before = _path(node.target)
    if before is None:
        return None
    names, unknown_key = before
    if unknown_key is not None:
        return None
    if isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str):
        return (*names, node.key.value), None
    return names, node.key


def _start(node: Any) -> int:
    while isinstance(node, nodes.Lookup | nodes.Binary):
        node = node.target if isinstance(node, nodes.Lookup) else node.left
    at: int = node.at
    return at
