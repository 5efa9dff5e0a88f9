"""`value.name`: the members that values have for templates, and no others.

Every table here was written by hand; nothing is looked up on a Python object. Which members there are, how many
arguments they take and what they answer is nunjitsu's choice of JavaScript's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from greenroom.javascript.objects import entries, index_of
from greenroom.javascript.replacements import expand
from greenroom.javascript.texts import from_units, split_units, trim, trim_end, trim_start, units
from greenroom_scaffolder.templating import numerals, patterns
from greenroom_scaffolder.templating.callables import Bound
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.numerals import Number, whole
from greenroom_scaffolder.templating.scope import Run
from greenroom_scaffolder.templating.values import (
    RESERVED,
    UNDEFINED,
    Pattern,
    Safe,
    Template,
    add,
    joined,
    number_of,
    same,
    text,
)

__all__ = ["COOKIECUTTER", "METHODS", "Method", "Methods", "has_own", "member", "methods_of", "own"]

Method = tuple[int, float, Callable[..., Any]]
"""Fewest and most arguments, and the function: called with the rendering, the receiver, and the arguments."""

Methods = dict[type, dict[str, Method]]
_ANY = math.inf


def own(target: Any, key: str) -> Any:
    """A member that is data: of objects what they hold, of lists and texts their items and `length`."""
    kind = type(target)
    if isinstance(target, dict):
        return UNDEFINED if key in RESERVED else target.get(key, UNDEFINED)
    if kind is Safe:
        if key == "val":
            return target.text
        target, kind = target.text, str
    if kind is str:
        target = units(target)
    elif not isinstance(target, list):
        return UNDEFINED
    if key == "length":
        return len(target)
    index = index_of(key)
    return target[index] if index is not None and index < len(target) else UNDEFINED


def has_own(target: Any, key: str) -> bool:
    """Whether there is such data, be it undefined."""
    if isinstance(target, dict):
        return key in target and key not in RESERVED
    return own(target, key) is not UNDEFINED or (
        isinstance(target, list) and (index_of(key) or len(target)) < len(target)
    )


def member(target: Any, key: str, methods: Methods) -> Any:
    """`target.key`: data, or else a method that is ready to be called."""
    value = own(target, key)
    if value is not UNDEFINED:
        return value
    if isinstance(target, Template):
        return target.member(key)
    method = methods_of(target, methods).get(key)
    if method is None or (isinstance(target, dict) and key in target):
        return UNDEFINED
    return Bound(key, target, method)


def methods_of(target: Any, methods: Methods) -> dict[str, Method]:
    """Those of the value's type. A list that holds something callable has a list's, and refuses when they are called."""
    found = methods.get(type(target))
    return found if found is not None else methods[list] if isinstance(target, list) else {}


def _integer(run: Run, value: Any) -> Number:
    return whole(number_of(value, run))


def _bounded(run: Run, value: Any, default: Number, length: int) -> int:
    """A position counted from the end where it is negative, and never out of the text or list."""
    position = default if value is UNDEFINED else _integer(run, value)
    if position < 0:
        position += length
    return int(min(max(position, 0), length))


def _clamped(run: Run, value: Any, default: Number, length: int) -> int:
    """A position from the front, never out of the text."""
    position = default if value is UNDEFINED else _integer(run, value)
    return int(min(max(position, 0), length))


def _char_at(run: Run, subject: str, at: Any = UNDEFINED) -> str:
    subject, position = units(subject), 0 if at is UNDEFINED else _integer(run, at)
    return subject[int(position)] if 0 <= position < len(subject) else ""


def _char_code_at(run: Run, subject: str, at: Any = UNDEFINED) -> Number:
    character = _char_at(run, subject, at)
    return ord(character) if character else math.nan


def _concat(run: Run, subject: str, *others: Any) -> str:
    for other in others:
        subject = add(subject, text(other, run), run)
    return subject


def _ends_with(run: Run, subject: str, suffix: Any, end: Any = UNDEFINED) -> bool:
    suffix, subject = units(text(suffix, run)), units(subject)
    return subject[: _clamped(run, end, len(subject), len(subject))].endswith(suffix)


def _starts_with(run: Run, subject: str, prefix: Any, start: Any = UNDEFINED) -> bool:
    prefix, subject = units(text(prefix, run)), units(subject)
    return subject.startswith(prefix, _clamped(run, start, 0, len(subject)))


def _includes(run: Run, subject: str, part: Any, start: Any = UNDEFINED) -> bool:
    return _index(run, subject, part, start) >= 0


def _index(run: Run, subject: str, part: Any, start: Any = UNDEFINED) -> int:
    part, subject = units(text(part, run)), units(subject)
    return subject.find(part, _clamped(run, start, 0, len(subject)))


def _last_index(run: Run, subject: str, part: Any, start: Any = UNDEFINED) -> int:
    part, subject = units(text(part, run)), units(subject)
    last = number_of(start, run) if start is not UNDEFINED else math.nan
    position = len(subject) if last != last else int(min(max(whole(last), 0), len(subject)))
    return _last(subject[: position + len(part)], part)


def _last(subject: str, part: str) -> int:
    """`subject.rfind(part)`, which would compare each character with each."""
    behind = subject[::-1].find(part[::-1])
    return behind if behind < 0 else len(subject) - behind - len(part)


def _replace(run: Run, subject: str, search: Any, replacement: Any) -> str:
    new = text(replacement, run)
    if type(search) is Pattern:
        return patterns.replace(search, subject, new, run)
    old = text(search, run)
    at = units(subject).find(units(old))
    if at < 0:
        return subject
    subject, old = units(subject), units(old)
    new = expand(units(new), subject, at, [old], {}, run.grown)
    run.fits(len(subject) + len(new))
    return from_units(subject[:at] + new + subject[at + len(old) :])


def _slice(run: Run, subject: str, start: Any = UNDEFINED, end: Any = UNDEFINED) -> str:
    subject = units(subject)
    length = len(subject)
    return from_units(subject[_bounded(run, start, 0, length) : _bounded(run, end, length, length)])


def _substring(run: Run, subject: str, start: Any = UNDEFINED, end: Any = UNDEFINED) -> str:
    subject = units(subject)
    low, high = sorted((_clamped(run, start, 0, len(subject)), _clamped(run, end, len(subject), len(subject))))
    return from_units(subject[low:high])


def _split(run: Run, subject: str, separator: Any = UNDEFINED, limit: Any = UNDEFINED) -> list[Any]:
    most = 2**32 - 1 if limit is UNDEFINED else _unsigned(number_of(limit, run))
    if type(separator) is Pattern:
        parts = patterns.split(separator, subject, most, run)
    elif separator is UNDEFINED:
        parts = [subject]
    else:
        by = text(separator, run)
        count = subject.count(by) + 1 if by else len(units(subject))
        run.spend(count)
        run.holds(min(count, most))
        parts = subject.split(by) if by else split_units(subject)
    return parts[:most]


def _unsigned(value: Number) -> int:
    return 0 if value != value or math.isinf(value) else int(value) % 2**32


_STRING: dict[str, Method] = {
    "charAt": (0, 1, _char_at),
    "charCodeAt": (0, 1, _char_code_at),
    "concat": (0, _ANY, _concat),
    "endsWith": (1, 2, _ends_with),
    "includes": (1, 2, _includes),
    "indexOf": (1, 2, _index),
    "lastIndexOf": (1, 2, _last_index),
    "replace": (2, 2, _replace),
    "slice": (0, 2, _slice),
    "split": (0, 2, _split),
    "startsWith": (1, 2, _starts_with),
    "substring": (0, 2, _substring),
    "toLowerCase": (0, 0, lambda run, subject: subject.lower()),
    "toUpperCase": (0, 0, lambda run, subject: subject.upper()),
    "trim": (0, 0, lambda run, subject: trim(subject)),
    "trimEnd": (0, 0, lambda run, subject: trim_end(subject)),
    "trimStart": (0, 0, lambda run, subject: trim_start(subject)),
}


def _of_text(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda run, subject, *values: method(run, subject.text, *values)


_SAFE: dict[str, Method] = {name: (low, high, _of_text(method)) for name, (low, high, method) in _STRING.items()}


def _formatted(write: Callable[[Number, Number | None], str]) -> Method:
    def method(run: Run, value: Number, digits: Any = UNDEFINED) -> str:
        return write(numerals.number(value), None if digits is UNDEFINED else number_of(digits, run))

    return 0, 1, method


_NUMBER: dict[str, Method] = {
    "toExponential": _formatted(numerals.to_exponential),
    "toFixed": _formatted(numerals.to_fixed),
    "toPrecision": _formatted(numerals.to_precision),
    "toString": _formatted(numerals.to_radix),
}


def _find(run: Run, items: list[Any], value: Any, start: int = 0) -> int:
    return next((index for index in range(start, len(items)) if same(items[index], value, run)), -1)


def _at(run: Run, items: list[Any], at: Any) -> Any:
    position = _integer(run, at)
    position = position + len(items) if position < 0 else position
    return items[int(position)] if 0 <= position < len(items) else UNDEFINED


def _array_concat(run: Run, items: list[Any], *others: Any) -> list[Any]:
    found = [*items]
    for other in others:
        found += other if type(other) is list else [other]
        run.holds(len(found))
    run.spend(len(found))
    return found


def _flat(run: Run, items: list[Any], depth: Any = UNDEFINED) -> list[Any]:
    found: list[Any] = []
    _flatten(run, found, items, 1 if depth is UNDEFINED else _integer(run, depth))
    return found


def _flatten(run: Run, found: list[Any], items: list[Any], depth: Number) -> None:
    run.spend(len(items) + 1)
    for item in items:
        if depth > 0 and type(item) is list:
            _flatten(run, found, item, depth - 1)
        else:
            found.append(item)
    run.holds(len(found))


def _array_includes(run: Run, items: list[Any], value: Any, start: Any = UNDEFINED) -> bool:
    first = _bounded(run, start, 0, len(items))
    run.spend(len(items))
    if type(value) is float and math.isnan(value):
        return any(type(item) is float and math.isnan(item) for item in items[first:])
    return any(same(item, value, run) for item in items[first:])


def _array_index(run: Run, items: list[Any], value: Any, start: Any = UNDEFINED) -> int:
    run.spend(len(items))
    return _find(run, items, value, _bounded(run, start, 0, len(items)))


def _array_last_index(run: Run, items: list[Any], value: Any, start: Any = UNDEFINED) -> int:
    run.spend(len(items))
    last = len(items) - 1 if start is UNDEFINED else _integer(run, start)
    last = min(last + len(items) if last < 0 else last, len(items) - 1)
    return next((index for index in range(int(max(last, -1)), -1, -1) if same(items[index], value, run)), -1)


def _join(run: Run, items: list[Any], separator: Any = UNDEFINED) -> str:
    return joined(items, "," if separator is UNDEFINED else text(separator, run), run)


def _array_slice(run: Run, items: list[Any], start: Any = UNDEFINED, end: Any = UNDEFINED) -> list[Any]:
    run.spend(len(items))
    return items[_bounded(run, start, 0, len(items)) : _bounded(run, end, len(items), len(items))]


def _push(run: Run, items: list[Any], *values: Any) -> int:
    return _inserted(run, items, len(items), values)


def _unshift(run: Run, items: list[Any], *values: Any) -> int:
    return _inserted(run, items, 0, values)


def _inserted(run: Run, items: list[Any], at: int, values: tuple[Any, ...]) -> int:
    run.spend(len(items))
    run.holds(len(items) + len(values))
    for value in values:
        _refuse_cycle(run, items, value)
    items[at:at] = values
    return len(items)


def _refuse_cycle(run: Run, owner: list[Any], value: Any) -> None:
    """A list must not come to hold itself."""
    pending, seen = [value], set()
    while pending:
        each = pending.pop()
        if each is owner:
            raise RenderError("Cyclic template values are not supported")
        if isinstance(each, list | dict) and id(each) not in seen:
            seen.add(id(each))
            run.spend(len(each) + 1)
            pending.extend(each.values() if isinstance(each, dict) else each)


def _pop(run: Run, items: list[Any]) -> Any:
    return items.pop() if items else UNDEFINED


def _shift(run: Run, items: list[Any]) -> Any:
    run.spend(len(items))
    return items.pop(0) if items else UNDEFINED


def _splice(run: Run, items: list[Any], start: Any = UNDEFINED, count: Any = UNDEFINED, *values: Any) -> list[Any]:
    if start is UNDEFINED:
        return []
    run.spend(len(items))
    first = _bounded(run, start, 0, len(items))
    most = len(items) - first
    last = first + (most if count is UNDEFINED else int(min(max(_integer(run, count), 0), most)))
    values = values if count is not UNDEFINED else ()
    run.holds(len(items) + len(values))
    for value in values:
        _refuse_cycle(run, items, value)
    removed = items[first:last]
    items[first:last] = values
    return removed


def _sort(run: Run, items: list[Any]) -> list[Any]:
    turns = max(len(items).bit_length(), 1)
    run.spend(len(items) * turns)
    defined = [item for item in items if item is not UNDEFINED]
    texts: dict[int, str] = {}
    for item in defined:
        written = text(item, run)
        run.spend((len(written) >> 8) * turns)
        texts[id(item)] = units(written)
    missing = len(items) - len(defined)
    items[:] = [*sorted(defined, key=lambda item: texts[id(item)]), *[UNDEFINED] * missing]
    return items


def _reverse(run: Run, items: list[Any]) -> list[Any]:
    run.spend(len(items))
    items.reverse()
    return items


def _fill(run: Run, items: list[Any], value: Any, start: Any = UNDEFINED, end: Any = UNDEFINED) -> list[Any]:
    run.spend(len(items))
    _refuse_cycle(run, items, value)
    low, high = _bounded(run, start, 0, len(items)), _bounded(run, end, len(items), len(items))
    items[low:high] = [value] * max(high - low, 0)
    return items


def _copy_within(run: Run, items: list[Any], target: Any, start: Any = UNDEFINED, end: Any = UNDEFINED) -> list[Any]:
    run.spend(len(items))
    length = len(items)
    to, low, high = (
        _bounded(run, target, 0, length),
        _bounded(run, start, 0, length),
        _bounded(run, end, length, length),
    )
    moved = items[low:high][: length - to]
    items[to : to + len(moved)] = moved
    return items


_LIST: dict[str, Method] = {
    "at": (1, 1, _at),
    "concat": (0, _ANY, _array_concat),
    "copyWithin": (1, 3, _copy_within),
    "fill": (1, 3, _fill),
    "flat": (0, 1, _flat),
    "includes": (1, 2, _array_includes),
    "indexOf": (1, 2, _array_index),
    "join": (0, 1, _join),
    "lastIndexOf": (1, 2, _array_last_index),
    "pop": (0, 0, _pop),
    "push": (0, _ANY, _push),
    "reverse": (0, 0, _reverse),
    "shift": (0, 0, _shift),
    "slice": (0, 2, _array_slice),
    "sort": (0, 0, _sort),
    "splice": (0, _ANY, _splice),
    "unshift": (0, _ANY, _unshift),
}


def _pop_at(run: Run, items: list[Any], at: Any = UNDEFINED) -> Any:
    if at is UNDEFINED:
        return _pop(run, items)
    position = _integer(run, at)
    position = position + len(items) if position < 0 else position
    return items.pop(int(position)) if 0 <= position < len(items) else UNDEFINED


def _insert(run: Run, items: list[Any], at: Any, value: Any) -> list[Any]:
    _inserted(run, items, _bounded(run, at, 0, len(items)), (value,))
    return []


def _remove(run: Run, items: list[Any], value: Any) -> list[Any]:
    run.spend(len(items))
    index = _find(run, items, value)
    return [] if index < 0 else [items.pop(index)]


def _count(run: Run, items: list[Any], value: Any) -> int:
    run.spend(len(items))
    return sum(same(item, value, run) for item in items)


def _get(run: Run, record: dict[str, Any], key: Any, default: Any = UNDEFINED) -> Any:
    name = text(key, run)
    return record[name] if has_own(record, name) else default


def _entry_lists(run: Run, record: dict[str, Any]) -> list[Any]:
    run.spend(len(record))
    return [[key, value] for key, value in entries(record)]


_RECORD: dict[str, Method] = {
    "get": (1, 2, _get),
    "has_key": (1, 1, lambda run, record, key: has_own(record, text(key, run))),
    "items": (0, 0, _entry_lists),
    "keys": (0, 0, lambda run, record: [key for key, _ in entries(record)]),
    "values": (0, 0, lambda run, record: [value for _, value in entries(record)]),
}

_JINJA_LIST: dict[str, Method] = _LIST | {
    "append": (1, 1, _push),
    "count": (1, 1, _count),
    "find": (1, 1, _array_index),
    "index": (1, 1, _array_index),
    "insert": (2, 2, _insert),
    "pop": (0, 1, _pop_at),
    "remove": (1, 1, _remove),
}


def _test(run: Run, pattern: Pattern, subject: Any) -> bool:
    return patterns.test(pattern, text(subject, run), run)


METHODS: Methods = {
    str: _STRING,
    Safe: _SAFE,
    int: _NUMBER,
    float: _NUMBER,
    list: _LIST,
    Pattern: {"test": (1, 1, _test)},
}
COOKIECUTTER: Methods = METHODS | {list: _JINJA_LIST, dict: _RECORD}
