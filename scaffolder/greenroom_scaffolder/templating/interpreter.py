"""expression -> closure: what an expression comes to, decided as far as it can be before anything is rendered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from greenroom.javascript.texts import split_units
from greenroom.javascript.values import truthy
from greenroom_scaffolder.templating import callables, checks, members, nodes
from greenroom_scaffolder.templating.callables import Invocable
from greenroom_scaffolder.templating.diagnostics import quote_diagnostic
from greenroom_scaffolder.templating.filters import FILTERS, KEYWORDS, divide, power
from greenroom_scaffolder.templating.limits import Limits, RenderError
from greenroom_scaffolder.templating.members import Methods
from greenroom_scaffolder.templating.nodes import Arguments, Expression
from greenroom_scaffolder.templating.numerals import Number, number, remainder
from greenroom_scaffolder.templating.parser import Traits
from greenroom_scaffolder.templating.scope import MISSING, Evaluate, Run, Scope
from greenroom_scaffolder.templating.suggestions import unknown
from greenroom_scaffolder.templating.values import (
    RESERVED,
    UNDEFINED,
    Pattern,
    Safe,
    Template,
    add,
    compare,
    concatenated,
    contained,
    contained_record,
    kind_of,
    loosely_equal,
    number_of,
    pay_for,
    refuse_callables,
    same,
    same_text,
    text,
)

__all__ = ["Compiler", "Region", "World", "located"]

_CHAIN = 8
"""Operators of one expression that become closures within closures; more are gone through in a loop."""


class World(msgspec.Struct, frozen=True):
    """What the templates of an engine have in common."""

    filters: Mapping[str, Callable[..., Any]]
    globals: Mapping[str, Any]
    """What names stand for that nothing else gives a value to."""
    methods: Methods
    limits: Limits
    cookiecutter: bool


class Region(msgspec.Struct):
    """A part of a template, and which names of it stand for a slot of its frame."""

    bindings: dict[str, tuple[int, int]]
    """Name -> how deep the frame lies, and the slot."""
    depth: int = 0
    exports_macros: bool = True
    exports_values: bool = True

    def inner(self, **changes: Any) -> Region:
        """A part within this one: names bound there are not bound here."""
        return msgspec.structs.replace(self, bindings=dict(self.bindings), **changes)


class Compiler:
    """Turns the expressions of one template into closures."""

    def __init__(self, world: World, traits: Traits) -> None:
        self.world, self.traits = world, traits

    def expression(self, node: Expression, region: Region) -> Evaluate:
        compile_ = getattr(self, f"_{type(node).__name__.lower()}")
        evaluate: Evaluate = compile_(node, region)
        return evaluate

    def _constant(self, node: nodes.Constant, region: Region) -> Evaluate:
        value = node.value
        if isinstance(value, tuple):
            return lambda run: Pattern(*value)
        return lambda run: value

    def _name(self, node: nodes.Name, region: Region) -> Evaluate:
        bound = region.bindings.get(node.name)
        if bound is not None:
            return _slot(region.depth - bound[0], bound[1])
        name, default = node.name, self._default(node.name)
        if node.name in self.traits.bound:
            dynamic = self._unbound(name, default)

            def scoped(run: Run) -> Any:
                value = run.scope.get(name)
                return dynamic(run) if value is MISSING else value

            return scoped
        return self._unbound(name, default)

    def _unbound(self, name: str, default: Any) -> Evaluate:
        if self.traits.mutates and isinstance(default, list | dict):

            def own(run: Run) -> Any:
                value = run.context.get(name, MISSING)
                return run.own_global(name, default) if value is MISSING else value

            return own
        return lambda run: run.context.get(name, default)

    def _default(self, name: str) -> Any:
        """What a name stands for that nothing gave a value to."""
        if self.world.cookiecutter and name in _PYTHONS:
            return _PYTHONS[name]
        return self.world.globals.get(name, UNDEFINED)

    def _lookup(self, node: nodes.Lookup, region: Region) -> Evaluate:
        if isinstance(node.key, nodes.Slice):
            return self._sliced(node.target, node.key, region)
        if (
            isinstance(node.key, nodes.Array)
            and len(node.key.children) == 1
            and isinstance(node.key.children[0], nodes.Slice)
        ):
            return self._sliced(node.target, node.key.children[0], region)
        names: list[str] = []
        target: Expression = node
        while (
            isinstance(target, nodes.Lookup)
            and isinstance(target.key, nodes.Constant)
            and type(target.key.value) is str
        ):
            names.append(target.key.value)
            target = target.target
        if names:
            return self._path(self.expression(target, region), names[::-1])
        return self._keyed(node, region)

    def _path(self, target: Evaluate, names: list[str]) -> Evaluate:
        """`target.a.b`. Most targets are objects and most members are there."""
        methods = self.world.methods
        plain = not self.world.cookiecutter

        def found(run: Run) -> Any:
            value = target(run)
            for name in names:
                value = (
                    value.get(name, UNDEFINED) if type(value) is dict and plain else _member(run, value, name, methods)
                )
            return value

        return found

    def _keyed(self, node: nodes.Lookup, region: Region) -> Evaluate:
        target, key, methods = (
            self.expression(node.target, region),
            self.expression(node.key, region),
            self.world.methods,
        )

        def keyed(run: Run) -> Any:
            value = target(run)
            name = key(run)
            if type(value) is list and type(name) is int:
                return value[name] if 0 <= name < len(value) else UNDEFINED
            return _member(run, value, name if type(name) is str else text(name, run), methods)

        return located(keyed, node.at)

    def _sliced(self, target: Expression, node: nodes.Slice, region: Region) -> Evaluate:
        parts = [self.expression(part, region) for part in (target, node.start, node.stop, node.step)]

        def sliced(run: Run) -> Any:
            return _slice(run, *(part(run) for part in parts))

        return located(sliced, node.at)

    def _slice(self, node: nodes.Slice, region: Region) -> Evaluate:
        def misplaced(run: Run) -> Any:
            raise RenderError("Unexpected expression node Slice", node.at)

        return misplaced

    def _call(self, node: nodes.Call, region: Region) -> Evaluate:
        arguments = self.arguments(node.arguments, region)
        target = node.target
        if (
            isinstance(target, nodes.Lookup)
            and isinstance(target.key, nodes.Constant)
            and type(target.key.value) is str
        ):
            called = self._method(self.expression(target.target, region), target.key.value, arguments, node)
        else:
            called = _invoking(self.expression(target, region), arguments, _spelled(target))
        return located(called, node.at)

    def _method(self, receiver: Evaluate, name: str, arguments: callables.Arguments, node: nodes.Call) -> Evaluate:
        methods, spelled = self.world.methods, _spelled(node.target)
        what = f"Template intrinsic {name}"
        positional, keywords = arguments.positional, arguments.keywords

        def called(run: Run) -> Any:
            value = receiver(run)
            method = members.methods_of(value, methods).get(name) if not isinstance(value, dict) else None
            if method is None:
                return _invoke(run, members.member(value, name, methods), arguments, spelled)
            if keywords or not method[0] <= len(positional) <= method[1]:
                arguments.check(what, method[0], method[1])
            values = [evaluate(run) for evaluate in positional]
            refuse_callables(value, *values)
            return callables.paid(run, method[2], value, values)

        return called

    def arguments(self, node: Arguments, region: Region) -> callables.Arguments:
        return callables.Arguments(
            [self.expression(each, region) for each in node.positional],
            [(name.name, self.expression(value, region)) for name, value in node.keywords],
        )

    def _filter(self, node: nodes.Filter, region: Region) -> Evaluate:
        name = "dump" if self.world.cookiecutter and node.name == "jsonify" else node.name
        value, arguments = self.expression(node.input, region), self.arguments(node.arguments, region)
        outside = self.world.filters.get(node.name)
        if outside is not None:
            return located(_outside_filter(node.name, outside, value, arguments), node.at)
        if name in FILTERS:
            return located(_builtin_filter(name, value, arguments, node.at), node.at)
        known = [*FILTERS, *(["jsonify"] if self.world.cookiecutter else []), *self.world.filters]
        return _raising(unknown("template filter", node.name, known), node.at)

    def _test(self, node: nodes.Test, region: Region) -> Evaluate:
        if node.name not in checks.TESTS:
            return _raising(unknown("template test", node.name, checks.TESTS), node.at)
        takes = checks.TESTS[node.name][0]
        wrong = _wrong_arguments(node, takes)
        if wrong:
            return _raising(wrong, node.at)
        value = self.expression(node.left, region)
        rest = [self.expression(each, region) for each in node.arguments.positional] if node.arguments else []
        name, at, shown = node.name, node.at, quote_diagnostic(node.name)
        defined = {"defined": True, "undefined": False}.get(name)

        def tested(run: Run) -> bool:
            tested_value = value(run)
            if defined is not None and not isinstance(tested_value, Template):
                return (tested_value is not UNDEFINED) is defined
            given = [evaluate(run) for evaluate in rest]
            run.spend(1)
            try:
                return checks.apply(run, name, tested_value, given)
            except RenderError as failure:
                raise failure.within(f"Test {shown} failed for {kind_of(tested_value)} input", at) from failure

        return tested

    def _binary(self, node: nodes.Binary, region: Region) -> Evaluate:
        spine: list[nodes.Binary] = []
        left: Expression = node
        while isinstance(left, nodes.Binary):
            spine.append(left)
            left = left.left
        evaluate = self.expression(left, region)
        steps = [(_OPERATORS[each.operator], self.expression(each.right, region), each.at) for each in reversed(spine)]
        if len(steps) > _CHAIN:
            return _chained(evaluate, steps)
        for operate, right, at in steps:
            evaluate = _operated(operate, evaluate, right, at)
        return evaluate

    def _logical(self, node: nodes.Logical, region: Region) -> Evaluate:
        parts: list[Expression] = [node.right]
        first: Expression = node.left
        while isinstance(first, nodes.Logical) and first.operator == node.operator:
            parts.append(first.right)
            first = first.left
        evaluate = self.expression(first, region)
        rest = [self.expression(part, region) for part in reversed(parts)]
        stops, cost = node.operator == "or", len(rest) if len(rest) > _CHAIN else 0

        def logical(run: Run) -> Any:
            value = evaluate(run)
            if cost:
                run.spend(cost)
            for part in rest:
                if truthy(value) is stops:
                    break
                value = part(run)
            return value

        return logical

    def _membership(self, node: nodes.Membership, region: Region) -> Evaluate:
        left, right = self.expression(node.left, region), self.expression(node.right, region)
        return located(lambda run: _contains(run, left(run), right(run)), node.at)

    def _not(self, node: nodes.Not, region: Region) -> Evaluate:
        target = self.expression(node.target, region)
        return lambda run: not truthy(target(run))

    def _unary(self, node: nodes.Unary, region: Region) -> Evaluate:
        target, change = self.expression(node.target, region), _UNARY[node.operator]
        return located(lambda run: change(number_of(target(run), run)), node.at)

    def _choice(self, node: nodes.Choice, region: Region) -> Evaluate:
        condition, body = self.expression(node.condition, region), self.expression(node.body, region)
        otherwise = self.expression(node.otherwise, region) if node.otherwise is not None else lambda run: ""
        return lambda run: body(run) if truthy(condition(run)) else otherwise(run)

    def _group(self, node: nodes.Group, region: Region) -> Evaluate:
        children = [self.expression(child, region) for child in node.children]
        last = children.pop()
        if not children:
            return last

        def group(run: Run) -> Any:
            run.spend(len(children))
            for child in children:
                refuse_callables(child(run))
            return last(run)

        return located(group, node.at)

    def _array(self, node: nodes.Array, region: Region) -> Evaluate:
        children = [self.expression(child, region) for child in node.children]

        def array(run: Run) -> Any:
            run.spend(len(children) + 1)
            return contained([child(run) for child in children])

        return array

    def _record(self, node: nodes.Record, region: Region) -> Evaluate:
        pairs = [(key, self.expression(value, region)) for key, value in node.pairs]

        def record(run: Run) -> Any:
            run.spend(len(pairs) + 1)
            return contained_record({key: value(run) for key, value in pairs})

        return record

    def _capture(self, node: nodes.Capture, region: Region) -> Evaluate:
        body = self.statements(node.body, region)
        return lambda run: run.captured(body, Scope(run.scope), run.frame)

    def statements(self, body: list[nodes.Statement], region: Region) -> Callable[[Run], None]:
        """Compiles what a filter block holds; statements are the heir's business (`blocks`)."""
        raise NotImplementedError


