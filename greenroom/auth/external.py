"""backend.auth.externalAccess -> the tokens that machines may show, kept as digests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import msgspec

from greenroom.auth.credentials import AccessRestrictions, ServicePrincipal
from greenroom.errors import NotAllowedError
from greenroom.settings import AccessRestriction, ExternalAccess


class ExternalToken(msgspec.Struct, frozen=True):
    """One configured token: its SHA-256, whose it is, and, if it is restricted, the plugins it may be used on."""

    digest: bytes
    subject: str
    plugins: Mapping[str, AccessRestrictions] | None = None


def read_tokens(access: Sequence[ExternalAccess]) -> tuple[ExternalToken, ...]:
    """The configured tokens, in order."""
    return tuple(
        ExternalToken(
            _digest(entry.options.token),
            entry.options.subject,
            {one.plugin: _restrictions(one) for one in entry.access_restrictions} or None,
        )
        for entry in access
    )


def find(tokens: Sequence[ExternalToken], token: str) -> ExternalToken | None:
    """The first of the tokens equal to this one. All are compared, in constant time, so that timing tells nothing."""
    digest = _digest(token)
    found: ExternalToken | None = None
    for known in tokens:
        if hmac.compare_digest(known.digest, digest) and found is None:
            found = known
    return found


def principal_on(token: ExternalToken, plugin: str) -> ServicePrincipal:
    """Who the token stands for on that plugin. Raises NotAllowedError where it may not be used there."""
    if token.plugins is None:
        return ServicePrincipal(token.subject)
    restrictions = token.plugins.get(plugin)
    if restrictions is None:
        allowed = ", ".join(f"'{name}'" for name in token.plugins)
        raise NotAllowedError(f"This token's access is restricted to plugin(s) {allowed}")
    return ServicePrincipal(token.subject, restrictions)


def _restrictions(entry: AccessRestriction) -> AccessRestrictions:
    names = entry.permission
    actions = entry.permission_attribute.action if entry.permission_attribute else None
    return AccessRestrictions(frozenset(names) if names else None, frozenset(actions) if actions else None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
