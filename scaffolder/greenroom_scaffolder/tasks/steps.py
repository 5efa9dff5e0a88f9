"""A step and what is known -> what shall be done: held back, skipped, stood in for, or called. Computed here, done by `runner`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from greenroom.errors import InputError, NotAllowedError
from greenroom.javascript import values
from greenroom.javascript.json_text import json_text
from greenroom.javascript.values import text_of
from greenroom.plugin import Action
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.actions.telling import as_json
from greenroom_scaffolder.schemas.values import keys_of
from greenroom_scaffolder.settings import Environment
from greenroom_scaffolder.tasks.expressions import Renderer
from greenroom_scaffolder.templating import UNDEFINED
from greenroom_scaffolder.templating.callables import Function

Step: TypeAlias = Mapping[str, Any]
"""A step of a TaskSpec: `{"id", "name", "action", "input"?, "if"?, "each"?}`."""

UNSEEN = "***"
"""What stands for a secret where somebody could see it."""


class Scope:
    """What the expressions of one task can speak of. It grows by `learn`, and by `failed`."""

    def __init__(
        self, task_id: str, spec: Mapping[str, Any], secrets: Mapping[str, str], environment: Environment
    ) -> None:
        self.failed = False
        """Whether a step has failed."""
        self.asked = False
        """Whether `always()` or `failure()` was called since this was last set to False."""
        self.steps: dict[str, dict[str, Any]] = {}
        self.guarded = bool(secrets or environment.secrets)
        """Whether there are secrets."""
        self._open: dict[str, Any] = {
            "parameters": spec.get("parameters"),
            "environment": {"parameters": environment.parameters, "secrets": {}},
            "steps": self.steps,
            "user": spec.get("user"),
            "context": {"task": {"id": task_id}},
            "always": Function("always", self._always),
            "failure": Function("failure", self._failure),
        }
        self._secrets, self._environment = secrets, environment

    def learn(self, step_id: str, output: Mapping[str, Any]) -> None:
        """A step has answered."""
        self.steps[step_id] = {"output": output}

    def open(self) -> Mapping[str, Any]:
        """For `if`, for the final output: secrets are not known here."""
        return self._open

    def trusted(self, *, dry_run: bool) -> Mapping[str, Any]:
        """For what actions are given: with the secrets. In a dry run those of the environment stay away, as upstream's do."""
        return self._with(self._secrets, {} if dry_run else self._environment.secrets)

    def blank(self) -> Mapping[str, Any]:
        """The same with an empty text for each secret: what renders otherwise here holds one. (Were they undefined, the names
        that they stand under would be gone, and be taken for secret.)"""
        return self._with(dict.fromkeys(self._secrets, ""), dict.fromkeys(self._environment.secrets, ""))

    def masked(self) -> Mapping[str, Any]:
        """The same with `***` for each secret: what a dry run shows."""
        return self._with(dict.fromkeys(self._secrets, UNSEEN), dict.fromkeys(self._environment.secrets, UNSEEN))

    def _with(self, secrets: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, Any]:
        around = {"parameters": self._environment.parameters, "secrets": environment}
        return {**self._open, "environment": around, "secrets": secrets}

    def _always(self, *_given: Any) -> bool:
        self.asked = True
        return True

    def _failure(self, *_given: Any) -> bool:
        self.asked = True
        return self.failed


class Round(msgspec.Struct, frozen=True):
    """One call of a step's action: the only one, or that for one item of its `each`."""

    input: Any
    key: str | None = None
    """Of the item; None without an `each`."""
    value: Any = None
    runs: bool = True
    """Whether the step's `if` holds for this item."""

    def line(self) -> str:
        """How the log tells of the item."""
        each = json_text({"key": self.key, "value": text_of(self.value)})
        return f"{'Running' if self.runs else 'Skipping'} step each: {each}"


class Skip(msgspec.Struct, frozen=True):
    """The step is not run."""

    reason: str


class StandIn(msgspec.Struct, frozen=True):
    """A dry run, and an action that takes no part in it."""

    reason: str
    shown: str
    output: Any


class Call(msgspec.Struct, frozen=True):
    """The step is run: its action is called for each of the rounds."""

    action: Action[Any]
    rounds: Sequence[Round]
    each: bool = False
    hidden: Sequence[str] = ()
    """Texts that were rendered with the help of secrets, which nobody shall see."""
    shown: str | None = None
    """The line of a dry run that tells what the action is given."""


