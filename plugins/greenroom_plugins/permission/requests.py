"""body -> requests for decisions, or the complaint that upstream's zod schema would make of it.

The schema is small and its messages reach clients, so the few zod rules it needs are spelled out here: issues are
collected per union branch, and a branch whose only fault is an empty list speaks for the whole union.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.permissions import Permission

Issue = dict[str, Any]
Path = tuple[str | int, ...]

ACTIONS = ("create", "read", "update", "delete")

_MISSING: Any = msgspec.UNSET


class DecisionRequest(msgspec.Struct, frozen=True):
    """One question of a batch. `resource_ref` is None when there was none; the empty text counts as one."""

    id: str
    permission: Permission
    resource_ref: str | tuple[str, ...] | None = None


def read_requests(body: Any) -> list[DecisionRequest]:
    """The questions of a batch, in order. Raises InputError with the text of the zod issues."""
    issues = _batch(body)
    if issues:
        raise InputError(json.dumps(issues, indent=2, ensure_ascii=False))
    return [_request(item) for item in body["items"]]


def _request(item: dict[str, Any]) -> DecisionRequest:
    wire, ref = item["permission"], item.get("resourceRef")
    resource_type = wire["resourceType"] if wire["type"] == "resource" else None
    permission = Permission(wire["name"], wire["attributes"].get("action"), resource_type)
    return DecisionRequest(item["id"], permission, tuple(ref) if isinstance(ref, list) else ref)


def _batch(body: Any) -> list[Issue]:
    if not isinstance(body, dict):
        return [_wrong_type("object", body, ())]
    items = body.get("items", _MISSING)
    if not isinstance(items, list):
        return [_wrong_type("array", items, ("items",))]
    return [issue for index, item in enumerate(items) for issue in _item(item, ("items", index))]


def _item(item: Any, path: Path) -> list[Issue]:
    if not isinstance(item, dict):
        return _union(path, ([_wrong_type("object", item, path)] for _ in range(2)))
    return _union(path, (_branch(item, path, kind) for kind in ("basic", "resource")))


def _branch(item: dict[str, Any], path: Path, kind: str) -> list[Issue]:
    return [
        *_string(item.get("id", _MISSING), (*path, "id")),
        *_resource_ref(item, (*path, "resourceRef"), kind),
        *_permission(item.get("permission", _MISSING), (*path, "permission"), kind),
    ]


def _resource_ref(item: dict[str, Any], path: Path, kind: str) -> list[Issue]:
    if "resourceRef" not in item:
        return []
    ref = item["resourceRef"]
    if kind == "basic":
        return [_wrong_type("undefined", ref, path)]
    return _union(path, (_string(ref, path), _strings(ref, path)))


def _permission(value: Any, path: Path, kind: str) -> list[Issue]:
    if not isinstance(value, dict):
        return [_wrong_type("object", value, path)]
    issues = [
        *_literal(kind, value.get("type", _MISSING), (*path, "type")),
        *_string(value.get("name", _MISSING), (*path, "name")),
        *_attributes(value.get("attributes", _MISSING), (*path, "attributes")),
    ]
    if kind == "resource":
        issues += _string(value.get("resourceType", _MISSING), (*path, "resourceType"))
    return issues


def _attributes(value: Any, path: Path) -> list[Issue]:
    if not isinstance(value, dict):
        return [_wrong_type("object", value, path)]
    if "action" not in value:
        return []
    here = (*path, "action")
    return _union(here, (_literal(action, value["action"], here) for action in ACTIONS))


def _string(value: Any, path: Path) -> list[Issue]:
    return [] if isinstance(value, str) else [_wrong_type("string", value, path)]


def _strings(value: Any, path: Path) -> list[Issue]:
    if not isinstance(value, list):
        return [_wrong_type("array", value, path)]
    if not value:
        return [_too_short(path)]
    return [issue for index, entry in enumerate(value) for issue in _string(entry, (*path, index))]


def _literal(expected: str, value: Any, path: Path) -> list[Issue]:
    if value == expected:
        return []
    received = {} if value is _MISSING else {"received": value}
    message = f'Invalid literal value, expected "{expected}"'
    return [{**received, "code": "invalid_literal", "expected": expected, "path": list(path), "message": message}]


def _union(path: Path, branches: Iterable[list[Issue]]) -> list[Issue]:
    tried = list(branches)
    for fits in (_faultless, _merely_short):
        for issues in tried:
            if fits(issues):
                return issues
    errors = [{"issues": issues, "name": "ZodError"} for issues in tried]
    return [{"code": "invalid_union", "unionErrors": errors, "path": list(path), "message": "Invalid input"}]


def _faultless(issues: list[Issue]) -> bool:
    return not issues


def _merely_short(issues: list[Issue]) -> bool:
    return all(issue["code"] == "too_small" for issue in issues)


def _too_short(path: Path) -> Issue:
    message = "Array must contain at least 1 element(s)"
    limits = {"minimum": 1, "type": "array", "inclusive": True, "exact": False}
    return {"code": "too_small", **limits, "message": message, "path": list(path)}


def _wrong_type(expected: str, value: Any, path: Path) -> Issue:
    received = _type_name(value)
    message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": list(path),
        "message": message,
    }


def _type_name(value: Any) -> str:
    """What JavaScript calls the type of a JSON value."""
    if value is _MISSING:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
