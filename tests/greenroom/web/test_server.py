"""The door on a real socket, under uvicorn."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from litestar import Response, get
from litestar.response import Stream

from greenroom.web import Lifecycle, Routes, bind, json_response, serve
from greenroom.web.protocol import Crowd, Protocol
from tests.greenroom.web.surface import Ask, app, catalog, plain
from tests.support.asgi import TOKEN, App, chunked

AUTH = f"authorization: Bearer {TOKEN}\r\n".encode()


class Running:
    """A server on a port of its own."""

    def __init__(self, port: int, state: Lifecycle, stop: asyncio.Event, task: asyncio.Task[None]) -> None:
        self.port, self.state, self.stop, self.task = port, state, stop, task

    async def send(self, data: bytes) -> bytes:
        """Everything the server says to these bytes until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def running(
    asgi: App | None = None, *, delay: timedelta = timedelta(0), at_once: asyncio.Event | None = None
) -> AsyncIterator[Running]:
    state, stop, listening = Lifecycle(), asyncio.Event(), bind("127.0.0.1", 0)
    ready = asyncio.Event()
    state.started()
    server = serve(
        asgi or app(),
        listening,
        state,
        shutdown_delay=delay,
        shutdown_timeout=timedelta(seconds=5),
        stop=stop,
        at_once=at_once,
        on_listening=ready.set,
    )
    task = asyncio.create_task(server)
    await ready.wait()
    try:
        yield Running(listening.getsockname()[1], state, stop, task)
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)
        listening.close()


def request(target: str, *, method: str = "GET", more: bytes = b"", body: bytes = b"") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode()
    length = f"content-length: {len(body)}\r\n".encode() if body else b""
    return head + AUTH + more + length + b"\r\n" + body


async def test_a_response_on_the_wire_is_what_a_browser_expects() -> None:
    async with running() as server:
        head, _, body = (await server.send(request("/api/plain/fixed"))).partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.split(b"\r\n")]
    assert lines[0] == b"http/1.1 200 ok"
    assert body == b'{"a":1}'
    assert b"content-length: 7" in lines
    assert not [line for line in lines if line.startswith((b"server:", b"x-powered-by:"))]
    assert [line for line in lines if line.startswith(b"date:")]


async def test_escapes_and_absolute_urls_survive_the_server() -> None:
    async with running() as server:
        named = await server.send(request("/api/catalog/entities/by-name/component/default/a%2Fb?x"))
        escaped = await server.send(request("/api/plain/things/a%2Fb"))
        absolute = await server.send(request("http://foo/api/plain/fixed"))
    assert b"Unknown query parameter 'x'" in named
    assert escaped.endswith(b'{"name":"a/b"}')
    assert absolute.endswith(b'{"a":1}')


async def test_a_body_nobody_reads_does_not_cost_the_client_its_answer() -> None:
    async with running() as server:
        reply = await server.send(
            request("/api/catalog/refresh", method="POST", more=b"content-type: text/plain\r\n", body=b"x" * 300_000)
        )
    assert b"unsupported media type text/plain" in reply


async def test_a_connection_serves_one_request_after_another() -> None:
    one = request("/api/plain/fixed").replace(b"connection: close\r\n", b"")
    async with running() as server:
        replies = await server.send(one + one + request("/nope"))
    assert (replies.count(b'{"a":1}'), replies.count(b"HTTP/1.1 ")) == (2, 3)


async def test_a_head_that_is_too_long_is_refused_though_it_ends_in_the_piece_that_makes_it_so() -> None:
    async with running() as server:
        whole = await server.send(request("/api/plain/fixed", more=b"x: " + b"y" * 70_000 + b"\r\n"))
        many = await server.send(request("/api/plain/fixed", more=b"x: y\r\n" * 12_000))
        last = request("/api/plain/fixed", more=b"x: " + b"y" * 60_000 + b"\r\n")
        short = await server.send(last.replace(b"connection: close\r\n", b"") * 3 + last)
    assert (whole, many) == (b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",) * 2
    assert short.count(b'{"a":1}') == 4


async def test_an_endless_head_is_cut_off_and_a_large_body_is_not() -> None:
    async with running() as server:
        reply = await server.send(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000)
        body = b'{"limit":"x","a":"' + b"x" * 100_000 + b'"}'
        posted = await server.send(
            request(
                "/api/catalog/entities/by-query", method="POST", more=b"content-type: application/json\r\n", body=body
            )
        )
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b"request/body/limit must be number" in posted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HT",
        b"POST /api/catalog/refresh HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n"
        + AUTH
        + b"\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
async def test_a_client_that_stops_talking_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(Protocol, "head_seconds", 0.05)
    monkeypatch.setattr(Protocol, "body_seconds", 0.05)
    async with running() as server:
        reply = await server.send(data)
    assert reply == b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"


async def test_dribbling_does_not_win_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one = request("/api/plain/fixed").replace(b"connection: close\r\n", b"")
    async with running() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with contextlib.closing(writer):
            writer.write(one)
            assert await reader.readuntil(b'{"a":1}')
            monkeypatch.setattr(Protocol, "head_seconds", 0.1)
            rest = asyncio.ensure_future(reader.read())
            writer.write(b"GET /")
            async with asyncio.timeout(60):
                while not rest.done():
                    writer.write(b"a")
                    await asyncio.wait([rest], timeout=0.05)
            if not isinstance(rest.exception(), ConnectionResetError):  # which is what becomes of writing on
                assert rest.result().startswith(b"HTTP/1.1 408 ")


async def test_a_slow_answer_is_not_held_against_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "head_seconds", 0.1)
    monkeypatch.setattr(Protocol, "body_seconds", 0.1)

    @get("/slow")
    async def slow() -> Response[bytes]:
        await asyncio.sleep(0.2)
        return json_response(b'"done"')

    async with running(app(routes=[Routes("slow", [slow])])) as server:
        answer, tries = b"", 0
        while not answer.endswith(b'"done"') and tries < 10:  # a moment in which all stops makes the question too slow
            answer, tries = await server.send(request("/api/slow/slow")), tries + 1
        assert answer.endswith(b'"done"')


