"""Value and JSON Schema -> what is wrong with the value, as npm's `jsonschema` words and orders it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET

from greenroom.javascript.values import text_of, truthy
from greenroom_scaffolder.schemas.checking import (
    MOST_TOLD,
    NOTHING,
    TOO_DEEP,
    TOO_MUCH_TO_TELL,
    Check,
    Found,
    Run,
    Site,
)
from greenroom_scaffolder.schemas.keywords import KEYWORDS
from greenroom_scaffolder.schemas.problems import (
    Path,
    Problem,
    SchemaError,
    TooMuchError,
    WrongKeywordError,
    WrongTypeError,
)
from greenroom_scaffolder.schemas.references import Scope, root_scope
from greenroom_scaffolder.schemas.values import fingerprint, keys_of

LARGEST_KEPT = 50_000
"""Bytes of a schema that is kept in its compiled form: those of forms have some thousands."""


class CompiledSchema:
    """A schema that was read once; `validate` holds any number of values against it."""

    def __init__(self, schema: Any) -> None:
        """Raises SchemaError, as upstream does before it looks at a value."""
        if not isinstance(schema, Mapping | list | bool):
            raise SchemaError("Expected `schema` to be an object or boolean")
        scope = root_scope(schema)
        self._check = _Checks().check(schema, scope)

    def validate(self, instance: Any, *, name: str = "instance") -> list[Problem]:
        """What is wrong, in upstream's order; nothing if the value is good.

        `name` is what the value is called in `property` and `stack`. Raises SchemaError where upstream throws one (what is wrong
        with a schema shows when a value gets there), and TooMuchError for what takes too long."""
        try:
            problems = list(self._check(instance, (), Run(name)))
            if problems and _weight(problems, {}) > MOST_TOLD:
                raise TooMuchError(TOO_MUCH_TO_TELL)
        except RecursionError as error:
            raise TooMuchError(TOO_DEEP) from error
        return problems


def compile_schema(schema: Any) -> CompiledSchema:
    """The compiled form of a JSON Schema; those lately used are kept, by what is written in them.

    Raises SchemaError for what is none, TooMuchError for one that is nested too deep."""
    try:
        encoded = msgspec.json.encode(schema)
        return _compiled(encoded) if len(encoded) <= LARGEST_KEPT else CompiledSchema(schema)
    except RecursionError as error:
        raise TooMuchError(TOO_DEEP) from error


@lru_cache(maxsize=128)
def _compiled(encoded: bytes) -> CompiledSchema:
    return CompiledSchema(msgspec.json.decode(encoded))


def validate(instance: Any, schema: Any, *, name: str = "instance") -> list[Problem]:
    """`compile_schema(schema).validate(instance)`. A value that is not there is `msgspec.UNSET`."""
    return compile_schema(schema).validate(instance, name=name)


def _weight(value: Any, known: dict[int, int]) -> int:
    """About how many characters a value has as JSON. Problems share schemas and values, and quote each other: a few objects
    may be very much JSON."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, Mapping | list | Problem):
        return 8
    weight = known.get(id(value))
    if weight is None:
        weight = known[id(value)] = 2 + sum(_weight(member, known) for member in _inside(value))
    return weight


def _inside(value: Mapping[str, Any] | list[Any] | Problem) -> Iterable[Any]:
    if isinstance(value, Problem):
        return value.path, value.property, value.message, value.schema, value.instance, value.argument, value.stack
    return [*value, *value.values()] if isinstance(value, Mapping) else value