_PYTHONS = {"True": True, "False": False, "None": None}


def located(evaluate: Evaluate, at: int) -> Evaluate:
    """The same, whose failures name this place unless they name one within."""

    def tried(run: Run) -> Any:
        try:
            return evaluate(run)
        except RenderError as failure:
            raise failure.located(at)  # noqa: B904 - it is the same one

    return tried


def _member(run: Run, value: Any, name: str, methods: Methods) -> Any:
    if type(value) is str and not value.isascii():
        pay_for(run, value)  # its code units have to be counted
    return members.member(value, name, methods)


def _raising(problem: str, at: int) -> Evaluate:
    def fail(run: Run) -> Any:
        raise RenderError(problem, at)

    return fail


def _slot(hops: int, slot: int) -> Evaluate:
    if not hops:
        return lambda run: run.frame.get(slot, UNDEFINED)

    def outer(run: Run) -> Any:
        frame = run.frame
        for _ in range(hops):
            frame = frame[-1]
        return frame.get(slot, UNDEFINED)

    return outer


def _spelled(target: Expression) -> str | None:
    """How the template names what it calls; None where it does not by names alone."""
    if isinstance(target, nodes.Name):
        return target.name
    if not isinstance(target, nodes.Lookup):
        return None
    parent = _spelled(target.target)
    key = (
        target.key.value
        if isinstance(target.key, nodes.Constant)
        else target.key.name
        if isinstance(target.key, nodes.Name)
        else None
    )
    return f"{parent}.{key}" if parent and type(key) is str else None


