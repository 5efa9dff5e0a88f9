"""Events over HTTP: at once, without an end, and with nothing left of a client that has gone."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import aiohttp
import pytest
from yarl import URL

from greenroom.errors import ServiceUnavailableError
from greenroom.web import bind, serve
from greenroom_scaffolder.settings import EventStreams
from tests.scaffolder.routes.conftest import TOKEN, FakeTasks, Surface, a_task, an_event, error_of
from tests.support.waiting import Wait, slowness

TASK = "/api/scaffolder/v2/tasks/1"
DONE = an_event(3, "completion", "Run completed", last=True)


class Served:
    """The surface on a port."""

    def __init__(self, surface: Surface, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        self.surface, self.session, self.stop = surface, session, stop

    @property
    def tasks(self) -> FakeTasks:
        return self.surface.tasks

    def stream(self, query: str = "", **headers: str) -> aiohttp.client._RequestContextManager:
        return self.session.get(f"{TASK}/eventstream{query}", headers=headers)


@asynccontextmanager
async def served(surface: Surface) -> AsyncIterator[Served]:
    surface.tasks.known["1"] = a_task("1", {})
    with bind("127.0.0.1", 0) as listening:
        stop = asyncio.Event()
        server = asyncio.create_task(serve(surface.app, listening, surface.state, stop=stop))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(base, headers=headers, connector=connector, auto_decompress=False) as session:
            try:
                yield Served(surface, session, stop)
            finally:
                stop.set()
                await server


@pytest.fixture
async def house(surface: Surface) -> AsyncIterator[Served]:
    async with served(surface) as running:
        yield running


async def frame(answer: aiohttp.ClientResponse) -> bytes:
    return await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 60)


async def until(surface: Surface, followers: int) -> None:
    async with asyncio.timeout(60):
        while surface.tasks.followers != followers:
            await asyncio.sleep(0.005)


async def test_frames_and_headers_are_upstreams(house: Served) -> None:
    house.tasks.add(an_event(1, "log", "a\nb"), an_event(2, "cancelled", "c"), DONE)
    async with house.stream() as answer:
        text = await answer.text()
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/event-stream", "no-cache")
    assert text == (
        'event: log\ndata: {"id":1,"body":{"message":"a\\nb"},"type":"log"}\n\n'
        'event: cancelled\ndata: {"id":2,"body":{"message":"c"},"type":"cancelled"}\n\n'
        'event: completion\ndata: {"id":3,"body":{"message":"Run completed"},"type":"completion"}\n\n'
    )
    assert house.tasks.followers == 0


async def test_an_event_is_with_the_client_at_once_and_the_last_one_ends_it(house: Served) -> None:
    async with house.stream() as answer:
        assert (await frame(answer)).startswith(b":")  # the head has come, though there is nothing to tell
        waits = []
        for number in range(1, 4):
            house.tasks.add(an_event(number, "log", f"number {number}"))
            wait = Wait()
            assert b"number %d" % number in await frame(answer)
            waits.append(wait.seconds())
        assert min(waits) < 0.1 * slowness()
        house.tasks.add(an_event(4, "completion", "Run completed", last=True))
        assert b"completed" in await frame(answer)
        assert await answer.content.read() == b""


async def test_a_task_that_was_cancelled_when_it_was_done_is_done(house: Served) -> None:
    house.tasks.add(DONE, an_event(4, "cancelled", "too late"))
    async with house.stream() as answer:
        assert "too late" in await asyncio.wait_for(answer.text(), 60)


async def test_the_completion_of_a_task_that_may_begin_anew_is_not_the_end(house: Served) -> None:
    async with house.stream() as answer:
        await frame(answer)
        house.tasks.add(an_event(1, "completion", "for now"))
        assert b"for now" in await frame(answer)
        house.tasks.add(an_event(2, "recovered", "again"))
        assert b"again" in await frame(answer)


async def test_a_stream_goes_on_where_the_client_was(house: Served) -> None:
    house.tasks.add(an_event(1, "log", "known"), an_event(2, "log", "new"), DONE)
    async with house.stream("?after=1") as answer:
        text = await answer.text()
    assert ("known" in text, "new" in text) == (False, True)


async def test_a_packed_stream_can_be_unpacked_as_it_comes(house: Served) -> None:
    async with house.stream(**{"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        unpacking, text = zlib.decompressobj(31), b""
        for number in range(1, 4):
            house.tasks.add(an_event(number, "log", f"number {number}"))
            while f"number {number}".encode() not in text:
                text += unpacking.decompress(await asyncio.wait_for(answer.content.readany(), 60))


async def test_silence_is_broken_by_comments(surface: Surface, streams: EventStreams) -> None:
    streams.heartbeat = timedelta(seconds=0.1)
    async with served(surface) as house, house.stream() as answer:
        await frame(answer)
        assert [await frame(answer) for _ in range(2)] == [b": heartbeat\n\n"] * 2


async def test_nothing_is_left_of_clients_that_have_gone(house: Served) -> None:
    answers = await asyncio.gather(*(house.stream() for _ in range(20)))
    await until(house.surface, 20)
    for answer in answers:
        answer.close()
    await until(house.surface, 0)


async def test_500_clients_are_told_at_once(house: Served) -> None:
    answers = await asyncio.gather(*(house.stream() for _ in range(500)))
    await asyncio.gather(*map(frame, answers))
    assert house.tasks.followers == 500
    house.tasks.add(DONE)
    assert all(b"completed" in told for told in await asyncio.gather(*map(frame, answers)))
    await until(house.surface, 0)
    for answer in answers:
        answer.close()


async def test_a_server_that_stops_ends_streams_and_polls_at_once(surface: Surface) -> None:
    began = monotonic()
    async with served(surface) as house, house.stream() as answer:
        await frame(answer)
        polled = asyncio.create_task(house.session.get(f"{TASK}/events").__aenter__())
        await until(surface, 2)
        house.stop.set()
        assert await answer.content.read() == b""
        assert await (await polled).json() == []
    assert monotonic() - began < 20, "and not only after the 30 s that a server waits"


async def test_a_lost_database_ends_a_stream_so_that_the_client_comes_back(house: Served) -> None:
    house.tasks.broken = ServiceUnavailableError("The database is away")
    async with house.stream() as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_head_tells_of_a_stream_without_opening_one(house: Served) -> None:
    async with house.session.head(f"{TASK}/eventstream") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert house.tasks.followers == 0


@pytest.mark.parametrize(
    ("after", "told"),
    [
        *[(f"after={same}", [2, 3]) for same in ("1", "%201%20", "0x1", "1.0", "10e-1", "%2B1", "0b1", "%C2%A01")],
        *[(f"after={same}", [1, 2, 3]) for same in ("", "%20", "-1", "-0", "-Infinity")],
        *[("after", [1, 2, 3]), ("after[]=1", [2, 3]), ("after[]=", [1, 2, 3])],
        *[(f"after={beyond}", []) for beyond in ("9223372036854775807", "9223372036854775808", "1e30", "Infinity")],
    ],
)
async def test_a_stream_goes_on_after_whatever_upstream_reads_as_that_event(
    house: Served, after: str, told: list[int]
) -> None:
    house.tasks.add(an_event(1, "log", "a"), an_event(2, "log", "b"), DONE)
    async with house.session.get(URL(f"{TASK}/eventstream?{after}", encoded=True)) as answer:
        assert answer.status == 200
        heard = b"" if told else await frame(answer)
        while told and b"completion" not in heard:
            heard += await frame(answer)
    assert [number for number in (1, 2, 3) if b'"id":%d,' % number in heard] == told


@pytest.mark.parametrize("after", ["x", "1.5", "1&after=2", "NaN", "null", "1_0", "1e-7", "1n", "1%00"])
async def test_a_stream_after_what_is_no_event(surface: Surface, after: str) -> None:
    surface.tasks.known["1"] = a_task("1", {})
    reply = await surface.http.get(f"/v2/tasks/1/eventstream?after={after}")
    assert error_of(reply) == (400, "InputError", "request/query/after must be integer")


async def test_a_poll_answers_what_there_is_and_the_completion_in_any_case(surface: Surface) -> None:
    surface.tasks.known["1"] = a_task("1", {})
    surface.tasks.add(an_event(1, "log", "a"), DONE)
    assert [one["id"] for one in (await surface.http.get("/v2/tasks/1/events")).json] == [1, 3]
    assert [one["id"] for one in (await surface.http.get("/v2/tasks/1/events?after=9")).json] == [3]


async def test_a_poll_waits_for_what_comes(house: Served) -> None:
    polled = asyncio.create_task(house.session.get(f"{TASK}/events?after=0").__aenter__())
    await until(house.surface, 1)
    house.tasks.add(an_event(1, "log", "a"))
    assert [one["id"] for one in await (await polled).json()] == [1]
    assert house.tasks.followers == 0


async def test_a_poll_that_has_waited_long_enough_answers_nothing(surface: Surface, streams: EventStreams) -> None:
    streams.long_poll = timedelta(seconds=0.05)
    async with served(surface) as house, house.session.get(f"{TASK}/events") as answer:
        assert await answer.json() == []
    assert surface.tasks.followers == 0


async def test_a_poll_whose_client_has_gone_is_given_up(house: Served) -> None:
    polled = asyncio.create_task(house.session.get(f"{TASK}/events").__aenter__())
    await until(house.surface, 1)
    polled.cancel()
    await until(house.surface, 0)


async def test_a_poll_after_what_is_no_event(surface: Surface) -> None:
    reply = await surface.http.get("/v2/tasks/1/events?after=x")
    assert error_of(reply) == (400, "InputError", "request/query/after must be integer")
