"""Hosts that are slow, endless, or lie about what they send: given up in bounded time, while everything else is read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from greenroom.urls import UnreadableUrlError, Urls, outgoing
from greenroom.urls.outgoing import Limits
from greenroom_catalog.ingestion import work
from tests.hostile.conftest import Answer, World, opened, refused
from tests.support.catalog import yaml_component
from tests.support.postgres import TestServer

SECONDS = 1.0
BYTES = 1_000_000
PACKED = gzip.compress(b"# " * 20_000_000, 6)


@pytest.fixture(scope="module")
async def world(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """With less patience than usual, and the same for all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outgoing, "Limits", lambda: Limits(BYTES, timedelta(seconds=SECONDS)))
        async with opened(postgres_server, tmp_path_factory.mktemp("slow")) as found:
            yield found


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(20)
    return web.Response()


async def _dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"#")
        await asyncio.sleep(0.05)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"#" * 65_536)


async def _packed(request: web.Request) -> web.StreamResponse:
    return web.Response(body=PACKED, headers={"Content-Encoding": "gzip"})


async def _packed_twice(request: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(PACKED), headers={"Content-Encoding": "gzip, gzip"})


async def _no_gzip(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})


async def _many_headers(request: web.Request) -> web.StreamResponse:
    return web.Response(headers={f"X-{number}": "a" * 5_000 for number in range(2_000)})


async def _round_and_round(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.02)
    raise web.HTTPFound(f"{request.path}?{'a' * len(request.query_string)}a")


async def _hung_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


LATE = "no complete answer within 1 s"
MANNERS: dict[str, tuple[Answer, str]] = {
    "silent": (_silent, LATE),
    "one byte at a time": (_dripping, LATE),
    "endless": (_endless, "larger than"),
    "packed a thousandfold": (_packed, "larger than"),
    "packed twice": (_packed_twice, "Expected object at root, got string"),
    "called packed": (_no_gzip, "Unable to read"),
    "headers without end": (_many_headers, "Unable to read"),
    "redirects without end": (_round_and_round, "Too many redirects"),
    "hung up": (_hung_up, "Unable to read"),
}


@pytest.mark.parametrize("manner", MANNERS)
async def test_a_host_without_manners_is_given_up_in_time(world: World, manner: str) -> None:
    answer, words = MANNERS[manner]
    world.host.manners["/x"] = answer
    said = await _given_up(world)
    for _ in range(5):  # a machine that stops for a moment makes any host a silent one
        if words not in said:
            assert LATE in said
            said = await _given_up(world)
    assert words in said


async def _given_up(world: World) -> str:
    """Why, and that it is in time."""
    began = asyncio.get_running_loop().time()
    async with world.answers_others():
        reply = await world.post("/locations?dryRun=true", {"type": "url", "target": f"{world.host.address}/x"})
    assert asyncio.get_running_loop().time() - began < 10 * SECONDS
    return refused(reply)


async def test_eighty_files_of_a_silent_host_do_not_hold_up_those_of_another(
    postgres_server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is given up before the other is served, so that what it would have to wait for does not come."""
    monkeypatch.setattr(outgoing, "Limits", lambda: Limits(BYTES, timedelta(hours=1)))
    asked, free = asyncio.Semaphore(0), asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        asked.release()
        await free.wait()
        return web.Response(status=404)

    async with opened(postgres_server, tmp_path) as world:
        for number in range(80):
            world.host.manners[f"/silent-{number}"] = silent
            await world.register(f"{world.host.address}/silent-{number}")
        for _ in range(work.OF_ONE_HOST):
            await asked.acquire()
        async with world.answers_others():
            assert await world.registered(world.other.write("sound.yaml", yaml_component("sound"))) == []
            await world.served("component:default/sound")
        free.set()


class _Late:
    """A reader of a host that has stopped answering in time."""

    def __init__(self) -> None:
        self.asked = 0
        self.well = False

    def reads(self, url: str) -> bool:
        return True

    async def read(self, url: str, etag: str | None = None) -> Any:
        self.asked += 1
        if not self.well:
            raise UnreadableUrlError("late") from TimeoutError()

    search: Any = read


async def test_a_host_that_is_always_late_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(work, "monotonic", lambda: now)
    late = _Late()
    reads = work.Reads(Urls([late]))
    for _ in range(3 * work.ENOUGH):
        with pytest.raises(UnreadableUrlError):
            await reads.read("https://late.test/a")
    assert late.asked == work.ENOUGH
    with pytest.raises(
        UnreadableUrlError, match=r"late.test did not answer in time 16 times in a row, .* another 60 s"
    ):
        await reads.read("https://late.test/b")
    late.well = True
    await reads.read("https://other.test/a")
    now += work.PAUSE + 1
    await reads.read("https://late.test/a")
    assert late.asked == work.ENOUGH + 2


async def test_hosts_that_come_and_go_are_not_remembered_for_ever() -> None:
    late = _Late()
    late.well = True
    reads = work.Reads(Urls([late]))
    for number in range(work.MOST_HOSTS + 50):
        await reads.read(f"https://{number}.test/a")
    assert len(reads._hosts) == work.MOST_HOSTS