def _invoking(target: Evaluate, arguments: callables.Arguments, spelled: str | None) -> Evaluate:
    return lambda run: _invoke(run, target(run), arguments, spelled)


def _invoke(run: Run, value: Any, arguments: callables.Arguments, spelled: str | None) -> Any:
    if isinstance(value, Invocable):
        run.spend(1)
        return value.invoke(run, arguments)
    what = f"value {quote_diagnostic(spelled)}" if spelled else "expression"
    raise RenderError(f"Template {what} resolved to {kind_of(value)} and cannot be called")


def _outside_filter(
    name: str, function: Callable[..., Any], value: Evaluate, arguments: callables.Arguments
) -> Evaluate:
    described = f"filter {quote_diagnostic(name)}"
    given = [value, *arguments.positional]

    def filtered(run: Run) -> Any:
        if arguments.keywords:
            raise RenderError(f"Registered filter {name} does not accept keyword arguments")
        values = [evaluate(run) for evaluate in given]
        refuse_callables(*values)
        return callables.called_from_template(run, described, function, values)

    return filtered


def _builtin_filter(name: str, value: Evaluate, arguments: callables.Arguments, at: int) -> Evaluate:
    function, most = FILTERS[name]
    named = KEYWORDS.get(name)
    positional, keywords = arguments.positional, arguments.keywords
    shown = quote_diagnostic(name)

    def filtered(run: Run) -> Any:
        given = value(run)
        rest = [evaluate(run) for evaluate in positional] if positional else []
        if keywords:
            rest = _with_names(rest, {key: evaluate(run) for key, evaluate in keywords}, named)
        refuse_callables(given, *rest)
        try:
            return callables.paid(run, function, given, rest if len(rest) <= most else rest[: int(most)])
        except RenderError as failure:
            raise failure.within(f"Filter {shown} failed for {kind_of(given)} input", at) from failure

    return filtered


