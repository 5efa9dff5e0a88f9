"""What templates can call: macros, methods, global functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from greenroom.javascript.values import truthy
from greenroom_scaffolder.templating.diagnostics import quote_diagnostic
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.scope import Evaluate, Execute, Run, Scope
from greenroom_scaffolder.templating.values import (
    UNDEFINED,
    Safe,
    Template,
    Undefined,
    add,
    compare,
    pay_for,
    public,
    refuse_callables,
)

__all__ = [
    "Arguments",
    "Bound",
    "Function",
    "Invocable",
    "Macro",
    "MacroCode",
    "builtin_globals",
    "called_from_template",
    "paid",
]


class Arguments:
    """The arguments of one call, not evaluated yet."""

    __slots__ = ("keywords", "positional")

    def __init__(self, positional: list[Evaluate], keywords: list[tuple[str, Evaluate]]) -> None:
        self.positional, self.keywords = positional, keywords

    def plain(self, run: Run, what: str, low: int, high: float) -> list[Any]:
        """Evaluated, for what takes so many, by position, and nothing callable."""
        self.check(what, low, high)
        values = [evaluate(run) for evaluate in self.positional]
        refuse_callables(*values)
        return values

    def check(self, what: str, low: int, high: float) -> None:
        if self.keywords:
            raise RenderError(f"{what} does not accept keyword arguments")
        if not low <= len(self.positional) <= high:
            raise RenderError(f"{what} {_so_many(low, high)}")


def _so_many(low: int, high: float) -> str:
    if low == high:
        return f"requires {low} positional arguments"
    if high == float("inf"):
        return f"requires at least {low} positional arguments"
    return f"requires {low} to {high} positional arguments"


class Invocable(Template):
    """Something with a way to call it."""

    __slots__ = ()

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        raise RenderError("Interpreter builtin object is not directly callable")


class MacroCode(msgspec.Struct):
    """A macro as it was read: compiled once, bound to a scope whenever it is reached."""

    positional: list[tuple[str, int]]
    """Names and their slots."""
    defaults: list[tuple[str, Evaluate]]
    body: Execute
    size: int
    declares_caller: bool


class Macro(Invocable):
    __slots__ = ("code", "frame", "scope")

    def __init__(self, code: MacroCode, scope: Scope, frame: dict[int, Any] | None = None) -> None:
        self.code, self.scope, self.frame = code, scope, frame

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        positional = [evaluate(run) for evaluate in arguments.positional]
        keywords = {name: evaluate(run) for name, evaluate in arguments.keywords}
        return self.apply(run, positional, keywords)

    def apply(self, run: Run, positional: list[Any], keywords: dict[str, Any]) -> Safe:
        run.spend(self.code.size + 8)
        run.deeper()
        scope = Scope(self.scope, isolated=True)
        frame: dict[int, Any] = {} if self.frame is None else {-1: self.frame}
        before = run.scope, run.frame
        run.scope, run.frame = scope, frame
        try:
            self._bind(run, positional, keywords)
            run.scope, run.frame = before
            written = run.captured(self.code.body, scope, frame)
        except RenderError as failure:
            failure.placed = failure.at is not None  # it is told where in the macro, not where it was called
            raise
        run.depth -= 1
        return Safe(written)

    def _bind(self, run: Run, positional: list[Any], keywords: dict[str, Any]) -> None:
        """Positional arguments by place, then by name; what is too much goes to the defaults in their order."""
        names, defaults = self.code.positional, self.code.defaults
        count = len(names)
        for (name, _), value in zip(defaults, positional[count:], strict=False):
            keywords[name] = value
        for place, (name, slot) in enumerate(names):
            value = positional[place] if place < len(positional) else keywords.pop(name, UNDEFINED)
            run.scope.values[name] = run.frame[slot] = value
        for name, default in defaults:
            run.scope.values[name] = keywords[name] if name in keywords else default(run)
        if not self.code.declares_caller and "caller" in keywords:
            run.scope.values["caller"] = keywords["caller"]


class Bound(Invocable):
    """A method, looked up on a value."""

    __slots__ = ("high", "low", "method", "name", "receiver")

    def __init__(self, name: str, receiver: Any, method: tuple[int, float, Callable[..., Any]]) -> None:
        self.name, self.receiver = name, receiver
        self.low, self.high, self.method = method

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        values = arguments.plain(run, f"Template intrinsic {self.name}", self.low, self.high)
        refuse_callables(self.receiver)
        return paid(run, self.method, self.receiver, values)


def paid(run: Run, method: Callable[..., Any], receiver: Any, values: list[Any]) -> Any:
    """What a method or filter answers, having paid for what it goes through and what it makes."""
    run.spend(1)
    pay_for(run, receiver, *values)
    found = method(run, receiver, *values)
    pay_for(run, found)
    return found


class Function(Invocable):
    """A global function that the host of the templates offers."""

    __slots__ = ("function", "name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        if arguments.keywords:
            raise RenderError(f"Registered global {self.name} does not accept keyword arguments")
        values = arguments.plain(run, "", 0, float("inf"))
        return called_from_template(run, f"global {quote_diagnostic(self.name)}", self.function, values)


def called_from_template(run: Run, what: str, function: Callable[..., Any], values: list[Any]) -> Any:
    """What a filter or global function from outside answers; whatever it raises fails the template with its message."""
    given = [public(value, run) for value in values]
    if not getattr(function, "sees_undefined", False):
        given = [None if value is UNDEFINED else value for value in given]
    run.spend(10)
    pay_for(run, *given)
    try:
        found = function(*given)
    except Exception as error:
        message = str(error)
        raise RenderError(f"Template {what} failed: {message}" if message else f"Template {what} failed") from error
    if type(found) not in _JSON:
        raise RenderError(f"Template {what} answered with a {type(found).__name__}, which is no JSON")
    return found


_JSON = frozenset({str, int, float, bool, list, dict, type(None), Undefined})


class _Range(Invocable):
    """`range(stop)`, `range(start, stop, step)`."""

    __slots__ = ()

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        _at_most(arguments, "range", 3)
        start, stop, step = [*arguments.plain(run, "", 0, 3), UNDEFINED, UNDEFINED, UNDEFINED][:3]
        if stop is UNDEFINED:
            start, stop, step = 0, start, 1
        elif not truthy(step):
            step = 1
        found: list[Any] = []
        sign = 1 if compare(step, 0, run) > 0 else -1
        while compare(start, stop, run) * sign < 0:
            run.spend(1)
            found.append(start)
            run.holds(len(found))
            start = add(start, step, run)
        return found


def _at_most(arguments: Arguments, name: str, high: int) -> None:
    if arguments.keywords:
        raise RenderError(f"Built-in global {name} does not accept keyword arguments")
    if len(arguments.positional) > high:
        raise RenderError(
            f"Built-in global {name} accepts at most {high} positional argument{'' if high == 1 else 's'}"
        )


class _Cyclers(Invocable):
    """`cycler(a, b)`."""

    __slots__ = ()

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        if arguments.keywords:
            raise RenderError("Built-in global cycler does not accept keyword arguments")
        return _Cycler(arguments.plain(run, "", 0, float("inf")))


class _Cycler(Invocable):
    __slots__ = ("index", "values")

    def __init__(self, values: list[Any]) -> None:
        self.values, self.index = values, -1

    def member(self, name: str) -> Any:
        if name == "current":
            return None if self.index < 0 else self.values[self.index] if self.values else UNDEFINED
        return _CyclerMethod(self, name) if name in ("next", "reset") else UNDEFINED


class _CyclerMethod(Invocable):
    __slots__ = ("name", "owner")

    def __init__(self, owner: _Cycler, name: str) -> None:
        self.owner, self.name = owner, name

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        arguments.check(f"Cycler {self.name}", 0, 0)
        owner = self.owner
        if self.name == "reset":
            owner.index = -1
            return UNDEFINED
        owner.index = (owner.index + 1) % len(owner.values) if owner.values else 0
        return owner.values[owner.index] if owner.values else UNDEFINED


class _Joiners(Invocable):
    """`joiner(separator)`."""

    __slots__ = ()

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        _at_most(arguments, "joiner", 1)
        values = arguments.plain(run, "", 0, 1)
        return _Joiner(values[0] if values and truthy(values[0]) else ",")


class _Joiner(Invocable):
    """Nothing when it is called first, the separator ever after."""

    __slots__ = ("separator", "used")

    def __init__(self, separator: Any) -> None:
        self.separator, self.used = separator, False

    def invoke(self, run: Run, arguments: Arguments) -> Any:
        arguments.check("Joiner instance", 0, 0)
        used, self.used = self.used, True
        return self.separator if used else ""


def builtin_globals() -> dict[str, Any]:
    return {"range": _Range(), "cycler": _Cyclers(), "joiner": _Joiners()}
