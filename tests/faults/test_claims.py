"""Two providers want the same entities: one has them at any time, and nobody has to be told when that one leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from greenroom.db import Database
from greenroom.entity import Entity, ref_of
from greenroom.plugin import Deferred
from greenroom_catalog.storage.store import MIGRATIONS
from tests.bench.entities import entities
from tests.faults.seen import IMPOSSIBLE
from tests.support.catalog import Catalog
from tests.support.postgres import MigratedDatabase

NUMBER = 30
ROUNDS = 3
ORDERS = (("first", "second"), ("second", "first"))


def of(source: str, key: str | None) -> list[Deferred]:
    """The same entities from everybody, each with the mark of whose it is."""
    return [Deferred(_marked(entity, source), key) for entity in entities(NUMBER, seed=3)]


def _marked(entity: Entity, source: str) -> Entity:
    return {**entity, "metadata": {**entity["metadata"], "labels": {"from": source}}}


async def marks(catalog: Catalog) -> set[str]:
    """Whose what is served is."""
    return {entity["metadata"]["labels"]["from"] for entity in (await catalog.served()).values()}


async def nothing_impossible(database: Database) -> None:
    found = {what: await database.fetch(sql) for what, sql in IMPOSSIBLE.items()}
    assert not any(found.values()), found


async def sources_of(database: Database) -> dict[str, set[str]]:
    """Who emitted each entity."""
    rows = await database.fetch(
        "SELECT s.entity_ref, r.source_key FROM refresh_state s LEFT JOIN refresh_state_references r ON r.target_id = s.id"
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["entity_ref"], set()).add(row["source_key"])
    return found


@pytest.mark.parametrize("order", ORDERS)
async def test_of_two_providers_that_claim_the_same_at_once_one_has_each_and_the_other_is_heard_when_it_leaves(
    migrated_database: MigratedDatabase, order: tuple[str, str]
) -> None:
    database = await migrated_database([MIGRATIONS])
    catalog = Catalog(database)
    refs = {ref_of(entity) for entity in entities(NUMBER, seed=3)}
    for _ in range(ROUNDS):
        await asyncio.gather(*(catalog.source(name).full(of(name, name)) for name in order))
        await catalog.settle()
        await nothing_impossible(database)
        held = await sources_of(database)
        assert held.keys() == refs
        assert all(len(sources) == 1 for sources in held.values())
        assert set().union(*held.values()) == await marks(catalog)
    for leaving, staying in (order, order[::-1]):
        await catalog.source(leaving).full([])
        await catalog.source(staying).full(of(staying, staying))
        await catalog.settle()
        await nothing_impossible(database)
        assert set().union(*(await sources_of(database)).values()) == {staying}
        assert await _served(catalog) == await _fresh(migrated_database, staying)
        assert not await database.fetch("SELECT 1 FROM conflicts")


@pytest.mark.parametrize("order", ORDERS)
async def test_entities_without_a_key_are_the_last_ones_who_claimed_them(
    migrated_database: MigratedDatabase, order: tuple[str, str]
) -> None:
    database = await migrated_database([MIGRATIONS])
    catalog = Catalog(database)
    for _ in range(ROUNDS):
        await asyncio.gather(*(catalog.source(name).full(of(name, None)) for name in order))
        await catalog.settle()
        await nothing_impossible(database)
    for name in order:
        await catalog.source(name).full(of(name, None))
    await catalog.settle()
    assert await marks(catalog) == {order[1]}
    await catalog.source(order[0]).full([])
    await catalog.settle()
    assert await _served(catalog) == await _fresh(migrated_database, order[1], None)


async def test_providers_and_two_workers_that_write_the_same_entities_at_once_come_to_rest(
    migrated_database: MigratedDatabase,
) -> None:
    """Full mutations, deltas and the processing of what they brought, all at the same time: none may wait for ever, or fail."""
    database = await migrated_database([MIGRATIONS])
    catalog = Catalog(database)
    others = [catalog.worker() for _ in range(2)]
    done = asyncio.Event()

    async def work(number: int) -> None:
        while not done.is_set():
            await others[number].process_due()
            await others[number].stitch_due()
            await asyncio.sleep(0)

    async def provide(name: str) -> None:
        for round_ in range(ROUNDS):
            await catalog.source(name).full(of(f"{name}-{round_}", "shared"))
            await catalog.source(name).delta(added=of(f"{name}-{round_}-again", "shared")[::2])

    working = [asyncio.create_task(work(number)) for number in range(2)]
    async with asyncio.timeout(120):
        await asyncio.gather(provide("first"), provide("second"))
        done.set()
        await asyncio.gather(*working)
        await catalog.settle()
    await nothing_impossible(database)
    assert len(await catalog.served()) == NUMBER


async def _served(catalog: Catalog) -> Mapping[str, Any]:
    """Without what is generated."""
    return {ref: _plain(entity) for ref, entity in (await catalog.served()).items()}


def _plain(entity: Any) -> Any:
    return {**entity, "metadata": {k: v for k, v in entity["metadata"].items() if k not in ("uid", "etag")}}


async def _fresh(migrated_database: MigratedDatabase, source: str, key: str | None = "") -> Mapping[str, Any]:
    """What a catalog serves that never had another provider. `key`: "" is the provider's name."""
    catalog = Catalog(await migrated_database([MIGRATIONS]))
    await catalog.source(source).full(of(source, source if key == "" else key))
    await catalog.settle()
    return await _served(catalog)
