"""statements -> closure: what a template writes, and which names it gives values to on the way.

Names follow the rules of nunjucks' compiler. A loop's targets and macros are bound to slots when the template is read,
where they stand in the text; everything else is found in scopes when it is rendered. The two can tell apart what a
reader would think the same; tests/conformance/templating has the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from greenroom.javascript.objects import entries
from greenroom.javascript.texts import split_units
from greenroom.javascript.values import truthy
from greenroom_scaffolder.templating import nodes
from greenroom_scaffolder.templating.callables import Macro, MacroCode
from greenroom_scaffolder.templating.interpreter import Compiler, Region, World, located
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.members import own
from greenroom_scaffolder.templating.nodes import Statement
from greenroom_scaffolder.templating.parser import Traits
from greenroom_scaffolder.templating.scope import Evaluate, Execute, Run, Scope
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    Safe,
    number_of,
    pay_for,
    rendered,
    same,
)

__all__ = ["TemplateCompiler"]


class TemplateCompiler(Compiler):
    """Turns one whole template into a closure."""

    def __init__(self, world: World, traits: Traits, shared: Callable[[str], Evaluate]) -> None:
        """`shared` is the closure of an expression in which all names are those of the context."""
        super().__init__(world, traits)
        self._slots, self.shared = 0, shared

    def _new_slot(self) -> int:
        self._slots += 1
        return self._slots

    def _bind(self, region: Region, name: str) -> int:
        slot = self._new_slot()
        region.bindings[name] = (region.depth, slot)
        return slot

    def statements(self, body: list[Statement], region: Region) -> Execute:
        parts = [self._part(part, region) for part in _runs(body)]
        size = len(body) + 1
        if len(parts) == 1:
            return parts[0]

        def execute(run: Run) -> None:
            run.spend(size)
            for part in parts:
                part(run)

        return execute

    def _part(self, part: Statement | list[nodes.Text | nodes.Output], region: Region) -> Execute:
        return self._writer(part, region) if isinstance(part, list) else self._statement(part, region)

    def _statement(self, statement: Statement, region: Region) -> Execute:
        compile_ = getattr(self, f"_{type(statement).__name__.lower()}_statement")
        execute: Execute = compile_(statement, region)
        return execute

    def _writer(self, part: list[nodes.Text | nodes.Output], region: Region) -> Execute:
        """Texts and expressions that stand side by side."""
        written = [each.value if isinstance(each, nodes.Text) else (self.output(each, region), each) for each in part]

        def write(run: Run) -> None:
            out, size = run.out, 0
            for each in written:
                value = each if isinstance(each, str) else _shown(run, *each)
                out.append(value)
                size += len(value)
            run.emit(size)

        return write

    def output(self, node: nodes.Output, region: Region) -> Evaluate:
        """The closure of an expression, shared with other templates where nothing in this one changes what it means."""
        if node.source is None or region.bindings or self.traits.bound or self.traits.mutates:
            return self.expression(node.value, region)
        return self.shared(node.source)

    def _if_statement(self, node: nodes.If, region: Region) -> Execute:
        branches = [
            (self.expression(condition, region), self.statements(body, region)) for condition, body in node.branches
        ]
        otherwise = self.statements(node.otherwise, region) if node.otherwise is not None else None

        def choose(run: Run) -> None:
            for condition, body in branches:
                if truthy(condition(run)):
                    return body(run)
            return otherwise(run) if otherwise is not None else None

        return choose

    def _for_statement(self, node: nodes.For, region: Region) -> Execute:
        loop = _Loop(node, self.expression(node.value, region), self._new_slot(), uses_loop=self.traits.loop)
        if len(node.targets) == 1:
            inner = region.inner(exports_macros=False, exports_values=False)
            loop.single = self._bound_body(node, node.targets, inner)
            loop.otherwise = self._otherwise(node, inner)
        else:
            self._plan_destructuring(loop, node, region)
        return located(loop.execute, node.at)

    def _bound_body(self, node: nodes.For, targets: list[nodes.Name], inner: Region) -> _Body:
        return _Body(
            [(target.name, self._bind(inner, target.name)) for target in targets], self.statements(node.body, inner)
        )

    def _otherwise(self, node: nodes.For, inner: Region) -> Execute | None:
        return self.statements(node.otherwise, inner) if node.otherwise is not None else None

    def _plan_destructuring(self, loop: _Loop, node: nodes.For, region: Region) -> None:
        """`for a, b in …` has two bodies, one for lists and one for objects, each compiled when it is first needed."""
        listed = region.inner(exports_macros=False, exports_values=False)
        slots = [(target.name, self._bind(listed, target.name)) for target in node.targets]
        after = listed.inner()
        for name in _declared_macros(node.body):
            self._bind(after, name)
        paired = after.inner()
        pair_slots = [(target.name, self._bind(paired, target.name)) for target in node.targets[:2]]
        loop.listed = _Body(slots, None, lambda: self.statements(node.body, listed.inner()))
        loop.paired = _Body(pair_slots, None, lambda: self.statements(node.body, paired.inner()))
        if node.otherwise is not None:
            loop.otherwise = self.statements(node.otherwise, paired.inner())

    def _set_statement(self, node: nodes.Set, region: Region) -> Execute:
        evaluate = self._assigned(node, region)
        targets = [(target.name, self._slot_writer(region, target.name)) for target in node.targets]
        exports = region.exports_values

        def assign(run: Run) -> None:
            value = evaluate(run)
            run.spend(1)
            for name, write in targets:
                run.scope.assign(name, value)
                if write is not None:
                    write(run, value)
                if exports:
                    run.exported.values[name] = value

        return assign

    def _assigned(self, node: nodes.Set, region: Region) -> Evaluate:
        if node.value is not None:
            return self.expression(node.value, region)
        body = self.statements(node.body, region)
        return lambda run: run.captured(body, run.scope, run.frame)

    def _slot_writer(self, region: Region, name: str) -> Callable[[Run, Any], None] | None:
        bound = region.bindings.get(name)
        if bound is None:
            return None
        hops, slot = region.depth - bound[0], bound[1]

        def write(run: Run, value: Any) -> None:
            frame = run.frame
            for _ in range(hops):
                frame = frame[-1]
            frame[slot] = value

        return write

    def _macro_statement(self, node: nodes.Macro, region: Region) -> Execute:
        slot = self._bind(region, node.name)
        code = self._macro_code(node, Region({}, 0, exports_macros=True, exports_values=False))
        name, exports = node.name, region.exports_macros

        def declare(run: Run) -> None:
            macro = Macro(code, run.exported)
            run.frame[slot] = macro
            if exports:
                run.exported.values[name] = macro

        return declare

    def _macro_code(self, node: nodes.Macro, region: Region) -> MacroCode:
        defaults = [(name.name, self.expression(value, region)) for name, value in node.defaults]
        positional = [(name.name, self._bind(region, name.name)) for name in node.positional]
        declares = any(name.name == "caller" for name in [*node.positional, *(name for name, _ in node.defaults)])
        body = self.statements(node.body, region)
        return MacroCode(positional, defaults, body, len(node.body) + 2, declares)

    def _callblock_statement(self, node: nodes.CallBlock, region: Region) -> Execute:
        target = self.expression(node.call.target, region)
        arguments = self.arguments(node.call.arguments, region)
        inner = region.inner(depth=region.depth + 1, exports_macros=False, exports_values=False)
        caller, at = self._macro_code(node.caller, inner), node.at

        def call(run: Run) -> None:
            macro = target(run)
            if not isinstance(macro, Macro) or macro.frame is not None:
                raise RenderError("Call blocks can target only template macros", at)
            positional = [evaluate(run) for evaluate in arguments.positional]
            keywords = {name: evaluate(run) for name, evaluate in arguments.keywords}
            keywords["caller"] = Macro(caller, run.scope, run.frame)
            try:
                written = macro.apply(run, positional, keywords).text
            except RenderError as failure:
                raise failure.located(at)  # noqa: B904 - it is the same one
            run.emit(len(written))
            run.out.append(written)

        return call

    def _block_statement(self, node: nodes.Block, region: Region) -> Execute:
        body = self.statements(node.body, Region({}, 0, exports_macros=True, exports_values=False))

        def execute(run: Run) -> None:
            before = run.scope, run.frame
            run.scope, run.frame = Scope(run.scope, isolated=True), {}
            body(run)
            run.scope, run.frame = before

        return execute

    def _switch_statement(self, node: nodes.Switch, region: Region) -> Execute:
        value = self.expression(node.value, region)
        cases = [
            (self.expression(case.condition, region), self.statements(case.body, region) if case.body else None)
            for case in node.cases
        ]
        otherwise = self.statements(node.otherwise, region) if node.otherwise is not None else None

        def choose(run: Run) -> None:
            chosen, matched = value(run), False
            for condition, body in cases:
                matched = matched or same(chosen, condition(run), run)
                if matched and body is not None:
                    return body(run)
            return otherwise(run) if otherwise is not None else None

        return choose


def _shown(run: Run, evaluate: Evaluate, node: nodes.Output) -> str:
    try:
        value = evaluate(run)
        return value if type(value) is str else rendered(value, run)
    except RenderError as failure:
        if failure.at is None:
            failure.at, failure.placed = node.at, True
        raise failure.place(node.base)  # noqa: B904 - it is the same one


def _runs(body: list[Statement]) -> list[Statement | list[nodes.Text | nodes.Output]]:
    """The statements, with those that only write taken together."""
    found: list[Statement | list[nodes.Text | nodes.Output]] = []
    for statement in body:
        if not isinstance(statement, nodes.Text | nodes.Output):
            found.append(statement)
        elif found and isinstance(found[-1], list):
            found[-1].append(statement)
        else:
            found.append([statement])
    return found


def _declared_macros(body: list[Statement]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, nodes.Macro):
            yield statement.name
        for inner in _bodies(statement):
            yield from _declared_macros(inner)


def _bodies(statement: Statement) -> list[list[Statement]]:
    if isinstance(statement, nodes.If):
        return [*(body for _, body in statement.branches), statement.otherwise or []]
    if isinstance(statement, nodes.Switch):
        return [*(case.body for case in statement.cases), statement.otherwise or []]
    return []


class _Body:
    """What a loop does with each item: names with their slots, and statements."""

    __slots__ = ("_compile", "_execute", "names")

    def __init__(
        self, names: list[tuple[str, int]], execute: Execute | None, compile_: Callable[[], Execute] | None = None
    ) -> None:
        self.names, self._execute, self._compile = names, execute, compile_

    @property
    def execute(self) -> Execute:
        if self._execute is None:
            assert self._compile is not None  # noqa: S101 - one of the two is given
            self._execute = self._compile()
        return self._execute


class _Loop:
    """One `for` of a template."""

    __slots__ = ("count", "length_slot", "listed", "otherwise", "paired", "single", "uses_loop", "value")

    def __init__(self, node: nodes.For, value: Evaluate, length_slot: int, *, uses_loop: bool) -> None:
        self.count, self.value, self.length_slot, self.uses_loop = len(node.targets), value, length_slot, uses_loop
        self.single: _Body | None = None
        self.listed: _Body | None = None
        self.paired: _Body | None = None
        self.otherwise: Execute | None = None

    def execute(self, run: Run) -> None:
        value = self.value(run)
        items, length = _items(run, value) if self.single else _destructured(run, value)
        if truthy(value):
            run.frame[self.length_slot] = length
        length = run.frame.get(self.length_slot, UNDEFINED)
        before = run.scope
        run.scope = scope = Scope(before)
        if items:
            self._each(run, scope, value, items, length)
        if self.otherwise is not None and not truthy(length):
            self.otherwise(run)
        run.scope = before

    def _each(self, run: Run, scope: Scope, value: Any, items: list[Any], length: Any) -> None:
        body = self.single or (self.listed if type(value) in (list, Safe) else self.paired)
        assert body is not None  # noqa: S101 - two targets have both
        execute, values, frame = body.execute, scope.values, run.frame
        count = number_of(length, run) if self.uses_loop else 0
        for index, item in enumerate(items):
            run.spend(2)
            if self.single:
                name, slot = body.names[0]
                values[name] = frame[slot] = item
            else:
                self._destructure(body, values, frame, item)
            if self.uses_loop:
                values["loop"] = {
                    "index": index + 1,
                    "index0": index,
                    "revindex": count - index,
                    "revindex0": count - index - 1,
                    "first": index == 0,
                    "last": index == count - 1,
                    "length": length,
                }
            execute(run)

    def _destructure(self, body: _Body, values: dict[str, Any], frame: dict[int, Any], item: Any) -> None:
        for place, (name, slot) in enumerate(body.names):
            frame[slot] = _part(item, place)
            if body is self.paired:
                values[name] = frame[slot]


def _part(item: Any, place: int) -> Any:
    if item is UNDEFINED or item is None:
        raise RenderError("Cannot destructure a nullish loop value")
    return own(item, str(place)) if isinstance(item, list | dict | str) else UNDEFINED


def _items(run: Run, value: Any) -> tuple[list[Any], Any]:
    """What `for x in value` goes through, and what it says of the length."""
    if isinstance(value, list):
        return list(value), len(value)
    if isinstance(value, dict):
        length = own(value, "length")
        count = number_of(length, run)
        if count > run.limits.steps:
            raise RenderError(f"Template evaluation exceeded the work unit limit of {run.limits.steps}", limit=True)
        found = [own(value, str(index)) for index in range(_ceiling(count))]
        run.spend(len(found))
        return found, length
    if isinstance(value, str | Safe):
        pay_for(run, value)
        characters = split_units(value if isinstance(value, str) else value.text)
        return characters, len(characters)
    return [], UNDEFINED


def _ceiling(count: Any) -> int:
    return int(-(-count // 1)) if count > 0 else 0


def _destructured(run: Run, value: Any) -> tuple[list[Any], int]:
    """What `for a, b in value` goes through."""
    if isinstance(value, list):
        return list(value), len(value)
    if isinstance(value, dict):
        run.spend(len(value))
        found: list[Any] = [list(entry) for entry in entries(value)]
    elif isinstance(value, str):
        run.spend(len(value))
        found = [[str(index), character] for index, character in enumerate(split_units(value))]
    else:
        found = split_units(value.text) if isinstance(value, Safe) else []
    return found, len(found)
