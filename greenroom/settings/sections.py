"""A section of the config + a type -> a value of that type, or a ConfigError that says where and what to write instead.

Values are read as upstream's ConfigReader reads them: numbers may be given as text (`"7007"`), booleans also as `yes`,
`off` or 1, texts must not be empty, and null is the same as nothing. Beyond that, msgspec decides what a type accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, cast, get_args, get_origin, runtime_checkable

import msgspec

from greenroom.errors import ConfigError
from greenroom.settings.documents import Place
from greenroom.settings.durations import EXAMPLES, parse_duration, parse_number
from greenroom.settings.layers import Source, written
from greenroom.settings.redaction import SECRET, hide_in_text, is_secret
from greenroom.settings.wording import alternatives, describe, extra, is_struct, nearest, one_or_many

T = TypeVar("T")

Strings = Annotated[list[str], msgspec.Meta(extra={"one or many": (str,)})]
"""A list that may be given as a single text, as upstream allows in some places."""

MaybeEmpty = Annotated[str, msgspec.Meta(min_length=0)]
"""A text that may be empty; all others may not, for they mostly come from variables that somebody forgot to set."""


def not_yet(*choices: str) -> msgspec.Meta:
    """Goes with a Literal: what upstream also allows there, and this version does not support yet."""
    return msgspec.Meta(extra={"not yet": choices})


_TRUE = re.compile(r"(?:y|yes|true|1|on)\Z", re.IGNORECASE)
_FALSE = re.compile(r"(?:n|no|false|0|off)\Z", re.IGNORECASE)
_LONGEST_SHOWN = 120


class FieldError(ValueError):
    """Raised by a struct's `__post_init__`: which field is wrong, named (or pathed) as in the config, and how."""

    def __init__(self, field: str, problem: str, hint: str = "") -> None:
        self.field, self.problem, self.hint = field, problem, hint
        super().__init__(problem)


@runtime_checkable
class FromShorthand(Protocol):
    """A struct that can also be given as a single text or number, such as `listen: ":7007"`."""

    @classmethod
    def from_shorthand(cls, value: str | int) -> Any:
        """The struct. Raises ValueError."""


@runtime_checkable
class Cautious(Protocol):
    """A struct that has something to say about settings that are accepted but do not do what they seem to."""

    def cautions(self) -> Iterable[str]:
        """Sentences, each beginning with the name of a field."""
        ...


class _Refused(Exception):  # noqa: N818 - not an error yet: another member of a union may take the value
    """A value that the type does not take."""

    def __init__(self, place: Place, problem: str, value: object, hint: str = "") -> None:
        self.place, self.problem, self.value, self.hint = place, problem, value, hint
        super().__init__(problem)


