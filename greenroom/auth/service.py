"""Token -> credentials -> pass or not: the one door through which every request of every plugin goes."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from greenroom.auth import external, tokens
from greenroom.auth.barrier import COOKIE, PathPolicy, Shown
from greenroom.auth.credentials import NOBODY, Credentials, ServicePrincipal, UserPrincipal, require
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import Keyring, KeyStore
from greenroom.errors import AuthenticationError, NotAllowedError

REMEMBERED = 4096
"""Verified tokens that are remembered; the least recently seen go first."""

COOKIE_KEPT = timedelta(minutes=5)
"""A cookie that lives longer than this is not renewed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger("greenroom.auth")


class _Verified(msgspec.Struct, frozen=True):
    credentials: Credentials
    limited: bool
    exp: int


class CookieRenewal(msgspec.Struct, frozen=True):
    """The answer of `GET /.backstage/auth/v1/cookie`: when the cookie ends, and `Set-Cookie` unless it is kept."""

    expires_at: datetime
    set_cookie: str | None

    @property
    def body(self) -> dict[str, str]:
        """`{"expiresAt": "2026-11-21T09:07:45.000Z"}`"""
        return {"expiresAt": self.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}


class Auth:
    """Who asks, and whether they may come in. One per process; safe to share between all requests."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyStore,
        external_tokens: Sequence[ExternalToken] = (),
        enforced: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`base_url` is `backend.baseUrl`; `enforced` is False under `dangerouslyDisableDefaultAuthPolicy`."""
        self.base_url = base_url.rstrip("/")
        self.key_store = keys
        self.enforced = enforced
        self._keyring = Keyring(keys)
        self._external = tuple(external_tokens)
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    @property
    def issuer(self) -> str:
        """The `iss` of user tokens, which is also where the auth plugin is found."""
        return f"{self.base_url}/api/auth"

    async def admit(self, shown: Shown, plugin: str, path: str, policy: PathPolicy) -> Credentials:
        """The credentials with which a request may come in: the barrier before every route of every plugin.

        On an open path nobody looks at what is shown: the answer is NOBODY, and a handler that wants to know asks
        `credentials`. Raises AuthenticationError, NotAllowedError."""
        if policy.opens(path):
            return NOBODY
        credentials = await self.credentials(shown, plugin, limited=policy.takes_cookie(path))
        return require(credentials, "user", "service") if self.enforced else credentials

    async def credentials(self, shown: Shown, plugin: str, *, limited: bool = False) -> Credentials:
        """Who asks; NOBODY without a token. The header wins over the cookie, which counts only where `limited` does.

        Raises AuthenticationError for a bad token, NotAllowedError for one that is restricted to other plugins."""
        token = shown.bearer or (shown.cookie_token if limited else None)
        return NOBODY if token is None else await self.authenticate(token, plugin, limited=limited)

    async def authenticate(self, token: str, plugin: str, *, limited: bool = False) -> Credentials:
        """Whose token it is, as seen by that plugin. `limited` accepts limited user tokens too.

        Raises AuthenticationError, NotAllowedError; neither quotes the token."""
        kind = tokens.token_type(token) if len(token) <= tokens.LONGEST_TOKEN else None
        if kind == tokens.PLUGIN:  # nobody issues them here: plugins of one process call each other directly
            raise AuthenticationError("Failed plugin token verification")
        if kind is not None:
            return await self._authenticate_user(token, limited)
        known = external.find(self._external, token)
        if known is None:
            raise AuthenticationError("Illegal token")
        return Credentials(external.principal_on(known, plugin), token)

    def delegated(self, credentials: Credentials, target: str) -> Credentials:
        """As whom a plugin asks another one (`target`) on somebody's behalf: a user stays who they are, a service is without
        restrictions there. Raises NotAllowedError for a service whose token is not for the target, or not for all of it."""
        service = credentials.principal
        if not isinstance(service, ServicePrincipal) or service.restrictions is None:
            return credentials
        known = external.find(self._external, credentials.token or "")
        limits = (known.plugins or {}).get(target) if known else None
        if limits is None:
            raise NotAllowedError(f"Access to target plugin '{target}' is not included in token's access restrictions")
        if limits.permissions is not None or limits.actions is not None:
            raise NotAllowedError(f"Access to target plugin '{target}' is restricted and cannot be delegated")
        return Credentials(ServicePrincipal(service.subject), credentials.token, credentials.expires_at)

    async def renew_cookie(self, shown: Shown, plugin: str) -> CookieRenewal:
        """Give the user who asks a cookie with their limited token, unless the one they have is good for a while.

        Raises AuthenticationError, NotAllowedError: only users have cookies."""
        credentials = require(await self.credentials(shown, plugin), "user")
        kept_until = await self._cookie_expiry(shown, plugin)
        if kept_until and kept_until.timestamp() >= self._clock() + COOKIE_KEPT.total_seconds():
            return CookieRenewal(kept_until, None)
        if credentials.token is None or credentials.expires_at is None:
            raise AuthenticationError("User credentials is unexpectedly missing token")
        cookie = self._cookie(tokens.limit(credentials.token), credentials.expires_at)
        return CookieRenewal(credentials.expires_at, cookie)

    def clear_cookie(self) -> str:
        """The `Set-Cookie` value that takes the cookie away: for the 204 of `DELETE /.backstage/auth/v1/cookie`."""
        return self._cookie("", _EPOCH)

    def plugin_keys(self, plugin: str) -> dict[str, list[Any]]:
        """The answer of `/.backstage/auth/v1/jwks.json`: no plugin issues tokens of its own here."""
        return {"keys": []}

    async def _authenticate_user(self, token: str, limited: bool) -> Credentials:
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified.get(digest)
        if verified is None or verified.exp <= self._clock():
            self._verified.pop(digest, None)
            verified = await self._verify_user(token)
            self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        if verified.limited and not limited:
            raise AuthenticationError("Illegal limited user token")
        return verified.credentials

    async def _verify_user(self, token: str) -> _Verified:
        try:
            key = await self._keyring.find(tokens.key_id(token))
            if key is None:
                raise ValueError("unknown key")
            claims = tokens.verify(token, key, self._clock())
        except ValueError as reason:
            log.info("Refused a user token: %s", reason)
            raise AuthenticationError("Failed user token verification") from None
        credentials = Credentials(UserPrincipal(claims.sub), token, claims.expires_at)
        return _Verified(credentials, tokens.token_type(token) == tokens.LIMITED, claims.exp)

    async def _cookie_expiry(self, shown: Shown, plugin: str) -> datetime | None:
        if shown.cookie_token is None:
            return None
        try:
            return (await self.authenticate(shown.cookie_token, plugin, limited=True)).expires_at
        except AuthenticationError:
            return None  # a cookie that no longer counts is simply replaced

    def _cookie(self, value: str, expires_at: datetime) -> str:
        url = urlsplit(self.base_url)
        secure = url.scheme == "https" or url.hostname == "localhost"
        return "; ".join(
            [
                f"{COOKIE}={value}",
                f"Domain={url.hostname}",
                "Path=/",
                f"Expires={format_datetime(expires_at, usegmt=True)}",
                "HttpOnly",
                *(["Secure"] if secure else []),
                "Priority=High",
                f"SameSite={'None' if secure else 'Lax'}",
            ]
        )
