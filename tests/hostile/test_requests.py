"""http:backstage:request as a tool to reach what a template may not: it asks the APIs of this backend, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as WebServer

from greenroom.auth import Credentials
from greenroom.auth.credentials import UserPrincipal
from greenroom.errors import GreenroomError
from greenroom.testing import FakeActionContext
from greenroom_plugins.http_request.request import Request, request_action
from greenroom_plugins.http_request.sending import Bounds, Sender
from tests.hostile.conftest import Answer, Host, breathes, memory_of

MB = 1024**2
TOKEN = "jos-token"
JO = Credentials(UserPrincipal("user:default/jo"), TOKEN)


class Backend(Host):
    """A backend below `/portal` of a host that serves others as well, and such another host."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.raw_path, request.headers.copy()))
        return await super().answer(request)

    def may(self, path: str, manner: Answer) -> None:
        self.manners[f"/portal/api/{path}"] = manner


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    one = Backend()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    async with WebServer(app) as server:
        one.address = str(server.make_url("")).rstrip("/")
        yield one


async def ask(backend: Backend, folder: Path, **given: Any) -> Mapping[str, Any]:
    wanted = msgspec.convert({"method": "GET", **given}, Request)
    sender = Sender(f"{backend.address}/portal", aiohttp.ClientSession)
    action = request_action(sender, Bounds())
    return await action.run(FakeActionContext(wanted, folder, initiator=JO)) or {}


ELSEWHERE = (
    "//evil.test/x",
    "https://evil.test/x",
    "@evil.test/x",
    "\\\\evil.test\\x",
    "/\\evil.test",
    ":80@evil.test/",
    "///x",
)
UP = (
    "..",
    "a/../../x",
    "/a/../../../x",
    "a/%2e%2e/%2e%2e/x",
    "a/..%2f..%2fx",
    "a\\..\\..\\x",
    "a/%252e%252e/x",
    "a/..;/x",
)


async def test_no_path_names_another_host(backend: Backend, tmp_path: Path) -> None:
    for path in ELSEWHERE:
        with pytest.raises(GreenroomError, match="Unable to complete request"):
            await ask(backend, tmp_path, path=path)
    assert len(backend.asked) == len(ELSEWHERE)
    assert all(path.startswith("/portal/api/") for path, _ in backend.asked)


async def test_no_path_leads_up_to_what_else_the_host_serves(backend: Backend, tmp_path: Path) -> None:
    for path in UP:
        with pytest.raises(GreenroomError, match="leads out of the APIs of this backend"):
            await ask(backend, tmp_path, path=path)
    assert backend.asked == []


async def test_no_header_makes_another_request_of_it(backend: Backend, tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"X-A": "b\r\nHost: evil.test"},
        {"X-A\r\nHost": "evil.test"},
        {"X-A": "b\n\nGET / HTTP/1.1"},
        {"Host": "evil.test"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"Host ": "evil.test"},
        {"Host: evil.test\tX": "y"},
        {"": "x"},
    ]
    for headers in odd:
        with pytest.raises(GreenroomError, match="There was an issue with the request"):
            await ask(backend, tmp_path, path="p/x", method="POST", body="text", headers=headers)
    assert backend.asked == []


async def test_no_redirect_is_followed_elsewhere(backend: Backend, tmp_path: Path) -> None:
    other = backend.address.replace("127.0.0.1", "localhost")
    places = (
        f"{other}/x",
        "//169.254.169.254/x",
        "/x",
        "../../x",
        "/portal/api/%2e%2e/x",
        "file:///etc/passwd",
        "http:///",
    )
    for number, place in enumerate(places):

        async def redirect(_: web.Request, to: str = place) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": to})

        backend.may(f"p/{number}", redirect)
        with pytest.raises(GreenroomError, match=r"no API of this backend|There was an issue with the request"):
            await ask(backend, tmp_path, path=f"p/{number}", headers={"X-Key": "mine"})
    assert [path for path, _ in backend.asked] == [f"/portal/api/p/{number}" for number in range(len(places))]


async def test_a_redirect_within_the_apis_is_followed_but_not_for_ever(backend: Backend, tmp_path: Path) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=302, headers={"Location": "/portal/api/p/there" if "once" in request.path else "again"}
        )

    backend.write("portal/api/p/there", b"hello")
    backend.may("p/once", redirect)
    backend.may("p/again", redirect)
    assert (await ask(backend, tmp_path, path="p/once"))["body"] == {"message": "hello"}
    with pytest.raises(GreenroomError, match="There was an issue with the request"):
        await ask(backend, tmp_path, path="p/again")
    assert len(backend.asked) < 20


async def test_answers_without_end_are_given_up(backend: Backend, tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b"x" * MB)
        return response

    packed = gzip.compress(bytes(256 * MB), 1)

    async def squeezed(_: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b"x")
            await asyncio.sleep(0.01)
        return response

    for name, manner in (("endless", endless), ("squeezed", squeezed), ("dripping", dripping)):
        backend.may(f"p/{name}", manner)
    began = time.monotonic()
    async with breathes():
        with memory_of(150 * MB):
            for name in ("endless", "squeezed"):
                with pytest.raises(GreenroomError, match="The response is larger than 16777216 bytes"):
                    await ask(backend, tmp_path, path=f"p/{name}")
        with pytest.raises(GreenroomError, match=r"took longer than 0\.2 seconds"):
            await ask(backend, tmp_path, path="p/dripping", timeout=200)
    assert time.monotonic() - began < 60
