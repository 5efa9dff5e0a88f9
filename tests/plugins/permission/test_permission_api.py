"""The permission API through the real door, held against upstream's answers: see authorize.json."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from greenroom.auth import Auth, MemoryKeyStore, TokenIssuer, read_tokens
from greenroom.auth.tokens import limit
from greenroom.permissions import Permissions
from greenroom.settings import BackendConfig, ExternalAccess, PermissionConfig, StaticToken
from greenroom.testing import FakeHost
from greenroom.web import Lifecycle, Routes, build_asgi
from greenroom_plugins.permission.plugin import permission as permission_plugin
from tests.support.asgi import Client

STATIC = "static-token-1234"
RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "authorize.json").read_text())
NO_REF = {
    "items": [{"id": "a", "permission": {"type": "resource", "name": "n", "attributes": {}, "resourceType": "x"}}]
}


def served(auth: Auth, permissions: Permissions, token: str | None = None) -> Client:
    host = FakeHost({Permissions: permissions})
    routes = cast(Iterable[Routes], permission_plugin.build(PermissionConfig(), host))
    state = Lifecycle()
    state.started()
    app: Any = build_asgi(list(routes), config=BackendConfig(), auth=auth, state=state)
    return Client(app, token=token, base="/api/permission")


@pytest.fixture
def store() -> MemoryKeyStore:
    return MemoryKeyStore()


@pytest.fixture
async def token(store: MemoryKeyStore) -> str:
    issuer = TokenIssuer(store, issuer="http://localhost:7007/api/auth", lifetime=timedelta(hours=1))
    return (await issuer.issue("user:default/guest", [])).token


@pytest.fixture
def client(store: MemoryKeyStore, token: str) -> Client:
    external = read_tokens([ExternalAccess("static", StaticToken(STATIC, "tests"))])
    auth = Auth(base_url="http://localhost:7007", keys=store, external_tokens=external)
    return served(auth, Permissions(enabled=True), token)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: json.dumps(one["body"]))
async def test_every_recorded_question_gets_upstreams_answer(client: Client, recorded: dict[str, Any]) -> None:
    answer = await client.post("/authorize", recorded["body"])
    assert answer.status == recorded["status"]
    body = answer.json
    if recorded["status"] == 200:
        assert body == recorded["answer"]
    else:
        assert body["error"] == {"name": "InputError", "message": recorded["answer"]}
        assert body["request"] == {"method": "POST", "url": "/authorize"}


async def test_a_body_that_is_not_json_counts_as_an_empty_object(client: Client) -> None:
    empty = (await client.post("/authorize", {})).json
    for content, kind in ((b"", None), (b"hello", "text/plain"), (b'{"items":[]}', None)):
        headers = {"content-type": kind} if kind else {}
        answer = await client.request("POST", "/authorize", headers, content)
        assert answer.status == 400
        assert answer.json == empty


async def test_a_service_may_not_ask(client: Client) -> None:
    answer = await client.post("/authorize", {"nonsense": 1}, authorization=f"Bearer {STATIC}")
    assert answer.status == 403
    assert answer.json["error"]["message"] == "This endpoint does not allow 'service' credentials"


async def test_the_limited_token_of_a_cookie_may_not_ask(client: Client, token: str) -> None:
    answer = await client.post("/authorize", {"items": []}, authorization=f"Bearer {limit(token)}")
    assert (answer.status, answer.json["error"]["message"]) == (401, "Illegal limited user token")


async def test_nobody_may_ask_but_everybody_sees_the_health(client: Client) -> None:
    client.token = None
    assert (await client.post("/authorize", {"items": []})).status == 401
    assert (await client.get("/nothing")).status == 401
    answer = await client.get("/health")
    assert (answer.status, answer.raw) == (200, b'{"status":"ok"}')


async def test_where_all_is_open_nobody_may_ask_also_without_a_resource(store: MemoryKeyStore) -> None:
    auth = Auth(base_url="http://localhost:7007", keys=store, enforced=False)
    client = served(auth, Permissions(enabled=True, anonymous=True))
    answer = await client.post("/authorize", NO_REF)
    assert answer.json == {"items": [{"id": "a", "result": "ALLOW"}]}
