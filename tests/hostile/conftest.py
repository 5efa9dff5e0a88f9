"""A whole Greenroom under attack: at an address, its loops turning, with a host that it may read and that says what it likes."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as WebServer

from greenroom.app import Running
from greenroom.db import Database
from tests.support.asgi import TOKEN, Client, Reply
from tests.support.house import at_an_address
from tests.support.postgres import TestServer
from tests.support.waiting import Wait

BOUND = 3.0
"""Seconds in which others are answered, whatever is going on. A quiet machine needs a hundredth of one; what is to be told
from that are attacks that take ten and more, and not machines that stop for a moment."""
PATIENCE = 60.0
"""Seconds until an attack has to be over."""
OTHERS = "/api/catalog/locations"

CONFIG = """
app: {{title: hostile}}
backend:
  baseUrl: {address}
  listen: {{host: 127.0.0.1}}
  auth: {{externalAccess: [{{type: static, options: {{token: {token}, subject: tests}}}}]}}
  reading: {{allow: [{{host: '{host}'}}, {{host: '{other}'}}]}}
catalog:
  processingInterval: {{seconds: 600}}
  orphanStrategy: keep
  rules: [{{allow: [Component, API, Group, User, System, Domain, Resource, Location, Template]}}]
"""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Host:
    """A web server whose files, and whose bad manners, a test decides."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manners: dict[str, Answer] = {}
        self.address = ""

    def write(self, name: str, content: bytes | str) -> str:
        """Offer a file; its URL."""
        self.files[f"/{name}"] = as_bytes(content)
        return f"{self.address}/{name}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if (manner := self.manners.get(request.path)) is not None:
            return await manner(request)
        content = self.files.get(request.path)
        return web.Response(status=404) if content is None else web.Response(body=content)


def as_bytes(content: bytes | str) -> bytes:
    """A text in UTF-8, even with half of a surrogate pair in it."""
    return content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")


class World(NamedTuple):
    """What is attacked, and with what."""

    address: str
    client: Client
    database: Database
    host: Host
    other: Host
    house: Running

    async def get(self, target: str) -> Reply:
        return await self.client.get(f"/api/catalog{target}")

    async def post(self, target: str, value: Any) -> Reply:
        return await self.client.post(f"/api/catalog{target}", value)

    async def register(self, url: str) -> str:
        """Register a location; the reference of its entity."""
        reply = await self.post("/locations", {"type": "url", "target": url})
        assert reply.status == 201, reply.text
        reply = await self.post("/locations/by-query", {"query": {"target": url}})
        return str(reply.json["items"][0]["entityRef"])

    async def processed(self, ref: str) -> list[str]:
        """Wait until the entity has been processed; the messages of its errors."""
        async with asyncio.timeout(PATIENCE):
            while True:
                # The hash of the result would not do: in a ring it is forgotten as soon as another source owns what came of it.
                row = await self.database.fetchrow(
                    "select errors from refresh_state join processed using (id) where entity_ref = $1", ref
                )
                if row is not None:
                    return [one["message"] for one in _json(row["errors"])]
                await asyncio.sleep(0.02)

    async def registered(self, url: str) -> list[str]:
        """Register a location, and wait until it was read; the messages of its errors."""
        return await self.processed(await self.register(url))

    async def served(self, ref: str) -> Any:
        """Wait until the entity is served; it is returned."""
        kind, _, rest = ref.partition(":")
        async with asyncio.timeout(PATIENCE):
            while (reply := await self.get(f"/entities/by-name/{kind}/{rest}")).status == 404:
                await asyncio.sleep(0.02)
        return reply.json

    async def explained(self, ref: str, words: str) -> str:
        """Wait until the explanation of an entity has these words; it is returned."""
        async with asyncio.timeout(PATIENCE):
            while words not in (reply := await self.client.get(f"/api/greenroom/catalog/explain?ref={ref}")).text:
                await asyncio.sleep(0.02)
        return reply.text

    @asynccontextmanager
    async def answers_others(self, bound: float = BOUND) -> AsyncIterator[None]:
        """While the block runs somebody else asks, again and again, and gets each answer in time. Also right after it."""
        async with meanwhile(self._ask_on, bound, "somebody else's question"):
            yield

    async def _ask_on(self, over: asyncio.Event) -> list[float]:
        """Seconds from when each question was to be asked, be the server too busy even to hear it, to its answer."""
        waits: list[float] = []
        wait, early = Wait(), 0.0
        while True:
            last = over.is_set()
            reply = await self.client.get(OTHERS)
            assert reply.status == 200, reply.text
            waits.append(wait.seconds() - early)
            if last:
                return waits
            wait, early = Wait(), 0.02
            await asyncio.sleep(early)


@asynccontextmanager
async def meanwhile(
    go_on: Callable[[asyncio.Event], Coroutine[Any, Any, list[float]]], bound: float, what: str
) -> AsyncIterator[None]:
    """While the block runs something goes on, and in time: it is told when the block is over, and returns seconds, each a wait."""
    over = asyncio.Event()
    going = asyncio.create_task(go_on(over))
    try:
        yield
    finally:
        over.set()
        waits = await going
    assert max(waits) < bound, f"{what} had to wait {max(waits):.2f} s"


@asynccontextmanager
async def breathes(bound: float = BOUND) -> AsyncIterator[None]:
    """While the block runs the event loop is free again and again, as a server's has to be."""
    async with meanwhile(_beat_on, bound, "everything else"):
        yield


async def _beat_on(over: asyncio.Event) -> list[float]:
    gaps = [0.0]
    while not over.is_set():
        wait = Wait()
        await asyncio.sleep(0.01)
        gaps.append(wait.seconds())
    return gaps


@contextmanager
def memory_of(most: int) -> Iterator[None]:
    """The block makes this process no larger than so many bytes beyond what it ever was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert taken < most, f"{taken} bytes more than before"


def _json(content: Any) -> Any:
    return msgspec.json.decode(content) if content else []


def refused(reply: Reply, *statuses: int) -> str:
    """The message of an error that is told as upstream tells errors, and is the sender's fault."""
    assert reply.status in (statuses or (400,)), f"{reply.status} {reply.text[:300]}"
    envelope = reply.json
    assert envelope["response"] == {"statusCode": reply.status}
    assert envelope["error"]["name"]
    return str(envelope["error"]["message"])


@asynccontextmanager
async def opened(postgres: TestServer, folder: Path, more: str = "") -> AsyncIterator[World]:
    """Everything that is installed, in this process, with an API and a worker. `more`: other sections of the config."""
    host, other = Host(), Host()
    async with _serving(host) as first, _serving(other) as second:

        def config(address: str) -> str:
            return CONFIG.format(address=address, token=TOKEN, host=first, other=second) + more

        async with at_an_address(postgres, folder, config) as house:
            yield World(house.address, Client(house.house.asgi), house.database, host, other, house.house)


@asynccontextmanager
async def _serving(host: Host) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    async with WebServer(app) as server:
        host.address = str(server.make_url("")).rstrip("/")
        yield f"{server.host}:{server.port}"


@pytest.fixture(scope="module")
async def world(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests of a module."""
    async with opened(postgres_server, tmp_path_factory.mktemp("hostile")) as found:
        yield found
