"""Id and secret of a client -> a token that is good for a while (OAuth 2.0, section 4.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from greenroom.settings import Discreet
from greenroom.urls.outgoing import Named, Outgoing
from greenroom.urls.service import UnreadableUrlError

SPARE = timedelta(minutes=10)
"""What a token must still be good for."""


class _Token(Discreet, frozen=True):
    access_token: str
    expires_in: float = 3600


class ClientCredentials:
    """The tokens of one client."""

    def __init__(
        self, outgoing: Outgoing, address: str, named: Named, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        """`form` and `headers` are what the address wants to be sent, the secret among it."""
        self._outgoing, self._address, self._named = outgoing, address, named
        self._content = urlencode({"grant_type": "client_credentials", **form}).encode()
        self._headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers}
        self._asking = asyncio.Lock()
        self._held: tuple[str, datetime] | None = None

    async def token(self) -> str:
        """Raises UnreadableUrlError, which tells no secret."""
        async with self._asking:
            if self._held is None or _now() >= self._held[1]:
                self._held = await self._fresh()
            return self._held[0]

    async def _fresh(self) -> tuple[str, datetime]:
        asked = _now()
        answer = await self._outgoing.post(self._address, self._headers, self._named, self._content)
        if not answer.ok:
            hint = "; check clientId and clientSecret" if answer.status in (400, 401, 403) else ""
            raise UnreadableUrlError(f"Failed to fetch a token from {self._address}, {answer.said}{hint}")
        try:
            token = msgspec.json.decode(answer.content, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableUrlError(f"{self._address} answered with something that is no token") from error
        return token.access_token, asked + timedelta(seconds=token.expires_in) - SPARE


def _now() -> datetime:
    return datetime.now(UTC)
