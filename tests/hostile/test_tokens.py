"""Tokens of every wrong kind, at the door as a request shows them: a 401 in the envelope, in the same time for all."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from greenroom.auth import Auth, TokenIssuer
from greenroom.auth.tokens import LIMITED, PLUGIN, limit, new_key, public_jwk
from tests.hostile.conftest import OTHERS, World, refused
from tests.support.asgi import TOKEN, Reply


def _encoded(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Forger:
    """Who has a good token, and the public key that it was signed with, as everybody may."""

    def __init__(self, token: str, key: ECKey) -> None:
        self.token, self.key = token, key
        self.head, self.body, self.proof = token.split(".")
        self.header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(self.head + "=="))
        self.claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(self.body + "=="))

    def made(self, header: dict[str, Any], claims: dict[str, Any] | None = None, proof: str | None = None) -> str:
        """The token with other members in its header and claims, and the signature that it had."""
        kept = {name: value for name, value in {**self.header, **header}.items() if value is not None}
        told = {name: value for name, value in {**self.claims, **(claims or {})}.items() if value is not None}
        return f"{_encoded(kept)}.{_encoded(told)}.{self.proof if proof is None else proof}"

    def shared_secret(self) -> str:
        """Signed by HMAC, with the public key as the secret."""
        unsigned = self.made({"alg": "HS256"}).rpartition(".")[0]
        return f"{unsigned}.{_encoded(hmac.digest(self.key.as_pem(private=False), unsigned.encode(), 'sha256'))}"

    def own_key(self, **header: Any) -> str:
        """Signed well, by a key of the forger's own, which the header may bring along."""
        key = new_key(str(self.header["kid"]))
        held = {**self.header, **{name: public_jwk(key) if value is True else value for name, value in header.items()}}
        return jws.serialize_compact(held, json.dumps(self.claims), key, algorithms=["ES256"])


FORGED: dict[str, Callable[[Forger], str]] = {
    "no algorithm": lambda f: f.made({"alg": "none"}, proof=""),
    "no algorithm, oddly spelled": lambda f: f.made({"alg": "nOnE"}, proof=""),
    "the public key as a secret": lambda f: f.shared_secret(),
    "another algorithm": lambda f: f.made({"alg": "RS256"}),
    "no signature": lambda f: f.made({}, proof=""),
    "zeros for a signature": lambda f: f.made({}, proof=_encoded(b"\0" * 64)),
    "cut short": lambda f: f.token[:-10],
    "without its last part": lambda f: f"{f.head}.{f.body}",
    "with one part more": lambda f: f"{f.token}.{f.proof}",
    "another subject": lambda f: f.made({}, {"sub": "user:default/admin"}),
    "a later end": lambda f: f.made({}, {"exp": 9_999_999_999}),
    "another audience": lambda f: f.made({}, {"aud": "other"}),
    "another key id": lambda f: f.made({"kid": "nobodys"}),
    "a path for a key id": lambda f: f.made({"kid": "../../dev/null"}),
    "SQL for a key id": lambda f: f.made({"kid": "' or 1=1 --"}),
    "no key id": lambda f: f.made({"kid": None}),
    "a key of its own in the header": lambda f: f.own_key(jwk=True),
    "a key elsewhere": lambda f: f.own_key(jku="http://127.0.0.1:1/keys"),
    "a certificate elsewhere": lambda f: f.own_key(x5u="http://127.0.0.1:1/cert"),
    "a key of its own under the same id": lambda f: f.own_key(),
    "a critical extension": lambda f: f.made({"crit": ["b64"], "b64": False}),
    "the type of a limited token": lambda f: f.made({"typ": LIMITED}),
    "the type of a plugin's token": lambda f: f.made({"typ": PLUGIN}),
    "no type": lambda f: f.made({"typ": None}),
    "a plugin's on behalf of a user": lambda f: f.made({"typ": PLUGIN}, {"obo": limit(f.token), "aud": "catalog"}),
    "a token in a token": lambda f: f"{f.head}.{_encoded(f.token.encode())}.{f.proof}",
    "a token for a subject": lambda f: f.made({}, {"sub": f.token}),
    "padding": lambda f: f"{f.head}==.{f.body}=.{f.proof}==",
    "white space inside": lambda f: f"{f.head}. {f.body}.{f.proof}",
    "the other alphabet": lambda f: f"{f.head}.{f.body}+/.{f.proof}",
    "a list for claims": lambda f: f"{f.head}.{_encoded([1])}.{f.proof}",
    "claims in claims, 8,000 deep": lambda f: f"{f.head}.{_encoded(b'[' * 8_000)}.{f.proof}",
    "a header 8,000 deep": lambda f: f"{_encoded(b'[' * 8_000)}.{f.body}.{f.proof}",
    "a megabyte": lambda f: f.made({}, {"x": "a" * 1_000_000}),
    "a megabyte of dots": lambda f: "." * 1_000_000,
    "its limited form": lambda f: limit(f.token),
    "the static token and more": lambda f: f"{TOKEN}x",
    "the static token but its end": lambda f: TOKEN[:-1],
    "the static token in other letters": lambda f: TOKEN.upper(),
    "the static token twice": lambda f: f"{TOKEN}{TOKEN}",
    "the static token with a NUL": lambda f: f"{TOKEN}\0",
    "nothing much": lambda f: "undefined",
}


