"""What may be read over HTTP, what is read, and what a person is told when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from greenroom.errors import ConfigError, InputError, NotAllowedError, NotFoundError, NotModifiedError
from greenroom.plugin import Document
from greenroom.settings import ReadingConfig, load
from greenroom.urls import UnreadableUrlError, Urls, parse
from greenroom.urls.outgoing import Limits, open_outgoing
from greenroom.urls.reading import HttpReader, allows


def read(entries: list[dict[str, Any]]) -> ReadingConfig:
    """The config `backend.reading.allow`."""
    return load([], {}, {"backend.reading.allow": entries}).section("backend.reading", ReadingConfig)


@asynccontextmanager
async def serving(answer: Any, **limits: Any) -> AsyncIterator[tuple[str, HttpReader]]:
    """The base URL of a server on this machine, and a reader that may read it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, open_outgoing(Limits(**limits)) as outgoing:
        allow = read([{"host": f"127.0.0.1:{server.port}", "paths": ["/open", "/open/"]}])
        yield f"http://127.0.0.1:{server.port}", HttpReader(outgoing, allow)


async def hello(request: web.Request) -> web.Response:
    if request.headers.get("If-None-Match") == '"1"':
        return web.Response(status=304)
    return web.Response(body=b"hello", headers={"ETag": '"1"'})


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ({"host": "example.com"}, "https://example.com/x", True),
        ({"host": "example.com"}, "http://example.com/x", True),
        ({"host": "example.com"}, "https://example.com:443/x", True),
        ({"host": "example.com"}, "https://example.com:8443/x", False),
        ({"host": "example.com"}, "https://evil-example.com/x", False),
        ({"host": "example.com"}, "https://sub.example.com/x", False),
        ({"host": "*.example.com"}, "https://a.b.example.com/x", True),
        ({"host": "*.example.com"}, "https://example.com/x", False),
        ({"host": "*.example.com"}, "https://evilexample.com/x", False),
        ({"host": "example.com:443"}, "https://example.com/x", True),
        ({"host": "example.com:443"}, "http://example.com/x", False),
        ({"host": "example.com:8000-8010"}, "http://example.com:8010/", True),
        ({"host": "example.com:8000-8010"}, "http://example.com:8011/", False),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com/a", True),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com/a/b", True),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com/ab", False),
        ({"host": "example.com", "paths": ["/a/"]}, "https://example.com/a", False),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com/a/../b", False),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com/a/%2e%2e/b", False),
        ({"host": "example.com", "paths": ["/a"]}, "https://example.com//a//b", True),
        ({"host": "127.0.0.1"}, "http://2130706433/", True),
        ({"host": "example.com:"}, "https://example.com/x", True),
        ({"host": "*.Example.COM"}, "https://A.example.com/x", True),
    ],
)
def test_only_allowed_hosts_ports_and_paths_may_be_read(entry: dict[str, Any], url: str, allowed: bool) -> None:
    [host] = read([entry]).allow
    assert allows(host, parse(url)) is allowed


@pytest.mark.parametrize(
    "host",
    [
        "example.com:x",
        "example.com:9-1",
        "example.com:0",
        "example.com:1-99999",
        "https://example.com",
        "example.com/x",
        "*",
        "*.",
        "prod.*.example.com",
        "*example.com",
        "user@example.com",
        "a b",
        "müller.example",
    ],
)
def test_a_rule_that_could_never_match_stops_the_start(host: str) -> None:
    with pytest.raises(ConfigError, match=r"backend\.reading\.allow\[0\]\.host"):
        read([{"host": host}])


def test_a_path_that_could_never_match_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"backend\.reading\.allow\[0\]\.paths\[1\]"):
        read([{"host": "example.com", "paths": ["/a", "a"]}])


async def test_nobody_can_make_the_server_read_other_schemes_or_send_a_password() -> None:
    async with open_outgoing() as outgoing:
        urls = Urls([HttpReader(outgoing, read([{"host": "example.com"}]))])
        for url in ["file:///etc/passwd", "ftp://example.com/x", "https://user:pw@example.com/x", "https://other.com/"]:
            with pytest.raises(NotAllowedError) as caught:
                await urls.read(url)
            assert caught.value.message == (
                f"Reading from '{url}' is not allowed. You may need to configure an integration for the target host, "
                "or add it to the configured list of allowed hosts at 'backend.reading.allow'"
            )


