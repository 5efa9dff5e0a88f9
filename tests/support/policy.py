"""A permission policy that a test decides."""

from __future__ import annotations

from greenroom.auth import Credentials
from greenroom.permissions import Decision, Permission, Permissions


class Policy(Permissions):
    """Allows what is not denied, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(enabled=True)
        self.denied: set[str] = set()
        self.asked: list[tuple[str, str | None]] = []

    async def authorize(
        self, credentials: Credentials, permission: Permission, resource_ref: str | None = None
    ) -> Decision:
        self.asked.append((permission.name, resource_ref))
        return Decision.DENY if permission.name in self.denied else Decision.ALLOW