class _Checks:
    """Makes the checks of one schema and its parts, each at its first use: a schema may refer to itself."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, str, int], tuple[Check, Any, Scope]] = {}

    def check(self, schema: Any, scope: Scope) -> Check:
        key = (id(schema), scope.base, id(scope.schemas))
        if isinstance(schema, Mapping) and key in self._made:
            return self._made[key][0]
        made = self._make(schema, scope)
        if isinstance(schema, Mapping):
            self._made[key] = (made, schema, scope)  # what is kept keeps its id
        return made

    def _make(self, schema: Any, scope: Scope) -> Check:
        if schema is True:
            return _anything
        if schema is False:
            return self._keywords({"type": []}, scope)
        if not truthy(schema):
            return _no_schema
        if isinstance(schema, Mapping) and truthy(schema.get("extends")):
            return self._extended(schema, scope)
        return self._plain(schema, scope)

    def _plain(self, schema: Any, scope: Scope) -> Check:
        reference = schema.get("$ref") if isinstance(schema, Mapping) else schema
        if isinstance(reference, str) and reference:
            return self._referring(reference, schema, scope)
        return self._keywords(schema, scope) if isinstance(schema, Mapping) else _anything

    def _referring(self, reference: str, schema: Any, scope: Scope) -> Check:
        target: Check | None = None

        def check(value: Any, path: Path, run: Run) -> Found:
            nonlocal target
            if target is None:
                target = self.check(*scope.find(reference, schema))
            run.enter()
            found = target(value, path, run)
            run.leave()
            return found

        return check

    def _extended(self, schema: Mapping[str, Any], scope: Scope) -> Check:
        merged: Check | None = None

        def check(value: Any, path: Path, run: Run) -> Found:
            nonlocal merged
            if merged is None:
                merged = self._plain(_with_bases(schema, scope), scope)
            return merged(value, path, run)

        return check

    def _keywords(self, schema: Mapping[str, Any], scope: Scope) -> Check:
        site = Site(schema, scope, self)
        made = (
            KEYWORDS[key](site) for key in schema if key in KEYWORDS
        )  # none looks like an index, which would come first
        checks = [check for check in made if check is not None]

        def check(value: Any, path: Path, run: Run) -> Found:
            run.enter()
            problems: list[Problem] | None = None
            for keyword in checks:
                found = keyword(value, path, run)
                if found:
                    problems = [*problems, *found] if problems else list(found)
            run.leave()
            return problems or NOTHING

        return check


def _anything(value: Any, path: Path, run: Run) -> Found:
    return NOTHING


def _no_schema(value: Any, path: Path, run: Run) -> Found:
    raise WrongKeywordError("schema is undefined")


def _with_bases(schema: Mapping[str, Any], scope: Scope) -> Any:
    """The schema, merged with what it extends."""
    bases = schema["extends"]
    merged: Any = schema
    for base in bases if isinstance(bases, list) else [bases]:
        merged = _merged(merged, _resolved(base, scope))
    return merged


def _resolved(schema: Any, scope: Scope) -> Any:
    if schema is None:
        raise WrongTypeError("Cannot read properties of null (reading '$ref')")
    reference = schema.get("$ref") if isinstance(schema, Mapping) else schema
    return scope.find(reference, schema)[0] if isinstance(reference, str) and reference else schema


def _merged(target: Any, source: Any) -> Any:
    """Upstream's deep merge: members of `source` win, and lists are joined without repetitions."""
    if isinstance(source, list):
        return _merged_lists(target if truthy(target) else [], source)
    if source is None:
        raise WrongTypeError("Cannot convert undefined or null to object")
    members = dict(target) if isinstance(target, Mapping) else {}
    if isinstance(target, list):
        members = dict(zip(keys_of(target), target, strict=True))
    result = dict(members)
    for key, member in source.items() if isinstance(source, Mapping) else ():
        deeper = isinstance(member, Mapping | list)
        if deeper and (target is None or target is UNSET):
            raise WrongTypeError(f"Cannot read properties of {text_of(target)} (reading '{key}')")
        old = members.get(key)
        result[key] = _merged(old, member) if deeper and truthy(old) else member
    return result


def _merged_lists(target: Any, source: list[Any]) -> list[Any]:
    result = list(target) if isinstance(target, list) else [target]
    there = {fingerprint(each) for each in result if not isinstance(each, Mapping | list)}
    for index, item in enumerate(source):
        if isinstance(item, Mapping | list) or item is None:
            old = target[index] if isinstance(target, list | str) and index < len(target) else UNSET
            result += [None] * (index + 1 - len(result))
            result[index] = _merged(old, item)
        elif isinstance(target, str):
            result += [] if text_of(item) in target else [item]
        elif not isinstance(target, list):
            raise WrongTypeError("target.indexOf is not a function")
        elif fingerprint(item) not in there:
            result.append(item)
    return result
