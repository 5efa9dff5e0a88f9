"""JSON value -> the value as a shape wants it, or the issues that upstream's schema library (zod 3) would list.

Clients see these texts in error messages, so the order in which alternatives are tried, and which of their issues survive,
follow zod: a value that fits but for its details ("dirty") wins over alternatives that do not fit at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from greenroom.javascript.json_text import json_text

Path = tuple[str | int, ...]
Issue = dict[str, Any]
Status = Literal["valid", "dirty", "aborted"]
Parsed = tuple[Status, Any]
Shape = Callable[[Any, Path, list[Issue]], Parsed]
"""Takes a value, where it stands, and a list to add issues to."""


class Missing:
    """What an object without some key holds there."""


MISSING = Missing()
_ABORTED: Parsed = ("aborted", None)
_PLAIN_NAME = re.compile(r"[^\W\d]|\$")


def kind_of(value: object) -> str:
    """The name zod has for the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object", Missing: "undefined"}
    return names[type(value)]


def _mismatch(expected: str, value: object, path: Path, issues: list[Issue]) -> Parsed:
    received = kind_of(value)
    message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
    issues.append(
        {"code": "invalid_type", "expected": expected, "received": received, "path": list(path), "message": message}
    )
    return _ABORTED


def of_kind(kind: str) -> Shape:
    """A value of one JSON type; `never` fits nothing."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        return ("valid", value) if kind_of(value) == kind else _mismatch(kind, value, path, issues)

    return shape


STRING, NUMBER, BOOLEAN, NULL, UNDEFINED, NEVER = map(
    of_kind, ("string", "number", "boolean", "null", "undefined", "never")
)


def matching(pattern: str) -> Shape:
    """A string that a regular expression finds something in."""
    search = re.compile(pattern).search

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if not isinstance(value, str):
            return _mismatch("string", value, path, issues)
        if search(value):
            return "valid", value
        issues.append({"validation": "regex", "code": "invalid_string", "message": "Invalid", "path": list(path)})
        return "dirty", value

    return shape


def one_of(*allowed: str) -> Shape:
    """One of some strings."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if isinstance(value, str) and value in allowed:
            return "valid", value
        expected = " | ".join(f"'{text}'" for text in allowed)
        received = kind_of(value)
        if received != "string":
            message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
            issue = {"expected": expected, "received": received, "code": "invalid_type", "path": list(path)}
            issues.append({**issue, "message": message})
        else:
            message = f"Invalid enum value. Expected {expected}, received '{value}'"
            issue = {"received": value, "code": "invalid_enum_value", "options": list(allowed), "path": list(path)}
            issues.append({**issue, "message": message})
        return _ABORTED

    return shape


def literal(expected: str) -> Shape:
    """Exactly this string."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if value == expected and isinstance(value, str):
            return "valid", value
        issue: Issue = {} if isinstance(value, Missing) else {"received": value}
        issue |= {"code": "invalid_literal", "expected": expected, "path": list(path)}
        issues.append({**issue, "message": f'Invalid literal value, expected "{expected}"'})
        return _ABORTED

    return shape


def optional(inner: Shape) -> Shape:
    """The shape, or nothing."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        return ("valid", MISSING) if isinstance(value, Missing) else inner(value, path, issues)

    return shape


def _merge(parts: Iterable[tuple[Any, Parsed]]) -> tuple[Status, list[tuple[Any, Any]]]:
    statuses, pairs = [], []
    for key, (status, value) in parts:
        statuses.append(status)
        pairs.append((key, value))
    worst: Status = "aborted" if "aborted" in statuses else "dirty" if "dirty" in statuses else "valid"
    return worst, pairs


