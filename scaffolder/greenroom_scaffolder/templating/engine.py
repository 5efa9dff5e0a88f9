"""template + context -> text or value: the door of this room."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from greenroom.javascript.texts import well_formed
from greenroom_scaffolder.templating import callables, lexer, members, nodes
from greenroom_scaffolder.templating.blocks import TemplateCompiler
from greenroom_scaffolder.templating.diagnostics import position
from greenroom_scaffolder.templating.interpreter import Compiler, Region, World
from greenroom_scaffolder.templating.lexer import Delimiters
from greenroom_scaffolder.templating.limits import Budget, Limits, RenderError, TemplateError
from greenroom_scaffolder.templating.parser import SHORT, read_expression
from greenroom_scaffolder.templating.scope import Evaluate, Execute, Run
from greenroom_scaffolder.templating.statements import parse
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    private,
    public,
    rendered,
)

__all__ = ["Engine"]

_MANY, _FEW = 4096, 32
"""Templates that are remembered once they are read: many short ones, and a few that are longer."""
_LONG = 4096
"""Characters. Templates that are longer are files, which are rendered once: of those only the expressions are remembered."""


class Engine:
    """Renders templates with the same filters, globals and limits. Safe to share between threads."""

    def __init__(
        self,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - that is what templates call them
        limits: Limits | None = None,
        *,
        cookiecutter_compat: bool = False,
        trim_blocks: bool = False,
        lstrip_blocks: bool = False,
    ) -> None:
        """`filters` and callable `globals` are called with JSON by position, and answer JSON (or UNDEFINED)."""
        self._delimiters = Delimiters("{{" if cookiecutter_compat else "${{", trim_blocks, lstrip_blocks)
        methods = members.COOKIECUTTER if cookiecutter_compat else members.METHODS
        names = callables.builtin_globals() | {
            name: callables.Function(name, value) if callable(value) else value
            for name, value in (globals or {}).items()
        }
        self._world = World(dict(filters or {}), names, methods, limits or Limits(), cookiecutter_compat)
        self._short, self._long = lru_cache(_MANY)(self._compile), lru_cache(_FEW)(self._compile)
        self._shared = lru_cache(_MANY // 2)(self._expression)

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """The template rendered: always text. Raises TemplateError."""
        if not lexer.has_delimiters(template, self._delimiters.variable):
            return template
        program = self._short(template) if len(template) <= SHORT else self._longer(template)
        return program.text(context)

    def value(self, template: str, context: Mapping[str, Any]) -> Any:
        """What a single `${{ }}` comes to, of whatever type (UNDEFINED too); of all else the text. Raises TemplateError."""
        if "{" not in template and "#" not in template:
            return template
        program = self._short(template) if len(template) <= SHORT else self._longer(template)
        return program.value(context)

    def resolve(self, template: str, context: Mapping[str, Any]) -> Any:
        """As `value`, for the input of a step: what cannot be rendered stays as it is written, as upstream's runner leaves it."""
        try:
            return self.value(template, context)
        except TemplateError:
            return template

    def _longer(self, template: str) -> _Program:
        return self._long(template) if len(template) <= _LONG else self._compile(template)

    def _compile(self, template: str) -> _Program:
        path = _PATH.fullmatch(template) if self._delimiters.variable == "${{" else None
        if path and path[1] not in self._world.globals and not _SPECIAL.search(path[1]):
            return _Path(path[1].split("."), self._world)
        try:
            return self._read(template)
        except RenderError as failure:
            return _Broken(_told(failure, template))
        except RecursionError:
            return _Broken(TemplateError("Template parsing exceeded the nesting depth limit", limit=True))

    def _read(self, template: str) -> _Program:
        parsed = parse(template, self._delimiters, self._world.limits)
        traits, body = parsed.traits, parsed.body
        traits.mutates = mutates = traits.mutates or (traits.dynamic_lookup and traits.indirect_call)
        compiler = TemplateCompiler(self._world, traits, self._shared)
        if len(body) == 1 and isinstance(body[0], nodes.Output):
            evaluate = compiler.output(body[0], Region({}))
            return _Expression(template, self._world.limits, _apart(evaluate) if mutates else evaluate, body[0])
        execute = compiler.statements(body, Region({}))
        return _Statements(template, self._world.limits, _apart(execute) if mutates else execute)

    def _expression(self, source: str) -> Evaluate:
        expression, traits = read_expression(source, self._world.limits)
        return Compiler(self._world, traits).expression(expression, Region({}))


