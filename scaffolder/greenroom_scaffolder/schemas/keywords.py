"""One function a keyword: the schema that has it -> the check that it stands for.

A check is built once for a schema, looks at a value and answers with what is wrong, in the words, order and shapes of npm's
`jsonschema`. What is wrong with the schema itself is raised by the check, not when it is built: upstream notices nothing before a
value of the right type comes by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from msgspec import UNSET

from greenroom_scaffolder.schemas.formats import format_check
from greenroom_scaffolder.schemas.patterns import Matcher, matcher
from greenroom_scaffolder.schemas.problems import (
    Path,
    Problem,
    SchemaError,
    TooMuchError,
    WrongKeywordError,
    WrongTypeError,
    identity,
    property_text,
    schema_or_id,
    truthy,
)
from greenroom_scaffolder.schemas.references import Scope
from greenroom_scaffolder.schemas.values import (
    ON_EVERY_OBJECT,
    as_double,
    is_number,
    joined,
    json_text,
    keys_of,
    number_of,
    number_text,
    same,
    text_of,
)

Found: TypeAlias = Sequence[Problem]
NOTHING: Final[Found] = ()

DEEPEST = 64
TOO_DEEP = f"The value or its schema is nested deeper than {DEEPEST} levels"
MOST_VISITS = 1_000_000
SECONDS = 1.0


class Run:
    """What one validation may use up: depth, parts of the schema looked at, and time spent on patterns."""

    def __init__(self, name: str) -> None:
        self.name, self.depth, self.visits = name, 0, 0
        self.deadline: float | None = None

    def enter(self) -> None:
        self.depth += 1
        self.visits += 1
        if self.depth > DEEPEST:
            raise TooMuchError(TOO_DEEP)
        if self.visits > MOST_VISITS:
            raise TooMuchError(f"Holding the value against its schema takes more than {MOST_VISITS} steps")

    def leave(self) -> None:
        self.depth -= 1

    def on_the_clock(self) -> None:
        """Called before a pattern is tried."""
        now = time.monotonic()
        if self.deadline is None:
            self.deadline = now + SECONDS
        elif now > self.deadline:
            raise TooMuchError(f"Matching the patterns of the schema takes longer than {SECONDS:g} seconds")


Check: TypeAlias = Callable[[Any, Path, Run], Found]
"""A value (`UNSET` if there is none), the way to it, what may be used up -> what is wrong, in upstream's order."""


class Compiler(Protocol):
    """Makes checks of schemas, each only once."""

    def check(self, schema: Any, scope: Scope) -> Check: ...


class Site:
    """A schema, and all that its keywords' checks need to know of where it stands."""

    __slots__ = ("compiler", "schema", "scope")

    def __init__(self, schema: Any, scope: Scope, compiler: Compiler) -> None:
        self.schema, self.scope, self.compiler = schema, scope, compiler

    def problem(self, value: Any, path: Path, run: Run, message: str, name: str, argument: Any = UNSET) -> Problem:
        text = property_text(path, run.name)
        schema = schema_or_id(self.schema)
        return Problem(list(path), text, message, schema, value, name, argument, f"{text} {message}")

    def here(self, schema: Any) -> Check:
        """The check of another schema for the same value."""
        return self.compiler.check(schema, self.scope)

    def inside(self, schema: Any) -> Check:
        """The check of a schema for what is inside of the value, or after `if`: it may name itself."""
        return self.compiler.check(schema, self.scope.entering(schema))


Keyword: TypeAlias = Callable[[Site], Check | None]


def is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def type_(site: Site) -> Check:
    types = site.schema["type"]
    wanted = types if isinstance(types, list) else [types]
    named = [_type_name(each) for each in wanted]
    message = f"is not of a type(s) {joined(named)}"
    if all(isinstance(each, str) and each in TYPES for each in wanted):
        tests = [TYPES[each] for each in wanted]

        def check(value: Any, path: Path, run: Run) -> Found:
            if value is UNSET:
                return NOTHING
            for fits in tests:
                if fits(value):
                    return NOTHING
            return [site.problem(value, path, run, message, "type", list(named))]

        return check

    def check_odd(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET or any(is_of_type(site, each, value, path, run) for each in wanted):
            return NOTHING
        return [site.problem(value, path, run, message, "type", [None if name is UNSET else name for name in named])]

    return check_odd


def _type_name(wanted: Any) -> Any:
    if not truthy(wanted):
        return UNSET
    name = identity(wanted)
    return text_of(wanted) if name is None else f"<{text_of(name)}>"


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: is_number(value) and math.isfinite(as_double(value)),
    "integer": lambda value: is_number(value) and math.isfinite(as_double(value)) and value % 1 == 0,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "date": lambda value: False,  # JSON has none
    "any": lambda value: True,
    "object": is_object,
}
"""Types that are none of these are any value's."""


