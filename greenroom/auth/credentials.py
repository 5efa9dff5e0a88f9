"""Who a request comes from: a user, a service, or nobody known."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from greenroom.errors import AuthenticationError, NotAllowedError

PrincipalKind = Literal["user", "service", "none"]


class AccessRestrictions(msgspec.Struct, frozen=True):
    """What a service's token may be used for inside one plugin; None means any. Both limits must hold."""

    permissions: frozenset[str] | None = None
    actions: frozenset[str] | None = None


class UserPrincipal(msgspec.Struct, frozen=True):
    """A person, by the canonical reference of their User entity (which need not exist in the catalog)."""

    ref: str


class ServicePrincipal(msgspec.Struct, frozen=True):
    """A machine, by the `subject` that its token was configured with."""

    subject: str
    restrictions: AccessRestrictions | None = None


class NonePrincipal(msgspec.Struct, frozen=True):
    """Nobody: the request came without a token."""


Principal = UserPrincipal | ServicePrincipal | NonePrincipal


class Credentials(msgspec.Struct, frozen=True):
    """Who asks, with the token they showed. The token never appears in `repr`, and so not in logs."""

    principal: Principal
    token: str | None = None
    expires_at: datetime | None = None

    @property
    def kind(self) -> PrincipalKind:
        """`user`, `service` or `none`, as upstream calls the principal's type."""
        if isinstance(self.principal, UserPrincipal):
            return "user"
        return "service" if isinstance(self.principal, ServicePrincipal) else "none"

    @property
    def user(self) -> UserPrincipal | None:
        """The user, if it is one who asks."""
        return self.principal if isinstance(self.principal, UserPrincipal) else None

    def __repr__(self) -> str:
        return f"Credentials({self.principal!r})"


NOBODY = Credentials(NonePrincipal())


def require(credentials: Credentials, *allowed: PrincipalKind) -> Credentials:
    """The credentials themselves, if their principal is of an allowed kind.

    Raises AuthenticationError for nobody, NotAllowedError for a known caller of the wrong kind (upstream: httpAuth)."""
    if credentials.kind in allowed:
        return credentials
    if credentials.kind == "none":
        raise AuthenticationError
    raise NotAllowedError(f"This endpoint does not allow '{credentials.kind}' credentials")