_PATH = re.compile(r"\$\{\{-?[ \t\n\r\xa0]*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)[ \t\n\r\xa0]*-?\}\}", re.ASCII)
_SPECIAL = re.compile(r"(?:^|\.)(?:constructor|prototype|__proto__)(?:\.|$)|^(?:true|false|null|none|not)(?:\.|$)")


_PUBLIC = frozenset({str, int, bool, type(None), type(UNDEFINED)})
"""What is the same within templates and outside, and costs nothing."""


class _Program:
    """A template that was read."""

    def text(self, context: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def value(self, context: Mapping[str, Any]) -> Any:
        return self.text(context)


class _Broken(_Program):
    """A template that cannot be read."""

    def __init__(self, error: TemplateError) -> None:
        self._error = error

    def text(self, context: Mapping[str, Any]) -> str:
        error = self._error
        raise TemplateError(error.problem, line=error.line, column=error.column, limit=error.limit)


class _Path(_Program):
    """`${{ parameters.name }}` and the like: by far the most."""

    def __init__(self, names: list[str], world: World) -> None:
        self._first, self._rest = names[0], names[1:]
        self._methods, self._limits = world.methods, world.limits

    def _found(self, context: Mapping[str, Any]) -> Any:
        value = context.get(self._first, UNDEFINED)
        for name in self._rest:
            value = value.get(name, UNDEFINED) if type(value) is dict else members.member(value, name, self._methods)
        return value

    def value(self, context: Mapping[str, Any]) -> Any:
        value = self._found(context)
        if type(value) in _PUBLIC:
            return value
        try:
            return public(value, Budget(self._limits))
        except (RenderError, RecursionError) as failure:
            raise _failed(failure, "", 0) from failure

    def text(self, context: Mapping[str, Any]) -> str:
        value = self._found(context)
        if type(value) is str:
            return well_formed(value)
        try:
            return well_formed(rendered(value, Budget(self._limits)))
        except (RenderError, RecursionError) as failure:
            raise _failed(failure, "", 0) from failure


class _Expression(_Program):
    """Nothing but one `${{ }}`, or one filter block."""

    def __init__(self, template: str, limits: Limits, evaluate: Evaluate, node: nodes.Output) -> None:
        self._template, self._limits = template, limits
        self._evaluate = evaluate if node.source is not None else lambda run: evaluate(run.begin())
        self._at, self._base = node.at, node.base

    def value(self, context: Mapping[str, Any]) -> Any:
        run = Run(context, self._limits)
        try:
            return public(self._evaluate(run), run)
        except (RenderError, RecursionError) as failure:
            raise _failed(failure, self._template, self._at, self._base) from failure

    def text(self, context: Mapping[str, Any]) -> str:
        run = Run(context, self._limits)
        try:
            text = rendered(self._evaluate(run), run)
            run.emit(len(text))
        except (RenderError, RecursionError) as failure:
            raise _failed(failure, self._template, self._at, self._base) from failure
        return well_formed(text)


class _Statements(_Program):
    """Anything else."""

    def __init__(self, template: str, limits: Limits, execute: Execute) -> None:
        self._template, self._limits, self._execute = template, limits, execute

    def text(self, context: Mapping[str, Any]) -> str:
        run = Run(context, self._limits).begin()
        try:
            self._execute(run)
        except (RenderError, RecursionError) as failure:
            raise _failed(failure, self._template, 0) from failure
        return well_formed("".join(run.out))


def _apart(work: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """The work, with a context of its own that it may change."""

    def apart(run: Run) -> Any:
        run.context = private(run.context, run)
        return work(run)

    return apart


def _failed(failure: RenderError | RecursionError, template: str, at: int, base: int = 0) -> TemplateError:
    """What to say of a rendering that failed. Places are counted from `base`; where none is known, it is `at`."""
    if isinstance(failure, RecursionError):
        return TemplateError("Template evaluation exceeded the nesting depth limit", limit=True)
    if failure.at is None:
        failure.at, failure.placed = at, True
    return _told(failure.place(base), template)


def _told(failure: RenderError, template: str) -> TemplateError:
    """The failure with its place as line and column."""
    if failure.at is None or failure.limit:
        return TemplateError(failure.problem, limit=failure.limit)
    line, column = position(template, failure.at)
    return TemplateError(failure.problem, line=line, column=column)