def is_of_type(site: Site, wanted: Any, value: Any, path: Path, run: Run) -> bool:
    """Whether the value has a type, or fits a schema that stands in a type's place."""
    if wanted is None:
        raise SchemaError('Unexpected null in "type" keyword')
    if isinstance(wanted, str) and wanted in TYPES:
        return TYPES[wanted](value)
    return not (isinstance(wanted, Mapping | list) and site.here(wanted)(value, path, run))


def not_(site: Site) -> Check:
    """Both `not` and `disallow` look at `not` first."""
    schema = site.schema
    unwanted = schema.get("not") if truthy(schema.get("not")) else schema.get("disallow")
    listed = unwanted if isinstance(unwanted, list) else [unwanted]

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET or not truthy(unwanted):
            return NOTHING
        found = []
        for each in listed:
            if is_of_type(site, each, value, path, run):
                name = schema_or_id(each)
                found.append(site.problem(value, path, run, f"is of prohibited type {text_of(name)}", "not", name))
        return found

    return check


def enum(site: Site) -> Check:
    values = site.schema["enum"]
    message = f"is not one of enum values: {','.join(map(text_of, values))}" if isinstance(values, list) else ""

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        if not isinstance(values, list):
            raise SchemaError("enum expects an array", site.schema)
        if any(same(value, each) for each in values):
            return NOTHING
        return [site.problem(value, path, run, message, "enum", values)]

    return check


def const(site: Site) -> Check:
    wanted = site.schema["const"]
    message = f"does not exactly match expected constant: {text_of(wanted)}"

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET or same(wanted, value):
            return NOTHING
        return [site.problem(value, path, run, message, "const", wanted)]

    return check


def _subschemas(site: Site, keyword: str) -> list[Any]:
    schemas = site.schema[keyword]
    if not isinstance(schemas, list):
        raise SchemaError(f"{keyword} must be an array")
    return schemas


def _label(schema: Any, index: int, *, plain: bool = False) -> Any:
    """What a subschema is called in a message: its id (`plain`: as it is), its title, where it refers to, or its number."""
    name = identity(schema)
    if name is not None:
        return name if plain else f"<{text_of(name)}>"
    members = schema if isinstance(schema, Mapping) else {}
    if truthy(members.get("title")):
        return json_text(members["title"])
    return f"<{text_of(members['$ref'])}>" if truthy(members.get("$ref")) else f"[subschema {index}]"


def any_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        schemas = _subschemas(site, "anyOf")
        if any(not site.here(schema)(value, path, run) for schema in schemas):
            return NOTHING
        labels = [_label(schema, index) for index, schema in enumerate(schemas)]
        return [site.problem(value, path, run, f"is not any of {joined(labels)}", "anyOf", labels)]

    return check


def one_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        schemas = _subschemas(site, "oneOf")
        if sum(not site.here(schema)(value, path, run) for schema in schemas) == 1:
            return NOTHING
        labels = [_label(schema, index, plain=True) for index, schema in enumerate(schemas)]
        return [site.problem(value, path, run, f"is not exactly one from {joined(labels)}", "oneOf", labels)]

    return check


