"""What is due of the providers -> their runs: each in one process at a time, recorded with what it did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from greenroom.errors import GreenroomError
from greenroom.plugin import Deferred, EntityProvider, Mutation
from greenroom_catalog.ingestion.providers import Source
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import Store

LEASE = timedelta(seconds=90)
"""How long a provider whose process died is kept from the others."""
NEVER = timedelta(days=36500)
TRY_AGAIN = timedelta(minutes=1)
"""A provider that failed is run again after this, also one that otherwise runs only at a start."""


class ProviderRunner:
    """Runs the entity providers of this process when they are due, each in one process at a time."""

    def __init__(
        self,
        runs: ProviderRuns,
        store: Store,
        providers: Callable[[], Sequence[EntityProvider]],
        log: logging.Logger,
        *,
        evict: bool,
    ) -> None:
        """`providers` is called at the first step, when all plugins are built; `evict` is
        `catalog.orphanProviderStrategy: delete`."""
        self._runs = runs
        self._store = store
        self._all = providers
        self._providers: dict[str, EntityProvider] = {}
        self._log = log
        self._evict = evict
        self._started = False
        self._starting = asyncio.Lock()

    async def run_due(self) -> float:
        """One step: run one due provider, or rest until one will be."""
        async with self._starting:
            if not self._started:
                await self._start()
        claim = await self._runs.claim(list(self._providers), LEASE)
        if claim is None:
            return await self._runs.seconds_until_next(list(self._providers))
        await self._run(self._providers[claim.name], claim.started_at)
        return 0

    async def _start(self) -> None:
        self._providers = {provider.name: provider for provider in self._all()}
        await self._runs.register(list(self._providers))
        await self._runs.restart([name for name, provider in self._providers.items() if provider.every is None])
        if self._evict:
            for name in await self._store.source_keys():
                if name not in self._providers:
                    self._log.warning("Removing the entities of %s, a provider that is no longer there", name)
                    await Source(name, self._store, self._log).full([])
        self._started = True

    async def _run(self, provider: EntityProvider, started_at: datetime) -> None:
        source = _Counted(provider.name, self._store, self._log)
        error: str | None = None
        keeping = asyncio.ensure_future(self._keep(provider.name))
        try:
            await provider.run(source)
        except Exception as raised:  # noqa: BLE001 - a plugin's fault is its own: it is recorded, and tried again when due
            self._log.exception("Provider %s failed", provider.name)
            error = raised.message if isinstance(raised, GreenroomError) else f"{type(raised).__name__}: {raised}"
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        outcome = msgspec.json.encode(source.total)
        rest = provider.every or NEVER
        await self._runs.finish(provider.name, started_at, error, outcome, min(rest, TRY_AGAIN) if error else rest)
        if source.total.added or source.total.changed or source.total.removed:
            self._log.info("Provider %s: %s", provider.name, source.total)

    async def _keep(self, name: str) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            await self._runs.extend(name, LEASE)


class _Counted(Source):
    """A source that adds up what one run did."""

    def __init__(self, name: str, store: Store, log: logging.Logger) -> None:
        super().__init__(name, store, log)
        self.total = Mutation()

    async def full(self, entities: Iterable[Deferred] | AsyncIterable[Deferred]) -> Mutation:
        return self._add(await super().full(entities))

    async def delta(self, *, added: Sequence[Deferred] = (), removed: Sequence[str] = ()) -> Mutation:
        return self._add(await super().delta(added=added, removed=removed))

    def _add(self, done: Mutation) -> Mutation:
        total = self.total
        self.total = Mutation(
            total.added + done.added,
            total.changed + done.changed,
            total.removed + done.removed,
            total.unchanged + done.unchanged,
        )
        return done
