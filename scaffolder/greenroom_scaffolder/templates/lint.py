"""Template file -> findings: what will fail, or come out otherwise than it is written, at which line, and what to do about it.

Everything here is told without running anything: the template against its schema, each step's input against its action's, and
each expression against what there is where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from greenroom_scaffolder.schemas import Problem, SchemaError, TooMuchError, validate
from greenroom_scaffolder.templates.declared import (
    all_fields,
    check_block,
    declared,
    filled_by_others,
    has_placeholder,
    is_open,
    is_placeholder,
)
from greenroom_scaffolder.templates.expressions import Called, Reference, Use, Uses, has_expression, uses_of
from greenroom_scaffolder.templates.findings import Backend, Finding, Findings
from greenroom_scaffolder.templates.located import Located, Unreadable, read_documents, without_place
from greenroom_scaffolder.templates.options import KEY, option_flaws
from greenroom_scaffolder.templates.shape import API_VERSION, KIND, flaws_of, is_other_kind
from greenroom_scaffolder.templating.callables import builtin_globals
from greenroom_scaffolder.templating.checks import TESTS
from greenroom_scaffolder.templating.filters import FILTERS
from greenroom_scaffolder.templating.members import METHODS
from greenroom_scaffolder.templating.suggestions import Suggestions, nearest

_STEP_KEYS: Final = ("id", "name", "action", "input", "if", "each", "backstage:permissions", KEY)
_SPEC_KEYS: Final = (
    "type", "owner", "lifecycle", "parameters", "secrets", "presentation", "EXPERIMENTAL_recovery", "formDecorators",
    "EXPERIMENTAL_formDecorators", "steps", "output",
)  # fmt: skip
_CONTEXT: Final = frozenset({"parameters", "steps", "user", "context", "environment", "undefined"})
_METHODS: Final = frozenset({name for methods in METHODS.values() for name in methods} | {"next", "reset"})
"""Of all values that there are; the last two are those of `cycler()`."""
_ROOTS: Final = "there are `parameters`, `steps`, `user`, `context`, `environment` and `secrets`"
_USER: Final = frozenset({"entity", "ref"})
_MOST_TOLD: Final = 50
"""Steps that are named to whoever names none of them."""
_IN_IF: Final = frozenset({"always", "failure"})


def lint(
    source: str | Mapping[str, Any] | Sequence[Located], backend: Backend, *, file: str = "template.yaml"
) -> list[Finding]:
    """What there is to say of the templates in a file, in documents of one, or of one entity, by line. Never raises."""
    try:
        if isinstance(source, str):
            source = read_documents(source)
        return _findings([without_place(source)] if isinstance(source, Mapping) else source, backend, file)
    except Unreadable as error:
        return [Finding(file, error.place.line, error.place.column, "error", "unreadable", error.message)]
    except RecursionError:
        return [Finding(file, 1, 1, "error", "unreadable", "The template is nested too deep")]


def _findings(documents: Sequence[Located], backend: Backend, file: str) -> list[Finding]:
    templates = [document for document in documents if _claims_to_be_a_template(document)]
    if not templates:
        message = f"There is no document of kind {KIND} in the file"
        return [Finding(file, 1, 1, "error", "no-template", message)]
    suggestions = Suggestions()
    return [one for template in templates for one in _Lint(template, backend, Findings(file, suggestions)).findings()]


def _claims_to_be_a_template(document: Located) -> bool:
    return isinstance(document.value, Mapping) and document.value.get("kind") == KIND


class _Step(msgspec.Struct):
    """A step that was read, as others may refer to it."""

    number: int
    id: str
    located: Located
    action: str
    outputs: frozenset[str] | None
    """Names of its outputs; None if any may be."""
    never: bool
    sometimes: bool
    """Whether it has a condition: of two by one id it may be one or the other."""


class _Where(msgspec.Struct, frozen=True):
    """What can be used at one place of a template."""

    before: int
    """Steps with a lower number are finished."""
    names: frozenset[str] = frozenset()
    """Besides what is there everywhere."""
    no_secrets: str | None = None
    """Why there are no secrets here."""


class _Lint:
    def __init__(self, document: Located, backend: Backend, report: Findings) -> None:
        self.document, self.backend, self.report = document, backend, report
        self.spec = document.get("spec") or without_place({})
        self.blocks = self.read_blocks()
        pages = [block.value for _, block in self.blocks]
        self.declared = {name for page in pages for name in declared(page)}
        self.filled = {name for page in pages for name in filled_by_others(page)}
        self.open = any(is_open(page) for page in pages)
        self.steps = list(self.read_steps())
        self.by_id: dict[str, list[_Step]] = {}
        for step in self.steps:
            self.by_id.setdefault(step.id, []).append(step)
        self.steps_elsewhere = has_placeholder((self.spec.get("steps") or without_place([])).value)
        self.filters = {*FILTERS, *backend.filters}
        self.functions = {*builtin_globals(), *backend.globals}
        self.names = _CONTEXT | {"secrets", "each"} | self.functions

    def findings(self) -> list[Finding]:
        if not self.check_shape():
            return self.report.in_order()
        self.check_form()
        self.check_steps()
        self.check_output()
        return self.report.in_order()

    def check_form(self) -> None:
        known = all_fields(*(block.value for _, block in self.blocks))
        for path, block in self.blocks:
            check_block(block, path, self.report, None if known is None else known | self.filled)
        secrets = self.spec.get("secrets", "schema")
        if secrets is not None:
            check_block(secrets, ("spec", "secrets", "schema"), self.report, all_fields(secrets.value))

    def read_blocks(self) -> list[tuple[tuple[str | int, ...], Located]]:
        parameters = self.spec.get("parameters")
        if parameters is None:
            return []
        if isinstance(parameters.value, list):
            return [(("spec", "parameters", index), item) for index, item in enumerate(parameters.items)]
        return [(("spec", "parameters"), parameters)]

    def read_steps(self) -> Iterator[_Step]:
        steps = self.spec.get("steps")
        for number, located in enumerate(steps.items if steps else ()):
            if not isinstance(located.value, Mapping) or is_placeholder(located.value):
                continue
            given, action = located.value.get("id"), str(located.value.get("action"))
            condition = located.value.get("if", True)
            yield _Step(
                number,
                given if isinstance(given, str) else f"step-{number + 1}",
                located,
                action,
                _outputs(self.backend, action),
                never=condition is False or condition == "",
                sometimes=condition is not True,
            )

    def check_shape(self) -> bool:
        """The template against upstream's schema, and what YAML lets pass; whether it is worth while to look on."""
        if is_other_kind(self.document.value):
            place = self.document.place_of("apiVersion")
            message = f"The apiVersion is not {API_VERSION}, so that nobody takes this for a template"
            self.report.error("unsupported-version", place, message, f"write `{API_VERSION}`", ("apiVersion",))
            return False
        for flaw in flaws_of(self.document.value):
            if self.is_elsewhere(flaw.path):
                continue
            place = self.document.place_of(*flaw.path)
            self.report.error("invalid-template", place, str(flaw), path=flaw.path)
        self.check_keys(self.document)
        self.check_names(self.spec, _SPEC_KEYS, "spec", ("spec",))
        return True

    def is_elsewhere(self, path: Sequence[str | int]) -> bool:
        """Whether what stands at a path is put there by the catalog."""
        found: Any = self.document
        for step in path:
            found = found.get(step) if found is not None and not is_placeholder(found.value) else found
        return found is not None and is_placeholder(found.value)

    def check_keys(self, located: Located) -> None:
        for key, place in located.repeated:
            self.report.error("duplicate-key", place, f'The key "{key}" is there twice', "upstream refuses the file")
        for inner in [*located.members.values(), *located.items]:
            self.check_keys(inner)

    def check_names(self, located: Located, known: tuple[str, ...], what: str, path: tuple[str | int, ...]) -> None:
        for key, place in located.keys.items():
            if key not in known and (near := nearest(key, known)) is not None:
                message = f'"{key}" means nothing in a {what}'
                self.report.warning("unknown-key", place, message, f'did you mean "{near}"?', (*path, key))

    def check_steps(self) -> None:
        seen: dict[str, _Step] = {}
        for step in self.steps:
            path: tuple[str | int, ...] = ("spec", "steps", step.number)
            first = seen.setdefault(step.id, step)
            if first is not step and not (first.sometimes and step.sometimes):
                line = first.located.place.line
                message = f'The step id "{step.id}" is there twice' + (f", first in line {line}" if line else "")
                hint = f"`steps.{step.id}` is what the last of them gave"
                self.report.warning("duplicate-step", step.located.place_of("id"), message, hint, (*path, "id"))
            self.check_step(step, path)

    def check_step(self, step: _Step, path: tuple[str | int, ...]) -> None:
        self.check_names(step.located, _STEP_KEYS, "step", path)
        for flaw in option_flaws(step.located.value):
            place = step.located.place_of(KEY, *flaw.path)
            self.report.error("invalid-option", place, f"{'.'.join((KEY, *flaw.path))} {flaw.message}", path=path)
        if step.never:
            message = f'The step "{step.id}" never runs: its `if` is always false'
            self.report.warning("unreachable-step", step.located.place_of("if"), message, path=(*path, "if"))
        self.check_action(step, path)
        looping = step.located.get("each") is not None
        each = frozenset({"each"}) if looping else frozenset()
        plain = None if looping else "a step's `if` sees no secrets, unless the step has `each`"
        self.check_texts(step.located.get("each"), (*path, "each"), _Where(step.number))
        self.check_texts(step.located.get("input"), (*path, "input"), _Where(step.number, each))
        self.check_texts(step.located.get("if"), (*path, "if"), _Where(step.number, each | _IN_IF, plain))

    def check_action(self, step: _Step, path: tuple[str | int, ...]) -> None:
        if not isinstance(step.located.value.get("action"), str):
            return  # of which the template's schema has complained
        place = step.located.place_of("action")
        action = self.backend.actions.get(step.action)
        if action is None:
            near = self.report.nearest(step.action, self.backend.actions)
            message = f'There is no action "{step.action}"'
            hint = f'did you mean "{near}"?' if near else "`greenroom template actions` lists those that there are"
            self.report.error("unknown-action", place, message, hint, (*path, "action"))
            return
        given = step.located.get("input")
        if action.input_schema is not None and (given is None or isinstance(given.value, Mapping)):
            self.check_input(step, given, action.input_schema, (*path, "input"))

    def check_input(
        self, step: _Step, given: Located | None, schema: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> None:
        """The input against the action's schema; what is not known before it is rendered is passed over."""
        for problem in _certain(_problems({} if given is None else given.value, schema)):
            place = step.located.place_of("action") if given is None else _place_of_problem(given, problem)
            message = f"{step.action}: {problem.property.replace('instance', 'input', 1)} {problem.message}"
            hint = _nearest_member(problem, self.report)
            self.report.error("invalid-input", place, message, hint, (*path, *problem.path))

    def check_output(self) -> None:
        output = self.spec.get("output")
        where = _Where(len(self.steps), no_secrets="the output sees no secrets")
        self.check_texts(output, ("spec", "output"), where)
        for kind in ("links", "text"):
            for index, item in enumerate((self.spec.get("output", kind) or without_place([])).items):
                condition = item.get("if")
                if condition is not None and (condition.value is False or condition.value == ""):
                    path = ("spec", "output", kind, index, "if")
                    message = "This is never shown: its `if` is always false"
                    self.report.warning("unreachable-output", condition.place, message, path=path)

    def check_texts(self, located: Located | None, path: tuple[str | int, ...], where: _Where) -> None:
        """Every template string within."""
        for way, text in located.texts() if located is not None else ():
            uses = uses_of(text.value, self.names)
            self.check_tags(uses, text, (*path, *way))
            self.check_uses(uses, text, (*path, *way), where)

    def check_tags(self, uses: Uses, text: Located, path: tuple[str | int, ...]) -> None:
        """What is not rendered, or comes out otherwise than it looks."""
        if uses.flaw is not None:
            at, hint = (
                uses.flaw_at,
                "it stays as it is written" + (", which counts as true" if path[-1] == "if" else ""),
            )
            if text.value.startswith("${{", at) and (opened := text.value.rfind("${{", 0, at)) >= 0:
                at, hint = opened, "`}}` is missing behind it"
            self.report.error("broken-expression", text.place_in(at), uses.flaw, hint, path)
        for use in uses.bare:
            message = f"`{use.name}… }}}}` is not rendered here"
            self.report.warning("missing-dollar", text.place_in(use.at), message, "write ${{ … }}", path)
        for use in uses.dashes:
            self.dash(use, text, path)

    def check_uses(self, uses: Uses, text: Located, path: tuple[str | int, ...], where: _Where) -> None:
        for what, used, known in (("filter", uses.filters, self.filters), ("test", uses.tests, TESTS)):
            for use in used:
                if use.name not in known:
                    self.unknown(what, use, text, path, known)
        for use in uses.calls:
            if use.name not in self.functions and use.name not in where.names:
                self.unknown_function(use, text, path)
        for called in uses.methods:
            if called.name not in _METHODS and called.of not in self.backend.globals:
                self.unknown("method", called, text, path, _METHODS)
        for reference in uses.references:
            self.check_reference(reference, text, path, where)

    def dash(self, use: Use, text: Located, path: tuple[str | int, ...]) -> None:
        first, *rest = use.name.split(".")
        meant = first + "".join(f'["{key}"]' if "-" in key else f".{key}" for key in rest)
        message = f"`{use.name}` is a subtraction"
        self.report.error("dash-in-path", text.place_in(use.at), message, f"write `{meant}`", path)

    def unknown(self, what: str, use: Use | Called, text: Located, path: tuple[str | int, ...], known: Any) -> None:
        near = self.report.nearest(use.name, known)
        hint = f'did you mean "{near}"?' if near else "the string stays as it is written"
        self.report.error(f"unknown-{what}", text.place_in(use.at), f'There is no {what} "{use.name}"', hint, path)

    def unknown_function(self, use: Use, text: Located, path: tuple[str | int, ...]) -> None:
        if use.name in _IN_IF:
            message = f"`{use.name}()` is known in a step's `if` only"
            self.report.error("unknown-function", text.place_in(use.at), message, path=path)
            return
        self.unknown("function", use, text, path, self.functions)

    def check_reference(self, reference: Reference, text: Located, path: tuple[str | int, ...], where: _Where) -> None:
        root, place = reference.path[0], text.place_in(reference.at)
        if reference.path[:1] == ("secrets",) or reference.path[:2] == ("environment", "secrets"):
            if where.no_secrets is not None:
                self.report.error("secret-out-of-reach", place, "secrets are undefined here", where.no_secrets, path)
        elif root == "parameters":
            self.check_parameter(reference, text, path)
        elif root == "steps":
            self.check_step_reference(reference, text, path, where)
        elif root == "each" and "each" not in where.names:
            self.report.error("unknown-name", place, "`each` is undefined: the step has no `each`", path=path)
        elif root == "user" and len(reference.path) > 1 and reference.path[1] not in _USER:
            message = f"`user` has no `{reference.path[1]}`"
            self.report.error("unknown-name", place, message, "it has `ref` and `entity`", path)
        elif root not in _CONTEXT | where.names and root not in self.functions and not reference.guarded:
            near = self.report.nearest(root, _CONTEXT | where.names | {"secrets"})
            hint = f"did you mean `{near}`?" if near else _form_hint(root, self.declared) or _ROOTS
            self.report.error("unknown-name", place, f"`{root}` is undefined here", hint, path)

    def check_parameter(self, reference: Reference, text: Located, path: tuple[str | int, ...]) -> None:
        if len(reference.path) < 2 or self.open:
            return
        name, place = reference.path[1], text.place_in(reference.at)
        if name in self.declared or name in self.filled:
            return
        near = self.report.nearest(name, self.declared)
        message = f"No block of parameters declares `{name}`"
        tell = self.report.warning if reference.guarded or self.decorated() else self.report.error
        hint = f"did you mean `{near}`?" if near else "declare it among the `properties` of a page"
        tell("undeclared-parameter", place, message, hint, path)

    def decorated(self) -> bool:
        """Whether something may fill in parameters that are not in the form."""
        return any(self.spec.get(key) is not None for key in ("formDecorators", "EXPERIMENTAL_formDecorators"))

    def check_step_reference(
        self, reference: Reference, text: Located, path: tuple[str | int, ...], where: _Where
    ) -> None:
        if len(reference.path) < 2:
            return
        name, place = reference.path[1], text.place_in(reference.at)
        named = self.by_id.get(name, [])
        if not named and self.steps_elsewhere:
            return
        if not named:
            near = self.report.nearest(name, self.by_id)
            told = ", ".join(f'"{step.id}"' for step in self.steps[:_MOST_TOLD])
            told += ", …" if len(self.steps) > _MOST_TOLD else ""
            hint = f'did you mean "{near}"?' if near else f"there are {told}" if told else "there are none"
            self.report.error("unknown-step", place, f'There is no step "{name}"', hint, path)
        elif all(step.number >= where.before for step in named):
            itself = any(step.number == where.before for step in named)
            message = f'The step "{name}" has no output yet: ' + ("it is this one" if itself else "it comes later")
            self.report.error("later-step", place, message, "only steps before this one have", path)
        elif all(step.never for step in named):
            message = f'The step "{name}" never runs, and has no output'
            self.report.warning("unreachable-output", place, message, path=path)
        else:
            self.check_step_output(reference, named[0], text, path)

    def check_step_output(self, reference: Reference, step: _Step, text: Located, path: tuple[str | int, ...]) -> None:
        place = text.place_in(reference.at)
        if len(reference.path) > 2 and reference.path[2] != "output":
            message = f"`steps.{step.id}` has no `{reference.path[2]}`"
            self.report.error("unknown-output", place, message, "what a step gives is in its `output`", path)
        elif len(reference.path) > 3 and step.outputs is not None and reference.path[3] not in step.outputs:
            near = self.report.nearest(reference.path[3], step.outputs)
            told = ", ".join(sorted(step.outputs))
            hint = f"did you mean `{near}`?" if near else f"it has {told}" if told else "it has none"
            message = f"{step.action} has no output `{reference.path[3]}`"
            self.report.warning("unknown-output", place, message, hint, path)


def _form_hint(name: str, parameters: set[str]) -> str | None:
    return f"write `parameters.{name}`" if name in parameters else None


def _outputs(backend: Backend, action: str) -> frozenset[str] | None:
    known = backend.actions.get(action)
    schema = known.output_schema if known is not None else None
    if not isinstance(schema, Mapping) or is_open(schema) or schema.get("additionalProperties") is True:
        return None
    return frozenset(declared(schema)) or None


def _problems(value: Any, schema: Mapping[str, Any], name: str = "instance") -> list[Problem]:
    try:
        return validate(value, schema, name=name)
    except (SchemaError, TooMuchError):
        return []  # the action's own fault, or too large to be told in time


def _certain(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Those that neither rendering nor the catalog can mend."""
    for problem in problems:
        closest = _closest(problem)
        yield from closest or ([problem] if _is_certain(problem) else [])


def _is_certain(problem: Problem) -> bool:
    """Keys are not rendered, and a missing one stays missing; but a placeholder may be anything."""
    if problem.name in {"required", "additionalProperties"}:
        return not is_placeholder(problem.instance)
    return not _has_expression(problem.instance) and not has_placeholder(problem.instance)


def _closest(problem: Problem) -> list[Problem]:
    """Where there are alternatives, and none can be met: what is certainly wrong by the one that is met best."""
    if problem.name not in {"anyOf", "oneOf"} or not isinstance(problem.schema, Mapping):
        return []
    alternatives = problem.schema[problem.name]
    tried = [list(_certain(_problems(problem.instance, one, problem.property))) for one in alternatives]
    closest = min(tried, key=len, default=[])
    return [msgspec.structs.replace(one, path=[*problem.path, *one.path]) for one in closest]


def _has_expression(value: Any) -> bool:
    if isinstance(value, str):
        return has_expression(value)
    if isinstance(value, Mapping):
        return any(map(_has_expression, value.values()))
    return isinstance(value, list) and any(map(_has_expression, value))


def _place_of_problem(given: Located, problem: Problem) -> Any:
    path = tuple(problem.path)
    if problem.name == "additionalProperties":
        holder = given.get(*path)
        if holder is not None and problem.argument in holder.keys:
            return holder.keys[problem.argument]
    return given.place_of(*path)


def _nearest_member(problem: Problem, report: Findings) -> str | None:
    """For a member that is not allowed, the one that was probably meant."""
    if problem.name != "additionalProperties" or not isinstance(problem.schema, Mapping):
        return None
    near = report.nearest(str(problem.argument), declared(problem.schema))
    return f'did you mean "{near}"?' if near else None