def all_of(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        found: list[Problem] = []
        for index, schema in enumerate(_subschemas(site, "allOf")):
            inner = site.here(schema)(value, path, run)
            if inner:
                found.append(broken(value, path, run, index, schema, inner))
                found.extend(inner)
        return found

    def broken(value: Any, path: Path, run: Run, index: int, schema: Any, inner: Found) -> Problem:
        label = _label(schema, index, plain=True)
        verdict = {
            "instance": value,
            "schema": _followed(schema, site.scope),
            "options": {},
            "path": list(path),
            "propertyPath": property_text(path, run.name),
            "errors": list(inner),
            "disableFormat": False,
        }
        argument = {"id": label, "length": len(inner), "valid": verdict}
        message = f"does not match allOf schema {text_of(label)} with {len(inner)} error[s]:"
        return site.problem(value, path, run, message, "allOf", argument)

    return check


def _followed(schema: Any, scope: Scope) -> Any:
    """The schema that a chain of references ends at."""
    while isinstance(schema, Mapping) and not truthy(schema.get("extends")):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference:
            break
        schema, scope = scope.find(reference, schema)
    return schema


def if_(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        branch = "else" if site.here(_schema_at(site, "if"))(value, path, run) else "then"
        if branch not in site.schema:
            return NOTHING
        return site.inside(_schema_at(site, branch))(value, path, run)

    return check


def _schema_at(site: Site, keyword: str) -> Any:
    schema = site.schema[keyword]
    if not isinstance(schema, Mapping | list | bool):
        raise WrongKeywordError(f'Expected "{keyword}" keyword to be a schema')
    return schema


def property_names(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if not is_object(value):
            return NOTHING
        schema = site.schema["propertyNames"]
        if not isinstance(schema, Mapping | list | bool):
            raise SchemaError('Expected "propertyNames" to be a schema (object or boolean)')
        fits = site.inside(schema)
        return [problem for key in keys_of(value) for problem in fits(key, path, run)]

    return check


def _members(schemas: Any) -> Iterable[tuple[str, Any]]:
    """What `for (key in schemas)` goes through, and what it finds there."""
    for key in keys_of(schemas):
        yield key, schemas[key] if isinstance(schemas, Mapping) else schemas[int(key)]


def properties(site: Site) -> Check:
    checks: list[tuple[str, Check]] | None = None

    def check(value: Any, path: Path, run: Run) -> Found:
        nonlocal checks
        if not isinstance(value, Mapping):
            return NOTHING
        if checks is None:
            checks = [(key, inner(schema)) for key, schema in _members(site.schema["properties"])]
        found: list[Problem] = []
        for key, fits in checks:
            found.extend(fits(value.get(key, UNSET), (*path, key), run))
        return found

    def inner(schema: Any) -> Check:
        if schema is None:
            return _raising(SchemaError('Unexpected null, expected schema in "properties"'))
        return _careful(site, schema)

    return check


def _raising(error: Exception) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        raise error

    return check


def _careful(site: Site, schema: Any) -> Check:
    """The check of a schema for what is inside; if that is nothing one can enter, the check says so when its turn comes."""
    try:
        return site.inside(schema)
    except SchemaError as error:
        return _raising(error)


def _additional(site: Site) -> Callable[[str, Any, Mapping[str, Any], Path, Run], Found]:
    """What becomes of a member that no pattern is for."""
    declared, rule = site.schema.get("properties"), site.schema.get("additionalProperties")
    names = set(keys_of(declared)) | (ON_EVERY_OBJECT if truthy(declared) else set())
    if isinstance(declared, Mapping):
        names |= set(declared)

    def check(key: str, member: Any, value: Mapping[str, Any], path: Path, run: Run) -> Found:
        if key in names:
            return NOTHING
        if rule is False:
            message = f"is not allowed to have the additional property {json_text(key)}"
            return [site.problem(value, path, run, message, "additionalProperties", key)]
        return site.inside(rule if truthy(rule) else {})(member, (*path, key), run)

    return check


def additional_properties(site: Site) -> Check | None:
    if truthy(site.schema.get("patternProperties")):
        return None
    rule = _additional(site)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        return [problem for key in keys_of(value) for problem in rule(key, value[key], value, path, run)]

    return check


def pattern_properties(site: Site) -> Check:
    patterns = list(_members(site.schema["patternProperties"]))
    rule = _additional(site)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        found: list[Problem] = []
        for key in keys_of(value):
            matched = False
            for pattern, schema in patterns:
                if schema is None:
                    raise SchemaError('Unexpected null, expected schema in "patternProperties"')
                run.on_the_clock()
                if matcher(pattern)(key):
                    matched = True
                    found.extend(site.inside(schema)(value[key], (*path, key), run))
            if not matched:
                found.extend(rule(key, value[key], value, path, run))
        return found

    return check


def items(site: Site) -> Check:
    rule = site.schema["items"]

    def rule_for(index: int) -> Any:
        if not isinstance(rule, list):
            return rule
        return rule[index] if index < len(rule) else site.schema.get("additionalItems", UNSET)

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list):
            return NOTHING
        found: list[Problem] = []
        for index, item in enumerate(value):
            schema = rule_for(index)
            if schema is False:
                found.append(site.problem(value, path, run, "additionalItems not permitted", "items"))
                break
            if schema is not UNSET:
                found.extend(site.inside(schema)(item, (*path, index), run))
        return found

    return check


def contains(site: Site) -> Check:
    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list):
            return NOTHING
        schema = _schema_at(site, "contains")
        fits = site.inside(schema)
        if any(not fits(item, (*path, index), run) for index, item in enumerate(value)):
            return NOTHING
        return [site.problem(value, path, run, "must contain an item matching given schema", "contains", schema)]

    return check


def unique_items(site: Site) -> Check | None:
    if site.schema["uniqueItems"] is not True:
        return None

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, list) or not _has_duplicates(value):
            return NOTHING
        return [site.problem(value, path, run, "contains duplicate item", "uniqueItems")]

    return check


