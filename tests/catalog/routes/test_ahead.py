from __future__ import annotations

import asyncio
from functools import partial

import pytest

from greenroom_catalog.query.streams import Readings
from greenroom_catalog.routes.ahead import Ahead


class Shelf:
    """Three chunks, and how many were read."""

    def __init__(self) -> None:
        self.read = 0

    async def chunks(self) -> Readings:
        for number in range(3):
            yield partial(self._chunk, number)

    async def _chunk(self, number: int) -> list[bytes]:
        self.read += 1
        return [b"%d" % number]


async def one() -> list[bytes]:
    return [b"0"]


async def test_the_next_chunks_are_read_while_one_is_being_sent() -> None:
    shelf = Shelf()
    reading = Ahead()(shelf.chunks())
    assert await anext(reading) == b"0"
    await asyncio.sleep(0)
    assert shelf.read == 3
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


async def test_two_chunks_of_one_stream_are_read_at_the_same_time_and_come_in_order() -> None:
    gates = [asyncio.Event() for _ in range(4)]

    async def chunk(number: int) -> list[bytes]:
        await gates[number].wait()
        return [b"%d" % number]

    async def chunks() -> Readings:
        for number in range(4):
            yield partial(chunk, number)

    reading = Ahead()(chunks())
    gates[0].set()
    assert await anext(reading) == b"0"
    following = asyncio.ensure_future(anext(reading))
    for number in (2, 1, 3):
        await asyncio.sleep(0)
        assert not following.done()
        gates[number].set()
    assert await following == b"1"
    assert [chunk async for chunk in reading] == [b"2", b"3"]


async def test_a_stream_reads_one_chunk_at_a_time_where_others_have_taken_half_of_the_room() -> None:
    ahead = Ahead(4)
    others = [ahead(Shelf().chunks()) for _ in range(2)]
    for other in others:
        await anext(other)
    await asyncio.sleep(0)
    last = ahead((shelf := Shelf()).chunks())
    await anext(last)
    await asyncio.sleep(0)
    assert shelf.read == 2
    for reading in (*others, last):
        await reading.aclose()


async def test_a_chunk_of_which_all_is_gone_is_left_out() -> None:
    async def gone() -> list[bytes]:
        return []

    async def chunks() -> Readings:
        for read in (gone, one, gone, gone, one, gone):
            yield read

    assert [chunk async for chunk in Ahead()(chunks())] == [b"0", b"0"]
    assert [chunk async for chunk in Ahead(0)(chunks())] == [b"0", b"0"]


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
    async def failing() -> Readings:
        yield one
        raise ValueError("lost")

    reading = Ahead()(failing())
    assert await anext(reading) == b"0"
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="lost"):
        await anext(reading)


async def test_streams_take_turns_and_who_waits_has_nothing_in_hand() -> None:
    ahead, gate = Ahead(0, 2), asyncio.Event()
    reading = most = 0

    async def chunk() -> list[bytes]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await gate.wait()
        reading -= 1
        return [b"0"]

    async def chunks() -> Readings:
        for _ in range(2):
            yield chunk

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

    async def chunks() -> Readings:
        nonlocal closed
        try:
            while True:
                yield one
        finally:
            closed = True

    reading = Ahead(0)(chunks())
    await anext(reading)
    await reading.aclose()
    assert closed