def held_back(step: Step, scope: Scope, render: Renderer) -> Skip | None:
    """Once a step has failed, only those steps are looked at whose `if` calls `always()` or `failure()`."""
    if not scope.failed:
        return None
    condition = step.get("if")
    scope.asked = False
    if isinstance(condition, str):
        render.resolve(condition, scope.open())
    return None if scope.asked else Skip(f"Skipping step {step['id']} because a previous step failed")


def plan(
    step: Step, scope: Scope, registry: Registry, render: Renderer, *, dry_run: bool = False
) -> Skip | StandIn | Call:
    """What shall be done for a step. Raises NotFoundError for an action that nobody knows, InputError."""
    if _unwanted(step, scope, render):
        return Skip(f"Skipping step {step['id']} because its if condition was false")
    action = registry.get(step["action"])
    shown = _shown(step, action, scope, render) if dry_run else None
    if shown is not None and not action.dry_run:
        return StandIn(f"Skipping because {action.id} does not support dry-run", shown, placeholder(action))
    return _call(step, action, scope, render, shown)


def check(call: Call, registry: Registry, *, allowed: bool) -> None:
    """Hold every input against the action's schema before the first is used.

    Raises InputError, SchemaError, and NotAllowedError where who started the task may not run actions."""
    for one in call.rounds:
        if one.runs:
            called = call.action.id if one.key is None else f"{call.action.id}[{one.key}]"
            registry.check(call.action, one.input, called)
            if not allowed:
                raise NotAllowedError(f"Unauthorized action: {call.action.id}. The action is not allowed.")


def output(template: Any, scope: Scope, render: Renderer) -> dict[str, Any]:
    """The task's own output: rendered without secrets; links and texts whose `if` does not hold are left out."""
    rendered = render.resolve(template, scope.open())
    if not isinstance(rendered, dict):
        return {}
    for name in ("links", "text"):
        if isinstance(items := rendered.get(name), list):
            rendered[name] = [_without_if(item) for item in items if _holds(item)]
    return rendered


def placeholder(action: Action[Any]) -> Any:
    """What stands for the outputs of an action that a dry run leaves out, made from its schema as upstream makes it."""
    return {} if action.output_schema is None else _example(action.output_schema)


def truthy(value: Any) -> bool:
    """Whether an `if` that renders to this holds: JavaScript's rule, but an empty list does not (an empty object does)."""
    return values.truthy(value) and value != []


def places(todo: Sequence[Step]) -> list[str]:
    """What each step is remembered by: its id, with a number where an id comes again. No two are equal, nor is one the beginning of
    what another's rounds and checkpoints are remembered by."""
    seen: dict[str, int] = {}
    found = []
    for step in todo:
        name = _SEPARATORS.sub(_escaped, step["id"])
        count = seen[name] = seen.get(name, 0) + 1
        found.append(name if count == 1 else f"{name}#{count}")
    return found


def place_of_round(place: str, key: str) -> str:
    """What a round of a step is remembered by: `<place>[<key>]`. (A checkpoint: `<place>.<its key>`, of a step or of a round.)"""
    return f"{place}[{_SEPARATORS.sub(_escaped, key)}]"


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


_SEPARATORS = re.compile(r"[%.#\[\]]")
"""What has a meaning in a place."""


# --- parts of a plan ---------------------------------------------------------------------------------------------


def _unwanted(step: Step, scope: Scope, render: Renderer) -> bool:
    """With an `each`, an expression is asked for each item instead."""
    condition = step.get("if")
    if isinstance(condition, str) and "each" not in step:
        return not truthy(render.resolve(condition, scope.open()))
    return condition is False


def _call(step: Step, action: Action[Any], scope: Scope, render: Renderer, shown: str | None) -> Call:
    trusted = scope.trusted(dry_run=shown is not None)
    blank = scope.blank() if scope.guarded else None
    if "each" not in step:
        one = _round(step, render, trusted)
        return Call(action, [one], False, list(_secret_of(step, one, render, blank)), shown)
    items = _items(step, action, render, trusted)
    bare = dict(_pairs(render.resolve(step["each"], blank))) if blank else {}
    rounds, hidden = [], list(_differing(step["each"], dict(items), bare)) if blank else []
    for key, value in items:
        one = _round(step, render, {**trusted, "each": {"key": key, "value": value}}, key, value)
        item = {"key": key, "value": bare[key]} if key in bare else {}
        without = {**blank, "each": item} if blank else None
        hidden += _secret_of(step, one, render, without)
        rounds.append(one)
    return Call(action, rounds, True, hidden, shown)


