"""What a run of a provider did is on record, while it runs and afterwards, and one provider costs no other anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.errors import ServiceUnavailableError
from greenroom.plugin import Deferred, EntityProvider, EntitySource
from greenroom_catalog.ingestion import runner as runner_module
from greenroom_catalog.ingestion.providers import CHUNK
from greenroom_catalog.ingestion.runner import ProviderRunner
from greenroom_catalog.routes.providers import run_to_wire
from greenroom_catalog.storage.reports import Reports
from greenroom_catalog.storage.runs import KEPT, ProviderRuns, Run, Standing
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog, component
from tests.support.postgres import MigratedDatabase

Work = Callable[[EntitySource], Awaitable[object]]


class Provider:
    """A provider that does what a test wants."""

    def __init__(self, name: str, work: Work, every: timedelta | None = None) -> None:
        self.name, self.every, self.work = name, every, work

    async def run(self, source: EntitySource) -> None:
        await self.work(source)


class World:
    """A catalog and the runners of its providers."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.runs = ProviderRuns(catalog.database)

    def runner(self, *providers: EntityProvider, **options: Any) -> ProviderRunner:
        options = {"evict": True, **options}
        return ProviderRunner(self.runs, self.catalog.store, lambda: providers, self.catalog.log, **options)

    async def last(self, name: str) -> Run:
        return (await self.runs.runs(name))[0]

    async def standing(self, name: str) -> Standing:
        return (await self.runs.standings(name))[0]

    async def make_due(self) -> None:
        await self.catalog.database.execute("update providers set next_run_at = now()")


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    return World(Catalog(await migrated_database([MIGRATIONS])))


def emits(*names: str) -> Work:
    return lambda source: source.full([Deferred(component(name), "key") for name in names])


async def test_a_run_tells_what_began_it_and_what_it_did(world: World) -> None:
    provider = Provider("p", emits("a", "b"))
    runner = world.runner(provider)
    await runner.run_due()
    first = await world.last("p")
    assert (first.cause, first.tally.found, first.tally.added, first.error) == ("start", 2, 2, None)
    assert first.finished_at is not None
    assert ":" in first.process
    provider.work = emits("a", "c")
    assert await world.runs.trigger("p", "user:default/jo")
    await runner.run_due()
    second = await world.last("p")
    assert (second.cause, second.caused_by) == ("trigger", "user:default/jo")
    counts = second.tally
    assert (counts.found, counts.added, counts.removed, counts.unchanged, counts.changed) == (2, 1, 1, 1, 0)


async def test_a_run_is_seen_while_it_lasts_and_when_it_is_expected_to_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.01)
    go, told = asyncio.Event(), asyncio.Event()

    async def slow(source: EntitySource) -> None:
        async def entities() -> AsyncIterator[Deferred]:
            for n in range(CHUNK + 1):
                yield Deferred(component(f"c-{n}"))
            source.progress(1, 4)
            told.set()
            await go.wait()

        await source.full(entities())

    running = asyncio.create_task(world.runner(Provider("p", slow)).run_due())
    await told.wait()
    async with asyncio.timeout(60):
        while (await world.last("p")).tally.done is None:
            await asyncio.sleep(0.01)
    standing = await world.standing("p")
    assert standing.running
    assert standing.last is not None
    assert (standing.last.tally.found, standing.last.tally.total) == (CHUNK, 4)
    (told,) = (await Reports(world.catalog.database, world.catalog.store, world.runs).status())["providers"]
    assert re.fullmatch(r"running, 25% done, \d s left", told["state"])
    assert (told["found"], told["by"], told["last run"]) == (CHUNK, "start", "never")
    now = standing.last.started_at + timedelta(seconds=10)
    assert standing.last.expected_at(now) == standing.last.started_at + timedelta(seconds=40)
    go.set()
    await running
    assert (await world.last("p")).expected_at(now) is None


async def test_without_progress_a_run_is_expected_to_take_what_others_took(world: World) -> None:
    runner = world.runner(Provider("p", emits("a")))
    await runner.run_due()
    await world.catalog.database.execute("update provider_runs set finished_at = started_at + interval '20 seconds'")
    await world.runs.trigger("p", None)
    await world.runs.claim(["p"], timedelta(minutes=1), "host:1")
    run = await world.last("p")
    assert run.expected_at(run.started_at + timedelta(seconds=5)) == run.started_at + timedelta(seconds=20)
    assert run.expected_at(run.started_at + timedelta(seconds=25)) is None


