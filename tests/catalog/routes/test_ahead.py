from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from greenroom_catalog.routes.lists import Ahead


class Shelf:
    """Three chunks, and how many were read."""

    def __init__(self) -> None:
        self.read = 0

    async def chunks(self) -> AsyncGenerator[list[bytes], None]:
        for number in range(3):
            self.read += 1
            yield [b"%d" % number]


async def test_the_next_chunk_is_read_while_one_is_being_sent() -> None:
    shelf = Shelf()
    reading = Ahead()(shelf.chunks())
    assert await anext(reading) == b"0"
    await asyncio.sleep(0)
    assert shelf.read == 2
    assert [chunk async for chunk in reading] == [b"1", b"2"]


async def test_what_is_read_ahead_is_bounded_over_all_readers() -> None:
    ahead, shelves = Ahead(2), [Shelf() for _ in range(5)]
    readings = [ahead(shelf.chunks()) for shelf in shelves]
    for reading in readings:
        await anext(reading)
    await asyncio.sleep(0)
    assert sorted(shelf.read for shelf in shelves) == [1, 1, 1, 2, 2]
    for reading in readings:
        assert [chunk async for chunk in reading] == [b"1", b"2"]
    again = ahead((shelf := Shelf()).chunks())
    await anext(again)
    await asyncio.sleep(0)
    assert shelf.read == 2  # those who are done have made room


async def test_who_leaves_makes_room() -> None:
    ahead = Ahead(1)
    leaving = ahead(Shelf().chunks())
    await anext(leaving)
    await leaving.aclose()
    shelf = Shelf()
    await anext(ahead(shelf.chunks()))
    await asyncio.sleep(0)
    assert shelf.read == 2


async def test_what_goes_wrong_ahead_is_told_to_who_reads() -> None:
    async def failing() -> AsyncGenerator[list[bytes], None]:
        yield [b"0"]
        raise ValueError("lost")

    reading = Ahead()(failing())
    assert await anext(reading) == b"0"
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="lost"):
        await anext(reading)


async def test_streams_take_turns_and_who_waits_has_nothing_in_hand() -> None:
    ahead, gate = Ahead(0, 2), asyncio.Event()
    reading = most = 0

    async def chunks() -> AsyncGenerator[list[bytes], None]:
        nonlocal reading, most
        for _ in range(2):
            reading += 1
            most = max(most, reading)
            await gate.wait()
            reading -= 1
            yield [b"0"]

    async def read() -> list[bytes]:
        return [chunk async for chunk in ahead(chunks())]

    readers = [asyncio.create_task(read()) for _ in range(6)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*readers) == [[b"0", b"0"]] * 6
    assert most == 2


async def test_chunks_are_cut_as_they_are_read() -> None:
    assert [chunk async for chunk in Ahead()(Shelf().chunks(), lambda chunk: chunk[0] * 2)] == [b"00", b"11", b"22"]


async def test_what_is_read_is_closed_with_its_reader() -> None:
    closed = False

    async def chunks() -> AsyncGenerator[list[bytes], None]:
        nonlocal closed
        try:
            while True:
                yield [b"0"]
        finally:
            closed = True

    reading = Ahead(0)(chunks())
    await anext(reading)
    await reading.aclose()
    assert closed
