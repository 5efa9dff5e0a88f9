"""Postgres goes away: restarted, killed, cut off, silent, replaced by its standby. The servers stay, and find their way back."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.bench.wire import Ask, Connection
from tests.faults.churn import Churn
from tests.faults.cluster import Cluster, running
from tests.faults.fleet import configuration, fleet
from tests.faults.proxy import Proxy, proxy
from tests.faults.world import SEED, Scale, World, connection, long, short_leases
from tests.support.processes import READINESS

DATABASE = "greenroom"
LOCATIONS = "/api/catalog/locations"
ROUNDS = 3
PATIENCE = 120.0
FAST = {"fsync": "off", "full_page_writes": "off"}
"""Nothing of it needs to outlive the machine; of Postgres' own end, nothing is lost by this."""


@pytest.fixture
def primary(folder: Path) -> Iterator[Cluster]:
    made = Cluster(folder / "primary", FAST)
    made.make()
    with running(made):
        yield made


@asynccontextmanager
async def catalog(
    cluster: Cluster,
    folder: Path,
    scale: Scale,
    *,
    through: Mapping[str, Any] | None = None,
    processes: int = 2,
    environ: Mapping[str, str] | None = None,
    **config: Any,
) -> AsyncIterator[World]:
    """A server, and a worker beside it, on this Postgres; at rest with the first entities.

    `through` is another way to it, `environ` their environment, `config` more of the section `catalog`."""
    churn = Churn(folder / "entities.ndjson", scale.entities, SEED)
    file = configuration(churn.file, database=through or connection(cluster.to(DATABASE)), **config)
    with fleet(folder, file, cluster.to(DATABASE), before=short_leases(scale.lease)) as made:
        made.environ.update(environ or {})
        place = World(churn, made, cluster.empty)
        made.start("api", "serve")
        await made.ready("api")
        if processes > 1:
            made.start("worker", "worker")
        await place.settled()
        yield place
        place.only_the_database_was_away()


