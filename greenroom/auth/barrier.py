"""What a request shows of its caller, and which paths ask for how much of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

COOKIE = "backstage-auth"

_BEARER = re.compile(r"Bearer[ ]+(\S+)", re.IGNORECASE)


class Shown(msgspec.Struct, frozen=True):
    """The values of the `Authorization` and `Cookie` headers, None where the request has none."""

    authorization: str | None = None
    cookie: str | None = None

    @property
    def bearer(self) -> str | None:
        """The bearer token. A header of any other form counts as no token at all, as upstream has it."""
        match = _BEARER.fullmatch(self.authorization or "")
        return match.group(1) if match else None

    @property
    def cookie_token(self) -> str | None:
        """The token in the cookie `backstage-auth`; the first, if there are several."""
        for part in (self.cookie or "").split(";"):
            name, _, value = part.partition("=")
            if name.strip() == COOKIE:
                return value.strip().strip('"') or None
        return None

    def __repr__(self) -> str:
        return "Shown(…)"


class PathPolicy:
    """Which paths of one plugin are open, and which accept the cookie. Everything else asks for a token.

    A prefix ends at a slash and ignores case, as upstream's do: `/health` opens `/health/x`, not `/healthy`."""

    def __init__(self, *, open_paths: Iterable[str] = (), cookie_paths: Iterable[str] = ()) -> None:
        self._open = _prefixes(open_paths)
        self._cookie = _prefixes(cookie_paths)

    def opens(self, path: str) -> bool:
        """Whether the path, relative to the plugin, needs no credentials."""
        return _under(path, self._open)

    def takes_cookie(self, path: str) -> bool:
        """Whether a limited user token, in a cookie or a header, is enough for the path."""
        return _under(path, self._cookie)


def _prefixes(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path.rstrip("/").lower() for path in paths)


def _under(path: str, prefixes: tuple[str, ...]) -> bool:
    lowered = path.lower()
    return any(lowered == prefix or lowered.startswith(f"{prefix}/") for prefix in prefixes)