async def test_what_is_not_http_is_refused() -> None:
    async with running() as server:
        assert (await server.send(b"hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_stopping_turns_new_clients_away_first_and_finishes_what_is_under_way() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @get("/slow")
    async def slow() -> Response[bytes]:
        entered.set()
        await leave.wait()
        return json_response(b'"done"')

    surface = app(routes=[Routes("slow", [slow]), catalog(), plain()])
    at_once = asyncio.Event()
    async with running(surface, delay=timedelta(hours=1), at_once=at_once) as server:
        under_way = asyncio.create_task(server.send(request("/api/slow/slow")))
        await entered.wait()
        server.stop.set()
        while server.state.not_ready() is None:
            await asyncio.sleep(0)
        assert b'"done"' not in await server.send(request("/api/plain/fixed"))  # still answered, for the delay
        leave.set()
        assert (await under_way).endswith(b'"done"')
        assert not server.task.done()
        at_once.set()
        await asyncio.wait_for(asyncio.shield(server.task), 60)
        assert not server.state.serves


def test_every_interface_means_both_families() -> None:
    with bind("", 0) as listening:
        assert listening.getsockname()[1] > 0


async def test_a_client_of_http_1_0_gets_an_answer_that_it_understands() -> None:
    ask = b"GET /api/plain/stream/lines HTTP/1.0\r\n" + AUTH + b"\r\n"
    async with running() as server:
        head, _, body = (await server.send(ask)).partition(b"\r\n\r\n")
    assert body == b"one\ntwo\nthree\n"
    assert b"chunked" not in head.lower()
    assert b"\r\nconnection: close" in head.lower()


async def test_an_answer_without_an_end_is_not_taken_for_a_whole_one() -> None:
    """What breaks off has no last chunk, or fewer bytes than its head said."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("gone")

    @get("/pieces")
    async def pieces() -> Stream:
        return Stream(broken())

    @get("/short")
    async def short() -> Stream:
        return Stream(chunked(b"one"), headers={"content-length": "5"})

    async with running(app(routes=[Routes("broken", [pieces, short])])) as server:
        unended = await server.send(request("/api/broken/pieces"))
        shortened = await server.send(request("/api/broken/short"))
    assert unended.endswith(b"\r\n3\r\none\r\n")
    assert b"\r\ncontent-length: 5\r\n" in shortened
    assert shortened.endswith(b"\r\none")  # and then the connection ended


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b=c", "a\nb", "a\rb", "a\0b"])
async def test_no_header_can_smuggle_another_one_in(value: str) -> None:
    @get("/smuggle")
    async def smuggle(request: Ask) -> Response[bytes]:
        return json_response(b"1", headers={"x-told": value})

    async with running(app(routes=[Routes("plain", [smuggle])])) as server:
        reply = await server.send(request("/api/plain/smuggle"))
    assert reply.startswith(b"HTTP/1.1 500 ")
    assert b"x-told" not in reply


async def test_an_idle_connection_is_closed_and_one_in_use_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.web.server.KEEP_ALIVE", 0.2)
    one = request("/api/plain/fixed").replace(b"connection: close\r\n", b"")

    async def outlives(port: int) -> bool:
        """Whether four questions are answered, half as far from each other as a connection may be idle."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for _ in range(4):
                writer.write(one)
                await reader.readuntil(b'{"a":1}')
                await asyncio.sleep(0.1)
            return await asyncio.wait_for(reader.read(), 60) == b""
        return False

    async with running() as server:
        lived, tries = False, 0
        while not lived and tries < 10:  # a moment in which all stops makes a connection idle for too long
            lived, tries = await outlives(server.port), tries + 1
        assert lived


async def test_a_client_that_does_not_read_its_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "read_seconds", 0.05)
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1_000_000
                await asyncio.sleep(0)
        finally:
            ended.set()

    @get("/endless")
    async def everything() -> Stream:
        return Stream(endless())

    async with running(app(routes=[Routes("plain", [everything])])) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        with contextlib.closing(writer):
            writer.write(request("/api/plain/endless"))
            async with asyncio.timeout(60):
                await ended.wait()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1 << 40)


async def test_a_crowd_that_does_not_read_takes_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers that wait for readers are bounded together: who has been behind for longest goes, others are served."""
    limit = 20_000_000
    crowds: list[Crowd] = []

    def small(most: int) -> Crowd:
        crowds.append(Crowd(most, limit))
        return crowds[-1]

    monkeypatch.setattr("greenroom.web.server.Crowd", small)
    begun = 0

    @get("/everything")
    async def everything(request: Ask) -> Response[bytes]:
        nonlocal begun
        begun += 1
        return json_response(b"x" * 8_000_000, etag=False)  # of which the kernel takes some

    async with (
        running(app(routes=[Routes("plain", [everything]), plain()])) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for number in range(1, 13):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            stack.callback(writer.close)
            writer.write(request("/api/plain/everything"))
            while begun < number:
                await asyncio.sleep(0.005)
        assert sum(one.unread for one in crowds[0].waiting) <= limit
        assert crowds[0].waiting
        assert (await server.send(request("/api/plain/fixed"))).endswith(b'{"a":1}')


async def test_a_connection_too_many_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.web.server.Crowd", lambda most: Crowd(2))
    async with running() as server, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
        assert (await server.send(b"")) == b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"
