"""Keywords that hold a value against something written in the schema: a number, a pattern, a format, an enumeration."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from greenroom.javascript.json_text import json_text
from greenroom.javascript.numbers import as_double, number_text
from greenroom.javascript.values import is_number, number_of, text_of
from greenroom_scaffolder.schemas.checking import NOTHING, Check, Found, Keyword, Run, Site
from greenroom_scaffolder.schemas.formats import format_check
from greenroom_scaffolder.schemas.patterns import matcher
from greenroom_scaffolder.schemas.problems import Path, SchemaError, WrongTypeError
from greenroom_scaffolder.schemas.values import fingerprint, same, size_of

_SECOND_HALVES = re.compile("[\udc00-\udfff]")


def enum(site: Site) -> Check:
    values = site.schema["enum"]
    plain = {fingerprint(each) for each in values if not _is_deep(each)} if isinstance(values, list) else set()
    deep = [each for each in values if _is_deep(each)] if isinstance(values, list) else []
    cost = sum(map(size_of, deep))
    message = f"is not one of enum values: {','.join(map(text_of, values))}" if isinstance(values, list) else ""

    def check(value: Any, path: Path, run: Run) -> Found:
        if value is UNSET:
            return NOTHING
        if not isinstance(values, list):
            raise SchemaError("enum expects an array", site.schema)
        if not _is_deep(value):
            found = fingerprint(value) in plain
        else:
            run.spend(cost)
            found = any(same(value, each) for each in deep)
        return NOTHING if found else [site.problem(value, path, run, message, "enum", values)]

    return check


def _is_deep(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def const(site: Site) -> Check:
    wanted = site.schema["const"]
    message = f"does not exactly match expected constant: {text_of(wanted)}"
    cost = size_of(wanted)

    def check(value: Any, path: Path, run: Run) -> Found:
        run.spend(cost)
        if value is UNSET or same(wanted, value):
            return NOTHING
        return [site.problem(value, path, run, message, "const", wanted)]

    return check


def _limit(
    keyword: str, words: str, measure: Callable[[Any], float | None], fits: Callable[[float, float], bool]
) -> Keyword:
    """A keyword that compares something about the value with a number. `measure` answers None for what it does not measure."""

    def make(site: Site) -> Check:
        limit = site.schema.get(keyword, UNSET)
        bound = math.nan if limit is UNSET else number_of(limit)
        message = f"{words} {text_of(limit)}"

        def check(value: Any, path: Path, run: Run) -> Found:
            if isinstance(value, str) and not value.isascii():
                run.spend(len(value) >> 6)
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
    return len(value) if value.isascii() else len(value) - len(_SECOND_HALVES.findall(value))


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

min_length = _limit("minLength", "does not meet minimum length of", _length, _at_least)
max_length = _limit("maxLength", "does not meet maximum length of", _length, _at_most)
min_items = _limit("minItems", "does not meet minimum length of", _count, _at_least)
max_items = _limit("maxItems", "does not meet maximum length of", _count, _at_most)
min_properties = _limit("minProperties", "does not meet minimum property length of", _members_count, _at_least)
max_properties = _limit("maxProperties", "does not meet maximum property length of", _members_count, _at_most)


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


multiple_of = _multiple("multipleOf", "is not a multiple of (divisible by)")
divisible_by = _multiple("divisibleBy", "is not divisible by (multiple of)")


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

    def check(value: Any, path: Path, run: Run) -> Found:
        if not isinstance(value, str):
            return NOTHING
        run.before_pattern()
        if matcher(text)(value):
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
        run.before_pattern()
        return NOTHING if conforms(value) else [site.problem(value, path, run, message, "format", name)]

    return check
