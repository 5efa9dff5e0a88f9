"""A whole catalog on a real database, its files, its providers, and somebody who asks why."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from greenroom.entity import parse_ref
from greenroom.plugin import Deferred, EntitySource
from greenroom.settings import AllowedHost, ReadingConfig
from greenroom.settings.redaction import hide_in_text
from greenroom.urls import Urls
from greenroom.urls.outgoing import Limits, open_outgoing
from greenroom.urls.reading import HttpReader
from greenroom.web import load_document
from greenroom.web.validation import Compiler
from greenroom_catalog.ingestion.locations import Location, location_entity
from greenroom_catalog.ingestion.providers import ConfigLocations
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.runner import ProviderRunner
from greenroom_catalog.model import read_rules
from greenroom_catalog.query.explain import FAILURES, Explainer, Explanation, Finding, Setup, Sight
from greenroom_catalog.query.explain.wording import UNKNOWN
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.settings import LocationConfig
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.catalog import Catalog
from tests.support.postgres import MigratedDatabase

SHOP = "https://git.test/shop/catalog-info.yaml"
TILL = "https://git.test/till/catalog-info.yaml"


class Provider:
    """A provider that emits what it is told to, or fails."""

    every: timedelta | None = timedelta(hours=1)

    def __init__(self, name: str, *entities: Any, error: Exception | None = None) -> None:
        self.name = name
        self.entities = entities
        self.error = error

    async def run(self, source: EntitySource) -> None:
        if self.error is not None:
            raise self.error
        await source.full([Deferred(entity) for entity in self.entities])


class World:
    """The catalog, and what its config says."""

    def __init__(self, catalog: Catalog, rules: Any, locations: list[LocationConfig]) -> None:
        self.catalog = catalog
        self.files = catalog.files.content
        self.database = catalog.database
        self.providers: list[Any] = []
        self.disabled: list[str] = []
        self.keeps_orphans = False
        self.hide: Callable[[str], str] = hide_in_text
        self.reader = Reader(Urls([catalog.files]))
        self.config = rules, locations
        self.runs = ProviderRuns(self.database)

    async def ask(
        self, ref: str, *, at: str | None = None, read: bool = True, sight: Sight | None = None
    ) -> Explanation:
        rules, locations = self.config
        setup = Setup(
            rules=read_rules(rules, _raw(locations), folder=Path.cwd()),
            installed=lambda: ["test", *(provider.name for provider in self.providers)],
            disabled=self.disabled,
            locations=locations,
            keeps_orphans=self.keeps_orphans,
            rules_are_set=rules is not None,
            hide=self.hide,
        )
        explainer = Explainer(self.database, EntityQueries(self.database).sql, self.reader, setup)
        return await explainer.explain(parse_ref(ref), at=at, read=read, sight=sight)

    async def settle(self) -> None:
        """Nothing is due, and all is read again in two minutes."""
        await self.catalog.settle()
        await self.database.execute("update refresh_schedule set next_update_at = now() + interval '2 minutes'")

    async def register(self, *urls: str, presence: str | None = None) -> None:
        """Make these the locations of the provider `test`, and have them read."""
        await self.found(*urls, presence=presence)
        await self.settle()

    async def found(self, *urls: str, presence: str | None = None) -> None:
        """The same, but nobody reads them yet."""
        entities = [location_entity(Location("url", url), presence=presence) for url in urls]
        keys = [f"url:{url}" for url in urls]
        await self.catalog.source().full([Deferred(one, key) for one, key in zip(entities, keys, strict=True)])

    async def configured(self) -> None:
        """The locations of the config, read."""
        source = self.catalog.source("ConfigLocationProvider")
        await ConfigLocations(self.config[1]).run(source)
        self.providers.append(ConfigLocations(self.config[1]))
        await self.settle()

    async def write(self, url: str, content: str) -> None:
        """Change a file, and have it read."""
        self.files[url] = content
        await self.catalog.source().refresh([f"url:{url}"])
        await self.settle()

    async def emit(self, *entities: Any) -> None:
        """What the provider `test` has now, processed."""
        await self.catalog.source().full([Deferred(entity) for entity in entities])
        await self.settle()

    async def run_providers(self, *providers: Provider) -> None:
        """Each of them runs once."""
        self.providers += providers
        runner = ProviderRunner(self.runs, self.catalog.store, lambda: self.providers, self.catalog.log, evict=False)
        for _ in providers:
            await runner.run_due()
        await self.settle()


def _raw(locations: list[LocationConfig]) -> list[dict[str, Any]]:
    return [
        {"type": one.type, "target": one.target} | ({"rules": one.rules} if one.rules is not None else {})
        for one in locations
    ]


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def make_world(migrated_database: MigratedDatabase) -> MakeWorld:
    """`await make_world(rules=[…], locations=[…], keep=True)`"""

    async def make(rules: Any = None, locations: list[LocationConfig] | None = None, *, keep: bool = False) -> World:
        places = locations or []
        read = read_rules(rules, _raw(places), folder=Path.cwd())
        made = World(Catalog(await migrated_database([MIGRATIONS]), keep_orphans=keep, rules=read), rules, places)
        made.keeps_orphans = keep
        return made

    return make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()


class Names(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None: ...


class Host:
    """A web server that answers as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, dict[str, str]]] = {}
        self.asked: list[str] = []
        self.allow: Callable[[str], None] = lambda host: None
        self.slow = False
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(app, skip_url_asserts=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def says(self, path: str, status: int = 200, text: str = "", **headers: str) -> str:
        """The URL of what is answered there from now on."""
        self.answers[path] = status, text, headers
        return f"{self.base}{path}"

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.slow:
            await asyncio.sleep(2)
        status, text, headers = self.answers.get(request.path, (404, "", {}))
        return web.Response(status=status, text=text, headers=headers)


@pytest.fixture
async def host(world: World) -> AsyncIterator[Host]:
    """A server that the catalog may read, and reads by HTTP, with limits that a test can reach."""
    async with _read_within(timedelta(minutes=1), world) as made:
        yield made


@pytest.fixture
async def slow_host(world: World) -> AsyncIterator[Host]:
    """The same, for who answers too late."""
    async with _read_within(timedelta(seconds=0.5), world) as made:
        made.slow = True
        yield made


@asynccontextmanager
async def _read_within(patience: timedelta, world: World) -> AsyncIterator[Host]:
    made = Host()
    limits = Limits(max_bytes=2000, max_time=patience)
    async with made.server as server, open_outgoing(limits, resolver=Names()) as outgoing:
        hosts = [f"127.0.0.1:{server.port}", f"*.inner.test:{server.port}"]
        files: Any = world.catalog.files

        def allow(*hosts: str) -> None:
            reader = HttpReader(outgoing, ReadingConfig(allow=[AllowedHost(host=host) for host in hosts]))
            files.reads, files.read, files.search = reader.reads, reader.read, reader.search

        made.allow = allow
        allow(*hosts)
        yield made


Scene = Callable[..., Awaitable[Explanation]]


def explains(slug: str, *, warning: bool = False) -> Callable[[Scene], Callable[..., Awaitable[None]]]:
    """A test that sets a scene and returns what is explained then: it has to be this class, in whole sentences."""

    def decorate(scene: Scene) -> Callable[..., Awaitable[None]]:
        @functools.wraps(scene)
        async def test(*args: Any, **kwargs: Any) -> None:
            told = await scene(*args, **kwargs)
            found = next((one for one in told.findings if one.verdict == slug), None)
            assert found is not None, told
            assert found.severity == ("warning" if warning else "error"), told
            assert warning or told.verdict == slug, told
            assert told.problem is not warning, told
            assert FAILURES[slug].stage == found.stage
            assert UNKNOWN not in " ".join([found.summary, found.hint, told.summary, *found.commands]), found
            assert told.chain, told
            assert as_documented(told) == [], told

        return test

    return decorate


def as_documented(told: Explanation) -> list[str]:
    """What the OpenAPI document has against an explanation."""
    check = Compiler(load_document("greenroom")).compile({"$ref": "#/components/schemas/Explanation"})
    return list(check(msgspec.json.decode(msgspec.json.encode(told)), "body"))


def finding(told: Explanation, slug: str) -> Finding:
    """The finding of a class."""
    return next(one for one in told.findings if one.verdict == slug)