def _has_duplicates(values: list[Any]) -> bool:
    """Equal values have equal fingerprints, so that only few are compared in full."""
    earlier: dict[Any, list[Any]] = {}
    for value in values:
        alike = earlier.setdefault(_fingerprint(value), [])
        if any(same(other, value) for other in alike):
            return True
        alike.append(value)
    return False


def _fingerprint(value: Any) -> Any:
    """Hashable, and the same for a list as for an object with its indices as keys."""
    if isinstance(value, list):
        value = dict(zip(keys_of(value), value, strict=True))
    if isinstance(value, Mapping):
        return frozenset((key, _fingerprint(member)) for key, member in value.items())
    return isinstance(value, bool), value


def dependencies(site: Site) -> Check:
    rules = list(_members(site.schema["dependencies"]))

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, Mapping):
            return NOTHING
        found: list[Problem] = []
        for key, rule in rules:
            if key in value or key in ON_EVERY_OBJECT:
                found.extend(_dependency(site, key, rule, value, path, run))
        return found

    return check


def _dependency(site: Site, key: str, rule: Any, value: Mapping[str, Any], path: Path, run: Run) -> Found:
    fits = None if isinstance(rule, str | list) else site.inside(rule)
    owner = property_text((*path, key), run.name)
    if fits is None:
        return [
            site.problem(
                value, path, run, f"property {text_of(name)} not found, required by {owner}", "dependencies", owner
            )
            for name in ([rule] if isinstance(rule, str) else rule)
            if text_of(name) not in value and text_of(name) not in ON_EVERY_OBJECT
        ]
    inner = fits(value, (*path, key), run)
    if not inner:
        return NOTHING
    message = f"does not meet dependency required by {owner}"
    return [site.problem(value, path, run, message, "dependencies", owner), *inner]


def required(site: Site) -> Check | None:
    rule = site.schema["required"]
    names = [(name, text_of(name)) for name in rule] if isinstance(rule, list) else []

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return [site.problem(value, path, run, "is required", "required")] if rule is True else NOTHING
        if not isinstance(value, Mapping):
            return NOTHING
        return [
            site.problem(value, path, run, f"requires property {json_text(name)}", "required", name)
            for name, key in names
            if key not in value
        ]

    return check if names or rule is True else None


def _limit(
    keyword: str, words: str, measure: Callable[[Any], float | None], fits: Callable[[float, float], bool]
) -> Keyword:
    """A keyword that compares something about the value with a number. `measure` answers None for what it does not measure."""

    def make(site: Site) -> Check:
        limit = site.schema.get(keyword, UNSET)
        bound = math.nan if limit is UNSET else number_of(limit)
        message = f"{words} {text_of(limit)}"

        def check(value: Any, path: Path, run: Run) -> Found:
            measured = measure(value)
            if measured is None or fits(measured, bound):
                return NOTHING
            return [site.problem(value, path, run, message, keyword, limit)]

        return check

    return make


def _number(value: Any) -> float | None:
    return as_double(value) if is_number(value) and math.isfinite(as_double(value)) else None


def _length(value: Any) -> float | None:
    """In UTF-16 units, less the second halves of pairs (also those that stand alone)."""
    if not isinstance(value, str):
        return None
    return len(value) if value.isascii() else len(value) - sum("\udc00" <= char <= "\udfff" for char in value)


def _count(value: Any) -> float | None:
    return len(value) if isinstance(value, list) else None


def _members_count(value: Any) -> float | None:
    return len(value) if isinstance(value, Mapping) else None


def _at_least(measured: float, bound: float) -> bool:
    return measured >= bound


def _at_most(measured: float, bound: float) -> bool:
    return measured <= bound


_MINIMUM = _limit("minimum", "must be greater than or equal to", _number, _at_least)
_ABOVE = _limit("minimum", "must be greater than", _number, lambda value, bound: value > bound)
_MAXIMUM = _limit("maximum", "must be less than or equal to", _number, _at_most)
_BELOW = _limit("maximum", "must be less than", _number, lambda value, bound: value < bound)
_STRICTLY_ABOVE = _limit(
    "exclusiveMinimum", "must be strictly greater than", _number, lambda value, bound: value > bound
)
_STRICTLY_BELOW = _limit("exclusiveMaximum", "must be strictly less than", _number, lambda value, bound: value < bound)


