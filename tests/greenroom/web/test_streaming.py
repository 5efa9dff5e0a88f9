from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from greenroom.web import streaming
from greenroom.web.reply import Reply
from greenroom.web.streaming import CROWD, Streams


class Client:
    """Reads nothing, or all, until it goes."""

    def __init__(self, *, reads: bool) -> None:
        self.reads, self.sent = reads, b""
        self.gone = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent += message.get("body", b"")
        if not self.reads and message.get("body"):
            await asyncio.Event().wait()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Pieces:
    """Some, and whether they were closed."""

    def __init__(self) -> None:
        self.closed = False
        self.made = 0

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(3):
                self.made += 1
                yield b"1"
        finally:
            self.closed = True


async def _sent(streams: Streams, client: Client, pieces: AsyncGenerator[bytes, None]) -> None:
    await streams.send(Reply(client.send, "GET", {}, []), 200, [], pieces, client.receive)


async def test_a_client_that_goes_ends_what_is_made_for_it_and_leaves_nothing_to_the_collector() -> None:
    client, pieces = Client(reads=False), Pieces()
    made = pieces()
    left = weakref.ref(made)
    sending = asyncio.create_task(_sent(Streams(), client, made))
    del made
    while not client.sent:
        await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    try:
        client.gone.set()
        await sending
        del sending
        assert left() is None
    finally:
        gc.enable()
    assert (pieces.closed, pieces.made) == (True, 1)


async def test_what_goes_wrong_with_a_piece_is_raised() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        yield b"1"
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        await _sent(Streams(), Client(reads=True), failing())


async def test_memory_is_given_back_once_after_a_crowd_and_never_after_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SETTLED_SECONDS", 0)
    given: list[None] = []
    streams = Streams(give_back=lambda: given.append(None))
    for crowd, times in ((1, 0), (CROWD + 1, 1), (1, 1)):
        await asyncio.gather(*(_sent(streams, Client(reads=True), Pieces()()) for _ in range(crowd)))
        await asyncio.sleep(0.01)
        assert len(given) == times


async def test_malloc_is_told_to_keep_what_pieces_take_by_the_first_of_them_and_not_before() -> None:
    kept: list[None] = []
    streams = Streams(keep=lambda: kept.append(None))
    assert not kept
    for _ in range(2):
        await _sent(streams, Client(reads=True), Pieces()())
        assert len(kept) == 1