class Section:
    """One reading of a section. Unknown keys and cautions gather on the way."""

    def __init__(
        self,
        source: Callable[[Place], Source],
        shown: Callable[[Place], Any],
        dropped: Callable[[Place], Sequence[str]],
    ) -> None:
        """`source` tells where the value at a place came from, `shown` what may be printed of it, `dropped` which values near it
        are absent since a variable is not set."""
        self._source, self._shown, self._dropped = source, shown, dropped
        self.known: set[Place] = set()
        self.unknown: dict[Place, str] = {}
        self.cautions: list[str] = []

    def read(self, value: object, into: type[T], place: Place) -> T:
        """The value as that type. Raises ConfigError."""
        try:
            return cast(T, self._read(value, into, place))
        except _Refused as refused:
            raise self._error(refused) from None

    def _read(self, value: object, into: Any, place: Place) -> Any:
        extras: tuple[Any, ...] = ()
        plain = into
        if get_origin(into) is Annotated:
            plain, *rest = get_args(into)
            extras = tuple(rest)
        if get_origin(plain) in (Union, UnionType):
            return self._union(value, get_args(plain), place)
        if is_struct(plain):
            return self._struct(value, plain, place)
        if get_origin(plain) in (list, tuple, set, frozenset, Sequence) or plain in (list, tuple, set, frozenset):
            return self._array(value, plain, into, extras, place)
        if get_origin(plain) in (dict, Mapping) or plain in (dict, Mapping):
            return self._mapping(value, plain, into, place)
        return self._plain(value, plain, into, extras, place)

    # --- structs

    def _struct(self, value: object, into: Any, place: Place) -> Any:
        if not isinstance(value, Mapping):
            return self._shorthand(value, into, place)
        fields = msgspec.structs.fields(into)
        given = {key: item for key, item in value.items() if item is not None}
        read: dict[str, Any] = {}
        for field in fields:
            if field.encode_name in given:
                read[field.encode_name] = self._read(given[field.encode_name], field.type, (*place, field.encode_name))
            elif field.required:
                raise _Refused(
                    (*place, field.encode_name), f"a value is missing, expected {describe(field.type)}", None
                )
        known = [field.encode_name for field in fields]
        tag = into.__struct_config__
        if tag.tag_field is not None:
            read[tag.tag_field] = tag.tag
            known.append(tag.tag_field)
        self._note_unknown(given, known, into, place)
        built = self._convert(read, into, place)
        if isinstance(built, Cautious):
            self.cautions.extend(self._sentence((*place, ""), text) for text in built.cautions())
        return built

    def _shorthand(self, value: object, into: Any, place: Place) -> Any:
        if isinstance(into, FromShorthand) and isinstance(value, str | int) and not isinstance(value, bool):
            try:
                return into.from_shorthand(value)
            except ValueError as error:
                raise _Refused(place, str(error), value) from None
        raise _Refused(place, f"expected {describe(into)}", value)

    def _note_unknown(self, given: Iterable[str], known: list[str], into: Any, place: Place) -> None:
        strict = bool(into.__struct_config__.forbid_unknown_fields)
        for key in given:
            if key in known:
                self.known.add((*place, key))
                continue
            near = nearest(key, known)
            if strict:
                raise _Refused(
                    (*place, key),
                    "unknown key",
                    None,
                    f"did you mean {near}?" if near else f"known are {', '.join(known)}",
                )
            self.unknown[(*place, key)] = self._sentence(
                (*place, key), f"unknown key{f', did you mean {near}?' if near else ''}", ": "
            )

    def _convert(self, value: object, into: Any, place: Place) -> Any:
        """Let msgspec have the last word: constraints, and the struct's own checks in `__post_init__`."""
        try:
            return msgspec.convert(value, into)
        except msgspec.ValidationError as error:
            cause = error.__cause__
            if isinstance(cause, FieldError):
                at = (*place, *_split(cause.field))
                raise _Refused(at, cause.problem, _inside(value, _split(cause.field)), cause.hint) from None
            if isinstance(cause, ValueError):
                raise _Refused(place, str(cause), None) from None
            text, _, inner = str(error).partition(" - at `$")
            raise _Refused((*place, *_split(inner.rstrip("`"))), _lower(text.replace("`", "")), value) from None

    # --- collections

    def _array(self, value: object, plain: Any, into: Any, extras: tuple[Any, ...], place: Place) -> Any:
        if isinstance(value, str) and one_or_many(extras):
            value = [value]
        if not isinstance(value, list | tuple | set | frozenset):
            raise _Refused(
                place,
                f"expected {describe(into)}",
                value,
                "write it as a list, `[…]`" if isinstance(value, str) else "",
            )
        kinds = get_args(plain)
        fixed = get_origin(plain) is tuple and Ellipsis not in kinds
        items = [
            self._read(
                item,
                (kinds[index] if index < len(kinds) else Any) if fixed else kinds[0] if kinds else Any,
                (*place, index),
            )
            for index, item in enumerate(value)
        ]
        return self._convert(items, into, place)

    def _mapping(self, value: object, plain: Any, into: Any, place: Place) -> Any:
        if not isinstance(value, Mapping):
            raise _Refused(place, f"expected {describe(into)}", value)
        kinds = get_args(plain)
        if not kinds or kinds[1] is Any:
            return self._convert(dict(value), into, place)
        items = {key: self._read(item, kinds[1], (*place, key)) for key, item in value.items() if item is not None}
        return self._convert(items, into, place)

    # --- one of several

    def _union(self, value: object, kinds: Sequence[Any], place: Place) -> Any:
        if value is None and NoneType in kinds:
            return None
        kinds = [kind for kind in kinds if kind is not NoneType]
        tagged = self._tagged(value, kinds, place)
        candidates = [tagged] if tagged is not None else sorted(kinds, key=lambda kind: _distance(value, kind))
        first: _Refused | None = None
        for kind in candidates:
            attempt = Section(self._source, self._shown, self._dropped)
            try:
                read = attempt._read(value, kind, place)
            except _Refused as refused:
                # The nearest kind knows best what is wrong, if the value is of its shape at all.
                first = first or refused
                continue
            self.known.update(attempt.known)
            self.unknown.update(attempt.unknown)
            self.cautions.extend(attempt.cautions)
            return read
        if first is not None and (len(candidates) == 1 or first.place != place or _distance(value, candidates[0]) == 0):
            raise first
        expected = f"expected {alternatives([describe(kind) for kind in kinds])}"
        raise _Refused(place, expected, value, _duration_hint(value) if timedelta in kinds else "")

    def _tagged(self, value: object, kinds: Sequence[Any], place: Place) -> Any:
        """The one of several tagged structs that an object is, by its tag."""
        tags = {
            kind.__struct_config__.tag: kind
            for kind in kinds
            if is_struct(kind) and kind.__struct_config__.tag_field is not None
        }
        if not tags or not isinstance(value, Mapping):
            return None
        field = next(iter(tags.values())).__struct_config__.tag_field
        if value.get(field) not in tags:
            choice = " or ".join(repr(tag) for tag in tags)
            raise _Refused((*place, field), f"expected {choice}", value.get(field))
        return tags[value[field]]

    # --- single values

    def _plain(self, value: object, plain: Any, into: Any, extras: tuple[Any, ...], place: Place) -> Any:
        if plain is Any or plain is object:
            return value
        if plain is timedelta:
            return self._duration(value, place)
        if plain is bool:
            value = _boolean(value)
        elif plain in (int, float):
            value = _number(value)
        elif plain is str and value == "" and not any(_may_be_empty(meta) for meta in extras):
            raise _Refused(
                place,
                "expected a text, but it is empty",
                None,
                "leave the key out, or set the variable it is made from",
            )
        elif get_origin(plain) is Literal:
            value = _one_of(value, get_args(plain))
            if any(value in extra(meta, "not yet") for meta in extras):
                hint = f"supported: {', '.join(map(str, get_args(plain)))}"
                raise _Refused(place, "not supported yet by this version", value, hint)
        try:
            return msgspec.convert(value, into)
        except msgspec.ValidationError as error:
            limit = (
                str(error).partition(" - at `")[0]
                if isinstance(error.__cause__, ValueError) or _is_limit(str(error))
                else ""
            )
            problem = f"{_lower(limit).replace('`', '')}" if limit else f"expected {describe(into)}"
            hint = "put it in quotes" if plain is str and isinstance(value, int | float) else ""
            raise _Refused(place, problem, value, hint) from None

    def _duration(self, value: object, place: Place) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            problem = str(error)
            text = f"expected {describe(timedelta)}" if problem == "expected a duration" else problem
            raise _Refused(place, text, value, _duration_hint(value) or f"such as {EXAMPLES}") from None

    # --- what is said

    def _error(self, refused: _Refused) -> ConfigError:
        shown = None if refused.value is None else self._presentable(refused.value, refused.place)
        file = self._file(refused.place)
        lost = self._dropped(refused.place) if refused.value is None else ()  # what is there was not left out
        hint = "; ".join([*filter(None, [refused.hint]), *lost])
        return ConfigError(written(refused.place), refused.problem, value=shown, hint=hint, file=file)

    def _presentable(self, value: object, place: Place) -> object:
        """The value as it may be printed: from the redacted tree, and not at length."""
        shown = self._shown(place)
        if shown is None:
            shown = SECRET if is_secret(place) else hide_in_text(value) if isinstance(value, str) else value
        if isinstance(shown, Mapping):
            return _Unquoted(f"an object with the keys {', '.join(map(str, shown))}" if shown else "an empty object")
        if isinstance(shown, list):
            return _Unquoted(f"a list of {len(shown)}")
        if isinstance(shown, bool):
            return _Unquoted("true" if shown else "false")
        if shown == SECRET:
            return _Unquoted(SECRET)
        return f"{shown[:_LONGEST_SHOWN]}…" if isinstance(shown, str) and len(shown) > _LONGEST_SHOWN else shown

    def _file(self, place: Place) -> str:
        source = self._source(place)
        return f"{source.name}:{source.line}" if source.line else source.name

    def _sentence(self, place: Place, text: str, separator: str = "") -> str:
        file = self._file(place[:-1] if place[-1] == "" else place)
        return f"{f'{file}: ' if file else ''}{written(place)}{separator}{text}"


