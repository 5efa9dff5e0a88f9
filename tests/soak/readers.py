"""Fifty requests a second, of the kinds that a frontend makes, for as long as it takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

import msgspec

from tests.bench.asks import API, FILTERS, WORDS, by_name, by_refs, facets, query
from tests.bench.wire import Ask, Connection

CONNECTIONS = 8
"""Kept alive, as a proxy in front would."""
TAGS = ("java", "python", "go", "kafka", "grpc")


class Read(NamedTuple):
    """One request. `seconds` are from when it was due until its answer had come: whoever waits in line is slow too."""

    kind: str
    seconds: float
    problem: str | None


class Readers:
    """Asks at a steady rate, whether or not the answers keep up."""

    def __init__(self, port: int, rate: float, refs: Callable[[], Sequence[str]], seed: int = 1) -> None:
        """`refs` are entities that are surely there."""
        self.reads: list[Read] = []
        self._port, self._rate, self._refs = port, rate, refs
        self._draw = random.Random(seed)
        self._due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    def taken(self) -> list[Read]:
        """What was read since the last time that this was asked."""
        taken, self.reads = self.reads, []
        return taken

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._clock())
            for _ in range(CONNECTIONS):
                group.create_task(self._read())

    async def _clock(self) -> None:
        began, number = perf_counter(), 0
        while True:
            number += 1
            due = began + number / self._rate
            await asyncio.sleep(max(0.0, due - perf_counter()))
            self._due.put_nowait((due, self._draw.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]))

    async def _read(self) -> None:
        door = Connection(self._port)
        try:
            while True:
                due, kind = await self._due.get()
                ask = KINDS[kind][1](self._draw, self._refs())
                problem = await _problem(door, ask)
                self.reads.append(Read(kind, perf_counter() - due, problem))
        finally:
            door.close()


async def _problem(door: Connection, ask: Ask) -> str | None:
    try:
        reply = await door.attempt(ask)
    except (OSError, EOFError) as error:
        door.close()
        return f"{ask.method} {ask.target}: {error!r}"
    if reply.status != 200:
        return f"{ask.method} {ask.target}: {reply.status} {reply.content[:200]!r}"
    if b"by-refs" in ask.target.encode() and (lost := reply.json()["items"].count(None)):
        return f"{lost} of {len(reply.json()['items'])} entities that nobody removed are not there"
    return None


def _page(draw: random.Random, refs: Sequence[str]) -> Ask:
    return query(f"filter={draw.choice(FILTERS)}&orderField=metadata.name,asc&limit=20")


def _search(draw: random.Random, refs: Sequence[str]) -> Ask:
    fields = "fullTextFilterFields=metadata.name,metadata.title"
    return query(f"filter=kind=component&fullTextFilterTerm={draw.choice(WORDS)}&{fields}&limit=20")


def _entity(draw: random.Random, refs: Sequence[str]) -> Ask:
    return by_name(draw.choice(refs))


def _facets(draw: random.Random, refs: Sequence[str]) -> Ask:
    of = draw.choice(("", "kind=component"))
    return facets(
        *draw.choice((("kind", "spec.type", "metadata.tags"), ("spec.lifecycle",), ("relations.ownedBy",))), of=of
    )


def _refs(draw: random.Random, refs: Sequence[str]) -> Ask:
    return by_refs(draw.sample(refs, min(100, len(refs))))


def _predicate(draw: random.Random, refs: Sequence[str]) -> Ask:
    either = [{"kind": "api"}, {"metadata.tags": draw.choice(TAGS)}]
    asked = {"query": {"$any": either}, "orderFields": [{"field": "metadata.name", "order": "asc"}], "limit": 20}
    return Ask(f"{API}/entities/by-query", "POST", msgspec.json.encode(asked))


KINDS: dict[str, tuple[int, Callable[[random.Random, Sequence[str]], Ask]]] = {
    "list with total": (30, _page),
    "text search": (5, _search),
    "by name": (35, _entity),
    "facets": (10, _facets),
    "by refs": (10, _refs),
    "predicate": (10, _predicate),
}
"""Of each how many in a hundred."""
