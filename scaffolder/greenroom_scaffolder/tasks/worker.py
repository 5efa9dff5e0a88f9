"""Open tasks -> runs of them, as many at a time as there are slots; and what becomes of those whose worker is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from uuid import UUID

import msgspec

from greenroom.auth import NOBODY
from greenroom.errors import GreenroomError, error_name
from greenroom.events import Events, Waiter
from greenroom.presence import Presence
from greenroom_scaffolder.storage.gathering import PASSING
from greenroom_scaffolder.storage.rows import Claim, Held
from greenroom_scaffolder.storage.store import TO_CANCEL, TO_CLAIM, Store
from greenroom_scaffolder.storage.writer import Book, LostTaskError, UnstorableError, Writer
from greenroom_scaffolder.tasks.broker import open_trust
from greenroom_scaffolder.tasks.journal import Sealing, TaskJournal, read_progress
from greenroom_scaffolder.tasks.task import Journal, Outcome, Task, TaskState, with_token
from greenroom_scaffolder.workspace.threads import Threads, working_in

log = logging.getLogger("greenroom.scaffolder")

LOOK = 1.0
"""Seconds between two looks at who is at what; also the longest time until a step of the worker's loop ends."""
GONE = 4.0
"""Seconds for which a worker must be missed, and give no sign of life, until its tasks are anybody's."""
SURELY_GONE = 10.0
"""The same for one that was so before this process looked, by the database's word: where processes die young, none sees much."""
STALE = timedelta(seconds=30)
"""The same for one that is not missed, or of which nobody could tell that it lives (upstream: staleTimeout)."""
STUCK = 5.0
"""Seconds without a commit after which readiness tells of it."""
ENDING = 5.0
"""Seconds for a run to end once it is told to."""


Run = Callable[[Task, Journal, asyncio.Event], Awaitable[Outcome]]
"""Runs a task (`tasks.runner`). The event is set when somebody cancels the task. When the run itself is cancelled, the process
stops, or has lost the task: then nothing more is to be written down, since another worker goes on from where it was."""
Watch = Callable[[Task], Callable[[Outcome], None]]
"""Is told that a task is claimed; what it returns is told how that attempt ended, once it is written down."""


class _Running(msgspec.Struct):
    """A task that this process runs."""

    attempt: int
    cancel: asyncio.Event
    job: asyncio.Task[None]


