"""a page that was asked for before -> what was made of it then, as long as nothing has changed since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

import asyncpg
import msgspec

from greenroom_catalog.query.differences import MOST
from greenroom_catalog.query.looks import Looks, Seen
from greenroom_catalog.query.memory import Memory

V = TypeVar("V")

ROOM = 16 * 1024 * 1024
"""Bytes of a process for what it remembers of pages."""

SHARE_OF_KEYS = 128
"""One part in so many is for the keys of what was asked for once, which is read as if nothing were remembered, and pushes
nothing out that is asked for often. So there are about as many keys as pages of 20: where more are asked for in turn, to keep them
gains nothing."""

Way = Literal["once", "again", "changed"]
"""How to read: as cheaply as can be; so that it may be kept; the same, a few things having changed since the last time."""


class Reading(msgspec.Struct, Generic[V], frozen=True):
    """What was made of a page, and where it was read; None if it cannot be told whether it still holds."""

    value: V
    size: int
    seen: Seen | None


class Pages(Generic[V]):
    """Remembers what was made of pages. What it answers is what reading anew would have, when it was asked or later."""

    def __init__(self, looks: Looks, room: int = ROOM) -> None:
        self._looks = looks
        self.memory: Memory[Reading[V]] = Memory(room)
        self._asked: Memory[bool] = Memory(room // SHARE_OF_KEYS)

    async def current(self, key: str | bytes, read: Callable[[Way], Awaitable[Reading[V]]]) -> V:
        """What `read` makes of the page, or has made of it. `key`: all that it depends on, but for what is served."""
        try:
            return await self._current(key, read)
        except asyncpg.FeatureNotSupportedError:  # a standby, which may be promoted soon, has no unlogged tables
            return (await read("once")).value

    async def _current(self, key: str | bytes, read: Callable[[Way], Awaitable[Reading[V]]]) -> V:
        known = self.memory.get(key)
        if known is None or known.seen is None:
            if self._asked.get(key) is None:
                self._asked.put(key, True, len(key) + 200)
                return (await read("once")).value
            return self._kept(key, await read("again"))
        look = await self._looks.since(known.seen)
        if look.changes:
            return self._kept(key, await read("changed" if 0 < look.changes <= MOST else "again"))
        if look.now != known.seen.snapshot and self.memory.get(key) is known:
            self._kept(key, Reading(known.value, known.size, Seen(look.now, known.seen.generation)))
        return known.value

    def _kept(self, key: str | bytes, reading: Reading[V]) -> V:
        if reading.seen is None:
            self.memory.drop(key)
        else:
            self.memory.put(key, reading, reading.size + len(key) + len(reading.seen.snapshot) + 1000)
        return reading.value