async def test_one_bad_entity_costs_no_other_and_is_named(world: World) -> None:
    nameless: Any = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": 7}}
    versionless: Any = {"kind": "Component", "metadata": {"name": "old"}}

    async def work(source: EntitySource) -> None:
        bad = [Deferred(versionless), Deferred(component("n\0"), "key")]
        await source.full([Deferred(component("a"), "key"), *bad, Deferred(component("b"), "key")])

    await world.runner(Provider("p", work)).run_due()
    run = await world.last("p")
    assert (run.error, run.tally.added, run.tally.failed) == (None, 2, 2)
    reasons = {failure.what: failure.error for failure in run.tally.failures}
    assert "apiVersion" in reasons["component:default/old"]
    assert any("NUL" in reason for reason in reasons.values())
    await world.catalog.settle()
    assert set(await world.catalog.served()) == {"component:default/a", "component:default/b"}
    done = await world.catalog.source("q").full([Deferred(nameless), Deferred(component("c"))])
    assert done.added == 1


async def test_what_became_bad_stays_what_it_was(world: World) -> None:
    await world.catalog.source().full([Deferred(component("a"), "key"), Deferred(component("b"), "key")])
    bad: Any = {"kind": "Component", "metadata": {"name": "a"}}
    done = await world.catalog.source().full([Deferred(bad, "key")])
    assert (done.removed, done.added) == (1, 0)
    await world.catalog.settle()
    assert set(await world.catalog.served()) == {"component:default/a"}


async def test_nothing_is_removed_while_nobody_knows_what_failed(world: World) -> None:
    await world.catalog.source().full([Deferred(component("a"), "key"), Deferred(component("b"), "key")])
    source = world.catalog.source()

    async def entities() -> AsyncIterator[Deferred]:
        yield Deferred(component("a"), "key")
        source.failed("line 2", "not a line of JSON")

    done = await source.full(entities())
    assert (done.removed, done.unchanged) == (0, 1)
    assert (await world.catalog.source().full([Deferred(component("a"), "key")])).removed == 1


async def test_secrets_are_taken_out_of_what_is_recorded(world: World) -> None:
    async def work(source: EntitySource) -> None:
        source.failed("https://hunter2@git.test", "hunter2 was refused")
        raise ConnectionError("hunter2 was refused")

    runner = world.runner(Provider("p", work), hide=lambda text: text.replace("hunter2", "<secret>"))
    await runner.run_due()
    run = await world.last("p")
    assert run.error == "ConnectionError: <secret> was refused"
    assert [(one.what, one.error) for one in run.tally.failures] == [
        ("https://<secret>@git.test", "<secret> was refused")
    ]


async def test_a_paused_provider_waits_also_when_it_is_triggered(world: World) -> None:
    runner = world.runner(Provider("p", emits("a"), timedelta(minutes=1)))
    await runner.run_due()
    assert await world.runs.pause("p", "user:default/jo")
    await world.make_due()
    await world.runs.trigger("p", "webhook")
    assert await runner.run_due() > 0
    standing = await world.standing("p")
    assert (standing.paused_by, standing.triggered) == ("user:default/jo", True)
    assert await world.runs.resume("p")
    await runner.run_due()
    assert (await world.last("p")).caused_by == "webhook"


async def test_a_pause_outlives_a_restart(world: World) -> None:
    provider = Provider("p", emits("a"))
    await world.runner(provider).run_due()
    await world.runs.pause("p", None)
    await world.runner(provider).run_due()
    assert len(await world.runs.runs("p")) == 1


async def test_a_trigger_during_a_run_is_followed_by_another(world: World) -> None:
    async def work(source: EntitySource) -> None:
        if len(await world.runs.runs("p")) == 1:
            await world.runs.trigger("p", "webhook")

    runner = world.runner(Provider("p", work))
    await runner.run_due()
    await runner.run_due()
    assert [run.cause for run in await world.runs.runs("p")] == ["trigger", "start"]


@pytest.mark.parametrize("triggers", [[False, True], [True, False]], ids=["hand last", "hand first"])
async def test_a_run_by_hand_is_told_to_look_at_everything_and_the_next_is_not(
    world: World, triggers: list[bool]
) -> None:
    seen = []

    async def work(source: EntitySource) -> None:
        seen.append(source.by_hand)

    runner = world.runner(Provider("p", work))
    await runner.run_due()
    for by_hand in triggers:
        await world.runs.trigger("p", "somebody", by_hand=by_hand)
    await runner.run_due()
    await world.runs.trigger("p", "webhook")
    await runner.run_due()
    assert seen == [False, True, False]


async def test_a_failed_run_is_tried_again_and_says_so(world: World) -> None:
    async def work(source: EntitySource) -> None:
        raise ConnectionError("away")

    provider = Provider("p", work)
    runner = world.runner(provider)
    await runner.run_due()
    provider.work = emits("a")
    await world.make_due()
    await runner.run_due()
    assert [(run.cause, run.error) for run in await world.runs.runs("p")] == [
        ("retry", None),
        ("start", "ConnectionError: away"),
    ]