async def test_a_postgres_that_crashes_and_comes_back_loses_nothing_and_nobody_has_to_restart_greenroom(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    draw = random.Random(SEED)
    ways = [signal.SIGKILL, signal.SIGINT, signal.SIGQUIT] * (ROUNDS // 3) if scale.long else [signal.SIGKILL]
    async with catalog(primary, folder, scale, processes=2 if scale.long else 1) as place:
        for how in ways:
            await place.change(scale.changed, 5, 5)
            await asyncio.sleep(draw.uniform(0, 1))
            await asyncio.to_thread(primary.stop, how)
            await asyncio.sleep(draw.uniform(0, 2) if scale.long else 0)
            await asyncio.to_thread(primary.start)
            await place.settled()
            await place.agrees()
        await place.is_fresh()
        assert all(process.process.poll() is None for process, _ in place.fleet.running.values())


@long
async def test_while_postgres_is_away_everybody_is_told_so_at_once(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    """Not a 500, which is a bug, and not a request that hangs; and readiness tells the balancer."""
    async with catalog(primary, folder, scale._replace(entities=200)) as place:
        await asyncio.to_thread(primary.stop, signal.SIGQUIT)
        door = Connection(place.fleet.port("api"))
        try:
            for ask in (
                Ask("/api/catalog/entities?limit=1"),
                Ask("/api/catalog/entity-facets?facet=kind"),
                Ask(LOCATIONS),
            ):
                began = time.monotonic()
                reply = await door.attempt(ask)
                assert reply.status == 503, reply.content
                assert time.monotonic() - began < 5
            await _until_status(door, Ask(READINESS), 503)
            await asyncio.to_thread(primary.start)
            await _until_status(door, Ask(READINESS), 200)
            await _until_status(door, Ask("/api/catalog/entities?limit=1"), 200)
        finally:
            door.close()
        await place.change(scale.changed)
        await place.settled()
        await place.agrees()


@long
async def test_connections_that_an_administrator_ends_at_random_cost_nothing(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    draw = random.Random(SEED)
    async with catalog(primary, folder, scale) as place:
        for _ in range(ROUNDS):
            await place.change(scale.changed, 5, 5)
            for _ in range(8):
                await asyncio.sleep(draw.uniform(0, 0.4))
                await primary.query(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and random() < $2",
                    DATABASE,
                    draw.choice((0.2, 0.5, 1.0)),
                )
            await place.settled()
            await place.agrees()
        await place.is_fresh()


@long
async def test_a_network_that_resets_connections_costs_nothing(primary: Cluster, folder: Path, scale: Scale) -> None:
    draw = random.Random(SEED)
    async with through_a_proxy(primary, folder, scale) as (place, door):
        for _ in range(ROUNDS):
            await place.change(scale.changed, 5, 5)
            for _ in range(5):
                await asyncio.sleep(draw.uniform(0, 0.6))
                door.cut()
            await place.settled()
            await place.agrees()
        await place.is_fresh()


@long
async def test_a_network_that_swallows_everything_for_a_while_costs_nothing(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    """Longer than the work is leased for: others take it over, and who wakes up late must not undo what they did."""
    async with through_a_proxy(primary, folder, scale) as (place, door):
        for seconds in (3, 2 * scale.lease):
            await place.change(scale.changed, 5, 5)
            await asyncio.sleep(0.3)
            door.passes.clear()
            await asyncio.sleep(seconds)
            door.passes.set()
            await place.settled()
            await place.agrees()
        await place.is_fresh()


@long
async def test_a_database_that_hangs_takes_readiness_down_and_comes_back(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    async with through_a_proxy(primary, folder, scale._replace(entities=200)) as (place, door):
        port = place.fleet.port("api")
        door.passes.clear()
        try:
            await _until_health(port, 503)
        finally:
            door.passes.set()
        await _until_health(port, 200)
        await place.change(scale.changed)
        await place.settled()
        await place.agrees()


@long
async def test_a_standby_that_takes_over_in_synchronous_mode_has_all_that_was_ever_acknowledged(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    """The config names both hosts, and whoever is written to is found (`target_session_attrs`)."""
    async with replicated(primary, folder, scale) as (place, standby):
        await primary.query("alter system set synchronous_standby_names = '*'")
        await primary.query("select pg_reload_conf()")
        await place.change(scale.changed, 5, 5)
        await place.settled()
        door = Connection(place.fleet.port("api"))
        body = msgspec.json.encode({"type": "url", "target": "https://git.example.com/acknowledged/catalog-info.yaml"})
        accepted = await door.ask(Ask(LOCATIONS, "POST", body), 201)
        known = set(place.churn.entities)
        await asyncio.to_thread(primary.stop, signal.SIGKILL)
        await standby.promote()
        place.fleet.database = standby.to(DATABASE)
        await _until_status(door, Ask(LOCATIONS), 200)
        listed = (await door.ask(Ask(LOCATIONS))).json()
        door.close()
        assert accepted.json()["location"]["id"] in [one["data"]["id"] for one in listed]
        rows = await standby.query("select entity_ref from final_entities", database=DATABASE)
        assert known <= {row["entity_ref"] for row in rows}
        await place.change(scale.changed, 5, 5)
        await place.settled()


@long
async def test_what_a_standby_lacks_that_takes_over_comes_back_with_the_providers_next_run(
    primary: Cluster, folder: Path, scale: Scale
) -> None:
    """Asynchronous replication: the last commits are gone. What was counted from them must not be told any more."""
    async with replicated(primary, folder, scale) as (place, standby):
        await place.change(scale.changed, 5, 5)
        await place.settled()
        await primary.caught_up()
        await standby.query("alter system set primary_conninfo = ''")
        await standby.query("select pg_reload_conf()")
        await _until_alone(primary)
        await place.change(scale.changed * 2, 40, 20)
        await place.settled()
        await place.seen()  # so that whatever is remembered of counts and facets is remembered
        await asyncio.to_thread(primary.stop, signal.SIGKILL)
        await standby.promote()
        place.fleet.database = standby.to(DATABASE)
        place.spare = standby.empty
        for _ in range(3):
            await place.change(scale.changed, 5, 5)
            await place.settled()
            await place.agrees()
        await place.is_fresh()


@asynccontextmanager
async def through_a_proxy(cluster: Cluster, folder: Path, scale: Scale) -> AsyncIterator[tuple[World, Proxy]]:
    """The harness itself goes past the proxy."""
    async with proxy(cluster.port) as door:
        way = connection({**cluster.to(DATABASE), "port": door.port})
        async with catalog(cluster, folder, scale, through=way) as place:
            yield place, door


@asynccontextmanager
async def replicated(primary: Cluster, folder: Path, scale: Scale) -> AsyncIterator[tuple[World, Cluster]]:
    """A standby streams; Greenroom is told of both."""
    standby = Cluster(folder / "standby", FAST)
    await asyncio.to_thread(standby.copy_of, primary)
    with running(standby):
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (primary, standby))
        url = f"postgresql://greenroom@{hosts}/{DATABASE}?target_session_attrs=read-write"
        async with catalog(primary, folder, scale, through={"connection": url}) as place:
            yield place, standby


async def _until_alone(primary: Cluster) -> None:
    async with asyncio.timeout(PATIENCE):
        while await primary.query("select 1 from pg_stat_replication"):
            await asyncio.sleep(0.1)


async def _until_status(door: Connection, ask: Ask, status: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await door.attempt(ask)).status != status:
            await asyncio.sleep(0.1)


async def _until_health(port: int, status: int) -> None:
    """Each on a connection of its own, and in a time that a balancer gives it."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            door = Connection(port)
            with suppress(TimeoutError, OSError, asyncpg.PostgresError):
                async with asyncio.timeout(5):
                    reply = await door.attempt(Ask(READINESS))
                if reply.status == status:
                    door.close()
                    return
            door.close()
            await asyncio.sleep(0.2)
