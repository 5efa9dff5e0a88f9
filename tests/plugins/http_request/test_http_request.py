"""http:backstage:request: requests, outputs and log lines as RoadieHQ's module has them (recorded from it)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from greenroom.auth import Credentials
from greenroom.auth.credentials import UserPrincipal
from greenroom.errors import GreenroomError
from greenroom.testing import FakeActionContext
from greenroom_plugins.http_request.request import Request, request_action
from greenroom_plugins.http_request.sending import Bounds, Sender

JO = Credentials(UserPrincipal("user:default/jo"), "jos-token")


class Backend:
    """Tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str], str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path, request.headers.copy(), await request.text()))
        if "slow" in request.path:
            await asyncio.sleep(0.5)
        if "text" in request.path:
            return web.Response(text="hello")
        if "broken" in request.path:
            return web.Response(body=b"{", content_type="application/json")
        if "busy" in request.path:
            return web.json_response({}, status=503, headers={"Retry-After": "7"})
        if "bad" in request.path:
            return web.json_response({"error": 1}, status=422)
        answer = web.json_response({"ok": [1]}, headers={"X-Seen": "yes"})
        for header in (("Link", "<a>"), ("Link", "<b>"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")):
            answer.headers.add(*header)
        return answer


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, str]]:
    one = Backend()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield one, f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def ask(
    url: str, workspace: Path, bounds: Bounds | None = None, **more: Any
) -> tuple[FakeActionContext[Any], Mapping[str, Any]]:
    around = {key: more.pop(key) for key in ("dry_run", "secrets") if key in more}
    given = msgspec.convert({"method": "GET", **more}, Request)
    ctx: FakeActionContext[Any] = FakeActionContext(given, workspace, initiator=JO, **around)
    action = request_action(Sender(url, aiohttp.ClientSession), bounds or Bounds())
    return ctx, (await action.run(ctx)) or {}


