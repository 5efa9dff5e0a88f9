"""What is due of the providers -> their runs: each in one process at a time, recorded with what it does while it does it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from greenroom.errors import GreenroomError, ServiceUnavailableError
from greenroom.plugin import EntityProvider
from greenroom_catalog.ingestion.bounds import MOST_ENTITIES, Bounds, RemovalRefusedError
from greenroom_catalog.ingestion.guard import Watched
from greenroom_catalog.ingestion.providers import CONFIG_LOCATIONS, Source
from greenroom_catalog.ingestion.registry import REGISTERED_LOCATIONS
from greenroom_catalog.settings import ProviderOptions, RemovalGuard
from greenroom_catalog.storage.runs import LONGEST_TEXT, MOST_FAILURES, Failure, ProviderRuns, RunClaim, Tally
from greenroom_catalog.storage.store import Store
from greenroom_catalog.storage.workers import this_process

LEASE = timedelta(seconds=60)
"""How long a provider whose process died is kept from the others, and shown as running."""
TRY_AGAIN = timedelta(minutes=1)
"""A provider that failed is run again after this, also one that otherwise runs only at a start."""
SLOTS = 16
"""Providers that a process runs at the same time: most wait for the outside, and one may hang."""
LONGEST_RUN = timedelta(hours=6)
"""After which a run is ended: a provider that hangs is a slot that nobody else has."""
BLOCKED = 30.0
"""Seconds after which a run that does not let go of the event loop is ended."""
GRACE = 5.0
"""Seconds that a run has, at a stop of the process, to end by itself."""
BELIEVED = frozenset({CONFIG_LOCATIONS, REGISTERED_LOCATIONS})
"""Providers of what an operator wrote, or users registered: what goes from there was taken away by hand."""
STOPPED = "The process that ran it was stopped"
TELL = 1.0
"""Seconds between two records of how far a run has come."""


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
        disabled: Collection[str] = (),
        guard: RemovalGuard | None = None,
        options: Mapping[str, ProviderOptions] | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        """`providers` is called at the first step, when all plugins are built; `evict` is
        `catalog.orphanProviderStrategy: delete`; `disabled` names those that `catalog.providerOptions` disables, `options` are all
        of these; `guard` refuses removals; `hide` takes secrets out of a text."""
        self._runs = runs
        self._store = store
        self._all = providers
        self._providers: dict[str, EntityProvider] = {}
        self._log = log
        self._evict = evict
        self._disabled = frozenset(disabled)
        self._guard = guard
        self._options = options or {}
        self._hide = hide
        self._process = this_process()
        self._started = False
        self._starting = asyncio.Lock()

    async def run_due(self) -> float:
        """One step: run one due provider, or rest until one will be."""
        async with self._starting:
            if not self._started:
                await self._start()
        claim = await self._runs.claim(list(self._providers), LEASE, self._process)
        if claim is None:
            return await self._runs.seconds_until_next(list(self._providers))
        await self._run(self._providers[claim.name], claim)
        return 0

    async def _start(self) -> None:
        installed = {provider.name: provider for provider in self._all()}
        self._providers = {name: one for name, one in installed.items() if name not in self._disabled}
        for name in self._disabled - installed.keys():
            self._log.warning("catalog.providerOptions.%s: there is no such provider", name)
        longest = {name: self._longest(provider) for name, provider in self._providers.items()}
        await self._runs.register({name: provider.every for name, provider in self._providers.items()}, longest)
        await self._runs.restart([name for name, provider in self._providers.items() if provider.every is None])
        if self._evict:
            await self._evict_others()
        self._started = True

    async def _evict_others(self) -> None:
        for name in await self._store.source_keys():
            if name not in self._providers:
                self._log.warning("Removing the entities of %s, a provider that is no longer there", name)
                await Source(name, self._store, self._log).full([])

    async def _run(self, provider: EntityProvider, claim: RunClaim) -> None:
        bounds = self._bounds(provider.name, claim)
        source = Source(provider.name, self._store, self._log, by_hand=claim.by_hand, bounds=bounds)
        error: str | None = None
        running = asyncio.ensure_future(self._in_time(provider, source))
        deaf = asyncio.Event()
        async with self._keeping(claim, source.tally, running, deaf):
            try:
                await self._end_of(running, deaf, self._longest(provider))
                running.result()
            except asyncio.CancelledError:
                if (current := asyncio.current_task()) is None or current.cancelling():
                    running.cancel()
                    await asyncio.wait([running], timeout=GRACE)
                    await self._runs.finish(claim, self._tellable(source.tally), STOPPED, timedelta(0))
                    raise
                error = "Task was cancelled"
            except RemovalRefusedError as refusal:
                self._log.error("Provider %s: %s", provider.name, refusal.message)
            except Exception as raised:  # noqa: BLE001 - a plugin's fault is its own: it is recorded, and tried again when due
                self._log.exception("Provider %s failed", provider.name)
                error = raised.message if isinstance(raised, GreenroomError) else f"{type(raised).__name__}: {raised}"
        if error is None and source.refused is not None:  # also one of which the provider keeps silent
            error = source.refused.message
        rest = self._rest(provider, error, source.refused)
        tally = self._tellable(source.tally)
        refused = source.refused.entities if source.refused else None
        await self._finish(claim, tally, self._told(error) if error is not None else None, rest, refused)
        if tally.added or tally.changed or tally.removed or tally.failed:
            self._log.info(
                "Provider %s: %d found, %d added, %d changed, %d removed, %d failed",
                provider.name, tally.found, tally.added, tally.changed, tally.removed, tally.failed,
            )  # fmt: skip

    def _bounds(self, name: str, claim: RunClaim) -> Bounds:
        """What an operator has said, in the config or by registering, is believed as it is."""
        options, guard = self._options.get(name), self._guard if name not in BELIEVED else None
        most = (options.max_entities if options else None) or MOST_ENTITIES
        return Bounds(guard.share, guard.at_least, claim.confirmed, most) if guard else Bounds(most=most)

    def _rest(
        self, provider: EntityProvider, error: str | None, refused: RemovalRefusedError | None
    ) -> timedelta | None:
        """What failed is tried again soon; what was refused waits for its turn, or for somebody who confirms it."""
        if error is None or (refused is not None and provider.every is not None):
            return provider.every
        return min(provider.every or TRY_AGAIN, TRY_AGAIN)

    def _longest(self, provider: EntityProvider) -> timedelta:
        options, own = self._options.get(provider.name), getattr(provider, "timeout", None)
        return (options.timeout if options else None) or own or LONGEST_RUN

    async def _finish(
        self, claim: RunClaim, tally: Tally, error: str | None, rest: timedelta | None, refused: int | None
    ) -> None:
        """Record how a run ended, which may have been because the database is away: for as long as the lease holds."""
        for _ in range(int(LEASE.total_seconds() / TELL)):
            try:
                return await self._runs.finish(claim, tally, error, rest, refused)
            except ServiceUnavailableError:
                await asyncio.sleep(TELL)
        return await self._runs.finish(claim, tally, error, rest, refused)

    async def _end_of(self, running: asyncio.Future[None], deaf: asyncio.Event, longest: timedelta) -> None:
        """Wait for the end of a run. Raises GreenroomError for one that goes on in spite of having been told to end: it is left
        to itself, and its slot goes to others."""
        given_up = asyncio.ensure_future(deaf.wait())
        seconds = longest.total_seconds() + GRACE
        either: list[asyncio.Future[Any]] = [running, given_up]
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        given_up.cancel()
        if not running.done():
            late = "" if deaf.is_set() else f"was not done within {longest}, and "
            raise GreenroomError(f"It {late}does not heed being cancelled")

    async def _in_time(self, provider: EntityProvider, source: Source) -> None:
        longest = self._longest(provider)
        limit = asyncio.timeout(longest.total_seconds())
        try:
            async with limit:
                blocked = partial(self._log.warning, "Provider %s blocked the server for %.2f s", provider.name)
                await Watched(lambda: provider.run(source), blocked, BLOCKED)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise GreenroomError(f"It was not done within {longest}, and was ended") from error

    @asynccontextmanager
    async def _keeping(
        self, claim: RunClaim, tally: Tally, running: asyncio.Future[None], deaf: asyncio.Event
    ) -> AsyncIterator[None]:
        keeping = asyncio.ensure_future(self._keep(claim, tally, running, deaf))
        try:
            yield
        finally:
            running.cancel()
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self, claim: RunClaim, tally: Tally, running: asyncio.Future[None], deaf: asyncio.Event) -> None:
        """Extend the lease in time, record progress when there is some, and stop the run when somebody wants that. One that
        does not heed it is `deaf`.

        A database that is away ends none of it."""
        told = msgspec.json.encode(tally)
        extended = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(TELL)
            try:
                if (now := asyncio.get_running_loop().time()) - extended > LEASE.total_seconds() / 3:
                    extended = now
                    if not await self._runs.extend(claim, LEASE):
                        self._log.warning("Another process has taken over %s: this run of it ends", claim.name)
                        running.cancel()
                if (current := msgspec.json.encode(tally)) != told:
                    await self._runs.report(claim.id, self._tellable(tally))
                    told = current
                if await self._runs.is_cancelled(claim.name):
                    running.cancel()
                    asyncio.get_running_loop().call_later(GRACE, deaf.set)
            except Exception:  # noqa: BLE001 - the run itself will meet the same trouble, and tell of it
                self._log.warning("The progress of %s could not be recorded", claim.name, exc_info=True)

    def _tellable(self, tally: Tally) -> Tally:
        """Without secrets, and no longer than is kept."""
        failures = [Failure(self._told(one.what), self._told(one.error)) for one in tally.failures[:MOST_FAILURES]]
        return msgspec.structs.replace(tally, failures=failures)

    def _told(self, text: str) -> str:
        return self._hide(text).replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST_TEXT]