class _Unquoted(str):
    """Words about a value, which stand in an error without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _distance(value: object, kind: Any) -> int:
    """How far a raw value is from a type: 0 of its own kind, 1 if it may be read as one, 2 or more if hardly."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    shape = get_origin(plain) or plain
    if isinstance(value, Mapping):
        return 0 if is_struct(plain) or shape in (dict, Mapping, timedelta, Any) else 2
    if isinstance(value, list):
        return 0 if shape in (list, tuple, set, frozenset, Sequence, Any) else 2
    if isinstance(value, bool):
        return 0 if shape is bool else 2
    if isinstance(value, int | float):
        return 0 if shape in (int, float) else 1 if shape is bool or isinstance(plain, FromShorthand) else 2
    if shape in (str, Any, Literal):
        return 0
    return 1 if shape in (timedelta, bool, int, float, list) or isinstance(plain, FromShorthand) else 2


def _boolean(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value).strip()
        return True if _TRUE.match(text) else False if _FALSE.match(text) else value
    return value


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_number(value)
    except ValueError:
        return value


def _one_of(value: object, choices: Sequence[object]) -> object:
    if isinstance(value, str) and value not in choices:
        number = _number(value)
        return number if number in choices else value
    return value


def _duration_hint(value: object) -> str:
    """For `30` the likely meanings; a number alone is refused, as upstream does."""
    number = _number(value)
    if isinstance(number, int | float) and not isinstance(number, bool):
        return f"with its unit, such as `{number}m` for minutes or `{{seconds: {number}}}`"
    return ""


def _may_be_empty(meta: object) -> bool:
    return isinstance(meta, msgspec.Meta) and meta.min_length == 0


def _is_limit(message: str) -> bool:
    """Whether msgspec complains of a limit (`Expected int >= 1`), which says more than the type alone."""
    return any(sign in message for sign in ("<=", ">=", " < ", " > ", "multiple of", "matching regex", "length"))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _split(path: str) -> Place:
    """`a.b[0]` as a place; what msgspec writes as `[...]` has no name."""
    return tuple(
        int(index) if index else name for index, name in re.findall(r"\[(\d+)\]|([^.\[\]]+)", path) if index or name
    )


def _inside(value: object, place: Place) -> object:
    for part in place:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return getattr(value, str(part), None)
    return value