async def test_idle_runs_do_not_push_out_those_that_did_something(world: World) -> None:
    provider = Provider("p", emits("a"), timedelta(minutes=1))
    runner = world.runner(provider)
    for _ in range(4):
        await runner.run_due()
        await world.make_due()
    assert [run.tally.added for run in await world.runs.runs("p")] == [0, 1]
    for n in range(KEPT + 3):
        await world.runs.trigger("p", str(n))
        await runner.run_due()
    kept = await world.runs.runs("p")
    assert (len(kept), kept[0].caused_by) == (KEPT, str(KEPT + 2))


async def test_a_run_whose_process_died_is_told_as_lost(world: World) -> None:
    await world.runs.register({"p": None})
    await world.runs.claim(["p"], timedelta(0), "gone:1")
    assert not (await world.standing("p")).running
    await world.runner(Provider("p", emits("a"))).run_due()
    newest, lost = await world.runs.runs("p")
    assert newest.error is None
    assert lost.error == "The process that ran it ended"


async def test_a_run_that_another_process_has_taken_over_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.01)
    monkeypatch.setattr(runner_module, "LEASE", timedelta(seconds=0.03))
    begun = asyncio.Event()

    async def slow(source: EntitySource) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(60):
        running = asyncio.create_task(world.runner(Provider("p", slow)).run_due())
        await begun.wait()
        await world.catalog.database.execute("update provider_runs set finished_at = now(), error = 'gone'")
        await running
    assert [run.error for run in await world.runs.runs("p")] == ["gone"]


async def test_a_run_whose_process_died_is_not_called_well(world: World) -> None:
    await world.runs.register({"p": None})
    claim = await world.runs.claim(["p"], timedelta(0), "gone:1")
    assert claim is not None
    reports = Reports(world.catalog.database, world.catalog.store, world.runs)
    (told,) = (await reports.status())["providers"]
    assert (told["state"], told["running"]) == ("lost: the process that ran it ended", False)
    assert run_to_wire(await world.last("p"), datetime.now(UTC))["status"] == "lost"
    assert await world.runs.extend(claim, timedelta(minutes=1))
    assert run_to_wire(await world.last("p"), datetime.now(UTC))["status"] == "running"


async def test_a_run_can_be_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.01)
    started = asyncio.Event()

    async def forever(source: EntitySource) -> None:
        started.set()
        await asyncio.Event().wait()

    runner = world.runner(Provider("p", forever))
    assert not await world.runs.cancel("p")
    running = asyncio.create_task(runner.run_due())
    await started.wait()
    assert await world.runs.cancel("p")
    async with asyncio.timeout(60):
        await running
    assert (await world.last("p")).error == "Task was cancelled"


async def test_a_stopped_server_leaves_no_run_open(world: World) -> None:
    started = asyncio.Event()

    async def forever(source: EntitySource) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(world.runner(Provider("p", forever)).run_due())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    standing = await world.standing("p")
    assert not standing.running
    assert standing.last is not None
    assert standing.last.error == "The process that ran it was stopped"


async def test_a_provider_that_hangs_keeps_no_other_from_running(world: World) -> None:
    started = asyncio.Event()

    async def forever(source: EntitySource) -> None:
        started.set()
        await asyncio.Event().wait()

    runner = world.runner(Provider("a-hanging", forever), Provider("quick", emits("a")))
    tasks = [asyncio.create_task(runner.run_due()) for _ in range(2)]
    async with asyncio.timeout(60):
        await started.wait()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert (await world.last("quick")).tally.added == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_run_that_the_database_left_in_the_lurch_is_told_as_that_once_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "TELL", 0.001)
    finish, times = ProviderRuns.finish, iter(range(3))

    async def away(self: ProviderRuns, *arguments: Any) -> None:
        if next(times, None) is not None:
            raise ServiceUnavailableError("The database is not available")
        await finish(self, *arguments)

    async def work(source: EntitySource) -> None:
        raise ServiceUnavailableError("The database is not available")

    monkeypatch.setattr(ProviderRuns, "finish", away)
    await world.runner(Provider("p", work)).run_due()
    run = await world.last("p")
    assert (run.error, run.running) == ("The database is not available", False)


async def test_a_hanging_run_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "LONGEST_RUN", timedelta(milliseconds=20))

    async def forever(source: EntitySource) -> None:
        await asyncio.Event().wait()

    await world.runner(Provider("p", forever)).run_due()
    assert "not done within" in ((await world.last("p")).error or "")


@pytest.mark.parametrize(("evict", "left"), [(True, set()), (False, {"component:default/a"})])
async def test_what_a_disabled_provider_brought_goes_unless_it_is_to_be_kept(
    world: World, evict: bool, left: set[str]
) -> None:
    provider = Provider("p", emits("a"))
    await world.runner(provider).run_due()
    await world.catalog.settle()
    await world.runner(provider, Provider("q", emits()), evict=evict, disabled=["p"]).run_due()
    await world.catalog.settle()
    assert set(await world.catalog.served()) == left
    assert [one.name for one in await world.runs.standings()] == ["q"]
