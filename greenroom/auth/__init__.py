"""Who is asking: tokens -> credentials, and which credentials may pass."""

from greenroom.auth.barrier import PathPolicy, Shown
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
from greenroom.auth.external import ExternalToken, read_tokens
from greenroom.auth.issuing import Issued, TokenIssuer
from greenroom.auth.keys import KeyStore, MemoryKeyStore
from greenroom.auth.service import Auth, CookieRenewal

__all__ = [
    "NOBODY",
    "AccessRestrictions",
    "Auth",
    "CookieRenewal",
    "Credentials",
    "ExternalToken",
    "Issued",
    "KeyStore",
    "MemoryKeyStore",
    "NonePrincipal",
    "PathPolicy",
    "Principal",
    "ServicePrincipal",
    "Shown",
    "TokenIssuer",
    "UserPrincipal",
    "read_tokens",
    "require",
]
