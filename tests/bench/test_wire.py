"""A client that stops reading too early or too late would time something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.bench.wire import Ask, Connection, RefusedError

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = (CHUNKED + b"5\r\n[10,0", b'\r\nA\r\n,"a":0}]"0\r', b"\n3\r\n,0]\r", b"\n0\r", b"\n\r\n")
CONTENT = b'[10,0,"a":0}]"0,0]'


@asynccontextmanager
async def server(*answers: Sequence[bytes]) -> AsyncIterator[int]:
    """Answers requests of one connection, piece by piece."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pieces in answers:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as running:
        yield running.sockets[0].getsockname()[1]


@pytest.mark.parametrize("keep", [True, False])
async def test_an_answer_in_chunks_is_read_to_its_end_and_no_further(keep: bool) -> None:
    with_length = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    async with server(PIECES, [with_length, b"tr", b"ue"]) as port:
        connection = Connection(port)
        first, second = [await connection.ask(Ask("/"), keep=keep) for _ in range(2)]
        connection.close()
    assert first.size == len(b"".join(PIECES)) - len(CHUNKED)
    assert second.size == 4
    assert first.seconds > 0.015
    if keep:
        assert (first.content, second.json()) == (CONTENT, True)


async def test_an_error_is_no_answer_to_be_timed() -> None:
    async with server([b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno"]) as port:
        connection = Connection(port)
        with pytest.raises(RefusedError, match="500 b'no'"):
            await connection.ask(Ask("/"))
        connection.close()


async def test_a_server_that_goes_away_is_no_end_of_an_answer() -> None:
    async with server([CHUNKED, b"5\r\n[1,2,"]) as port:
        connection = Connection(port)
        with pytest.raises(EOFError):
            await connection.attempt(Ask("/"))
        connection.close()
