"""A plugin for the server under test: the ndjson provider, with a stopwatch at the door of the catalog.

Upstream's provider (`upstream.cjs`) parses its file, and times the mutation alone. To time the same, this one does so too
when it is told to; else the entities go through as ndjson reads them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec

from greenroom.plugin import Contribution, Deferred, EntitySource, Host, Mutation, plugin
from greenroom.urls import Urls
from greenroom_plugins.ndjson.provider import NdjsonConfig, NdjsonProvider

PROVIDER = "bench"
IN_MEMORY = "in-memory"
"""A file beside that of the entities: as long as it is there, they are all in memory before the stopwatch is started."""
TIMES = "mutation.json"
"""Written beside it."""


class TimedConfig(msgspec.Struct, frozen=True):
    """`catalog.providers.bench`."""

    path: str


class TimedProvider:
    """The provider of one file, read when it is triggered."""

    name = PROVIDER
    every = timedelta(days=1)
    """A start does not read it again: nor does upstream's."""

    def __init__(self, config: TimedConfig, urls: Urls) -> None:
        self._provider = NdjsonProvider("bench", NdjsonConfig(config.path), urls)
        self._folder = Path(config.path).parent

    async def run(self, source: EntitySource) -> None:
        """Read the file, and leave the seconds of the mutation beside it."""
        await self._provider.run(cast("EntitySource", _Timed(source, self._folder)))


class _Timed:
    """The hand in the catalog, but for the stopwatch."""

    def __init__(self, source: EntitySource, folder: Path) -> None:
        self._source = source
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        if (self._folder / IN_MEMORY).exists() and isinstance(entities, AsyncIterable):
            entities = [entity async for entity in entities]
        began = time.perf_counter()
        done = await self._source.full(entities)
        (self._folder / TIMES).write_bytes(msgspec.json.encode({"seconds": time.perf_counter() - began}))
        return done


@plugin("bench", TimedConfig, section="catalog.providers.bench")
def timed(config: TimedConfig, host: Host) -> Iterable[Contribution]:
    """Its one provider."""
    yield TimedProvider(config, host.get(Urls))
