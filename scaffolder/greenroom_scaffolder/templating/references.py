"""template -> the names in it: what it reads, which filters, tests and functions it uses, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.checks import TESTS
from greenroom_scaffolder.templating.filters import FILTERS
from greenroom_scaffolder.templating.interpreter import World
from greenroom_scaffolder.templating.statements import Parsed
from greenroom_scaffolder.templating.units import position

__all__ = ["Reference", "References", "referenced"]


class Reference(msgspec.Struct, frozen=True):
    """One name in a template."""

    name: str
    """Of a variable, its dotted path as far as it is written out: `parameters.owner`, also for `parameters['owner']`."""
    line: int
    column: int
    """Both from one; of a variable, where its first name stands."""
    known: bool = True
    """Whether the engine has such a filter, test or function. Of a variable: whether the template itself gives it a value."""
    path: tuple[str, ...] = ()
    """Of a variable: the steps of its path."""


class References(msgspec.Struct, frozen=True):
    """All names in a template, in the order in which they stand in it."""

    variables: tuple[Reference, ...] = ()
    """What is read. `known` are loop variables, `set` names, macros and their arguments, and globals."""
    filters: tuple[Reference, ...] = ()
    functions: tuple[Reference, ...] = ()
    """What is called by its name alone."""
    tests: tuple[Reference, ...] = ()


def referenced(parsed: Parsed, template: str, world: World) -> References:
    collector = _Collector(template, world, parsed.traits.bound)
    for statement in parsed.body:
        collector.visit(statement)
    return References(*(tuple(sorted(found, key=lambda each: (each.line, each.column))) for found in collector.found()))


class _Collector:
    def __init__(self, template: str, world: World, bound: set[str]) -> None:
        self.template, self.world, self.bound = template, world, bound
        self.base = 0
        self.variables: list[Reference] = []
        self.filters: list[Reference] = []
        self.functions: list[Reference] = []
        self.tests: list[Reference] = []

    def found(self) -> tuple[list[Reference], ...]:
        return self.variables, self.filters, self.functions, self.tests

    def visit(self, node: Any) -> None:
        path = _path(node)
        if path:
            self.variables.append(self.variable(*path))
            return
        if isinstance(node, nodes.Filter):
            self.filters.append(self.named(node.name, node.at, node.name in self.known_filters()))
        elif isinstance(node, nodes.Test):
            self.tests.append(self.named(node.name, node.at, node.name in TESTS))
        elif isinstance(node, nodes.Call) and isinstance(node.target, nodes.Name):
            known = node.target.name in self.bound or node.target.name in self.world.globals
            self.functions.append(self.named(node.target.name, node.target.at, known))
            self.visit_all(node.arguments)
            return
        before, self.base = self.base, node.base if isinstance(node, nodes.Output) else self.base
        for child in _children(node):
            self.visit(child)
        self.base = before

    def visit_all(self, arguments: nodes.Arguments) -> None:
        for child in _children(arguments):
            self.visit(child)

    def known_filters(self) -> Mapping[str, Any]:
        return {**FILTERS, **self.world.filters, **({"jsonify": True} if self.world.cookiecutter else {})}

    def named(self, name: str, at: int, known: bool) -> Reference:
        return Reference(name, *position(self.template, self.base + at), known=known)

    def variable(self, first: nodes.Name, steps: list[str]) -> Reference:
        known = first.name in self.bound or first.name in self.world.globals or first.name == "undefined"
        line, column = position(self.template, self.base + first.at)
        path = (first.name, *steps)
        return Reference(".".join(path), line, column, known, path)


def _path(node: Any) -> tuple[nodes.Name, list[str]] | None:
    """A name, or members of one that are all written out."""
    steps: list[str] = []
    while isinstance(node, nodes.Lookup):
        if not isinstance(node.key, nodes.Constant) or type(node.key.value) not in (str, int):
            return None
        steps.append(str(node.key.value))
        node = node.target
    return (node, steps[::-1]) if isinstance(node, nodes.Name) else None


def _children(node: Any) -> Iterator[Any]:
    """What a node consists of, without the names that it gives values to."""
    if (
        isinstance(node, nodes.Call)
        and isinstance(node.target, nodes.Lookup)
        and isinstance(node.target.key, nodes.Constant)
    ):
        yield node.target.target  # a method: the path ends before it
        yield node.arguments
        return
    if not isinstance(node, msgspec.Struct):
        return
    if isinstance(node, nodes.If):
        for condition, body in node.branches:
            yield condition
            yield from body
        yield from node.otherwise or ()
        return
    for field in node.__struct_fields__:
        if field in ("targets", "positional") and not isinstance(node, nodes.Arguments):
            continue
        yield from _nodes_in(getattr(node, field))


def _nodes_in(value: Any) -> Iterator[Any]:
    if isinstance(value, msgspec.Struct):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _nodes_in(each)
    elif isinstance(value, tuple):  # a name or key, and the value it is given
        yield from _nodes_in(value[-1])