@pytest.fixture(scope="module")
async def forger(world: World) -> Forger:
    auth = world.house.house.services.get(Auth, "tests")
    issuer = TokenIssuer(auth.key_store, issuer=auth.issuer, lifetime=timedelta(hours=1))
    token = (await issuer.issue("user:default/guest", ["user:default/guest"])).token
    reply = await world.client.request("GET", OTHERS, token=token)
    assert reply.status == 200, "the good token is good"
    [*_, jwk] = await auth.key_store.public_keys()
    return Forger(token, ECKey.import_key(dict(jwk)))


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_token_opens_nothing(world: World, forger: Forger, how: str) -> None:
    token = FORGED[how](forger)
    async with world.answers_others():
        reply = await world.client.request("GET", OTHERS, {"authorization": f"Bearer {token}"})
    message = refused(reply, 401)
    assert reply.error["name"] == "AuthenticationError"
    assert token not in reply.text or len(token) < 12, message


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN} ",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Token {TOKEN}",
        f"Basic {base64.b64encode(TOKEN.encode()).decode()}",
        TOKEN,
        "Bearer",
        "Bearer " * 10_000,
        "Bearer \xff\xfe",
    ],
    ids=lambda header: header[:24],
)
async def test_a_header_of_another_form_opens_nothing(world: World, header: str) -> None:
    refused(await world.client.request("GET", OTHERS, {"authorization": header}), 401)


@pytest.mark.parametrize("how", ["no signature", "another subject", "the public key as a secret"])
async def test_a_forged_cookie_opens_nothing(world: World, forger: Forger, how: str) -> None:
    for cookie in (
        f"backstage-auth={FORGED[how](forger)}",
        f"backstage-auth={forger.token}",
        "backstage-auth=" * 5_000,
    ):
        refused(await world.client.request("GET", OTHERS, {"cookie": cookie}, token=None), 401)


async def test_an_expired_and_a_future_token_are_refused(world: World, forger: Forger) -> None:
    auth = world.house.house.services.get(Auth, "tests")
    for shift in (-3_700, 3_600):
        issuer = TokenIssuer(
            auth.key_store,
            issuer=auth.issuer,
            lifetime=timedelta(hours=1),
            clock=lambda shift=shift: time.time() + shift,  # type: ignore[misc]
        )
        token = (await issuer.issue("user:default/guest", [])).token
        refused(await world.client.request("GET", OTHERS, token=token), 401)


async def test_a_flood_of_invented_keys_costs_others_nothing(world: World, forger: Forger) -> None:
    async def ask(number: int) -> Reply:
        return await world.client.request("GET", OTHERS, token=forger.made({"kid": f"invented-{number}"}))

    async with world.answers_others():
        replies = await asyncio.gather(*(ask(number) for number in range(300)))
    assert {reply.status for reply in replies} == {401}


async def test_every_static_token_is_compared_and_none_gives_itself_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest

    def counting(known: bytes, shown: bytes) -> bool:
        compared.append(len(shown))
        return compare(known, shown)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token in (TOKEN, TOKEN[:-1], "", "x" * 30_000):
        compared.clear()
        await world.client.request("GET", OTHERS, token=token or "y")
        assert compared == [32]