def _with_names(positional: list[Any], keywords: dict[str, Any], named: tuple[str, ...] | None) -> list[Any]:
    if named is None:
        return [*positional, contained_record({**keywords, "__keywords": True})]
    refuse_callables(*keywords.values())
    return [*positional, *(keywords.get(name, UNDEFINED) for name in named[len(positional) :])]


def _wrong_arguments(node: nodes.Test, takes: int) -> str:
    """What is wrong with the arguments of a test, if anything."""
    given = node.arguments
    what, plural = f"Template test {node.name}", "" if takes == 1 else "s"
    if given is None:
        return "" if takes == 0 else f"{what} requires {takes} positional argument"
    if given.keywords:
        return f"{what} does not accept keyword arguments"
    return "" if len(given.positional) == takes else f"{what} requires {takes} positional argument{plural}"


Operate = Callable[[Any, Any, Run], Any]


def _operated(operate: Operate, left: Evaluate, right: Evaluate, at: int) -> Evaluate:
    def operated(run: Run) -> Any:
        first = left(run)
        second = right(run)
        try:
            return operate(first, second, run)
        except RenderError as failure:
            raise failure.located(at)  # noqa: B904 - it is the same one

    return operated


def _chained(first: Evaluate, steps: list[tuple[Operate, Evaluate, int]]) -> Evaluate:
    def chained(run: Run) -> Any:
        value = first(run)
        run.spend(len(steps))
        for operate, right, at in steps:
            other = right(run)
            try:
                value = operate(value, other, run)
            except RenderError as failure:
                raise failure.located(at)  # noqa: B904 - it is the same one
        return value

    return chained


