"""Who is asking: tokens -> credentials, and which credentials may pass."""

from greenroom.auth.credentials import (
    NOBODY,
    AccessRestrictions,
    Credentials,
    NonePrincipal,
    Principal,
    ServicePrincipal,
    UserPrincipal,
    require,
)

__all__ = [
    "NOBODY",
    "AccessRestrictions",
    "Credentials",
    "NonePrincipal",
    "Principal",
    "ServicePrincipal",
    "UserPrincipal",
    "require",
]
