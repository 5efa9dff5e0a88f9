"""What is due -> what is served: the loops that drive processing, stitching and the providers.

Every step takes work from the database by a claim that nobody waits for, so that any number of processes can share it, and
what a crashed one held comes back by itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from hashlib import blake2b
from time import monotonic, perf_counter
from typing import Any, TypeAlias, TypeVar

import msgspec

from greenroom.errors import GreenroomError, InputError, to_wire
from greenroom_catalog.ingestion.meters import Meters
from greenroom_catalog.ingestion.processor import AT_ONCE, FOREIGN, READS, Processed, Processor, Unchanged
from greenroom_catalog.ingestion.providers import refresh_key, stored
from greenroom_catalog.ingestion.work import LARGE, Memory
from greenroom_catalog.stitching.stitcher import stitch
from greenroom_catalog.storage.results import Bad, Claimed, Good
from greenroom_catalog.storage.store import UNSTORABLE, Store, explain
from greenroom_catalog.storage.tickets import Final, Ticket

BATCH = 400
"""Entities a step takes: enough for set-based writes, which gain nothing beyond that."""
BREATH = 25
"""Entities after which a step lets others go on: some 2 ms. Requests are answered then, and so is the database, of which another
step asks ten questions one after another: with breaths of 100, Python had nothing to do for a tenth of a bulk load."""
LEASE = timedelta(seconds=90)
"""How long a claimed entity is kept from other workers, unless that is prolonged: so long is lost with a process that dies."""
POLL = 1.0
"""Seconds between looks at an idle queue, should a wake-up be missed."""
STRAGGLERS = 0.5
"""Seconds for which a batch waits for slow reads, before the rest of it is saved without them."""
MOST_LATE = {READS: 100, FOREIGN: 1000}
"""Entities of each lane under way, beyond which no more are begun. Those that wait for plugins fail by themselves in due time."""
PROLONG_AFTER = 30.0
"""Seconds after which the lease of what is late begins anew."""
FORGETFUL = 5
"""Failures in a row for which plugins' caches are kept (upstream: CACHE_TTL)."""
STITCH_PATIENCE = timedelta(seconds=10)
"""While entities are still being processed, a ticket waits this long for more of them: each may add to the same neighbour."""
LARGE_REST = 5.0
"""Times as long as it took to stitch a large entity, it then rests: a group of everybody has a new member all the time. But not
the first time after twice that rest: one commit may come in two steps, such as a member that goes and the group that named it."""
MOST_LARGE = 1000
"""Large entities of which it is known when they were stitched."""
NEVER = timedelta(days=36500)
MANY = 2000
"""Relations or children of one entity from which on it is hashed and stitched in a thread, so that requests are answered."""


T = TypeVar("T")
Outcome: TypeAlias = tuple[Claimed, Good | Bad | None]
"""What the processing of an entity came to; None: nothing about it has changed."""


class _UnderWay(msgspec.Struct):
    """An entity that waits for something; `since`: when its lease began (monotonic)."""

    claimed: Claimed
    since: float


class _Kept(msgspec.Struct, omit_defaults=True):
    """A `Memory` as it is stored, and what it is worth: its etags, as long as document and config are the same; its caches,
    for so many failures."""

    under: str = ""
    etags: dict[str, str] = {}
    caches: dict[str, dict[str, Any]] = {}
    ttl: int = FORGETFUL