def _numeric(operate: Callable[[Number, Number], Number]) -> Operate:
    return lambda left, right, run: operate(number_of(left, run), number_of(right, run))


def _multiply(left: Number, right: Number) -> Number:
    if type(left) is int and type(right) is int and left and right:
        return number(left * right)
    return number(float(left) * float(right))


def _equal(left: Any, right: Any, run: Run) -> bool:
    if type(left) is str and type(right) is str:
        return same_text(left, right, run)
    return loosely_equal(left, right, run)


def _concatenate(left: Any, right: Any, run: Run) -> str:
    left = left if type(left) is str else text(left, run)
    return concatenated(left, right if type(right) is str else text(right, run), run)


_OPERATORS: dict[str, Operate] = {
    "+": add,
    "~": _concatenate,
    "-": _numeric(lambda left, right: number(left - right)),
    "*": _numeric(_multiply),
    "/": _numeric(divide),
    "%": _numeric(remainder),
    "**": _numeric(power),
    "==": _equal,
    "!=": lambda left, right, run: not _equal(left, right, run),
    "===": same,
    "!==": lambda left, right, run: not same(left, right, run),
    "<": lambda left, right, run: compare(left, right, run) < 0,
    "<=": lambda left, right, run: compare(left, right, run) <= 0,
    ">": lambda left, right, run: compare(left, right, run) > 0,
    ">=": lambda left, right, run: compare(left, right, run) >= 0,
}


def _negative(value: Number) -> Number:
    return number(-float(value)) if value == 0 else -value


def _floor(value: Number) -> Number:
    return value if value != value or math.isinf(value) or (value == 0) else number(math.floor(value))


_UNARY: dict[str, Callable[[Number], Number]] = {"-": _negative, "+": lambda value: value, "floor": _floor}


def _contains(run: Run, needle: Any, container: Any) -> bool:
    if type(container) is str:
        pay_for(run, container)
        return text(needle, run) in container
    if type(container) is Safe:
        return text(needle, run) in ("length", "val")
    if isinstance(container, list):
        run.spend(len(container))
        return any(same(item, needle, run) for item in container)
    if isinstance(container, dict):
        key = text(needle, run)
        return key in container and key not in RESERVED
    raise RenderError("Membership requires an array, record, or string")


def _slice(run: Run, value: Any, start: Any, stop: Any, step: Any) -> list[Any]:
    """`value[start:stop:step]`, as nunjucks' helper goes through it: comparing and adding whatever it is given."""
    if isinstance(value, Template):
        raise RenderError("Callable values cannot be sliced")
    pay_for(run, value)
    target = split_units(value) if type(value) is str else value if truthy(value) else []
    length = members.own(target, "length")
    stride = number_of(step, run)
    if stride != stride or math.isinf(stride) or stride == 0:
        raise RenderError("Slice step must have finite non-zero numeric coercion")
    sign = 1 if compare(step, 0, run) > 0 else -1
    if start is None:
        start = number_of(length, run) - 1 if sign < 0 else 0
    if stop is None:
        stop = -1 if sign < 0 else length
    elif compare(stop, 0, run) < 0:
        stop = add(stop, length, run)
    if compare(start, 0, run) < 0:
        start = add(start, length, run)
    if sign > 0 and math.isnan(compare(start, length, run)) and math.isnan(compare(start, stop, run)):
        raise RenderError(f"Template evaluation exceeded the work unit limit of {run.limits.steps}", limit=True)
    found: list[Any] = []
    while not (compare(start, 0, run) < 0 or compare(start, length, run) > 0 or compare(start, stop, run) * sign >= 0):
        run.spend(1)
        item = members.own(target, text(start, run))
        refuse_callables(item)
        found.append(item)
        run.holds(len(found))
        start = add(start, step, run)
    return found
