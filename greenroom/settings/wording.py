"""A type -> what it wants, in the words of somebody who writes config; and the key that somebody probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec


def nearest(key: str, known: Sequence[str]) -> str | None:
    """The known key most like this one, in whatever case and with whatever dashes, or None."""
    plain = {re.sub(r"[-_]", "", name).lower(): name for name in reversed(known)}
    found = difflib.get_close_matches(re.sub(r"[-_]", "", key).lower(), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def describe(kind: Any) -> str:
    """What a type wants, in the words of somebody who writes config: `a number`, `a list of texts`."""
    if get_origin(kind) is Annotated:
        plain, *extras = get_args(kind)
        return f"a text or {describe(plain)}" if one_or_many(extras) else describe(plain)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return alternatives([describe(arg) for arg in args if arg is not NoneType])
    if origin is Literal:
        return f"{'one of ' if len(args) > 1 else ''}{', '.join(map(repr, args))}"
    if origin in (list, tuple, set, frozenset, Sequence) or kind in (list, tuple, set):
        return f"a list of {_plural(describe(args[0]))}" if args and args[0] is not Any else "a list"
    if is_struct(kind):
        return f"an object with {_some([field.encode_name for field in msgspec.structs.fields(kind)])}"
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", timedelta: "a duration"}
    return words.get(
        kind,
        "an object" if origin in (dict, Mapping) or kind in (dict, Mapping) else getattr(kind, "__name__", str(kind)),
    )


def alternatives(words: Sequence[str]) -> str:
    """`a text, or a list of texts`."""
    return ", or ".join(dict.fromkeys(words))


def _plural(words: str) -> str:
    noun = re.match(r"an? (\w+)\Z", words)
    return f"{noun[1]}s" if noun else f"items, each {words}"


def _some(names: Sequence[str]) -> str:
    return (
        f"some of {', '.join(names[:6])}{', …' if len(names) > 6 else ''}"
        if len(names) > 1
        else "".join(names) or "nothing in it"
    )


def is_struct(kind: Any) -> bool:
    """Whether a type is a struct of msgspec."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def extra(meta: object, name: str) -> tuple[Any, ...]:
    """What an annotation says of the type in our own terms (`Meta(extra=…)`), or nothing."""
    return (meta.extra or {}).get(name, ()) if isinstance(meta, msgspec.Meta) else ()


def one_or_many(extras: Iterable[object]) -> bool:
    """Whether one of the annotations of a list says that a single item will do."""
    return any(extra(meta, "one or many") for meta in extras)
