"""A provider that goes mad takes nothing with it: neither the catalog, nor the memory, nor its slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from greenroom.plugin import Deferred, EntitySource
from greenroom_catalog.ingestion import runner as runner_module
from greenroom_catalog.ingestion.bounds import Bounds, RemovalRefusedError
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.ingestion.providers import CHUNK, CONFIG_LOCATIONS
from greenroom_catalog.ingestion.runner import ProviderRunner
from greenroom_catalog.settings import ProviderOptions, RemovalGuard
from greenroom_catalog.storage.reports import Reports
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.ingestion.test_runner import Provider, Work, World
from tests.support.catalog import Catalog, component, yaml_component
from tests.support.postgres import MigratedDatabase

GUARD = RemovalGuard(share=0.5, at_least=10)
CONFIRM = "greenroom catalog providers confirm p"


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    return World(Catalog(await migrated_database([MIGRATIONS])))


def emits(names: Iterable[object], prefix: str = "c") -> Work:
    kept = [f"{prefix}-{name}" for name in names]
    return lambda source: source.full([Deferred(component(name), "key") for name in kept])


class Mutable:
    """A provider `p` that says whatever it is told to, and its runner."""

    def __init__(self, world: World, name: str = "p", every: timedelta | None = None, **options: Any) -> None:
        self.world, self.name = world, name
        self.provider = Provider(name, emits([]), every)
        self.runner: ProviderRunner = world.runner(self.provider, guard=GUARD, **options)

    async def says(self, work: Work) -> None:
        self.provider.work = work
        await self.world.runs.trigger(self.name, None)
        await self.runner.run_due()

    async def held(self) -> int:
        count = "select count(*) from refresh_state_references where source_key = $1"
        found: int = await self.world.catalog.database.fetchval(count, self.name)
        return found


async def test_a_source_that_is_suddenly_empty_empties_no_catalog(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(30)))
    await p.says(emits([]))
    assert await p.held() == 30
    run = await world.last("p")
    assert run.error is not None
    assert "Refused to remove 30 entities: 30 of the 30 that p brought are missing" in run.error
    assert CONFIRM in run.error
    assert run.tally.removed == 0
    (told,) = (await Reports(world.catalog.database, world.catalog.store, world.runs).status())["providers"]
    assert CONFIRM in told["state"]


async def test_a_refused_mutation_waits_as_a_whole(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(30)))
    await p.says(emits(range(50), "of-another-organisation"))
    assert await p.held() == 30, "what is not believed in part is not believed at all"
    await p.says(emits(range(31)))
    assert (await world.last("p")).error is None, "and nothing is left to heal once the source is right again"
    assert (await world.standing("p")).refused is None
    assert await p.held() == 31


async def test_what_is_confirmed_goes_once_and_no_more_than_was_told(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(100)))
    await p.says(emits(range(40)))
    assert (await world.standing("p")).refused == 60
    assert await world.runs.confirm("p", "user:default/jo")
    p.provider.work = emits(range(10))
    await p.runner.run_due()
    assert await p.held() == 100, "90 are more than the 60 that somebody has agreed to"
    assert (await world.standing("p")).refused == 90
    assert await world.runs.confirm("p", "user:default/jo")
    p.provider.work = emits(range(8))  # two more than were told of, as a source lives on
    await p.runner.run_due()
    run = await world.last("p")
    assert (run.error, run.tally.removed, run.cause, run.caused_by) == (None, 92, "trigger", "user:default/jo")
    await p.says(emits(range(100)))
    await p.says(emits([]))
    assert await p.held() == 100, "it was confirmed once, not for ever"


async def test_nothing_can_be_confirmed_that_nobody_refused(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(30)))
    assert not await world.runs.confirm("p", None)
    await p.says(emits([]))
    assert await world.runs.confirm("p", None)
    assert not await world.runs.confirm("p", None), "the same twice"


@pytest.mark.parametrize(
    ("before", "after", "goes"),
    [(9, 0, True), (10, 0, False), (20, 10, True), (21, 10, False), (30, 29, True)],
    ids=["few", "enough", "half", "more than half", "one"],
)
async def test_what_is_usual_goes_without_a_question(world: World, before: int, after: int, goes: bool) -> None:
    p = Mutable(world)
    await p.says(emits(range(before)))
    await p.says(emits(range(after)))
    assert await p.held() == (after if goes else before)


async def test_what_only_the_missing_hold_up_counts_too(world: World) -> None:
    catalog = world.catalog
    url = "https://git.test/all.yaml"
    catalog.files.content[url] = "---\n".join(yaml_component(f"c-{n}") for n in range(12))
    p = Mutable(world)
    await p.says(lambda source: source.full([Deferred(location_entity(Location("url", url)), f"url:{url}")]))
    await catalog.settle()
    assert len(await catalog.served()) == 12
    await p.says(emits([]))
    assert "Refused to remove 13 entities: 1 of the 1 " in str((await world.last("p")).error)


async def test_a_provider_that_keeps_its_refusal_to_itself_is_told_of_all_the_same(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(30)))

    async def quiet(source: EntitySource) -> None:
        with contextlib.suppress(RemovalRefusedError):
            await source.full([])

    await p.says(quiet)
    assert "Refused" in str((await world.last("p")).error)


async def test_a_refused_provider_keeps_its_own_rhythm(world: World) -> None:
    p = Mutable(world, every=timedelta(hours=3))
    await p.says(emits(range(30)))
    await p.says(emits([]))
    last = await world.last("p")
    standing = await world.standing("p")
    assert standing.next_run_at is not None
    assert standing.next_run_at - last.started_at > timedelta(hours=2), "asking every minute changes nobody's mind"


async def test_what_an_operator_takes_away_goes(world: World) -> None:
    p = Mutable(world, CONFIG_LOCATIONS)
    await p.says(emits(range(30)))
    await p.says(emits([]))
    assert await p.held() == 0


async def test_without_a_guard_everything_is_believed(world: World) -> None:
    source = world.catalog.source()
    await source.full([Deferred(component(f"c-{n}"), "key") for n in range(200)])
    assert (await source.full([])).removed == 200


@pytest.mark.parametrize("endless", ["async", "sync", "delta"])
async def test_a_flood_is_ended_and_leaves_nothing(world: World, endless: str) -> None:
    runner = world.runner(Provider("p", FLOODS[endless]), options={"p": ProviderOptions(max_entities=3 * CHUNK)})
    async with asyncio.timeout(60):
        await runner.run_due()
    error = str((await world.last("p")).error)
    assert f"It emitted more than {3 * CHUNK} entities" in error
    assert "maxEntities" in error
    held = await world.catalog.database.fetchval("select count(*) from refresh_state")
    assert held == (3 * CHUNK if endless == "delta" else 0), "of many mutations those before the limit were done"


def _one(n: int) -> Deferred:
    return Deferred(component(f"c-{n}"), "key")


async def _async_flood(source: EntitySource) -> None:
    async def entities() -> AsyncIterator[Deferred]:
        n = 0
        while True:
            yield _one(n := n + 1)

    await source.full(entities())


async def _sync_flood(source: EntitySource) -> None:
    def entities() -> Iterable[Deferred]:
        n = 0
        while True:
            yield _one(n := n + 1)

    await source.full(entities())


async def _delta_flood(source: EntitySource) -> None:
    n = 0
    while True:
        await source.delta(added=[_one(n + at) for at in range(CHUNK)])
        n += CHUNK


FLOODS = {"async": _async_flood, "sync": _sync_flood, "delta": _delta_flood}


async def test_a_flood_can_be_cancelled_while_it_lasts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.01)
    running = asyncio.create_task(world.runner(Provider("p", _async_flood)).run_due())
    async with asyncio.timeout(60):
        while not await world.runs.cancel("p"):
            await asyncio.sleep(0.01)
        await running
    assert (await world.last("p")).error == "Task was cancelled"
    assert await world.catalog.database.fetchval("select count(*) from refresh_state") == 0


async def hangs(source: EntitySource) -> None:
    await asyncio.Event().wait()


async def test_a_provider_that_hangs_is_ended_when_its_time_is_over(world: World) -> None:
    options = {"p": ProviderOptions(timeout=timedelta(milliseconds=50))}
    await world.runner(Provider("p", hangs), options=options).run_due()
    assert (await world.last("p")).error == "It was not done within 0:00:00.050000, and was ended"


async def test_a_provider_may_say_itself_how_long_it_may_take(world: World) -> None:
    provider = Provider("p", hangs)
    provider.timeout = timedelta(milliseconds=20)  # type: ignore[attr-defined]
    await world.runner(provider).run_due()
    assert "0:00:00.020000" in str((await world.last("p")).error)


def deaf_until(free: asyncio.Event) -> Callable[[EntitySource], Awaitable[None]]:
    """A run that goes on when it is cancelled."""

    async def run(source: EntitySource) -> None:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    return run


async def test_a_provider_that_does_not_heed_its_end_keeps_no_slot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "GRACE", 0.05)
    free = asyncio.Event()

    options = {"p": ProviderOptions(timeout=timedelta(milliseconds=50))}
    async with asyncio.timeout(60):
        await world.runner(Provider("p", deaf_until(free)), options=options).run_due()
    assert "does not heed being cancelled" in str((await world.last("p")).error)
    assert (await world.standing("p")).running is False
    free.set()


async def test_a_provider_that_brings_nothing_changes_nothing(world: World) -> None:
    p = Mutable(world)
    await p.says(emits(range(3)))

    async def nothing(source: EntitySource) -> None:
        """Not even an empty mutation."""

    await p.says(nothing)
    assert await p.held() == 3
    assert (await world.last("p")).error is None


def test_bounds_by_themselves_bound_nothing_but_the_length() -> None:
    Bounds().check_removal("p", 1000, 1000, 1000)


async def test_who_cancels_a_provider_that_does_not_heed_it_is_rid_of_it_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.01)
    monkeypatch.setattr(runner_module, "GRACE", 0.05)
    free = asyncio.Event()

    running = asyncio.create_task(world.runner(Provider("p", deaf_until(free))).run_due())
    async with asyncio.timeout(60):
        while not await world.runs.cancel("p"):
            await asyncio.sleep(0.01)
        await running
    assert (await world.last("p")).error == "It does not heed being cancelled"
    free.set()
