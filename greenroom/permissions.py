"""Credentials + permission -> decision: may they?"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from greenroom.auth import Credentials, ServicePrincipal
from greenroom.errors import AuthenticationError, NotAllowedError

Action = Literal["create", "read", "update", "delete"]


class Permission(msgspec.Struct, frozen=True):
    """Something that may be allowed or not: its name, its action, and the type of the resource it is about.

    Without a `resource_type` it is what upstream calls a basic permission."""

    name: str
    action: Action | None = None
    resource_type: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The JSON of it, keys in upstream's order, as listed under `/.well-known/backstage/permissions/metadata`."""
        wire: dict[str, Any] = {
            "type": "resource" if self.resource_type else "basic",
            "name": self.name,
            "attributes": {"action": self.action} if self.action else {},
        }
        return {**wire, "resourceType": self.resource_type} if self.resource_type else wire


class Rule(msgspec.Struct, frozen=True):
    """A rule that conditions about a resource may use, as it is told; upstream's editors make forms of it."""

    name: str
    description: str
    resource_type: str
    params: Mapping[str, Any]
    """JSON Schema of each."""
    required: str
    """The one that must be given."""

    def to_wire(self) -> dict[str, Any]:
        """The JSON of it, as listed under `/.well-known/backstage/permissions/metadata`."""
        schema = {
            "type": "object",
            "properties": self.params,
            "required": [self.required],
            "additionalProperties": False,
            "$schema": "http://json-schema.org/draft-07/schema#",
        }
        wire: dict[str, Any] = {"name": self.name, "description": self.description}
        return {**wire, "resourceType": self.resource_type, "paramsSchema": schema}


class Decision(enum.Enum):
    """A definitive answer; values are those of the wire.

    A conditional answer will be a type of its own, returned by a method of its own: `authorize` keeps to these two."""

    ALLOW = "ALLOW"
    DENY = "DENY"


class Permissions:
    """Decides every permission of every part.

    Services are held to their token's access restrictions, also when permissions are off; every user is allowed."""

    def __init__(self, *, enabled: bool, anonymous: bool = False) -> None:
        """`enabled` is `permission.enabled`; `anonymous`: nobody may ask too (the default auth policy is disabled)."""
        self.enabled = enabled
        self._anonymous = anonymous

    async def authorize(
        self, credentials: Credentials, permission: Permission, resource_ref: str | None = None
    ) -> Decision:
        """Raises AuthenticationError when nobody asks, unless permissions or the default auth policy are off."""
        if isinstance(credentials.principal, ServicePrincipal):
            return _decide_service(credentials.principal, permission)
        if credentials.kind == "none" and self.enabled and not self._anonymous:
            raise AuthenticationError
        return Decision.ALLOW

    async def allows(self, credentials: Credentials, permission: Permission, resource_ref: str | None = None) -> bool:
        """Whether the answer is ALLOW. Raises what `authorize` raises."""
        return await self.authorize(credentials, permission, resource_ref) is Decision.ALLOW

    async def require(self, credentials: Credentials, permission: Permission, resource_ref: str | None = None) -> None:
        """Raises NotAllowedError, with the empty message that upstream gives, unless the answer is ALLOW."""
        if not await self.allows(credentials, permission, resource_ref):
            raise NotAllowedError


def _decide_service(service: ServicePrincipal, permission: Permission) -> Decision:
    limits = service.restrictions
    if limits is None:
        return Decision.ALLOW
    named = limits.permissions is None or permission.name in limits.permissions
    acting = limits.actions is None or permission.action in limits.actions
    return Decision.ALLOW if named and acting else Decision.DENY
