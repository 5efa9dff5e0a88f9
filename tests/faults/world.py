"""A source that changes, a fleet that reads it, and the two questions after each fault: does it all agree, and is it as fresh?"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from greenroom.entity import ref_of
from tests.bench.wire import Ask, Connection
from tests.faults.churn import Churn
from tests.faults.fleet import PROVIDER, Fleet, configuration, fleet
from tests.faults.seen import API, Seen, counted, differences, impossible, seen
from tests.support.postgres import TestServer


class Scale(NamedTuple):
    """How many, how often and how long."""

    long: bool
    entities: int
    kills: int
    lease: int
    """Seconds that work is kept for a process that may be dead; as shipped it is more, and tests would wait for it."""

    @property
    def changed(self) -> int:
        """Entities that a turn changes."""
        return max(5, self.entities // 100)


Spare = Callable[[], AbstractAsyncContextManager[Mapping[str, Any]]]
"""Lends arguments of `asyncpg.connect` to an empty database."""

LONG = bool(os.environ.get("GREENROOM_FAULTS"))
SCALE = Scale(
    long=LONG,
    entities=int(os.environ.get("FAULTS_ENTITIES", "20000" if LONG else "150")),
    kills=int(os.environ.get("FAULTS_KILLS", "200" if LONG else "3")),
    lease=10 if LONG else 2,
)
SEED = int(os.environ.get("FAULTS_SEED", "1"))

long = pytest.mark.skipif(not LONG, reason="one of the long ones: make faults")


def short_leases(seconds: int) -> str:
    """Python that makes a process believe sooner that another is dead, and sooner try again what failed."""
    return f"""
from datetime import timedelta
from greenroom_catalog.ingestion import engine, runner
engine.LEASE = timedelta(seconds={seconds})
runner.LEASE = timedelta(seconds={seconds})
runner.TRY_AGAIN = timedelta(seconds={seconds})
"""


class World:
    """One catalog, its source and its processes."""

    def __init__(self, churn: Churn, processes: Fleet, spare: Spare, *, api: str = "api") -> None:
        """`spare` lends an empty database, where a fresh catalog can be made; `api` is the process that is asked."""
        self.churn, self.fleet, self.spare, self.api = churn, processes, spare, api
        self.last_run = 0

    async def change(self, changed: int, added: int = 0, removed: int = 0) -> None:
        """Change the source, and have it read."""
        self.last_run = await self.fleet.last_run()
        self.churn.turn(changed, added, removed)
        await self.fleet.trigger(self.api)

    async def settled(self) -> float:
        """Seconds until the last change has been seen, and nothing is left to do. Fails when it does not come to rest."""
        return await self.fleet.settled(after=self.last_run)

    async def agrees(self) -> None:
        """What is served is what the source has, nothing lost and nothing twice, and no row is where none may be."""
        assert not await impossible(self.fleet.database)
        door = Connection(self.fleet.port(self.api))
        try:
            listed = (await door.ask(Ask(f"{API}/entities"))).json()
        finally:
            door.close()
        served = {ref_of(entity): entity for entity in listed}
        assert len(served) == len(listed), "an entity is served twice"
        assert served.keys() == self.churn.entities.keys()
        wrong = [ref for ref, entity in self.churn.entities.items() if not _is_of(served[ref], entity)]
        assert not wrong, f"{len(wrong)} entities are not as the source has them: {wrong[:5]}"

    async def is_fresh(self, **catalog: Any) -> None:
        """It is what a catalog that never knew anything else makes of the same source. `catalog` is config of that one."""
        ours = await self.seen()
        told = counted(ours.entities)
        assert {name: ours.counts[name] for name in told} == told, "totals or facets are not those of what is served"
        async with self.spare() as database:
            theirs = self.fleet.folder / database["database"]
            theirs.mkdir()
            file = configuration(self.churn.file, database=connection(database), **catalog)
            with fleet(theirs, file, database) as other:
                other.start("api", "serve")
                await other.settled()
                found = differences(ours, await seen(other.port("api"), database))
        assert not found, "\n".join(found)

    async def seen(self) -> Seen:
        """Everything of it."""
        return await seen(self.fleet.port(self.api), self.fleet.database)

    def quiet(self) -> None:
        """No process has logged an error."""
        assert not self.fleet.logged("error")

    def only_the_database_was_away(self) -> None:
        """Whatever failed did so because of that, and said so."""
        said = ("ServiceUnavailableError", "The database is not available")
        others = [one for one in self.fleet.logged("error") if not any(text in f"{one}" for text in said)]
        assert not others, "\n".join(f"{one['message']} {one.get('stack', '')}" for one in others[:3])


def _is_of(served: Any, entity: Any) -> bool:
    """Whether it was made from this state of the source: what a turn may change is the same."""
    there, here = served["metadata"], entity["metadata"]
    same = all(there.get(name) == here.get(name) for name in ("title", "description", "tags", "labels"))
    return same and all(served["spec"].get(name) == entity["spec"].get(name) for name in ("owner", "type", "system"))


def connection(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `asyncpg.connect`, as the config has them."""
    if "dsn" in arguments:
        parts = urlsplit(arguments["dsn"])
        return {"connection": parts._replace(path=f"/{arguments['database']}").geturl()}
    names = ("host", "port", "user", "password", "database")
    return {"connection": {name: arguments[name] for name in names if name in arguments}}


@asynccontextmanager
async def world(
    server: TestServer, folder: Path, scale: Scale, *, database: Mapping[str, Any] | None = None, **catalog: Any
) -> AsyncIterator[World]:
    """A fleet without processes on a new database of the server, or on one that is given. `catalog` is config."""

    @asynccontextmanager
    async def spare() -> AsyncIterator[Mapping[str, Any]]:
        async with server.empty() as name:
            yield server.to(name)

    async with server.empty() as ours:
        arguments = server.to(ours) if database is None else database
        churn = Churn(folder / "entities.ndjson", scale.entities, SEED)
        config = configuration(churn.file, database=connection(arguments), **catalog)
        with fleet(folder, config, arguments) as processes:
            yield World(churn, processes, spare)


__all__ = ["LONG", "PROVIDER", "SCALE", "SEED", "Scale", "World", "connection", "long", "world"]