def minimum(site: Site) -> Check | None:
    return (_ABOVE if site.schema.get("exclusiveMinimum") is True else _MINIMUM)(site)


def maximum(site: Site) -> Check | None:
    return (_BELOW if site.schema.get("exclusiveMaximum") is True else _MAXIMUM)(site)


def exclusive_minimum(site: Site) -> Check | None:
    return None if isinstance(site.schema["exclusiveMinimum"], bool) else _STRICTLY_ABOVE(site)


def exclusive_maximum(site: Site) -> Check | None:
    return None if isinstance(site.schema["exclusiveMaximum"], bool) else _STRICTLY_BELOW(site)


def _multiple(keyword: str, words: str) -> Keyword:
    def make(site: Site) -> Check:
        divisor = site.schema[keyword]

        def check(value: Any, path: Path, run: Run) -> Found:
            number = _number(value)
            if number is None:
                return NOTHING
            if divisor is not None and not isinstance(divisor, Mapping) and number_of(divisor) == 0:
                raise SchemaError(f"{keyword} cannot be zero")
            if _is_multiple(number, number_of(divisor)):
                return NOTHING
            return [site.problem(value, path, run, f"{words} {json_text(divisor)}", keyword, divisor)]

        return check

    return make


def _is_multiple(number: float, divisor: float) -> bool:
    """Both are made whole by the same power of ten first, for 0.1 is no exact number."""
    factor = as_double(10 ** max(_decimals(number), _decimals(divisor)))
    whole, part = _rounded(number * factor), _rounded(divisor * factor)
    if math.isnan(whole) or math.isnan(part) or math.isinf(whole) or part == 0:
        return False
    return math.fmod(whole, part) == 0


def _rounded(number: float) -> float:
    """`Math.round`: halves go up."""
    if not math.isfinite(number):
        return number
    below = math.floor(number)
    return float(below + (number - below >= 0.5))


def _decimals(number: float) -> int:
    if not math.isfinite(number):
        return 0
    mantissa, _, exponent = number_text(number).partition("e")
    if exponent and not exponent.startswith("-"):
        return 0
    return len(mantissa.partition(".")[2]) + (int(exponent[1:]) if exponent else 0)


def pattern(site: Site) -> Check:
    source = site.schema["pattern"]
    text = text_of(source)
    found: Matcher | None = None

    def check(value: Any, path: Path, run: Run) -> Found:
        nonlocal found
        if not isinstance(value, str):
            return NOTHING
        run.on_the_clock()
        if found is None:
            found = matcher(text)
        if found(value):
            return NOTHING
        if source is None:
            raise WrongTypeError("Cannot read properties of null (reading 'toString')")
        return [site.problem(value, path, run, f"does not match pattern {json_text(text)}", "pattern", source)]

    return check


def format_(site: Site) -> Check | None:
    name = site.schema["format"]
    conforms = format_check(name)
    if conforms is None:
        return None
    message = f"does not conform to the {json_text(name)} format"

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, str):
            return NOTHING
        run.on_the_clock()
        return NOTHING if conforms(value) else [site.problem(value, path, run, message, "format", name)]

    return check


KEYWORDS: Final[Mapping[str, Keyword]] = {
    "type": type_,
    "not": not_,
    "disallow": not_,
    "enum": enum,
    "const": const,
    "anyOf": any_of,
    "oneOf": one_of,
    "allOf": all_of,
    "if": if_,
    "propertyNames": property_names,
    "properties": properties,
    "patternProperties": pattern_properties,
    "additionalProperties": additional_properties,
    "items": items,
    "contains": contains,
    "uniqueItems": unique_items,
    "dependencies": dependencies,
    "required": required,
    "minimum": minimum,
    "maximum": maximum,
    "exclusiveMinimum": exclusive_minimum,
    "exclusiveMaximum": exclusive_maximum,
    "multipleOf": _multiple("multipleOf", "is not a multiple of (divisible by)"),
    "divisibleBy": _multiple("divisibleBy", "is not divisible by (multiple of)"),
    "minLength": _limit("minLength", "does not meet minimum length of", _length, _at_least),
    "maxLength": _limit("maxLength", "does not meet maximum length of", _length, _at_most),
    "minItems": _limit("minItems", "does not meet minimum length of", _count, _at_least),
    "maxItems": _limit("maxItems", "does not meet maximum length of", _count, _at_most),
    "minProperties": _limit("minProperties", "does not meet minimum property length of", _members_count, _at_least),
    "maxProperties": _limit("maxProperties", "does not meet maximum property length of", _members_count, _at_most),
    "pattern": pattern,
    "format": format_,
}
"""All that upstream checks; other words say nothing."""