class Engine:
    """Processes and stitches. `interval` is `catalog.processingInterval`: None for 100 to 150 s, False for never again."""

    def __init__(
        self,
        store: Store,
        processor: Processor,
        log: logging.Logger,
        meters: Meters,
        *,
        interval: timedelta | bool | None,
        rules: str,
    ) -> None:
        """`rules` is a fingerprint of all config that processing depends on."""
        self._store = store
        self._processor = processor
        self._log = log
        self._meters = meters
        self._interval = interval
        self._rules = rules
        self._computing = asyncio.Lock()  # one batch at a time, so that the database is at work on another meanwhile
        self._stitching = BATCH
        self._late: dict[asyncio.Task[Outcome], _UnderWay] = {}
        self._resting: dict[int, float] = {}  # large entities, by id, and until when
        self._large: OrderedDict[int, float] = OrderedDict()  # when the latest of them were stitched
        self._knows_lanes = False
        self._busy = False

    async def process_due(self) -> float:
        """One step of processing: claim, process, save. Returns the seconds to rest."""
        began = perf_counter()
        await self._set_lanes()
        claimed = await self._store.results.claim(BATCH, LEASE, self._free_lanes())
        if not any(item.urgent for item in claimed):
            self._busy = len(claimed) == BATCH
        if not claimed and not self._late:
            return POLL
        results: list[Outcome] = []
        async with self._computing:
            async for item in _breathing(claimed):
                if self._lane(item) == AT_ONCE:
                    results.append(await self._result(item, at_once=True))
                else:
                    self._late[asyncio.create_task(self._result(item))] = _UnderWay(item, monotonic())
        results += await self._finished()
        await self._save(results)
        self._measure(results, perf_counter() - began)
        return 0 if claimed else STRAGGLERS

    async def _set_lanes(self) -> None:
        """What was emitted before plugins came may have to pass through their code now."""
        if not self._knows_lanes:
            self._knows_lanes = True
            kinds = self._processor.foreign_kinds
            await self._store.results.set_lane(FOREIGN, None if kinds is None else sorted(kinds))

    def _lane(self, claimed: Claimed) -> int:
        return self._processor.lane(claimed.ref, claimed.document)

    def _free_lanes(self) -> list[int]:
        late = Counter(self._lane(one.claimed) for one in self._late.values())
        return [AT_ONCE, *(lane for lane, most in MOST_LATE.items() if late[lane] < most)]

    async def _finished(self) -> list[Outcome]:
        """What waited and is done soon. The rest is late, and stays ours."""
        tasks, self._late = self._late, {}
        if not tasks:
            return []
        try:
            done, pending = await asyncio.wait(tasks, timeout=STRAGGLERS)
            await self._prolong([tasks[task] for task in pending])
        except BaseException:  # nothing of it is lost when the database is away, or when this step is to end
            self._late.update(tasks)
            raise
        self._late.update({task: tasks[task] for task in pending})
        return [_of(task.result(), tasks[task].claimed) for task in done]

    async def _prolong(self, late: Sequence[_UnderWay]) -> None:
        """Begin leases anew that are no longer fresh, but for those that somebody else has by now."""
        now = monotonic()
        if not (stale := [one for one in late if now - one.since > PROLONG_AFTER]):
            return
        longer = await self._store.results.prolong([one.claimed for one in stale], LEASE)
        for one in stale:
            one.claimed, one.since = longer.get(one.claimed.id, one.claimed), now

    async def close(self) -> None:
        """Give up what is under way, and leave it to whoever comes next, at once."""
        late, self._late = self._late, {}
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=STRAGGLERS)
            await self._store.results.prolong([one.claimed for one in late.values()], timedelta(0))

    def _measure(self, results: Sequence[Outcome], seconds: float) -> None:
        for claimed, result in results:
            name = "unchanged" if result is None else "changed" if isinstance(result, Good) else "errors"
            self._meters.processed.inc(result=name)
            self._meters.processing.observe(seconds, result=name)
            self._meters.delay.observe(claimed.waited)

    async def _save(self, results: Sequence[Outcome]) -> None:
        """Store a batch. One entity that cannot be stored must not cost the others: then each is stored by itself."""
        try:
            conflicts = await self._store.results.save(
                [result for _, result in results if isinstance(result, Good)],
                [result for _, result in results if isinstance(result, Bad)],
                [(claimed, self._rest()) for claimed, _ in results],
            )
        except UNSTORABLE as error:
            if len(results) > 1:
                for result in results:
                    await self._save([result])
                return
            claimed = results[0][0]
            reason = InputError(f"Entity {claimed.ref} cannot be stored: {explain(error)}")
            await self._save([(claimed, self._to_store(claimed, Processed({}, errors=[reason])))])
            return
        for conflict in conflicts:
            self._log.warning(
                "Detected conflicting entityRef %s already referenced by %s and now also %s",
                conflict.ref, conflict.held_by, conflict.wanted_by,
            )  # fmt: skip

    async def _result(self, claimed: Claimed, *, at_once: bool = False) -> Outcome:
        """Process one entity; None when nothing about it has changed."""
        began = perf_counter()
        kept = _kept(claimed)
        try:
            memory = None if kept is None else self._memory(claimed, kept)
            processed = await self._processor.process(msgspec.json.decode(claimed.document), memory, at_once=at_once)
        except Exception as error:  # noqa: BLE001 - a fault of ours is logged and shown on the entity; the others go on
            self._log.exception("Processing of %s failed", claimed.ref)
            processed = Processed({}, errors=[GreenroomError(f"Processing failed unexpectedly: {error}")])
        failed = isinstance(processed, Processed) and bool(processed.errors)
        self._meters.processors.observe(perf_counter() - began, result="failed" if failed else "ok")
        if isinstance(processed, Processed) and len(processed.children) > MANY:
            return claimed, await asyncio.to_thread(self._to_store, claimed, processed, kept)
        return claimed, self._to_store(claimed, processed, kept)

    def _under(self, claimed: Claimed) -> str:
        """Of all that decides how an unchanged source is processed."""
        return f"{self._rules} {self._processor.fingerprint} {claimed.hash.hex()}"

    def _memory(self, claimed: Claimed, kept: _Kept) -> Memory:
        holds = claimed.result_hash is not None and kept.under == self._under(claimed)
        return Memory(kept.etags if holds else {}, kept.caches)

    def _to_keep(self, claimed: Claimed, memory: Memory) -> bytes | None:
        if not memory.etags and not memory.caches:
            return None
        etags, caches = dict(memory.etags), {name: dict(cache) for name, cache in memory.caches.items()}
        return msgspec.json.encode(_Kept(self._under(claimed), etags, caches))

    def _to_store(
        self, claimed: Claimed, processed: Processed | Unchanged, kept: _Kept | None = None
    ) -> Good | Bad | None:
        if isinstance(processed, Unchanged):
            return None
        if processed.errors:
            errors = msgspec.json.encode([to_wire(error) for error in processed.errors])
            memory = _aged(kept)
            result_hash = _digest([errors, memory or b""])
            return None if result_hash == claimed.result_hash else Bad(claimed, errors, result_hash, memory)
        document = msgspec.json.encode(processed.entity)
        children = [stored(child.entity, child.location_key) for child in processed.children]
        relations = processed.relations
        keys = [refresh_key(key) for key in processed.refresh_keys]
        memory = self._to_keep(claimed, processed.memory)
        facts = msgspec.json.encode([relations, keys, [[child.ref, child.location_key] for child in children]])
        result_hash = _digest([document, facts, memory or b"", *(child.hash for child in children)])
        if result_hash == claimed.result_hash:
            return None
        return Good(claimed, document, result_hash, memory, children, relations, keys)

    def _rest(self) -> timedelta:
        """Spread out, so that what was ingested at once does not come due at once for ever."""
        if self._interval is False:
            return NEVER
        seconds = self._interval.total_seconds() if isinstance(self._interval, timedelta) else 100.0
        return timedelta(seconds=random.uniform(seconds, 1.5 * seconds))  # noqa: S311 - no secret

    async def stitch_due(self) -> float:
        """One step of stitching: take tickets, put together what is served, save. Returns the seconds to rest.

        After a batch that could not be stored, tickets are taken one by one until the odd one out is found."""
        try:
            taken = await self._stitch_some(self._stitching)
        except UNSTORABLE as error:
            if self._stitching == 1:
                await self._give_up_one(error)
            self._stitching = 1
            return 0
        full = taken == self._stitching
        self._stitching = min(2 * self._stitching, BATCH)
        return 0 if full else POLL

    async def _stitch_some(self, limit: int) -> int:
        began = perf_counter()
        age = STITCH_PATIENCE if self._busy else timedelta(0)
        async with self._store.transaction() as conn:
            taken, tickets = await self._store.tickets.claim(conn, limit, age, self._still_resting())
            failures: dict[int, str] = {}
            async with self._computing:
                stitched = [await self._stitched(ticket, failures) async for ticket in _breathing(tickets)]
            finals = [final for final in stitched if final is not None]
            await self._store.tickets.save(conn, finals)
            await self._store.tickets.drop(conn, taken, failures)
        if tickets:
            self._meters.stitching.observe(perf_counter() - began)
            self._meters.stitched.inc(len(finals), result="changed")
            self._meters.stitched.inc(len(tickets) - len(finals), result="unchanged")
            self._meters.stitch_delay.observe(max(ticket.waited for ticket in tickets))
        return len(taken)

    async def _give_up_one(self, error: Exception) -> None:
        async with self._store.transaction() as conn:
            taken, tickets = await self._store.tickets.claim(conn, 1, timedelta(0))
            await self._store.tickets.drop(conn, taken, {ticket.id: explain(error) for ticket in tickets})
        for ticket in tickets:
            self._log.error("%s cannot be served: %s", ticket.ref, explain(error))

    async def _stitched(self, ticket: Ticket, failures: dict[int, str]) -> Final | None:
        """A large entity in a thread: one of 700,000 keys takes seconds, in which nobody would be answered."""
        if len(ticket.processed or b"") < LARGE and len(ticket.relations) < MANY:
            return self._stitch(ticket, failures)
        began = monotonic()
        final = await asyncio.to_thread(self._stitch, ticket, failures)
        now = monotonic()
        rest, before = LARGE_REST * (now - began), self._large.pop(ticket.id, None)
        if before is not None and began - before < 2 * rest:
            self._resting[ticket.id] = now + rest
        self._large[ticket.id] = now
        if len(self._large) > MOST_LARGE:
            self._large.popitem(last=False)
        return final

    def _still_resting(self) -> list[int]:
        now = monotonic()
        self._resting = {id_: until for id_, until in self._resting.items() if until > now}
        return list(self._resting)

    def _stitch(self, ticket: Ticket, failures: dict[int, str]) -> Final | None:
        try:
            return stitch(ticket)
        except InputError as error:
            reason = error.message
        except RecursionError:  # else it would be tried for ever, and the batch with it
            reason = "Entity is nested too deeply to be served"
        self._log.warning("Failed to stitch %s, %s", ticket.ref, reason)
        failures[ticket.id] = reason
        return None


async def _breathing(items: Sequence[T]) -> AsyncIterator[T]:
    """The items, with a pause for others after every few."""
    for number, item in enumerate(items, 1):
        yield item
        if number % BREATH == 0:
            await asyncio.sleep(0)


def _of(outcome: Outcome, claimed: Claimed) -> Outcome:
    """The outcome, under the lease that the entity has by now."""
    _, result = outcome
    return claimed, None if result is None else msgspec.structs.replace(result, claimed=claimed)


def _kept(claimed: Claimed) -> _Kept | None:
    return None if claimed.memory is None else msgspec.json.decode(claimed.memory, type=_Kept)


def _aged(kept: _Kept | None) -> bytes | None:
    """What is still remembered after a failure."""
    if kept is None or not kept.caches or kept.ttl <= 1:
        return None
    return msgspec.json.encode(_Kept(caches=kept.caches, ttl=kept.ttl - 1))


def _digest(parts: Sequence[bytes]) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    return digest.digest()
