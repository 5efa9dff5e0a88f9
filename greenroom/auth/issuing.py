"""A user and what they own -> a signed token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from greenroom.auth.keys import KeyStore, SigningKeys
from greenroom.auth.tokens import UserClaims, sign_user
from greenroom.entity import EntityRefError, parse_ref
from greenroom.errors import GreenroomError


class Issued(msgspec.Struct, frozen=True):
    """A token and the second, since the epoch, at which it expires."""

    token: str
    expires_at: int

    def __repr__(self) -> str:
        return f"Issued(expires_at={self.expires_at})"


class TokenIssuer:
    """Issues user tokens; the part that signs users in has one."""

    def __init__(
        self,
        store: KeyStore,
        *,
        issuer: str,
        lifetime: timedelta,
        with_ownership: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`with_ownership` puts what the user owns into the `ent` claim; otherwise userinfo has to be asked."""
        self._keys = SigningKeys(store, lifetime)
        self._issuer = issuer
        self._lifetime = int(lifetime.total_seconds())
        self._with_ownership = with_ownership
        self._clock = clock

    async def issue(self, ref: str, ownership: Sequence[str], extra: Mapping[str, Any] | None = None) -> Issued:
        """A token for the User entity of that reference. Raises GreenroomError when it is not one."""
        try:
            parse_ref(ref)
        except EntityRefError as error:
            raise GreenroomError('"sub" claim provided by the auth resolver is not a valid EntityRef.') from error
        key = await self._keys.current()
        now = int(self._clock())
        claims = UserClaims(ref, now, now + self._lifetime)
        ent = ownership if self._with_ownership else None
        return Issued(sign_user(key, claims, issuer=self._issuer, ownership=ent, extra=extra or {}), claims.exp)