async def test_a_plugin_is_asked_in_the_name_of_the_user(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    ctx, output = await ask(url, tmp_path, path="/catalog/entities", params={"limit": 1, "filter": "kind=x y"})
    method, path, headers, _ = one.asked[0]
    assert (method, path) == ("GET", "/api/catalog/entities?limit=1&filter=kind%3Dx+y")
    assert headers["Authorization"] == "Bearer jos-token"
    assert (output["code"], output["body"], output["headers"]["x-seen"]) == (200, {"ok": [1]}, "yes")
    assert ctx.log.lines == [
        ("info", "Creating GET request with http:backstage:request scaffolder action against /catalog/entities"),
        ("info", "Token is defined. Setting authorization header."),
    ]


async def test_each_page_of_a_list_can_be_found_by_a_header_that_is_repeated(
    backend: tuple[Backend, str], tmp_path: Path
) -> None:
    _, output = await ask(backend[1], tmp_path, path="/catalog/entities")
    assert (output["headers"]["link"], output["headers"]["set-cookie"]) == ("<a>, <b>", "b=2")


async def test_values_are_texts_as_javascript_writes_them(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    values = {"a": 1e21, "b": [1, [None, 2.0]], "c": {}, "d": None, "e": 1e-7, "f": "\ud83d"}
    await ask(url, tmp_path, path="p/x", params=values, headers={"X-N": 1e21})
    assert one.asked[0][1] == "/api/p/x?a=1e%2B21&b=1%2C%2C2&c=%5Bobject+Object%5D&d=null&e=1e-7&f=%EF%BF%BD"
    assert one.asked[0][2]["X-N"] == "1e+21"


async def test_a_path_is_sent_as_it_is_written(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    for path in ("/p/x%41", "/p/a b/é", "/p/x?y=1%2B2+3&z=%7E'", "/p/%zz", "/p/x#f", "/p/a%2fb"):
        await ask(url, tmp_path, path=path)
    assert [path for _, path, _, _ in one.asked] == [
        *("/api/p/x%41", "/api/p/a%20b/%C3%A9", "/api/p/x?y=1%2B2+3&z=%7E%27", "/api/p/%zz", "/api/p/x", "/api/p/a%2fb")
    ]


@pytest.mark.parametrize("path", ["p/.\t./q", "p/.\n.", "p/q/.. ", "p/.%2e\t/q", "p/..\x1f"])
async def test_no_path_leads_up_by_what_urls_leave_out(backend: tuple[Backend, str], tmp_path: Path, path: str) -> None:
    with pytest.raises(GreenroomError, match="leads out of the APIs"):
        await ask(backend[1], tmp_path, path=path)
    assert backend[0].asked == []


async def test_what_is_no_json_is_a_message(backend: tuple[Backend, str], tmp_path: Path) -> None:
    assert (await ask(backend[1], tmp_path, path="proxy/text"))[1]["body"] == {"message": "hello"}
    with pytest.raises(GreenroomError, match="Could not parse response body"):
        await ask(backend[1], tmp_path, path="proxy/broken")


async def test_a_bad_answer_fails_the_step_unless_it_goes_on(backend: tuple[Backend, str], tmp_path: Path) -> None:
    with pytest.raises(GreenroomError, match=r"^Unable to complete request$"):
        await ask(backend[1], tmp_path, path="proxy/bad")
    ctx, output = await ask(
        backend[1],
        tmp_path,
        path="proxy/bad",
        continueOnBadResponse=True,
        logRequestPath=False,
        headers={"AUTHORIZATION": "x"},
    )
    assert output == {"code": 422, "headers": {}, "body": {"error": 1}}
    assert ctx.log.lines == [
        ("info", "Creating GET request with http:backstage:request scaffolder action"),
        ("error", 'There was an issue with your request. Status code: 422 Response body: {"error":1}'),
    ]
    assert backend[0].asked[-1][2]["AUTHORIZATION"] == "x"


async def test_a_service_that_asks_for_time_is_given_it_by_steps_that_are_tried_again(
    backend: tuple[Backend, str], tmp_path: Path
) -> None:
    with pytest.raises(GreenroomError) as caught:
        await ask(backend[1], tmp_path, path="proxy/busy")
    assert caught.value.retry_after == 7


async def test_bodies_are_sent_as_json(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    await ask(url, tmp_path, path="p/x", method="POST", body={"a": [1, "\ud83d"]})
    await ask(
        url, tmp_path, path="p/x", method="PUT", body="text\ud83d", headers={"Content-Type": "text/plain", "X-N": 5}
    )
    assert [(body, headers["Content-Type"]) for _, _, headers, body in one.asked] == [
        ('{"a":[1,"\\ud83d"]}', "application/json"),
        ("text\ufffd", "text/plain"),
    ]
    assert one.asked[1][2]["X-N"] == "5"
    with pytest.raises(GreenroomError, match="cannot have body"):
        await ask(url, tmp_path, path="p/x", body={})


async def test_a_dry_run_changes_nothing(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    ctx, output = await ask(url, tmp_path, path="p/x", method="POST", params={"a": True}, dry_run=True)
    assert (output, one.asked) == ({}, [])
    assert ctx.log.lines[-1][1] == "Dry run mode. Skipping non dry-run safe method 'POST' request to p/x?a=true"
    await ask(url, tmp_path, path="p/x", dry_run=True)
    assert len(one.asked) == 1


async def test_a_request_with_a_key_is_sent_once(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    ctx, first = await ask(url, tmp_path, path="p/x", method="POST", idempotencyKey="k")
    again = await request_action(Sender(url, aiohttp.ClientSession), Bounds()).run(ctx)
    assert (again, len(one.asked)) == (first, 1)


async def test_the_token_of_the_form_is_used_on_request(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    await ask(url, tmp_path, path="p/x", useBackstageToken=True, secrets={"backstageToken": "other"})
    assert one.asked[0][2]["Authorization"] == "Bearer other"


async def test_a_request_ends_in_time(backend: tuple[Backend, str], tmp_path: Path) -> None:
    with pytest.raises(GreenroomError, match=r"^Request was aborted as it took longer than 0\.05 seconds$"):
        await ask(backend[1], tmp_path, path="p/slow", timeout=50)
    with pytest.raises(GreenroomError, match="There was an issue with the request"):
        await ask("http://127.0.0.1:1", tmp_path, path="p/x")


async def test_only_this_backend_is_asked_whatever_the_path_says(backend: tuple[Backend, str], tmp_path: Path) -> None:
    one, url = backend
    await ask(url, tmp_path, path="https://example.com/x")
    await ask(url, tmp_path, path="@example.com/x")
    assert [path for _, path, _, _ in one.asked] == ["/api/https://example.com/x", "/api/@example.com/x"]


@pytest.mark.parametrize(
    ("bounds", "given", "problem"),
    [
        (Bounds(frozenset({"GET"})), {"method": "POST", "path": "p"}, "HTTP method 'POST' is not permitted"),
        (Bounds(hosts=("a.test",)), {"path": "p/x"}, "Invalid URL format in path 'p/x'"),
        (Bounds(hosts=("a.test",)), {"path": "https://xa.test/p"}, "The target host 'xa.test' does not match"),
    ],
)
async def test_bounds_of_the_config_hold(tmp_path: Path, bounds: Bounds, given: Any, problem: str) -> None:
    with pytest.raises(GreenroomError, match=problem):
        await ask("http://127.0.0.1:1", tmp_path, bounds, **given)