def array(item: Shape, least: int = 0) -> Shape:
    """A list of at least so many of these."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if not isinstance(value, list):
            return _mismatch("array", value, path, issues)
        short = len(value) < least
        if short:
            limits = {"minimum": least, "type": "array", "inclusive": True, "exact": False}
            message = f"Array must contain at least {least} element(s)"
            issues.append({"code": "too_small", **limits, "message": message, "path": list(path)})
        status, pairs = _merge((i, item(inner, (*path, i), issues)) for i, inner in enumerate(value))
        return "dirty" if short and status == "valid" else status, [inner for _, inner in pairs]

    return shape


def record(key: Shape, item: Shape) -> Shape:
    """An object whose keys and values are of these shapes."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if not isinstance(value, dict):
            return _mismatch("object", value, path, issues)
        statuses: list[tuple[Any, Parsed]] = []
        for name, inner in value.items():
            statuses.append((name, key(name, (*path, name), issues)))
            statuses.append((name, item(inner, (*path, name), issues)))
        status, pairs = _merge(statuses)
        return status, dict(pairs[1::2])

    return shape


def fields(members: Mapping[str, Shape], *, strict: bool = False) -> Shape:
    """An object with these members; others are dropped, or refused if `strict`."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        if not isinstance(value, dict):
            return _mismatch("object", value, path, issues)
        status, pairs = _merge(
            (name, inner(value.get(name, MISSING), (*path, name), issues)) for name, inner in members.items()
        )
        strangers = [name for name in value if name not in members] if strict else []
        if strangers:
            listed = ", ".join(f"'{name}'" for name in strangers)
            message = f"Unrecognized key(s) in object: {listed}"
            issues.append({"code": "unrecognized_keys", "keys": strangers, "path": list(path), "message": message})
            status = "aborted" if status == "aborted" else "dirty"
        return status, {name: inner for name, inner in pairs if inner is not MISSING}

    return shape


def union(*options: Shape) -> Shape:
    """The first shape that fits."""

    def shape(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        failures: list[list[Issue]] = []
        dirty: tuple[Parsed, list[Issue]] | None = None
        for option in options:
            own: list[Issue] = []
            parsed = option(value, path, own)
            if parsed[0] == "valid":
                return parsed
            if parsed[0] == "dirty" and dirty is None:
                dirty = parsed, own
            failures.append(own)
        if dirty is not None:
            issues.extend(dirty[1])
            return dirty[0]
        errors = [{"issues": own, "name": "ZodError"} for own in failures]
        issues.append({"code": "invalid_union", "unionErrors": errors, "path": list(path), "message": "Invalid input"})
        return _ABORTED

    return shape


def lazy(shape: Callable[[], Shape]) -> Shape:
    """A shape that is only known later, so that shapes can hold themselves."""

    def resolve(value: Any, path: Path, issues: list[Issue]) -> Parsed:
        return shape()(value, path, issues)

    return resolve


def parse(shape: Shape, value: Any) -> tuple[Any, list[Issue]]:
    """The value as the shape wants it, with an empty list; or None with the issues."""
    issues: list[Issue] = []
    status, parsed = shape(value, (), issues)
    return (parsed, []) if status == "valid" else (None, issues)


def listed(issues: Sequence[Issue]) -> str:
    """Issues as indented JSON, which is the message of zod's own error."""
    return json_text(issues, "  ")


def describe(issues: Sequence[Issue]) -> str:
    """Issues as one sentence, as the package zod-validation-error puts them: at most 99, joined by semicolons."""
    text = "; ".join(_describe(issue) for issue in issues[:99])
    return f"Validation error: {text}" if text else "Validation error"


def _describe(issue: Issue) -> str:
    if issue["code"] == "invalid_union":
        texts = ("; ".join(_describe(inner) for inner in error["issues"]) for error in issue["unionErrors"])
        return ", or ".join(dict.fromkeys(texts))
    path: list[str | int] = issue["path"]
    if not path:
        return str(issue["message"])
    if len(path) == 1 and isinstance(path[0], int):
        return f"{issue['message']} at index {path[0]}"
    return f'{issue["message"]} at "{_join(path)}"'


def _join(path: Sequence[str | int]) -> str:
    if len(path) == 1:
        return str(path[0]) or '""'
    joined = ""
    for part in path:
        if isinstance(part, int):
            joined += f"[{part}]"
        elif '"' in part:
            joined += '["' + part.replace('"', '\\"') + '"]'
        elif not _PLAIN_NAME.search(part):
            joined += f'["{part}"]'
        else:
            joined += f".{part}" if joined else part
    return joined
