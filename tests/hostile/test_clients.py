"""Clients that are slow, endless, or speak in two tongues: cut off or refused, and never a way to smuggle a request in."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from greenroom.web.protocol import Protocol
from tests.hostile.conftest import BOUND, OTHERS, World, meanwhile
from tests.support.asgi import TOKEN
from tests.support.waiting import Wait

AUTHORIZED = b"Host: x\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
GET = b"GET " + OTHERS.encode() + b" HTTP/1.1\r\n" + AUTHORIZED
POST = b"POST /api/catalog/entities/by-query HTTP/1.1\r\n" + AUTHORIZED + b"Content-Type: application/json\r\n"


@asynccontextmanager
async def _connected(world: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    url = urlsplit(world.address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _said(world: World, *pieces: bytes, answers: int = 0) -> bytes:
    """All that the server says to this, until it hangs up or, after so many answers, has been silent for half a second."""
    async with _connected(world) as (reader, writer):
        said = b""
        try:
            async with asyncio.timeout(60):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                while chunk := await asyncio.wait_for(
                    reader.read(65_536), 0.5 if len(_statuses(said)) >= answers else None
                ):
                    said += chunk
        except (ConnectionError, TimeoutError):
            pass
        return said


@asynccontextmanager
async def _answers_others(world: World) -> AsyncIterator[None]:
    """As `World.answers_others`, but over connections of their own, each a new one."""

    async def ask_on(over: asyncio.Event) -> list[float]:
        waits = []
        headers = {"Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        async with aiohttp.ClientSession() as session:
            while True:
                last, wait = over.is_set(), Wait()
                async with session.get(f"{world.address}{OTHERS}", headers=headers) as reply:
                    assert reply.status == 200
                waits.append(wait.seconds())
                if last:
                    return waits
                await asyncio.sleep(0.02)

    async with meanwhile(ask_on, BOUND, "somebody else's question"):
        yield


def _statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


REFUSED: dict[str, bytes] = {
    "a URL of a megabyte": b"GET /api/catalog/entities?filter="
    + b"a" * 1_000_000
    + b" HTTP/1.1\r\n"
    + AUTHORIZED
    + b"\r\n",
    "40,000 headers": GET + b"".join(b"X-%d: a\r\n" % number for number in range(40_000)) + b"\r\n",
    "a header of a megabyte": GET + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "a length and chunks": POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "chunks and a length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}GET /smuggled HTTP/1.1\r\n\r\n",
    "two lengths in one": POST + b"Content-Length: 2, 40\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length beyond any": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "a length that is none": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "chunks in another spelling": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": GET + b"X: a\r\n b: c\r\nContent-Length : 5\r\n\r\n",
    "a chunk that is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond any": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}",
    "a negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "a NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "a NUL in the name of a header": GET + b"X\0: a\r\n\r\n",
    "a carriage return alone": GET + b"X: a\rGET /smuggled HTTP/1.1\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100,
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP 2, known before": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another scheme of a proxy": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_request_in_two_tongues_is_refused_and_smuggles_nothing(world: World, what: str) -> None:
    async with _answers_others(world):
        said = await _said(world, REFUSED[what])
    statuses = _statuses(said)
    assert len(statuses) <= 1, said[:2_000]
    assert all(400 <= status < 500 for status in statuses), said[:2_000]
    assert b"smuggled" not in said


async def test_a_proxy_cannot_be_made_to_ask_for_another_host(world: World) -> None:
    said = await _said(
        world,
        b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        answers=2,  # which would be one too many: until it hangs up
    )
    assert _statuses(said) == [404]


async def test_three_hundred_clients_that_never_finish_their_head_are_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Protocol, "head_seconds", 1.0)
    async with _answers_others(world), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_connected(world)) for _ in range(300)]

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(GET)
            try:
                while not reader.at_eof():
                    writer.write(b"X-a: b\r\n")
                    await writer.drain()
                    await asyncio.wait({asyncio.ensure_future(reader.read(1_000))}, timeout=0.1)
            except ConnectionError:
                pass
            return b""

        async with asyncio.timeout(60):
            await asyncio.gather(*(drip(*client) for client in clients))


async def test_a_body_without_end_is_refused_while_it_is_sent(world: World) -> None:
    async with _answers_others(world), _connected(world) as (reader, writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        async with asyncio.timeout(60):
            while not answer.done():
                writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        assert _statuses(await answer) == [400]


async def test_chunks_of_one_byte_and_a_long_word_each_are_counted(world: World) -> None:
    chunk = b"1;" + b"a" * 2_000 + b"\r\n \r\n"
    async with _answers_others(world):
        said = await _said(world, POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk * 100] * 20, b"0\r\n\r\n")
    assert all(status < 500 for status in _statuses(said))


async def test_three_hundred_requests_in_one_breath_get_as_many_answers_in_order(world: World) -> None:
    requests = b"".join(
        b"GET /api/catalog/entities/by-uid/%d HTTP/1.1\r\n" % n + AUTHORIZED + b"\r\n" for n in range(300)
    )
    async with _answers_others(world):
        said = await _said(world, requests, answers=300)
    assert _statuses(said) == [404] * 300
    told = [int(part.split(b'"')[0]) for part in said.split(b"No entity with uid ")[1:]]
    assert told == list(range(300))


async def test_a_hundred_clients_that_read_nothing_hold_nobody_up(world: World) -> None:
    async with _answers_others(world), AsyncExitStack() as stack:
        for _ in range(100):
            _, writer = await stack.enter_async_context(_connected(world))
            writer.write((GET + b"\r\n") * 50)
        await asyncio.sleep(0.2)


async def test_a_hundred_and_fifty_clients_that_do_not_read_the_catalog_cost_little_memory_and_nobody_time(
    world: World,
) -> None:
    """Each could have some 13 MB. What they have not read is bounded together, and beyond that nothing is kept for them."""
    url = world.host.write("long.yaml", "\n---\n".join(map(_long, range(160))))
    assert await world.registered(url) == []
    await world.served("component:default/long-159")
    before = _resident()
    async with _answers_others(world), AsyncExitStack() as stack:
        for _ in range(150):
            reader, writer = await stack.enter_async_context(_connected(world))
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /api/catalog/entities HTTP/1.1\r\n" + AUTHORIZED + b"\r\n")
        most = 0.0
        for _ in range(40):
            await asyncio.sleep(0.05)
            most = max(most, _resident())
    assert most - before < 230, f"{most - before:.0f} MB for readers that do not read"


def _long(number: int) -> str:
    text = f"{number} " * (80_000 // len(f"{number} "))
    return (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: long-{number}, description: '{text}'}}\n"
        "spec: {type: service, lifecycle: production, owner: team}\n"
    )


def _resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
