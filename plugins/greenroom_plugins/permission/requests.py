"""body -> requests for decisions, or the complaint that upstream's zod schema would make of it, which reaches clients."""

from __future__ import annotations

from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.permissions import Permission
from greenroom.web import shapes

_ATTRIBUTES = shapes.fields(
    {"action": shapes.optional(shapes.union(*map(shapes.literal, ("create", "read", "update", "delete"))))}
)


def _item(type_: str, resource_ref: shapes.Shape, **more: shapes.Shape) -> shapes.Shape:
    permission = {"type": shapes.literal(type_), "name": shapes.STRING, "attributes": _ATTRIBUTES, **more}
    return shapes.fields(
        {
            "id": shapes.STRING,
            "resourceRef": shapes.optional(resource_ref),
            "permission": shapes.fields(permission),
        }
    )


_BASIC = _item("basic", shapes.UNDEFINED)
_RESOURCE = _item(
    "resource",
    shapes.union(shapes.STRING, shapes.array(shapes.STRING, least=1)),
    resourceType=shapes.STRING,
)
_BATCH = shapes.fields({"items": shapes.array(shapes.union(_BASIC, _RESOURCE))})


class DecisionRequest(msgspec.Struct, frozen=True):
    """One question of a batch. `resource_ref` is None when there was none; the empty text counts as one."""

    id: str
    permission: Permission
    resource_ref: str | tuple[str, ...] | None = None


def read_requests(body: Any) -> list[DecisionRequest]:
    """The questions of a batch, in order. Raises InputError with the text of the zod issues."""
    batch, issues = shapes.parse(_BATCH, body)
    if issues:
        raise InputError(shapes.listed(issues))
    return [_request(item) for item in batch["items"]]


def _request(item: dict[str, Any]) -> DecisionRequest:
    wire, ref = item["permission"], item.get("resourceRef")
    permission = Permission(wire["name"], wire["attributes"].get("action"), wire.get("resourceType"))
    return DecisionRequest(item["id"], permission, tuple(ref) if isinstance(ref, list) else ref)
