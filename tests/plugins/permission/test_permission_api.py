"""The permission API through the real door, held against upstream's answers: see authorize.json."""

import json
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import pytest

from greenroom.auth import Auth, MemoryKeyStore, TokenIssuer, read_tokens
from greenroom.auth.tokens import limit
from greenroom.permissions import Permissions
from greenroom.settings import BackendConfig, ExternalAccess, PermissionConfig, StaticToken
from greenroom.web import Lifecycle, Routes, build_asgi
from greenroom_plugins.permission.plugin import permission as permission_plugin

T = TypeVar("T")

STATIC = "static-token-1234"
RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "authorize.json").read_text())
NO_REF = {
    "items": [{"id": "a", "permission": {"type": "resource", "name": "n", "attributes": {}, "resourceType": "x"}}]
}


class FakeHost:
    """Lends permissions, and nothing else."""

    log = logging.getLogger("greenroom.permission")

    def __init__(self, permissions: Permissions) -> None:
        self.permissions = permissions

    def get(self, service: type[T]) -> T:
        assert service is Permissions
        return cast(T, self.permissions)

    def all(self, contribution: type[T]) -> Sequence[T]:
        return []


def served(auth: Auth, permissions: Permissions) -> httpx.AsyncClient:
    routes = cast(Iterable[Routes], permission_plugin.build(PermissionConfig(), FakeHost(permissions)))
    state = Lifecycle()
    state.started()
    app: Any = build_asgi(list(routes), config=BackendConfig(), auth=auth, state=state)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:7007/api/permission")


@pytest.fixture
def store() -> MemoryKeyStore:
    return MemoryKeyStore()


@pytest.fixture
async def token(store: MemoryKeyStore) -> str:
    issuer = TokenIssuer(store, issuer="http://localhost:7007/api/auth", lifetime=timedelta(hours=1))
    return (await issuer.issue("user:default/guest", [])).token


@pytest.fixture
async def client(store: MemoryKeyStore, token: str) -> AsyncIterator[httpx.AsyncClient]:
    external = read_tokens([ExternalAccess("static", StaticToken(STATIC, "tests"))])
    auth = Auth(base_url="http://localhost:7007", keys=store, external_tokens=external)
    async with served(auth, Permissions(enabled=True)) as opened:
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: json.dumps(one["body"]))
async def test_every_recorded_question_gets_upstreams_answer(
    client: httpx.AsyncClient, recorded: dict[str, Any]
) -> None:
    answer = await client.post("/authorize", json=recorded["body"])
    assert answer.status_code == recorded["status"]
    body = answer.json()
    if recorded["status"] == 200:
        assert body == recorded["answer"]
    else:
        assert body["error"] == {"name": "InputError", "message": recorded["answer"]}
        assert body["request"] == {"method": "POST", "url": "/authorize"}


async def test_a_body_that_is_not_json_counts_as_an_empty_object(client: httpx.AsyncClient) -> None:
    empty = (await client.post("/authorize", json={})).json()
    for content, kind in ((b"", None), (b"hello", "text/plain"), (b'{"items":[]}', None)):
        headers = {"content-type": kind} if kind else {}
        answer = await client.post("/authorize", content=content, headers=headers)
        assert answer.status_code == 400
        assert answer.json() == empty


async def test_a_service_may_not_ask(client: httpx.AsyncClient) -> None:
    answer = await client.post("/authorize", json={"nonsense": 1}, headers={"Authorization": f"Bearer {STATIC}"})
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "This endpoint does not allow 'service' credentials"


async def test_the_limited_token_of_a_cookie_may_not_ask(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.post("/authorize", json={"items": []}, headers={"Authorization": f"Bearer {limit(token)}"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Illegal limited user token")


async def test_nobody_may_ask_but_everybody_sees_the_health(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.post("/authorize", json={"items": []})).status_code == 401
    assert (await client.get("/nothing")).status_code == 401
    answer = await client.get("/health")
    assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')


async def test_where_all_is_open_nobody_may_ask_also_without_a_resource(store: MemoryKeyStore) -> None:
    auth = Auth(base_url="http://localhost:7007", keys=store, enforced=False)
    async with served(auth, Permissions(enabled=True, anonymous=True)) as client:
        answer = await client.post("/authorize", json=NO_REF)
    assert answer.json() == {"items": [{"id": "a", "result": "ALLOW"}]}
