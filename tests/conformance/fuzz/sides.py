"""The two sides of the fuzz, live: upstream and Greenroom, fed the same mutations through a provider of the same name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec

from greenroom.app import Running, running
from greenroom.db import Database
from greenroom.entity import Entity, ref_of
from greenroom.plugin import Deferred
from greenroom.settings import AppConfig, load
from greenroom.web import bind, serve
from greenroom_catalog.ingestion.providers import Source
from greenroom_catalog.storage.store import Store
from tests.conformance import server
from tests.conformance.client import Run
from tests.conformance.oracle import Oracle, OracleError, free_port, upstream
from tests.conformance.script import HERE, Request, Script, fill

LOCATION_KEY = "fuzz"
HOOK = Path(__file__).with_name("live.cjs")
LAYER = HERE / "datasets" / "denied" / "config.yaml"
"""What both sides are configured with, unless they are given another: tokens that may only do some things."""

ROUNDS = 3
"""How often in a row upstream must be found at rest: half a second each."""


class Side(Protocol):
    """What can be fed, waited for and asked."""

    @property
    def run(self) -> Run:
        """How it is asked."""
        ...

    async def delta(self, added: Sequence[Entity], removed: Sequence[str], key: str | None = LOCATION_KEY) -> None:
        """Add or replace some entities, which this key claims, and remove some by ref."""
        ...

    async def full(self, entities: Sequence[Entity]) -> None:
        """These are now all entities."""
        ...

    async def settle(self) -> None:
        """Return when everything is processed and stitched."""
        ...


class Upstream:
    """The real backend with `live.cjs` inside."""

    def __init__(self, oracle: Oracle, run: Run, session: aiohttp.ClientSession, port: int) -> None:
        self.oracle, self.run, self._session, self._port = oracle, run, session, port

    async def delta(self, added: Sequence[Entity], removed: Sequence[str], key: str | None = LOCATION_KEY) -> None:
        gone = [{"entityRef": ref, "locationKey": LOCATION_KEY} for ref in removed]
        await self._mutate({"type": "delta", "added": _keyed(added, key), "removed": gone})

    async def full(self, entities: Sequence[Entity]) -> None:
        await self._mutate({"type": "full", "entities": _keyed(entities)})

    async def settle(self) -> None:
        await self.oracle.settle(ROUNDS)

    async def _mutate(self, mutation: Mapping[str, Any]) -> None:
        async with self._session.post(f"http://127.0.0.1:{self._port}/", json=mutation) as answer:
            if answer.status != 200:
                raise OracleError(f"upstream refused a mutation: {await answer.text()}")


class Greenroom:
    """The house in this process."""

    def __init__(self, house: Running, run: Run, database: Database) -> None:
        self.run = run
        self._house, self._database = house, database
        self._source = Source("fuzz", Store(database), logging.getLogger("greenroom.fuzz"))

    async def delta(self, added: Sequence[Entity], removed: Sequence[str], key: str | None = LOCATION_KEY) -> None:
        await self._source.delta(added=[Deferred(entity, key) for entity in added], removed=removed)

    async def full(self, entities: Sequence[Entity]) -> None:
        await self._source.full([Deferred(entity, LOCATION_KEY) for entity in entities])

    async def settle(self) -> None:
        await server.settle(self._house, self._database)


def _keyed(entities: Sequence[Entity], key: str | None = LOCATION_KEY) -> list[dict[str, Any]]:
    return [{"entity": entity} | ({"locationKey": key} if key else {}) for entity in entities]


SCRIPT = Script("fuzz", [], {})

Asking = Callable[[str, Callable[[], Awaitable[None]]], Run]


def asking(session: aiohttp.ClientSession, files: str, root: Path) -> Asking:
    """How runs are made that ask a side: by its address, and how it settles."""
    return lambda base, settle: Run(
        SCRIPT, {"files": files, "root": str(root), "self": base}, session=session, settle=settle
    )


@asynccontextmanager
async def started_upstream(session: aiohttp.ClientSession, ask: Asking, layer: Path = LAYER) -> AsyncIterator[Upstream]:
    """Upstream on an empty database, with this layer of config."""
    port = free_port()
    more = {"NODE_OPTIONS": f"--require {HOOK}", "FUZZ_PORT": str(port)}
    async with upstream(None, layer, more) as oracle:
        yield Upstream(oracle, ask(oracle.base, oracle.settle), session, port)


@asynccontextmanager
async def started_greenroom(
    folder: Path, database: Database, ask: Asking, layer: Path = LAYER
) -> AsyncIterator[Greenroom]:
    """Greenroom on an empty database, with this layer of config; its files are in the folder."""
    with bind("127.0.0.1", 0) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environ = {"GREENROOM_DATA": str(folder / "data")}
        async with running(_config(folder, layer, base), environ, database=database) as house:
            stop = asyncio.Event()
            serving = asyncio.create_task(serve(house.asgi, listening, house.asgi.state, stop=stop))
            try:
                yield Greenroom(house, ask(base, lambda: server.settle(house, database)), database)
            finally:
                stop.set()
                await serving


def _config(folder: Path, layer: Path, base: str) -> AppConfig:
    path = folder / "base.yaml"
    path.write_text(fill((HERE / "base.yaml").read_text(), {"self": base}))
    return load([path, layer], {})


async def feed(
    sides: Sequence[Side], added: Sequence[Entity], removed: Sequence[str], key: str | None = LOCATION_KEY
) -> None:
    """The same mutation to every side."""
    await asyncio.gather(*(side.delta(added, removed, key) for side in sides))


async def rest(sides: Sequence[Side]) -> None:
    """Returns when all have come to rest, and each knows the uids of its entities."""
    await asyncio.gather(*(side.settle() for side in sides))
    await asyncio.gather(*(remember(side.run) for side in sides))


async def signed_in(sides: Sequence[Side]) -> None:
    """Let requests name a user's token: `${guest}`."""
    asked = Request(get="/api/auth/guest/refresh", as_=None, save={"guest": "backstageIdentity.token"})
    await asyncio.gather(*(side.run.outcome(asked) for side in sides))


async def remember(run: Run) -> None:
    """Let requests name each served entity's uid: `${uid.REF}`, with the ref's odd letters as hex."""
    async with run.session.get(f"{run.known['self']}/api/catalog/entities", headers=AUTHORIZED) as answer:
        entities = msgspec.json.decode(await answer.read())
    for entity in entities:
        run.known[uid_variable(ref_of(entity))] = entity["metadata"]["uid"]


def uid_variable(ref: str) -> str:
    """The name under which the uid of an entity is known to a run."""
    return f"uid.{ref.encode().hex()}"


AUTHORIZED = {"Authorization": "Bearer oracle-token-for-tests"}
