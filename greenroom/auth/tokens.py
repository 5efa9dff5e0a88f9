"""User tokens as text: claims + key -> token -> claims. Pure: the clock and the keys are given.

A user token carries in `uip` the signature of a second, smaller token over the same subject and times. Whoever holds
the user token can so build that *limited* token, byte for byte, without a key (upstream: auth backend, issueUserToken).
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from greenroom.errors import AuthenticationError, GreenroomError

USER = "vnd.backstage.user"
LIMITED = "vnd.backstage.limited-user"
PLUGIN = "vnd.backstage.plugin"
AUDIENCE = "backstage"
ALGORITHM = "ES256"

LONGEST_TOKEN = 32_768
LONGEST_KID = 64
CLOCK_SKEW = 60
"""Seconds that another process's clock may be ahead of ours when it issues a token."""


class UserClaims(msgspec.Struct, frozen=True):
    """What every user token, limited or not, says. Times are seconds since the epoch."""

    sub: str
    iat: int
    exp: int

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.exp, UTC)


def new_key(kid: str) -> ECKey:
    """A fresh P-256 key pair under that id."""
    return ECKey.generate_key("P-256", {"kid": kid, "alg": ALGORITHM}, auto_kid=False)


def public_jwk(key: ECKey) -> dict[str, str]:
    """The public half, with the members and in the order that upstream serves at `/.well-known/jwks.json`."""
    return {name: str(key.as_dict(private=False)[name]) for name in ("kty", "x", "y", "crv", "kid", "alg")}


def sign_user(
    key: ECKey, claims: UserClaims, *, issuer: str, ownership: Sequence[str] | None = None, extra: Mapping[str, Any]
) -> str:
    """A user token. `ownership` becomes the claim `ent` unless it is None; `extra` claims replace no standard one.

    Raises GreenroomError when the result is too long to travel in a header."""
    limited = _sign(key, LIMITED, {"sub": claims.sub, "iat": claims.iat, "exp": claims.exp})
    payload: dict[str, Any] = {
        **extra,
        "iss": issuer,
        "sub": claims.sub,
        **({} if ownership is None else {"ent": list(ownership)}),
        "aud": AUDIENCE,
        "iat": claims.iat,
        "exp": claims.exp,
        "uip": limited.rpartition(".")[2],
    }
    token = _sign(key, USER, payload)
    if len(token) > LONGEST_TOKEN:
        raise GreenroomError(f"The token of {claims.sub} is longer than {LONGEST_TOKEN} characters: too many claims")
    return token


def limit(token: str) -> str:
    """The limited token inside a verified user token; a limited token is its own. Raises AuthenticationError."""
    header, payload = _segment(token, 0) or {}, _segment(token, 1) or {}
    if header.get("typ") == LIMITED:
        return token
    if header.get("typ") != USER:
        raise AuthenticationError("Failed to create limited user token, invalid token type")
    if not payload.get("uip"):
        raise AuthenticationError("Failed to create limited user token, missing user identity proof")
    protected = {"typ": LIMITED, "alg": header["alg"], "kid": header["kid"]}
    claims = {"sub": payload["sub"], "iat": payload["iat"], "exp": payload["exp"]}
    return f"{_encode(protected)}.{_encode(claims)}.{payload['uip']}"


def token_type(token: str) -> str | None:
    """What a token claims to be: its `typ` header, USER for an untyped one with our audience, else None.

    Nothing is verified yet."""
    header = _segment(token, 0)
    if header is None:
        return None
    if header.get("typ") in (USER, LIMITED, PLUGIN):
        return str(header["typ"])
    return USER if (_segment(token, 1) or {}).get("aud") == AUDIENCE else None


def key_id(token: str) -> str:
    """The id of the key that a user token says it is signed with.

    The header must be exactly one that we write, so that no other algorithm, embedded key or critical extension gets
    near the verification. Raises ValueError."""
    header = _segment(token, 0) or {}
    kid = header.get("kid")
    ours = header.keys() == {"typ", "alg", "kid"} and header["alg"] == ALGORITHM and header["typ"] in (USER, LIMITED)
    if not ours or not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise ValueError("not a header of a user token")
    return kid


def verify(token: str, key: ECKey, now: float) -> UserClaims:
    """The claims of a user or limited token, once signature, audience and times hold.

    Raises ValueError, which does not quote the token."""
    try:
        signed = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        claims = msgspec.json.decode(signed.payload, type=UserClaims)
        payload = msgspec.json.decode(signed.payload)
    except (JoseError, msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(f"bad signature or claims ({type(error).__name__})") from None
    if signed.headers().get("typ") == USER and payload.get("aud") != AUDIENCE:
        raise ValueError("not for this audience")
    if not claims.sub:
        raise ValueError("no subject")
    if claims.exp <= now:
        raise ValueError("expired")
    if claims.iat > now + CLOCK_SKEW:
        raise ValueError("issued in the future")
    return claims


def _sign(key: ECKey, typ: str, payload: Mapping[str, Any]) -> str:
    header = {"typ": typ, "alg": ALGORITHM, "kid": key.kid}
    return jws.serialize_compact(header, msgspec.json.encode(payload), key, algorithms=[ALGORITHM])


def _encode(value: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def _segment(token: str, index: int) -> dict[str, Any] | None:
    """The JSON object in one of a token's dot-separated segments, None where there is none."""
    segments = token.split(".", 3)
    if len(segments) < 2 or index >= len(segments):
        return None
    text = segments[index].replace("-", "+").replace("_", "/")
    try:
        decoded = msgspec.json.decode(binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True))
    except (ValueError, msgspec.DecodeError, RecursionError):  # binascii.Error and UnicodeError are ValueErrors
        return None
    return decoded if isinstance(decoded, dict) else None