class Worker:
    """Runs tasks in this process."""

    def __init__(
        self,
        store: Store,
        run: Run,
        *,
        events: Events,
        presence: Presence,
        sealing: Sealing,
        slots: int,
        grace: float,
        threads: Callable[[], Threads],
        watch: Watch | None = None,
    ) -> None:
        """At most `slots` tasks at a time. A process that stops waits `grace` seconds for those that run, and leaves the rest to
        be gone on with by others. `threads` are those of tasks: what one had come to is opened there."""
        self._store, self._run, self._presence, self._sealing = store, run, presence, sealing
        self._slots, self._grace, self._threads, self._watch = slots, grace, threads, watch or _unwatched
        self._writer = Writer(store.database, store.sql, lambda: presence.number)
        self._running: dict[UUID, _Running] = {}
        self._woken: Waiter = events.waiter(TO_CLAIM)
        self._unsubscribe = events.subscribe(TO_CANCEL, self._hear)
        self._doubt = False
        """Whether tasks may have been claimed of which this worker was not told."""

    @property
    def busy(self) -> int:
        """How many tasks this process runs."""
        return len(self._running)

    async def step(self) -> float:
        """One round of the loop: claim what is open, as far as there are slots; while tasks run, wait for the end of one too.

        Returns the seconds to rest, which `TO_CLAIM` shortens."""
        self._woken.clear()
        free = self._slots - len(self._running)
        claimed = await self._claim(free) if free > 0 else []
        if not self._running:
            return LOOK
        if len(claimed) < free or free == 0:
            await self._woken.wait(LOOK)
        return 0.0

    async def _claim(self, free: int) -> list[Claim]:
        """A claim whose answer was lost may have claimed something: it is given back before the next."""
        holder = await self._presence.known()
        if self._doubt:
            await self._give_back()
        self._doubt = True
        claims = await self._store.claim(free, holder)
        self._doubt = False
        for claim in claims:
            self._start(claim)
        return claims

    async def _give_back(self) -> None:
        me = self._presence.number
        held = await self._store.held()
        mine = [(one.id, one.attempt) for one in held if me is not None and one.holder == me and not self._has(one)]
        await self._store.free(mine, lost=False)

    def _has(self, held: Held) -> bool:
        running = self._running.get(held.id)
        return running is not None and running.attempt == held.attempt

    def _start(self, claim: Claim) -> None:
        cancel = asyncio.Event()
        if claim.cancelled:
            cancel.set()
        book = self._writer.open(claim.id, claim.attempt, cancel.set)
        before = self._running.get(claim.id)
        attended = self._attend(claim, book, cancel, before.job if before else None)
        job = asyncio.create_task(attended, name=f"scaffolder-task-{claim.id}")
        self._running[claim.id] = _Running(claim.attempt, cancel, job)

    async def _attend(self, claim: Claim, book: Book, cancel: asyncio.Event, before: asyncio.Task[None] | None) -> None:
        """A task from its claim to its end, whatever happens; an attempt that is lost is ended at once."""
        job = asyncio.create_task(self._carry_out(claim, book, cancel, before), name=f"scaffolder-run-{claim.id}")
        lost = asyncio.create_task(book.lost.wait())
        try:
            await asyncio.wait([job, lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            await _end(job)
            self._writer.close(book)
            if (running := self._running.get(claim.id)) is not None and running.attempt == claim.attempt:
                del self._running[claim.id]
            self._woken.wake()

    async def _carry_out(
        self, claim: Claim, book: Book, cancel: asyncio.Event, before: asyncio.Task[None] | None
    ) -> None:
        """An attempt that this process lost (`before`) ends before the next one begins: they share a workspace."""
        try:
            if before is not None:
                await asyncio.wait([before], timeout=2 * ENDING)
            journal = TaskJournal(str(claim.id), book, self._sealing)
            task, refusal = await self._opened(claim)
            tell = self._watch(task)
            outcome = refusal or await self._outcome(task, journal, cancel)
            tell(await self._written(outcome, journal, book))
        except LostTaskError:
            log.warning("the task %s is another worker's by now: what it still did here is not written down", claim.id)
        except Exception:
            log.exception("the task %s could not be brought to an end", claim.id)

    async def _opened(self, claim: Claim) -> tuple[Task, Outcome | None]:
        """The task, and how it ended if it cannot even be begun."""
        try:
            return await self._patiently(claim), None
        except GreenroomError as error:
            return _unopened(claim), _failed(error)
        except Exception as error:
            log.exception("the task %s cannot be begun", claim.id)
            return _unopened(claim), _failed(error)

    async def _outcome(self, task: Task, journal: Journal, cancel: asyncio.Event) -> Outcome:
        """What breaks is the outcome of the task, and not the worker's end."""
        try:
            return await self._run(task, journal, cancel)
        except LostTaskError:
            raise
        except GreenroomError as error:
            return _failed(error)
        except Exception as error:
            log.exception("the run of the task %s broke", task.id)
            return _failed(error)

    async def _written(self, outcome: Outcome, journal: TaskJournal, book: Book) -> Outcome:
        """The end of a task is in the database; returns what it says there."""
        journal.complete(outcome)
        try:
            await journal.durable()
        except UnstorableError as error:  # what it came to: then this is the outcome
            book.forgive()
            outcome = _failed(error)
            journal.complete(outcome)
            await journal.durable()
        return outcome

    async def _patiently(self, claim: Claim) -> Task:
        """While the database is away, nothing else can happen to the task either."""
        while True:
            try:
                return await self._prepare(claim)
            except PASSING as error:
                log.warning("the task %s waits for the database: %s", claim.id, error)
                await asyncio.sleep(LOOK)

    async def _prepare(self, claim: Claim) -> Task:
        """Raises SealError for what cannot be opened any more."""
        id_ = str(claim.id)
        trust = open_trust(self._sealing, claim)
        state, archive = TaskState(), None
        if claim.resumed:
            progress = await self._store.progress(claim.id)
            with working_in(self._threads()):
                state, archive = await read_progress(claim, progress, self._sealing)
        spec = msgspec.json.decode(claim.spec)
        created_by = claim.created_by or None
        secrets = with_token(trust.secrets, trust.initiator, claim.spec.decode())
        return Task(id_, spec, created_by, secrets, trust.initiator, state, archive, claim.resumed)

    def _hear(self, payload: str | None) -> None:
        """Somebody cancelled a task. (What is not heard is learnt with the next sign of life.)"""
        if payload and (running := self._running.get(UUID(payload))):
            running.cancel.set()

    async def trouble(self) -> str | None:
        """What keeps this worker from writing down what its tasks come to (for a `Check`)."""
        since = self._writer.failing_since
        if since is None or monotonic() - since < STUCK:
            return None
        return f"What {self.busy} tasks came to could not be written for {monotonic() - since:.0f} s: {self._writer.trouble}"

    async def close(self) -> None:
        """Wait for the tasks that run, but not long: others go on at once with what is not done by then."""
        self._unsubscribe()
        jobs = {running.job for running in self._running.values()}
        if jobs:
            await asyncio.wait(jobs, timeout=self._grace)
        left = [(id_, running) for id_, running in self._running.items() if not running.job.done()]
        for _, running in left:
            running.job.cancel()
        if left:
            await asyncio.wait([running.job for _, running in left], timeout=2 * ENDING)
            await self._store.free([(id_, running.attempt) for id_, running in left], lost=False)
            log.info("%d tasks are left for another worker to go on with", len(left))
        self._woken.close()


def _unwatched(_task: Task) -> Callable[[Outcome], None]:
    return lambda _outcome: None


def _unopened(claim: Claim) -> Task:
    """What can be told of a task without its secrets."""
    spec = msgspec.json.decode(claim.spec)
    return Task(str(claim.id), spec, claim.created_by or None, {}, NOBODY, TaskState())


def _failed(error: Exception) -> Outcome:
    message = error.message if isinstance(error, GreenroomError) else str(error)
    return Outcome("failed", error={"name": error_name(error), "message": message})


async def _end(job: asyncio.Task[None]) -> None:
    """Cancel a job that still runs, and see it end; one that does not is left behind, with all that it writes turned away."""
    if job.done():
        return
    job.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING):
            await asyncio.wait([job])
    if not job.done():
        log.error("%s does not heed its end", job.get_name())


class Lookout:
    """Finds the tasks whose worker is gone. First of all what it has seen itself counts, so that no clocks are compared, and
    nobody is taken for gone because the database was."""

    def __init__(self, store: Store, presence: Presence, *, stale: timedelta | None = None, gone: float = GONE) -> None:
        self._store, self._presence, self._gone = store, presence, gone
        self._stale = (stale or STALE).total_seconds()
        self._signs: dict[tuple[UUID, int], tuple[object, float]] = {}
        """The last sign of life of an attempt, and since when (monotonic) there was no other."""
        self._looked = 0.0

    async def look(self) -> float:
        """One round of the loop. Returns the seconds to rest."""
        # what was not watched all the time is not known
        known = self._signs if monotonic() - self._looked < 3 * LOOK else {}
        self._signs, self._looked = {}, monotonic()
        held = await self._store.held()
        living = await self._presence.living() if held else set()
        now = monotonic()
        self._signs = {(one.id, one.attempt): _sign(one, known, now) for one in held}
        lost = [(one.id, one.attempt) for one in held if self._is_lost(one, living, now)]
        reopened, failed = await self._store.free(lost, lost=True)
        if reopened or failed:
            log.warning("workers were lost; of their tasks, gone on with: %d, failed: %d", reopened, failed)
        self._looked = monotonic()
        return LOOK

    def _is_lost(self, one: Held, living: set[int], now: float) -> bool:
        silent = now - self._signs[(one.id, one.attempt)][1]
        if one.holder is None or one.holder in living:
            return silent >= self._stale
        return silent >= min(self._gone, self._stale) or (silent >= LOOK * 0.9 and one.silent >= SURELY_GONE)


def _sign(one: Held, known: Mapping[tuple[UUID, int], tuple[object, float]], now: float) -> tuple[object, float]:
    before = known.get((one.id, one.attempt))
    return before if before is not None and before[0] == one.heartbeat_at else (one.heartbeat_at, now)


class Janitor:
    """Fails the tasks that nobody went on with for long, in upstream's words; and forgets what is not kept for ever."""

    def __init__(self, store: Store, timeout: timedelta, every: timedelta, *, retention: timedelta) -> None:
        """`retention`: for how long what the workspace of a failed task held is kept."""
        self._store, self._timeout, self._every, self._retention = store, timeout, every, retention
        self._began = False

    async def step(self) -> float:
        """One round of the loop. The first fails nothing: after an outage, workers go on with what there is."""
        if self._began and (closed := await self._store.close_stale(self._timeout)):
            log.warning("%d tasks exceeded their timeout", closed)
        if dropped := await self._store.drop_workspaces(self._retention):
            log.info("what the workspaces of %d tasks held that failed long ago is not kept any more", dropped)
        self._began = True
        return self._every.total_seconds()