def _round(
    step: Step, render: Renderer, context: Mapping[str, Any], key: str | None = None, value: Any = None
) -> Round:
    condition = step.get("if")
    runs = key is None or not condition or truthy(render.resolve(condition, context))
    given = render.resolve(step["input"], context) if step.get("input") else {}
    return Round(given, key, value, runs)


def _items(step: Step, action: Action[Any], render: Renderer, context: Mapping[str, Any]) -> list[tuple[str, Any]]:
    each = step["each"]
    if isinstance(each, list):  # what is undefined in it is not gone through, and is still counted
        found = [(str(number), render.resolve(item, context)) for number, item in enumerate(each)]
        return [(key, value) for key, value in found if value is not UNDEFINED]
    resolved = render.resolve(each, context)
    if resolved is UNDEFINED:
        raise InputError(
            f'Invalid value on action {action.id}.each parameter, "{text_of(each)}" cannot be resolved to a value'
        )
    if not isinstance(resolved, list | dict):
        raise InputError(f"Invalid value on action {action.id}.each parameter, must resolve to an array or object")
    return _pairs(resolved)


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """The items of a list by their numbers, of an object by its keys in JavaScript's order."""
    if isinstance(value, list):
        return [(str(number), item) for number, item in enumerate(value)]
    return [(key, value[key]) for key in keys_of(value)] if isinstance(value, dict) else []


def _shown(step: Step, action: Action[Any], scope: Scope, render: Renderer) -> str:
    given = render.resolve(step["input"], scope.masked()) if step.get("input") else {}
    told = as_json({} if given is UNDEFINED or given is None else given, 2)
    return f"Running {action.id} in dry-run mode with inputs (secrets redacted): {told}"


# --- what holds secrets ------------------------------------------------------------------------------------------


def _secret_of(step: Step, one: Round, render: Renderer, blank: Mapping[str, Any] | None) -> Iterator[str]:
    """The texts of an input that would be others without the secrets."""
    if blank is not None and step.get("input"):
        yield from _differing(step["input"], one.input, render.resolve(step["input"], blank))


def _differing(template: Any, rendered: Any, without: Any) -> Iterator[str]:
    """Texts of a rendered value that are not in what was rendered without secrets. Keys count where they were rendered too."""
    if isinstance(rendered, str):
        if rendered != without:
            yield rendered
    elif isinstance(rendered, dict) and isinstance(template, dict):
        for key, value in rendered.items():
            yield from _differing(template.get(key), value, without.get(key) if isinstance(without, dict) else None)
    elif isinstance(rendered, list) and isinstance(template, list):
        bare = without if isinstance(without, list) else []
        for number, value in enumerate(rendered):
            inner = template[number] if number < len(template) else None
            yield from _differing(inner, value, bare[number] if number < len(bare) else None)
    elif isinstance(rendered, dict | list) and rendered != without:
        plain = set(_texts(without))
        yield from (text for text in _texts(rendered) if text not in plain)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


# --- output ------------------------------------------------------------------------------------------------------


def _holds(item: Any) -> bool:
    return not isinstance(item, dict) or "if" not in item or truthy(item["if"])


def _without_if(item: Any) -> Any:
    return {key: value for key, value in item.items() if key != "if"} if isinstance(item, dict) else item


def _example(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return "<unknown>"
    if isinstance(examples := schema.get("examples"), list | tuple):
        return examples[0] if examples else UNDEFINED
    kind = schema.get("type")
    if kind == "object":
        made = {key: _example(value) for key, value in (schema.get("properties") or {}).items()}
        return {key: value for key, value in made.items() if value is not UNDEFINED}
    if kind == "array":
        items = schema.get("items")
        first = items[0] if isinstance(items, list) and items else None if isinstance(items, list) else items
        return [_example(first)] if first else []
    return _EXAMPLES.get(kind, "<unknown>") if isinstance(kind, str) else "<unknown>"


_EXAMPLES: Mapping[str, Any] = {"string": "<example>", "number": 0, "boolean": False}
