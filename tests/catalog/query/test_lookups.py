from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from greenroom.errors import ServiceUnavailableError
from greenroom_catalog.query.lookups import MOST, Lookups


class Shelf:
    """Documents, and how they were asked for."""

    def __init__(self, failing: bool = False) -> None:
        self.asked: list[list[str]] = []
        self.failing = failing
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, refs: Sequence[str]) -> dict[str, bytes]:
        self.asked.append(list(refs))
        await self.open.wait()
        if self.failing:
            raise ServiceUnavailableError("away")
        return {ref: ref.encode() for ref in refs if ref != "missing"}


async def test_what_many_ask_for_at_once_is_one_query_and_everybody_gets_their_own() -> None:
    shelf = Shelf()
    lookups = Lookups(shelf.read)
    found = await asyncio.gather(*map(lookups.find, ["a", "missing", "b", "a"]))
    assert found == [b"a", None, b"b", b"a"]
    assert shelf.asked == [["a", "missing", "b", "a"]]


async def test_nobody_waits_for_a_query_that_is_under_way() -> None:
    """Nor sees what it has seen: it may have begun before a change that the later one knows of."""
    shelf = Shelf()
    shelf.open.clear()
    lookups = Lookups(shelf.read)
    first = asyncio.create_task(lookups.find("a"))
    while not shelf.asked:
        await asyncio.sleep(0)
    second = asyncio.create_task(lookups.find("a"))
    while len(shelf.asked) < 2:
        await asyncio.sleep(0)
    shelf.open.set()
    assert [await first, await second] == [b"a", b"a"]


async def test_a_crowd_is_answered_in_several_queries() -> None:
    shelf = Shelf()
    lookups = Lookups(shelf.read)
    refs = [str(number) for number in range(MOST + 5)]
    assert await asyncio.gather(*map(lookups.find, refs)) == [ref.encode() for ref in refs]
    assert [len(batch) for batch in shelf.asked] == [MOST, 5]


async def test_a_database_that_is_away_is_told_to_everybody_who_asked() -> None:
    lookups = Lookups(Shelf(failing=True).read)
    found = await asyncio.gather(lookups.find("a"), lookups.find("b"), return_exceptions=True)
    assert [type(one) for one in found] == [ServiceUnavailableError] * 2


async def test_somebody_who_leaves_takes_nobody_elses_answer_along() -> None:
    shelf = Shelf()
    shelf.open.clear()
    lookups = Lookups(shelf.read)
    leaving, staying = asyncio.create_task(lookups.find("a")), asyncio.create_task(lookups.find("b"))
    while not shelf.asked:
        await asyncio.sleep(0)
    leaving.cancel()
    shelf.open.set()
    assert await staying == b"b"
    with pytest.raises(asyncio.CancelledError):
        await leaving
