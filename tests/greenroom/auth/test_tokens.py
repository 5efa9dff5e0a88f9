"""The token format, held against tokens that upstream made and against forgeries."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from greenroom.auth import tokens
from greenroom.auth.tokens import UserClaims
from greenroom.errors import AuthenticationError, GreenroomError

NOW = 1_795_248_500.0

# What upstream's auth backend 0.30.1 issued, the limited token it put into the cookie, and the key it published
# (spec, transcripts/t_auth.json: "guest refresh", "cookie", "jwks").
UPSTREAM_KEY = {
    "kty": "EC",
    "x": "SSoOefMwEkaKwucmkOfz4VDZnO7EZoVUi5SrQsA_dk0",
    "y": "mZ9I24euaZvDm0eyNu0V4TV8a7r2opNvWpNSgDzwJmg",
    "crv": "P-256",
    "kid": "d56abc68-d70c-4c67-b3fc-f33906562706",
    "alg": "ES256",
}
UPSTREAM_USER = (
    "eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLnVzZXIiLCJhbGciOiJFUzI1NiIsImtpZCI6ImQ1NmFiYzY4LWQ3MGMtNGM2Ny1iM2ZjLWYzMzkwNjU2MjcwNiJ9"
    ".eyJpc3MiOiJodHRwOi8vbG9jYWxob3N0OjcwMDcvYXBpL2F1dGgiLCJzdWIiOiJ1c2VyOmRlZmF1bHQvZ3Vlc3QiLCJhdWQiOiJiYWNrc3RhZ2UiL"
    "CJpYXQiOjE3OTUyNDg0NjUsImV4cCI6MTc5NTI1MjA2NSwidWlwIjoiaHFidHBhVHJ6Q0xlSjJ6Q1d5QkJfWEJ1c0M3MEJPMDVfXzQ0R2taR3QwODg5"
    "bEhjM0RnT3VJRW9RSFNDUHJUVkxKVEtRTGd2RGxmLWdlTVRSaDhueUEifQ"
    ".FDBuOaCN-DFYZCbprkInfpSDEtMIOeq41UHAqdTWDgaEUWS0UhlxGJaeL2hcHbm1IN3kiPIkgmO9tv9i51Uovw"
)
UPSTREAM_LIMITED = (
    "eyJ0eXAiOiJ2bmQuYmFja3N0YWdlLmxpbWl0ZWQtdXNlciIsImFsZyI6IkVTMjU2Iiwia2lkIjoiZDU2YWJjNjgtZDcwYy00YzY3LWIzZmMtZjMzOTA2"
    "NTYyNzA2In0.eyJzdWIiOiJ1c2VyOmRlZmF1bHQvZ3Vlc3QiLCJpYXQiOjE3OTUyNDg0NjUsImV4cCI6MTc5NTI1MjA2NX0"
    ".hqbtpaTrzCLeJ2zCWyBB_XBusC70BO05__44GkZGt0889lHc3DgOuIEoQHSCPrTVLJTKQLgvDlf-geMTRh8nyA"
)

CLAIMS = UserClaims("user:default/guest", int(NOW), int(NOW) + 3600)


@pytest.fixture(scope="module")
def key() -> ECKey:
    return tokens.new_key("some-key")


def signed(key: ECKey, header: dict[str, Any], payload: dict[str, Any]) -> str:
    full = {"alg": "ES256", "kid": "some-key", **header}
    return jws.serialize_compact(full, json.dumps(payload).encode(), key, algorithms=["ES256"])


def part(token: str, index: int) -> Any:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_a_token_that_upstream_issued_is_understood() -> None:
    key = ECKey.import_key(dict(UPSTREAM_KEY))
    assert tokens.token_type(UPSTREAM_USER) == tokens.USER
    assert tokens.key_id(UPSTREAM_USER) == UPSTREAM_KEY["kid"]
    expected = UserClaims("user:default/guest", 1795248465, 1795252065)
    assert tokens.verify(UPSTREAM_USER, key, NOW) == expected
    assert tokens.verify(UPSTREAM_LIMITED, key, NOW) == expected


def test_the_limited_token_is_rebuilt_byte_for_byte() -> None:
    assert tokens.limit(UPSTREAM_USER) == UPSTREAM_LIMITED
    assert tokens.limit(UPSTREAM_LIMITED) == UPSTREAM_LIMITED


def test_our_token_is_laid_out_as_upstreams(key: ECKey) -> None:
    token = tokens.sign_user(key, CLAIMS, issuer="http://x/api/auth", extra={})
    for index in (0, 1):
        assert list(part(token, index)) == list(part(UPSTREAM_USER, index))
    assert list(tokens.public_jwk(key)) == list(UPSTREAM_KEY)


def test_our_limited_token_verifies(key: ECKey) -> None:
    limited = tokens.limit(tokens.sign_user(key, CLAIMS, issuer="http://x/api/auth", extra={}))
    assert tokens.verify(limited, key, NOW) == CLAIMS
    assert tokens.token_type(limited) == tokens.LIMITED


def test_a_name_outside_ascii_survives_the_way_through_the_limited_token(key: ECKey) -> None:
    claims = UserClaims("user:default/zoë", int(NOW), int(NOW) + 60)
    limited = tokens.limit(tokens.sign_user(key, claims, issuer="http://x", extra={}))
    assert tokens.verify(limited, key, NOW).sub == "user:default/zoë"


def test_extra_claims_cannot_stand_in_for_the_standard_ones(key: ECKey) -> None:
    extra = {"sub": "user:default/admin", "exp": 9_999_999_999, "team": "a"}
    token = tokens.sign_user(key, CLAIMS, issuer="http://x", ownership=["group:default/a"], extra=extra)
    assert tokens.verify(token, key, NOW) == CLAIMS
    assert part(token, 1)["team"] == "a"
    assert part(token, 1)["ent"] == ["group:default/a"]


def test_a_token_too_long_for_a_header_is_not_issued(key: ECKey) -> None:
    many = [f"group:default/team-{number}" for number in range(2000)]
    with pytest.raises(GreenroomError, match="longer than 32768"):
        tokens.sign_user(key, CLAIMS, issuer="http://x", ownership=many, extra={})


GOOD = {"sub": "user:default/guest", "aud": "backstage", "iat": int(NOW), "exp": int(NOW) + 60}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": int(NOW)}, "expired"),
        ({"exp": int(NOW) - 5}, "expired"),
        ({"iat": int(NOW) + 3600, "exp": int(NOW) + 7200}, "issued in the future"),
        ({"aud": "somebody-else"}, "not for this audience"),
        ({"aud": None}, "not for this audience"),
        ({"sub": ""}, "no subject"),
        ({"sub": None}, "bad signature or claims"),
        ({"exp": "tomorrow"}, "bad signature or claims"),
        ({"exp": True}, "bad signature or claims"),
        ({"iat": None}, "bad signature or claims"),
    ],
)
def test_claims_that_do_not_hold_are_refused(key: ECKey, changes: dict[str, Any], reason: str) -> None:
    token = signed(key, {"typ": tokens.USER}, {**GOOD, **changes})
    with pytest.raises(ValueError, match=reason):
        tokens.verify(token, key, NOW)


@pytest.mark.parametrize("missing", ["sub", "iat", "exp"])
def test_a_token_without_a_required_claim_is_refused(key: ECKey, missing: str) -> None:
    token = signed(key, {"typ": tokens.USER}, {name: value for name, value in GOOD.items() if name != missing})
    with pytest.raises(ValueError, match="bad signature or claims"):
        tokens.verify(token, key, NOW)


def test_a_clock_a_little_ahead_does_not_lock_users_out(key: ECKey) -> None:
    token = signed(key, {"typ": tokens.USER}, {**GOOD, "iat": int(NOW) + 30})
    assert tokens.verify(token, key, NOW).sub == "user:default/guest"


def test_another_key_under_the_same_id_is_refused(key: ECKey) -> None:
    token = signed(tokens.new_key("some-key"), {"typ": tokens.USER}, GOOD)
    with pytest.raises(ValueError, match="bad signature"):
        tokens.verify(token, key, NOW)


def test_a_changed_payload_is_refused(key: ECKey) -> None:
    header, _, signature = signed(key, {"typ": tokens.USER}, GOOD).split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**GOOD, "sub": "user:default/admin"}).encode()).rstrip(b"=").decode()
    with pytest.raises(ValueError, match="bad signature"):
        tokens.verify(f"{header}.{forged}.{signature}", key, NOW)


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 86])
def test_a_cut_or_made_up_signature_is_refused(key: ECKey, signature: str) -> None:
    header, payload, _ = signed(key, {"typ": tokens.USER}, GOOD).split(".")
    with pytest.raises(ValueError, match="bad signature"):
        tokens.verify(f"{header}.{payload}.{signature}", key, NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": tokens.USER, "alg": "none"},
        {"typ": tokens.USER, "alg": "HS256"},
        {"typ": tokens.USER, "alg": "ES384"},
        {"typ": "JWT"},
        {"typ": tokens.USER, "jwk": UPSTREAM_KEY},
        {"typ": tokens.USER, "jku": "http://evil.example.net/keys"},
        {"typ": tokens.USER, "crit": ["b64"], "b64": False},
        {"typ": tokens.USER, "kid": ""},
        {"typ": tokens.USER, "kid": "k" * 65},
        {"typ": tokens.USER, "kid": 7},
    ],
)
def test_no_header_but_ours_gets_near_a_key(header: dict[str, Any]) -> None:
    encoded = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": "some-key", **header}).encode())
    with pytest.raises(ValueError, match="not a header of a user token"):
        tokens.key_id(f"{encoded.rstrip(b'=').decode()}.e30.AAAA")


def test_the_public_key_does_not_work_as_a_shared_secret(key: ECKey) -> None:
    header, payload, _ = signed(key, {"typ": tokens.USER}, GOOD).split(".")
    header = (
        base64.urlsafe_b64encode(json.dumps({**part(f"{header}.", 0), "alg": "HS256"}).encode()).decode().rstrip("=")
    )
    mac = hmac.digest(key.as_pem(private=False), f"{header}.{payload}".encode(), "sha256")
    token = f"{header}.{payload}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    with pytest.raises(ValueError, match="bad signature"):
        tokens.verify(token, key, NOW)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "garbage", "a.b.c", "é.ü.ö", "W10.e30.x", "\ud800.x.y", "bnVsbA.e30.x"]
)
def test_what_is_not_a_token_has_no_type(text: str) -> None:
    assert tokens.token_type(text) is None


def test_a_deeply_nested_token_is_refused_and_not_an_accident() -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' * 4000 + b"1" + b"}" * 4000).decode().rstrip("=")
    assert tokens.token_type(f"{deep}.{deep}.x") is None
    assert tokens.token_type(f"e30.{deep}.x") is None


def test_an_untyped_token_for_our_audience_counts_as_a_users(key: ECKey) -> None:
    token = signed(key, {}, GOOD)
    assert tokens.token_type(token) == tokens.USER
    with pytest.raises(ValueError, match="not a header"):
        tokens.key_id(token)


def test_a_user_token_without_proof_gives_no_limited_token(key: ECKey) -> None:
    with pytest.raises(AuthenticationError, match="missing user identity proof"):
        tokens.limit(signed(key, {"typ": tokens.USER}, GOOD))
    with pytest.raises(AuthenticationError, match="invalid token type"):
        tokens.limit(signed(key, {"typ": "JWT"}, GOOD))
