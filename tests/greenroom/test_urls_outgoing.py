"""Nobody can make the server talk to itself, to its cloud's metadata, or to what a name turns out to be."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from greenroom.errors import NotAllowedError
from greenroom.settings import ReadingConfig, load
from greenroom.urls import UnreadableUrlError, Urls, parse
from greenroom.urls.addresses import danger, literal
from greenroom.urls.outgoing import CheckedResolver, Limits, Outgoing, open_outgoing
from greenroom.urls.reading import HttpReader

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """A resolver that says what the test says, and counts how often it is asked. What is not said means this machine."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.names.get(host, ["127.0.0.1"])
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def serving(answer: Handler) -> AsyncIterator[int]:
    """The port of a server on this machine."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield server.port or 0


async def hello(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"hello")


def reader(outgoing: Outgoing, *hosts: str) -> HttpReader:
    allow: list[dict[str, Any]] = [{"host": host} for host in hosts]
    config = load([], {}, {"backend.reading.allow": allow})
    return HttpReader(outgoing, config.section("backend.reading", ReadingConfig))


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("192.0.0.1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("fec0::1", "reserved"),
        ("100.100.100.200", "cloud's metadata"),
        ("168.63.129.16", "cloud's metadata"),
        ("fd00:ec2::254", "cloud's metadata"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0:7f00:1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("::127.0.0.1", "loopback"),
        ("2001:0:7f00:1::1", "reserved"),
    ],
)
def test_addresses_that_are_no_other_host_are_refused_in_every_spelling(address: str, what: str) -> None:
    assert what in (danger(address) or "")


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "100.64.0.1",
        "140.82.121.4",
        "fd12:3456::1",
        "2606:50c0::1",
        "2002:0a00:1::",
    ],
)
def test_a_company_may_have_its_hosts_in_private_networks(address: str) -> None:
    assert danger(address) is None


def test_an_address_is_told_from_a_name() -> None:
    assert [literal(host) for host in ("127.0.0.1", "[::1]", "localhost", "1.2.3.example.com")] == [
        "127.0.0.1",
        "::1",
        None,
        None,
    ]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_means_this_machine_or_its_cloud_is_refused_and_the_remedy_told(address: str) -> None:
    async with open_outgoing(resolver=Names(evil_example=[address])) as outgoing:
        with pytest.raises(NotAllowedError) as caught:
            await reader(outgoing, "evil.example").read("http://evil.example/x")
    message = caught.value.message
    assert message.startswith(f"Reading from 'evil.example' is not allowed, it means {address}, which is ")
    assert "'backend.reading.allow'" in message


async def test_one_bad_address_among_good_ones_is_one_too_many() -> None:
    """Or else it would be a matter of luck which one is connected to."""
    resolver = CheckedResolver(Names(mixed_example=["140.82.121.4", "127.0.0.1"]))
    with pytest.raises(NotAllowedError, match=r"mixed\.example"):
        await resolver.resolve("mixed.example")


async def test_a_private_address_behind_a_name_is_connected_to() -> None:
    resolver = CheckedResolver(Names(git_corp=["10.1.2.3"]))
    assert [answer["host"] for answer in await resolver.resolve("git.corp")] == ["10.1.2.3"]


async def test_what_is_connected_to_is_what_was_looked_at() -> None:
    """A name that means something else the second time gets nobody anywhere: there is no second time."""

    class Rebinding(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            self.names[host] = ["192.0.2.1"] if not self.asked else ["127.0.0.1"]
            return await super().resolve(host, port, family)

    names = Rebinding()
    limits = Limits(max_time=timedelta(milliseconds=200))
    async with serving(hello) as port, open_outgoing(limits, resolver=names) as outgoing:
        with pytest.raises(UnreadableUrlError):
            await reader(outgoing, f"rebound.example:{port}").read(f"http://rebound.example:{port}/x")
    assert names.asked == ["rebound.example"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_may_be_read_by_whoever_names_it(host: str) -> None:
    async with serving(hello) as port, open_outgoing() as outgoing:
        document = await reader(outgoing, f"{host}:{port}").read(f"http://{host}:{port}/x")
    assert document.content == b"hello"


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.1", "127.1", "%31%32%37.0.0.1", "127.0.0.1."])
async def test_other_spellings_of_an_address_are_that_address(spelling: str) -> None:
    async with serving(hello) as port, open_outgoing() as outgoing:
        http = reader(outgoing, "example.com", f"127.0.0.1:{port}")
        assert (await http.read(f"http://{spelling}:{port}/x")).content == b"hello"
        with pytest.raises(NotAllowedError):
            await Urls([reader(outgoing, "example.com")]).read(f"http://{spelling}:{port}/x")


async def test_a_wildcard_does_not_name_an_address() -> None:
    async with serving(hello) as port, open_outgoing(resolver=Names()) as outgoing:
        with pytest.raises(NotAllowedError, match=r"'127\.0\.0\.1' is not allowed, it is a loopback address"):
            await reader(outgoing, f"*.0.0.1:{port}").read(f"http://127.0.0.1:{port}/x")
        with pytest.raises(NotAllowedError, match=r"it means 127\.0\.0\.1"):
            await reader(outgoing, f"*.localhost:{port}").read(f"http://x.localhost:{port}/x")


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://inside.example:{port}/secret",
        "//inside.example:{port}/secret",
        "file:///etc/passwd",
        "http://user@good.example:{port}/",
    ],
)
async def test_no_chain_of_redirects_leads_to_a_refused_place(place: str) -> None:
    """As for a reader that follows its host anywhere, such as to the place where its archives are."""
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(f"{request.host.partition(':')[0]}{request.path}")
        target = place.format(port=port) if request.path == "/second" else "/second"
        return web.Response(status=302, headers={"Location": target})

    async with serving(answer) as port, open_outgoing(resolver=Names()) as outgoing:
        with pytest.raises(NotAllowedError):
            await outgoing.get(
                f"http://127.0.0.1:{port}/first", {}, lambda url, _: url.pathname in ("/first", "/second")
            )
    assert reached == ["127.0.0.1/first", "127.0.0.1/second"]


async def test_credentials_stay_with_the_server_that_they_are_for() -> None:
    seen: dict[str, str | None] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        seen[request.path] = request.headers.get("Authorization")
        if request.path == "/first":
            return web.Response(status=302, headers={"Location": "/same"})
        return web.Response(status=302, headers={"Location": f"http://localhost:{port}/other"})

    async with serving(answer) as port, open_outgoing() as outgoing:
        with pytest.raises(UnreadableUrlError, match="Too many redirects"):
            await outgoing.get(f"http://127.0.0.1:{port}/first", {"Authorization": "Bearer s"}, lambda *_: True)
    assert seen == {"/first": "Bearer s", "/same": "Bearer s", "/other": None}


async def test_what_is_packed_tightly_is_measured_unpacked() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"})

    async with serving(answer) as port, open_outgoing(Limits(max_bytes=100_000)) as outgoing:
        with pytest.raises(UnreadableUrlError, match="larger than 100000 bytes"):
            await outgoing.get(f"http://127.0.0.1:{port}/", {}, lambda *_: True)


async def test_no_cookie_is_kept() -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with serving(answer) as port, open_outgoing() as outgoing:
        for _ in range(2):
            await outgoing.get(f"http://localhost:{port}/", {}, lambda *_: True)
    assert seen == [None, None]


async def test_a_server_without_etags_is_asked_by_date() -> None:
    date = "Sat, 21 Nov 2026 10:00:00 GMT"
    seen: list[tuple[str | None, str | None]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("If-Modified-Since"), request.headers.get("If-None-Match")))
        if seen[-1][0] == date:
            return web.Response(status=304)
        return web.Response(body=b"x", headers={"Last-Modified": date})

    async with serving(answer) as port, open_outgoing() as outgoing:
        http = reader(outgoing, f"127.0.0.1:{port}")
        first = await http.read(f"http://127.0.0.1:{port}/x")
        with pytest.raises(Exception, match="Not modified"):
            await http.read(f"http://127.0.0.1:{port}/x", first.etag)
        with pytest.raises(Exception, match="Not modified"):
            await http.search(f"http://127.0.0.1:{port}/x", first.etag)
    assert first.etag == f"Last-Modified: {date}"
    assert seen == [(None, None), (date, None), (date, None)]


def test_an_entry_may_name_an_address_of_version_six() -> None:
    [entry] = (
        load([], {}, {"backend.reading.allow": [{"host": "[::1]:8000-8010"}]})
        .section("backend.reading", ReadingConfig)
        .allow
    )
    assert (entry.hostname, entry.ports) == ("[::1]", range(8000, 8011))
    assert parse("http://[0:0::1]:8000/").hostname == entry.hostname
