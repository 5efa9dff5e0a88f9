"""`value | name(arguments)`: the filters that expressions know."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import Any
from urllib.parse import quote

from greenroom.javascript.numbers import SAFE, parse_float
from greenroom.javascript.objects import entries
from greenroom.javascript.texts import WHITESPACE, from_units, split_units, trim, units
from greenroom.javascript.values import truthy
from greenroom_scaffolder.templating import numerals, patterns
from greenroom_scaffolder.templating.checks import TESTS
from greenroom_scaffolder.templating.checks import apply as apply_test
from greenroom_scaffolder.templating.json_text import indentation, stringified
from greenroom_scaffolder.templating.limits import RenderError
from greenroom_scaffolder.templating.members import has_own, own
from greenroom_scaffolder.templating.numerals import Number, number, remainder, whole
from greenroom_scaffolder.templating.scope import Run
from greenroom_scaffolder.templating.values import (
    RESERVED,
    UNDEFINED,
    Pattern,
    Safe,
    add,
    compare,
    joined,
    number_of,
    pay_for,
    rendered,
    same,
    text,
)

__all__ = ["FILTERS", "KEYWORDS"]

_PIECE = 65_536
"""Characters that are encoded at once."""
_MAXIMUM_SPACES = 16 * 1024 * 1024
_ENTITIES = {"&": "&amp;", '"': "&quot;", "'": "&#39;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
_WORD = re.compile(r"[A-Za-z0-9_]+")
_SPACES = re.compile(f"[{WHITESPACE}]+")


def _text_of(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is Safe:
        return value.text
    raise RenderError("Filter input must be a string")


def _normal(value: Any) -> Any:
    """What text filters work on: nothing, null and false are empty text."""
    return "" if value is UNDEFINED or value is None or value is False else value


def _like(value: Any, result: str) -> Any:
    return Safe(result) if type(value) is Safe else result


def _sequence(run: Run, value: Any) -> list[Any] | None:
    """The items of a list, or of a text; None of anything else."""
    if type(value) is list:
        run.spend(len(value))
        return list(value)
    if type(value) in (str, Safe):
        subject = units(_text_of(value))
        run.spend(len(subject))
        run.holds(len(subject))
        return list(subject)
    return None


def _indexed(run: Run, record: dict[str, Any]) -> list[Any]:
    """What an object with a `length` holds under 0, 1, 2, …"""
    return [record.get(place, UNDEFINED) for place in _places(run, record, math.ceil)]


def _present(run: Run, record: dict[str, Any]) -> list[Any]:
    """The same, without what is not there."""
    return [record[place] for place in _places(run, record, math.floor) if place in record]


def _places(run: Run, record: dict[str, Any], rounded: Callable[[float], int]) -> Iterator[str]:
    length = number_of(record.get("length", UNDEFINED), run)
    if length != length or length <= 0:
        return iter(())
    if math.isinf(length) or length > run.limits.items:
        raise RenderError(f"Template evaluation exceeded the work unit limit of {run.limits.steps}", limit=True)
    run.spend(math.ceil(length))
    return map(str, range(rounded(length)))


def _mapped(run: Run, record: dict[str, Any]) -> list[Any]:
    length = record.get("length", UNDEFINED)
    if type(length) is float and length == length and (length < 0 or not length.is_integer() or length > 2**32 - 1):
        raise RenderError("Invalid array-like record length")
    if type(length) is int and not 0 <= length < 2**32:
        raise RenderError("Invalid array-like record length")
    return _indexed(run, record)


def _abs(run: Run, value: Any) -> Number:
    return number(abs(number_of(value, run)))


def _batch(run: Run, value: Any, size: Any = UNDEFINED, fill: Any = UNDEFINED) -> list[Any]:
    if value is UNDEFINED or value is None:
        raise RenderError("batch requires a sequence")
    width = _count(run, size, "Batch size")
    items = _indexed(run, value) if type(value) is dict else _sequence(run, value)
    rows: list[Any] = [items[at : at + width] for at in range(0, len(items), width)] if items else []
    if rows and truthy(fill):
        run.holds(width)
        rows[-1] += [fill] * (width - len(rows[-1]))
    return rows


def _count(run: Run, value: Any, what: str) -> int:
    count = whole(number_of(value, run))
    if not 0 < count < SAFE or number_of(value, run) != number_of(value, run):
        raise RenderError(f"{what} must be a positive integer")
    return int(count)


def _capitalize(run: Run, value: Any) -> Any:
    return _like(value, _capital(_text_of(_normal(value))))


def _capital(word: str) -> str:
    word = units(word.lower())
    return from_units(word[:1].upper() + word[1:])


def _center(run: Run, value: Any, width: Any = UNDEFINED) -> Any:
    value, width = _normal(value), width if truthy(width) else 80
    length = _length_of(value)
    if compare(length, width, run) >= 0:
        return value
    spaces = number_of(width, run) - number_of(length, run)
    subject = text(value, run)
    before = _blank(run, spaces / 2 - remainder(spaces, 2))
    return _like(value, before + subject + _blank(run, spaces / 2))


def _length_of(value: Any) -> Any:
    """`value.length`."""
    return own(value, "length") if type(value) in (str, Safe, list, dict) else UNDEFINED


def _blank(run: Run, count: Number) -> str:
    if count != count or count <= 0:
        return ""
    if math.isinf(count) or count > _MAXIMUM_SPACES:
        raise RenderError("Filter spacing exceeds the supported bound")
    run.fits(math.ceil(count))
    return " " * math.ceil(count)


def _default(run: Run, value: Any, default: Any = UNDEFINED, falsy: Any = UNDEFINED) -> Any:
    if truthy(falsy):
        return value if truthy(value) else default
    return default if value is UNDEFINED else value


def _dictsort(run: Run, value: Any, case_sensitive: Any = UNDEFINED, by: Any = UNDEFINED) -> list[Any]:
    if type(value) is not dict:
        raise RenderError("dictsort requires a record")
    if by is not UNDEFINED and by not in ("key", "value"):
        raise RenderError("dictsort can only sort by key or value")
    place = 1 if by == "value" else 0
    fold = not truthy(case_sensitive)

    def order(left: tuple[str, Any], right: tuple[str, Any]) -> int:
        pay_for(run, left[place], right[place])
        a, b = (_upper(each[place]) if fold else each[place] for each in (left, right))
        return 1 if compare(a, b, run) > 0 else 0 if same(a, b, run) else -1

    _pay_for_sorting(run, len(value))
    return [list(entry) for entry in sorted(entries(value), key=cmp_to_key(order))]


def _upper(value: Any) -> Any:
    return _text_of(value).upper() if type(value) in (str, Safe) else value


def _pay_for_sorting(run: Run, count: int) -> None:
    run.spend(count * max(count.bit_length(), 1))


def _dump(run: Run, value: Any, spaces: Any = UNDEFINED) -> Any:
    return stringified(value, indentation(spaces), run)


def _edge(last: bool) -> Callable[..., Any]:
    def apply(run: Run, value: Any) -> Any:
        if value is UNDEFINED or value is None:
            raise RenderError(f"{'last' if last else 'first'} requires a sequence")
        if type(value) is dict:
            index = number_of(own(value, "length"), run) - 1 if last else 0
            return own(value, text(index, run))
        items = value if type(value) is list else units(_text_of(value)) if type(value) in (str, Safe) else ""
        return (items[-1] if last else items[0]) if items else UNDEFINED

    return apply


def _escape(run: Run, value: Any) -> Any:
    return value if type(value) is Safe else _force_escape(run, value)


def _force_escape(run: Run, value: Any) -> Safe:
    subject = rendered(value, run)
    run.fits(len(subject) + sum(subject.count(each) * (len(entity) - 1) for each, entity in _ENTITIES.items()))
    for each, entity in _ENTITIES.items():  # & first: it is in what the others become
        subject = subject.replace(each, entity)
    return Safe(subject)


def _safe(run: Run, value: Any) -> Safe:
    return value if type(value) is Safe else Safe(rendered(value, run))


def _float(run: Run, value: Any, default: Any = UNDEFINED) -> Any:
    found = number(parse_float(text(value, run)))
    return default if found != found else found


def _int(run: Run, value: Any, default: Any = UNDEFINED, base: Any = UNDEFINED) -> Any:
    radix = 10 if base is UNDEFINED else number_of(base, run)
    found = numerals.parse_int(text(value, run), radix)
    return default if found != found else found


def _groupby(run: Run, value: Any, attribute: Any = UNDEFINED) -> dict[str, Any]:
    if value is UNDEFINED or value is None:
        raise RenderError("groupby requires a sequence")
    items = _indexed(run, value) if type(value) is dict else _sequence(run, value)
    path = _path(run, attribute) if items is not None else []
    groups: dict[str, Any] = {}
    for item in items or ():
        key = text(_along_existing(run, item, path), run)
        if key in RESERVED:
            raise RenderError(f"Template record key {key} is reserved")
        groups.setdefault(key, []).append(item)
    return dict(entries(groups))


def _path(run: Run, attribute: Any) -> list[str]:
    """`a.b` as steps; nothing where no attribute is asked for."""
    if not truthy(attribute):
        return []
    path = attribute.split(".") if type(attribute) is str else [text(attribute, run)]
    for step in path:
        _allow_attribute(step)
    return path


def _allow_attribute(key: str) -> None:
    if key in RESERVED:
        raise RenderError(f"Template attribute {key} is reserved")


def _attribute(run: Run, value: Any, key: str) -> Any:
    if value is UNDEFINED or value is None:
        raise RenderError("Cannot read a template attribute from a nullish value")
    pay_for(run, value)
    return own(value, key)


def _along_existing(run: Run, value: Any, path: list[str]) -> Any:
    """As nunjucks reads `a.b.c`: a step that is not there ends it, one that is undefined or null is an error."""
    for step in path:
        found = _attribute(run, value, step)
        if found is UNDEFINED and not has_own(value, step):
            return UNDEFINED
        value = found
    return value


def _key(run: Run, attribute: Any) -> str | None:
    if not truthy(attribute):
        return None
    return _exact_key(run, attribute)


def _exact_key(run: Run, attribute: Any) -> str:
    key = text(attribute, run)
    _allow_attribute(key)
    return key


def _projected(run: Run, value: Any, key: str) -> list[Any]:
    """One member of each item."""
    if type(value) is Safe and value.text:
        raise RenderError("Cannot read a template attribute from a nullish value")
    items = _mapped(run, value) if type(value) is dict else _sequence(run, value) or []
    return [_attribute(run, item, key) for item in items]


def _indent(run: Run, value: Any, width: Any = UNDEFINED, first: Any = UNDEFINED) -> Any:
    value = _normal(value)
    subject = _text_of(value)
    if type(value) is str and not value:
        return ""
    blank = _blank(run, number_of(width if truthy(width) else 4, run))
    lines = subject.split("\n")
    run.spend(len(lines))
    run.fits(len(subject) + len(blank) * len(lines))
    return _like(value, (blank if truthy(first) else "") + f"\n{blank}".join(lines))


def _join(run: Run, value: Any, separator: Any = UNDEFINED, attribute: Any = UNDEFINED) -> str:
    between = text(separator, run) if truthy(separator) else ""
    key = _key(run, attribute)
    if key is not None:
        return joined(_projected(run, value, key), between, run)
    return joined(_list_for(value, "join"), between, run)


def _list_for(value: Any, operation: str) -> list[Any]:
    if type(value) is not list:
        raise RenderError(f"{operation} requires an array")
    return value


def _length(run: Run, value: Any) -> Any:
    if type(value) in (list, dict):
        return len(value)
    if type(value) in (str, Safe):
        return len(units(_text_of(value)))
    return 0 if value is UNDEFINED or value is None or value is False else UNDEFINED


def _list(run: Run, value: Any) -> list[Any]:
    if type(value) is list:
        return value
    if type(value) is dict:
        run.spend(len(value))
        return [{"key": key, "value": item} for key, item in entries(value)]
    items = _sequence(run, value)
    if items is None:
        raise RenderError("list requires an iterable value")
    return items


def _lines_broken(run: Run, value: Any) -> Any:
    subject = "" if value is UNDEFINED or value is None else _text_of(value)
    run.fits(len(subject) + 6 * subject.count("\n"))
    return _like(value, subject.replace("\r\n", "\n").replace("\n", "<br />\n"))


def _random(run: Run, value: Any) -> Any:
    if value is UNDEFINED or value is None:
        raise RenderError("random requires a sequence")
    if type(value) is dict:
        length = number_of(own(value, "length"), run)
        return (
            own(value, str(secrets.randbelow(int(length)))) if length == length and 1 <= length < 2**48 else UNDEFINED
        )
    items = _sequence(run, value)
    return items[secrets.randbelow(len(items))] if items else UNDEFINED


def _replace(run: Run, value: Any, search: Any = UNDEFINED, replacement: Any = UNDEFINED, most: Any = UNDEFINED) -> Any:
    if type(search) is Pattern:
        if type(value) not in (str, Safe):
            raise RenderError("Regular-expression replacement requires a string")
        fresh = Pattern(search.source, search.flags)
        return patterns.replace(fresh, _text_of(value), text(replacement, run), run)
    if type(search) not in (str, int, float):
        return value
    given = text(value, run) if type(value) in (int, float) else value
    if type(given) not in (str, Safe):
        return given
    return _replaced(run, value, given, text(search, run), replacement, most)


def _replaced(run: Run, value: Any, given: Any, old: str, replacement: Any, most: Any) -> Any:
    subject = _text_of(given)
    new = text(replacement, run)
    if not old:
        between = "," if replacement is UNDEFINED else new
        run.spend(len(subject))
        run.fits(len(subject) * (len(between) + 1) + 2 * len(new))
        return _like(given, from_units(new + between.join(split_units(subject)) + new))
    if same(most, 0, run) or old not in subject:
        return given
    limit = math.inf if most is UNDEFINED or same(most, -1, run) else number_of(most, run)
    count = min(subject.count(old), max(math.ceil(limit), 0) if not math.isinf(limit) and limit == limit else math.inf)
    if limit != limit or limit == -math.inf:
        count = 0
    run.fits(len(subject) + int(count) * max(len(new) - len(old), 0))
    return _like(value, from_units(subject.replace(old, new, int(count))))


def _reverse(run: Run, value: Any) -> Any:
    if type(value) in (str, Safe):
        return _like(value, from_units(units(_text_of(value))[::-1]))
    items = _sequence(run, value) if type(value) is list else _mapped(run, value) if type(value) is dict else []
    return list(reversed(items or []))


def _round(run: Run, value: Any, precision: Any = UNDEFINED, method: Any = UNDEFINED) -> Number:
    exact = float(number_of(value, run))
    factor = power(10, number_of(precision if truthy(precision) else 0, run))
    scaled = _times(exact, factor)
    if scaled == scaled and not math.isinf(scaled):
        change = math.ceil if method == "ceil" else math.floor if method == "floor" else _half_up
        scaled = float(change(scaled))
    return divide(number(scaled), factor)


def _half_up(value: float) -> int:
    low = math.floor(value)
    return low + 1 if value - low >= 0.5 else low


def _times(left: Number, right: Number) -> float:
    return float(left) * float(right)


def power(base: Number, exponent: Number) -> Number:
    """`base ** exponent`."""
    if exponent != exponent or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    try:
        found = math.pow(base, exponent)
    except OverflowError:
        odd = float(exponent).is_integer() and exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan
    return number(found)


def divide(left: Number, right: Number) -> Number:
    """`left / right`."""
    if right == 0:
        if left == 0 or left != left:
            return math.nan
        return math.inf if (math.copysign(1, left) > 0) == (math.copysign(1, right) > 0) else -math.inf
    return number(float(left) / float(right))


def _select(keep: bool) -> Callable[..., Any]:
    def apply(run: Run, value: Any, *rest: Any) -> list[Any]:
        test = "truthy" if not rest or rest[0] is UNDEFINED else text(rest[0], run)
        if test not in TESTS:
            raise RenderError(f"Unknown template test {test}")
        if value is UNDEFINED or value is None:
            raise RenderError(f"{'select' if keep else 'reject'} requires a sequence")
        items = _present(run, value) if type(value) is dict else _sequence(run, value)
        if items is None:
            return []
        _check_arity(test, len(rest[1:]))
        return [item for item in items if apply_test(run, test, item, list(rest[1:])) is keep]

    return apply


def _check_arity(test: str, given: int) -> None:
    takes = TESTS[test][0]
    if given != takes:
        raise RenderError(f"Template test {test} requires {takes} positional argument{'' if takes == 1 else 's'}")


def _select_attribute(keep: bool) -> Callable[..., Any]:
    def apply(run: Run, value: Any, attribute: Any = UNDEFINED) -> list[Any]:
        if type(value) is not list:
            raise RenderError(f"{'selectattr' if keep else 'rejectattr'} requires an array")
        key = _exact_key(run, attribute)
        run.spend(len(value))
        return [item for item in value if truthy(_attribute(run, item, key)) is keep]

    return apply


def _slices(run: Run, value: Any, count: Any = UNDEFINED, fill: Any = UNDEFINED) -> list[Any]:
    items: Any = units(_text_of(value)) if type(value) in (str, Safe) else _sequence(run, value)
    if items is None:
        raise RenderError("slice requires a sequence")
    parts = _count(run, count, "Slice count")
    run.spend(parts)
    run.holds(parts)
    size, extra = divmod(len(items), parts)
    found: list[Any] = []
    at = 0
    for index in range(parts):
        end = at + size + (index < extra)
        part = items[at:end]
        if truthy(fill) and index >= extra:
            if type(part) is str:
                raise RenderError("slice cannot append a fill value to a string")
            part.append(fill)
        found.append(from_units(part) if type(part) is str else part)
        at = end
    return found


def _sort(
    run: Run, value: Any, reverse: Any = UNDEFINED, case: Any = UNDEFINED, attribute: Any = UNDEFINED
) -> list[Any]:
    items = _mapped(run, value) if type(value) is dict else _sequence(run, value)
    if items is None:
        return []
    path, sign, fold = _path(run, attribute), -1 if truthy(reverse) else 1, not truthy(case)

    def order(left: Any, right: Any) -> int:
        a, b = _along_existing(run, left, path), _along_existing(run, right, path)
        pay_for(run, a, b)
        if fold and type(a) in (str, Safe) and type(b) in (str, Safe):
            a, b = _text_of(a).lower(), _text_of(b).lower()
        apart = compare(a, b, run)
        return 0 if apart != apart else int(apart) * sign

    _pay_for_sorting(run, len(items))
    defined = [item for item in items if item is not UNDEFINED]
    return [*sorted(defined, key=cmp_to_key(order)), *[UNDEFINED] * (len(items) - len(defined))]


def _string(run: Run, value: Any) -> Any:
    if value is UNDEFINED or value is None:
        raise RenderError("string requires a value")
    return value if type(value) is Safe else rendered(value, run)


_MARKUP = re.compile(r"</?[a-z][a-z0-9]*\b|<!--", re.IGNORECASE | re.ASCII)
"""How a tag or a comment begins. Where it ends is looked for by hand: a pattern would do so anew from each beginning."""
_LINE_ENDS = "\n\r\u2028\u2029"


def _striptags(run: Run, value: Any, preserve: Any = UNDEFINED) -> Any:
    stripped = trim(_without_markup(run, _text_of(_normal(value))))
    if not truthy(preserve):
        _counted(run, _SPACES, stripped)
        return _like(value, _SPACES.sub(" ", stripped))
    lines = _fewer(stripped, "  ")
    for end in _LINE_ENDS:
        lines = lines.replace(f" {end}", end).replace(f"{end} ", end)
    return _like(value, _fewer(lines.replace("\r\n", "\n"), "\n\n\n"))


def _fewer(subject: str, many: str) -> str:
    """Without the last of so many alike characters that stand together. A pattern would make a list of all else."""
    while many in subject:
        subject = subject.replace(many, many[1:])
    return subject


def _without_markup(run: Run, subject: str) -> str:
    """What is left may be markup again, which is taken out too, but not for ever."""
    for _ in range(8):
        run.spend(len(subject) // 64)
        stripped = _once_without_markup(run, subject)
        if stripped == subject:
            return stripped
        subject = stripped
    if _once_without_markup(run, subject) != subject:
        raise RenderError("striptags input contains excessively nested markup")
    return subject


def _once_without_markup(run: Run, subject: str) -> str:
    """Without tags and comments that have an end."""
    kept: list[str] = []
    done, endless = 0, set[str]()
    for found in _MARKUP.finditer(subject):
        closing = "-->" if found[0] == "<!--" else ">"
        if found.start() < done or closing in endless:
            continue
        end = subject.find(closing, found.end())
        if end < 0:
            endless.add(closing)
            continue
        run.spend(1)
        kept.append(subject[done : found.start()])
        done = end + len(closing)
    return "".join([*kept, subject[done:]])


def _sum(run: Run, value: Any, attribute: Any = UNDEFINED, start: Any = UNDEFINED) -> Any:
    key = _key(run, attribute)
    items = _list_for(value, "sum") if key is None else _projected(run, value, key)
    run.spend(len(items))
    total: Any = 0
    for item in items:
        total = add(total, item, run)
    return add(0 if start is UNDEFINED else start, total, run)


def _title(run: Run, value: Any) -> Any:
    subject = _text_of(_normal(value))
    run.spend(subject.count(" "))
    return _like(value, " ".join(map(_capital, subject.split(" "))))


def _trim(run: Run, value: Any) -> Any:
    return _like(value, trim(_text_of(value)))


def _truncate(run: Run, value: Any, length: Any = UNDEFINED, words: Any = UNDEFINED, end: Any = UNDEFINED) -> Any:
    given, length = _normal(value), length if truthy(length) else 255
    if compare(_length_of(given), length, run) <= 0:
        return given
    subject = units(_text_of(given))
    most = number_of(length, run)
    if truthy(words):
        cut = _cut(most, len(subject))
    else:
        last = len(subject) if most != most else _cut(most, len(subject))
        space = subject.rfind(" ", 0, last + 1)
        cut = _cut(most, len(subject)) if space < 0 else space
    ending = "..." if end is UNDEFINED or end is None else text(end, run)
    run.fits(cut + len(ending))
    return _like(value, from_units(subject[:cut] + ending))


def _cut(position: Number, length: int) -> int:
    return 0 if position != position else int(min(max(position, 0), length))


def _urlencode(run: Run, value: Any) -> str:
    if type(value) in (str, Safe):
        return _encoded(run, value)
    pairs: list[tuple[Any, Any]] = []
    if type(value) is dict:
        pairs = list(entries(value))
    elif type(value) is list:
        pairs = [_pair(run, item) for item in value]
    run.spend(len(pairs))
    return "&".join(f"{_encoded(run, key)}={_encoded(run, item)}" for key, item in pairs)


def _pair(run: Run, item: Any) -> tuple[Any, Any]:
    if item is UNDEFINED or item is None:
        raise RenderError("urlencode sequence entries cannot be nullish")
    pay_for(run, item)
    return own(item, "0"), own(item, "1")


def _encoded(run: Run, value: Any) -> str:
    """`encodeURIComponent`: piece by piece, since `quote` makes a list of all bytes."""
    subject = text(value, run)
    pay_for(run, subject)
    pieces: list[str] = []
    length = 0
    for at in range(0, len(subject), _PIECE):
        pieces.append(_quoted(subject[at : at + _PIECE]))
        length += len(pieces[-1])
        run.grown(length)
    return "".join(pieces)


def _quoted(piece: str) -> str:
    try:
        return quote(piece, safe="!'()*-._~")
    except UnicodeEncodeError as error:
        raise RenderError("URI malformed") from error


_PUNCTUATION = re.compile(r"(?:\(|<|&lt;)?(.*?)(?:\.|,|\)|\n|&gt;)?", re.DOTALL)
_MAIL = re.compile(r"[A-Za-z0-9_.!#$%&'*+\-/=?^`{|}~]+@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+", re.ASCII)
_DOMAIN = re.compile(r"\.(?:org|net|com)(?::|/|\Z)")


def _urlize(run: Run, value: Any, length: Any = UNDEFINED, nofollow: Any = UNDEFINED) -> str:
    most = (
        None
        if length is UNDEFINED or (type(length) is float and length != length)
        else _cut(number_of(length, run), 2**31)
    )
    relation = ' rel="nofollow"' if nofollow is True else ""
    subject = _text_of(value)
    _counted(run, _SPACES, subject)
    parts = re.split(f"({_SPACES.pattern})", subject)
    return "".join(_linked(part, most, relation) for part in parts if part)


def _linked(word: str, most: int | None, relation: str) -> str:
    found = _PUNCTUATION.fullmatch(word)
    possible = found[1] if found else word
    short = possible if most is None else from_units(units(possible)[:most])
    if possible.startswith(("https://", "http://")):
        return f'<a href="{possible}"{relation}>{short}</a>'
    if possible.startswith("www."):
        return f'<a href="http://{possible}"{relation}>{short}</a>'
    if _MAIL.fullmatch(possible):
        return f'<a href="mailto:{possible}">{possible}</a>'
    if _DOMAIN.search(possible):
        return f'<a href="http://{possible}"{relation}>{short}</a>'
    return word


def _wordcount(run: Run, value: Any) -> Any:
    value = _normal(value)
    if not truthy(value):
        return None
    return _counted(run, _WORD, _text_of(value)) or None


def _counted(run: Run, pattern: re.Pattern[str], subject: str) -> int:
    """How often it is found, each time a step: as a list, all of them would take much more than the text does."""
    count = 0
    for _ in pattern.finditer(subject):
        count += 1
        run.spend(1)
    return count


FILTERS: dict[str, tuple[Callable[..., Any], float]] = {
    "abs": (_abs, 0),
    "batch": (_batch, 2),
    "capitalize": (_capitalize, 0),
    "center": (_center, 1),
    "d": (_default, 2),
    "default": (_default, 2),
    "dictsort": (_dictsort, 2),
    "dump": (_dump, 1),
    "e": (_escape, 0),
    "escape": (_escape, 0),
    "first": (_edge(last=False), 0),
    "float": (_float, 1),
    "forceescape": (_force_escape, 0),
    "groupby": (_groupby, 1),
    "indent": (_indent, 2),
    "int": (_int, 2),
    "join": (_join, 2),
    "last": (_edge(last=True), 0),
    "length": (_length, 0),
    "list": (_list, 0),
    "lower": (lambda run, value: _text_of(_normal(value)).lower(), 0),
    "nl2br": (_lines_broken, 0),
    "random": (_random, 0),
    "reject": (_select(keep=False), math.inf),
    "rejectattr": (_select_attribute(keep=False), 1),
    "replace": (_replace, 3),
    "reverse": (_reverse, 0),
    "round": (_round, 2),
    "safe": (_safe, 0),
    "select": (_select(keep=True), math.inf),
    "selectattr": (_select_attribute(keep=True), 1),
    "slice": (_slices, 2),
    "sort": (_sort, 3),
    "string": (_string, 0),
    "striptags": (_striptags, 1),
    "sum": (_sum, 2),
    "title": (_title, 0),
    "trim": (_trim, 0),
    "truncate": (_truncate, 3),
    "upper": (lambda run, value: _text_of(_normal(value)).upper(), 0),
    "urlencode": (_urlencode, 0),
    "urlize": (_urlize, 2),
    "wordcount": (_wordcount, 0),
}
"""Each filter, called with the rendering, the value and its arguments, and how many of those it looks at."""

KEYWORDS = {"int": ("default", "base"), "sort": ("reverse", "case_sensitive", "attribute")}
"""Filters with named arguments. Others are given all names together, as one object behind the rest, as in nunjucks."""
