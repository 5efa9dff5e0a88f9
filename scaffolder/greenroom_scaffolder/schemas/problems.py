"""What is wrong with a value, or with the schema it is held against, in the shapes and words of npm's `jsonschema`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from greenroom.errors import GreenroomError, InputError
from greenroom.javascript.texts import WHITESPACE, quoted
from greenroom.javascript.values import truthy

Path: TypeAlias = tuple[str | int, ...]

_NEEDS_QUOTES = re.compile(rf"[.\[\]{WHITESPACE}]|^[0-9]")
_DIGITS = re.compile(r"[0-9]+")


class Problem(msgspec.Struct):
    """One way in which a value breaks its schema; encodes as JSON with upstream's members in upstream's order.

    `property` is the path as text (`instance.a[0]`), `schema` the part that was broken or its id, `argument` what the keyword
    demands, `stack` property and message. `instance` and `argument` are `msgspec.UNSET`, and are left out, where upstream has
    `undefined`."""

    path: list[str | int]
    property: str
    message: str
    schema: Any
    instance: Any
    name: str
    argument: Any
    stack: str


class SchemaError(InputError):
    """The schema is not one that values can be held against"""

    name = "SchemaError"  # and 400: to upstream it is a fault of its own (500), here the template's

    def __init__(self, message: str, schema: Any = msgspec.UNSET) -> None:
        """`schema` is the part that is wrong, which upstream tells too."""
        super().__init__(message, details={} if schema is msgspec.UNSET else {"schema": schema})


class WrongKeywordError(SchemaError):
    """A keyword's value is of no use"""

    name = "Error"


class WrongTypeError(SchemaError):
    """A part of the schema is missing where upstream stumbles over it"""

    name = "TypeError"


class InvalidReferenceError(WrongTypeError):
    """Invalid URL"""

    def __init__(self, target: str, base: str) -> None:
        GreenroomError.__init__(self, "Invalid URL", details={"code": "ERR_INVALID_URL", "input": target, "base": base})


class MalformedReferenceError(SchemaError):
    """URI malformed"""

    name = "URIError"

    def __init__(self) -> None:
        super().__init__("URI malformed")


class InvalidPatternError(SchemaError):
    """A pattern is not a regular expression"""

    name = "SyntaxError"


class TooMuchError(InputError):
    """Holding this value against this schema takes too long, or is nested too deep"""


def property_text(path: Path, name: str = "instance") -> str:
    """`('a', 0, 'b c')` -> `instance.a[0]["b c"]`."""
    return name + "".join(map(_suffix, path))


def _suffix(step: str | int) -> str:
    text = str(step)
    if not _NEEDS_QUOTES.search(text):
        return f".{text}"
    return f"[{text}]" if _DIGITS.fullmatch(text) else f"[{quoted(text)}]"


def schema_or_id(schema: Any) -> Any:
    """The name of a schema that has one, else the schema itself."""
    name = identity(schema)
    return schema if name is None else name


def identity(schema: Any) -> Any:
    """`$id`, or `id` of older drafts, whatever stands there; None where neither counts."""
    if not isinstance(schema, Mapping):
        return None
    new, old = schema.get("$id"), schema.get("id")
    return new if truthy(new) else old if truthy(old) else None
