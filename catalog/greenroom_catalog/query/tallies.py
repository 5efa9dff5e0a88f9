"""a count or facets -> the same, remembered with the snapshot it was true in, and brought up to date by what changed since."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec

from greenroom.errors import ServiceUnavailableError
from greenroom_catalog.query.differences import MOST, Counting
from greenroom_catalog.query.memory import Memory
from greenroom_catalog.query.statements import Look

V = TypeVar("V")
A = TypeVar("A", bound="Answer[Any]")

ROOM = 16 * 1024 * 1024
"""Bytes of a process for what it remembers of counts and facets."""

PATIENCE = 30.0
"""Seconds for a question that somebody waits for. (Upstream has no bound, and its own clients give up sooner.)"""

Key = tuple[str, tuple[Any, ...]]


class Tally(msgspec.Struct, Generic[V], frozen=True):
    """What was counted, exact in the snapshot `seen`, of the log of changes that `generation` names."""

    value: V
    seen: str
    generation: str


class Ask(msgspec.Struct, Generic[V], frozen=True):
    """What is to be found out: without a tally, all of it; with one, whether it still holds, or what has changed."""

    tally: Tally[V] | None = None
    difference: bool = False
    logged: bool = True
    """The log of changes may be looked at."""

    @property
    def look(self) -> Look:
        """The same, as statements know it."""
        if self.tally is None:
            return "now" if self.logged else "unlogged"
        return "since" if self.difference else "holds"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a statement of that look takes at its end."""
        return () if self.tally is None else (self.tally.seen, self.tally.generation)


ANEW: Ask[Any] = Ask()
UNLOGGED: Ask[Any] = Ask(logged=False)


class Answer(msgspec.Struct, Generic[V]):
    """What the database said, all of it in the snapshot `seen`; "": in one that it did not tell. `value` is None where a
    tally no longer holds."""

    changes: int
    """Since the tally's snapshot; -1: nobody knows."""
    seen: str
    generation: str | None
    value: V | None


class Tallies(Generic[V]):
    """Remembers tallies. A process has its own; what it answers is what counting anew in the same snapshot would have."""

    def __init__(self, size: Callable[[V], int], room: int = ROOM, patience: float = PATIENCE) -> None:
        """`size`: the bytes of a value, about. `patience`: seconds to wait for another request that counts the same."""
        self._size = size
        self._patience = patience
        self.memory: Memory[Tally[V]] = Memory(room)
        self._counting: dict[Hashable, asyncio.Lock] = {}

    async def current(self, counting: Counting, read: Callable[[Ask[V]], Awaitable[A]]) -> A:
        """The answer of `read`, its `value` filled: first it is asked whether the tally holds, then for the difference,
        and at last to count anew, which is done for one request at a time: those that wait then have a tally."""
        if not counting.lasting:
            return await read(UNLOGGED)
        try:
            return await self._current((counting.sql, counting.arguments), read)
        except asyncpg.FeatureNotSupportedError:  # a standby, which may be promoted soon, has no unlogged tables
            return await read(UNLOGGED)

    async def _current(self, key: Key, read: Callable[[Ask[V]], Awaitable[A]]) -> A:
        tried: Tally[V] | None = None
        while True:
            known = self.memory.get(key)
            if known is not None and known is not tried:
                tried = known
                answer = await self._since(key, known, read)
                if answer is not None:
                    return answer
            async with self._alone(key):
                held = self.memory.get(key)
                if held is None or held is tried:
                    answer = await read(ANEW)
                    self._keep(key, answer)
                    return answer

    async def _since(self, key: Key, known: Tally[V], read: Callable[[Ask[V]], Awaitable[A]]) -> A | None:
        for difference in (False, True):
            answer = await read(Ask(known, difference))
            if not 0 <= answer.changes <= MOST:
                return None
            if answer.value is not None:
                answer.generation = known.generation
                if answer.seen != known.seen:
                    self._keep(key, answer)
                return answer
        return None

    def _keep(self, key: Key, answer: Answer[V]) -> None:
        if answer.value is None or answer.generation is None or not answer.seen:
            return
        tally = Tally(answer.value, answer.seen, answer.generation)
        self.memory.put(key, tally, self._size(answer.value) + _length(key) + len(answer.seen) + 500)

    @asynccontextmanager
    async def _alone(self, key: Hashable) -> AsyncIterator[None]:
        """Raises ServiceUnavailableError: of many that wait for what takes too long, each would try it, one after the other."""
        lock = self._counting.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError as error:
            raise ServiceUnavailableError(f"To count took longer than {self._patience:g} s") from error
        try:
            yield
        finally:
            lock.release()
            if not lock.locked() and self._counting.get(key) is lock:
                del self._counting[key]


def _length(part: object) -> int:
    if isinstance(part, tuple):
        return sum(map(_length, part))
    return len(part) if isinstance(part, str) else 8