async def test_a_document_is_read_once_and_then_only_when_it_changed() -> None:
    async with serving(hello) as (base, reader):
        document = await reader.read(f"{base}/open/x.yaml")
        assert document == Document(b"hello", '"1"')
        with pytest.raises(NotModifiedError):
            await reader.read(f"{base}/open/x.yaml", document.etag)


async def test_percent_encoding_reaches_the_server_untouched() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response()

    async with serving(answer) as (base, reader):
        await reader.read(f"{base}/open/a%2Fb%20c?q=%41#frag")
    assert seen == ["/open/a%2Fb%20c?q=%41"]


async def test_a_redirect_may_not_lead_where_reading_is_not_allowed() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise web.HTTPFound("/secret")

    async with serving(answer) as (base, reader):
        with pytest.raises(
            UnreadableUrlError, match=r"URL not allowed by backend\.reading\.allow configuration: .*/secret"
        ):
            await reader.read(f"{base}/open/x")


async def test_a_redirect_to_a_file_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": "file:///etc/passwd"})

    async with serving(answer) as (base, reader):
        with pytest.raises(UnreadableUrlError, match=r"not allowed .*file:///etc/passwd"):
            await reader.read(f"{base}/open/x")


async def test_redirects_are_followed_a_few_times_and_no_more() -> None:
    async def answer(request: web.Request) -> web.Response:
        left = int(request.query["left"])
        return (
            web.Response(body=b"there")
            if left == 0
            else web.Response(status=307, headers={"Location": f"?left={left - 1}"})
        )

    async with serving(answer) as (base, reader):
        assert (await reader.read(f"{base}/open/x?left=4")).content == b"there"
        with pytest.raises(UnreadableUrlError) as caught:
            await reader.read(f"{base}/open/x?left=5")
    assert caught.value.message == f"Too many redirects (max 5) when reading {base}/open/x?left=5"


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (404, NotFoundError, "404 Not Found"),
        (403, UnreadableUrlError, "403 Forbidden"),
        (303, UnreadableUrlError, "303"),
    ],
)
async def test_what_the_server_answered_is_told(status: int, error: type[Exception], text: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/open/y"})

    async with serving(answer) as (base, reader):
        with pytest.raises(error, match=f"could not read {base}/open/x, {text}"):
            await reader.read(f"{base}/open/x")


async def test_an_endless_document_is_cut_off() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport and not request.transport.is_closing():
            await response.write(b"x" * 1000)
        return response

    async with serving(answer, max_bytes=10_000) as (base, reader):
        with pytest.raises(UnreadableUrlError, match="larger than 10000 bytes"):
            await reader.read(f"{base}/open/x")


async def test_a_silent_server_is_given_up() -> None:
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with serving(answer, max_time=timedelta(milliseconds=50)) as (base, reader):
        with pytest.raises(UnreadableUrlError, match=r"no complete answer within 0\.05 s"):
            await reader.read(f"{base}/open/x")
        released.set()


async def test_a_server_that_is_down_is_named() -> None:
    async with open_outgoing() as outgoing:
        reader = HttpReader(outgoing, read([{"host": "127.0.0.1:1"}]))
        with pytest.raises(UnreadableUrlError, match=r"Unable to read http://127\.0\.0\.1:1/x, "):
            await reader.read("http://127.0.0.1:1/x")


async def test_search_answers_one_file_or_none_and_refuses_patterns() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x", status=404 if "gone" in request.path else 200)

    async with serving(answer) as (base, reader):
        assert await reader.search(f"{base}/open/x?a=*") == [(f"{base}/open/x?a=*", Document(b"x"))]
        assert await reader.search(f"{base}/open/gone") == []
        with pytest.raises(InputError, match="Unsupported search pattern URL"):
            await reader.search(f"{base}/open/*.yaml")


class Own:
    """A plugin's reader of one host."""

    def reads(self, url: str) -> bool:
        return parse(url).hostname == "own.example.com"

    async def read(self, url: str, etag: str | None = None) -> Document:
        return Document(b"own")

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        return [(url, Document(b"own"))]


async def test_a_plugins_reader_is_asked_before_the_general_one() -> None:
    async with serving(hello) as (base, reader):
        urls = Urls(lambda: [Own(), reader])
        assert (await urls.read("https://own.example.com/x")).content == b"own"
        assert (await urls.read(f"{base}/open/x")).content == b"hello"
