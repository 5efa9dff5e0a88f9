"""The composition root: plugins are found, built in the order of their needs, started, and stopped in reverse."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

import aiohttp

from greenroom.auth import Auth, read_tokens
from greenroom.auth.storage import MIGRATIONS as AUTH_MIGRATIONS
from greenroom.auth.storage import DatabaseKeyStore
from greenroom.db import Database, open_database
from greenroom.embedded import data_folder
from greenroom.errors import ConfigError
from greenroom.events import Events, open_events
from greenroom.loops import Loops, Role
from greenroom.migrate import migrate, pending
from greenroom.permissions import Permissions
from greenroom.plugin import (
    Contribution,
    DataFolder,
    Loop,
    Migrations,
    MissingServiceError,
    Plugin,
    Provides,
    Status,
    UrlReader,
)
from greenroom.settings import AppConfig, BackendConfig
from greenroom.telemetry import Metrics, Telemetry, open_telemetry
from greenroom.urls import HttpReader, Integrations, Urls, allowed_hosts
from greenroom.web import Lifecycle, Routes, build_asgi
from greenroom.web.asgi import ASGIApp

ENTRY_POINTS = "greenroom.plugins"
FAILURES_TOLERATED = 3
STANDSTILL = timedelta(seconds=15)
"""A loop that has failed this often in a row, and for this long, takes readiness down."""

log = logging.getLogger("greenroom.app")

T = TypeVar("T")


class Services:
    """What is lent and what was contributed. Each plugin sees it through a `PluginHost` of its own."""

    def __init__(self) -> None:
        self._services: dict[type, object] = {}
        self._contributions: list[Contribution] = []

    @property
    def lent(self) -> set[type]:
        """The types of the services that there are."""
        return set(self._services)

    def lend(self, kind: type[T], service: T) -> None:
        """Make a service known under its type."""
        self._services[kind] = service

    def get(self, service: type[T], asked_by: str) -> T:
        """Raises MissingServiceError."""
        found = self._services.get(service)
        if found is None:
            raise MissingServiceError(
                f"The plugin {asked_by} needs {service.__name__}, which no installed plugin provides"
            )
        return cast(T, found)

    def all(self, contribution: type[T]) -> Sequence[T]:
        """All contributions of a type, in the order of the plugins."""
        return [item for item in self._contributions if isinstance(item, contribution)]

    def add(self, plugin: str, contribution: Contribution) -> None:
        """Take what a plugin yielded. Raises ConfigError when two plugins provide the same service."""
        if isinstance(contribution, Provides):
            if contribution.protocol in self._services:
                raise ConfigError(
                    "plugins", f"{plugin} provides {contribution.protocol.__name__}, which is provided already"
                )
            self._services[contribution.protocol] = contribution.service
        else:
            self._contributions.append(contribution)


class PluginHost:
    """One plugin's view of the house (`greenroom.plugin.Host`)."""

    def __init__(self, name: str, services: Services) -> None:
        self._name = name
        self._services = services
        self.log = logging.getLogger(f"greenroom.{name}")

    def get(self, service: type[T]) -> T:
        return self._services.get(service, self._name)

    def all(self, contribution: type[T]) -> Sequence[T]:
        return self._services.all(contribution)


def installed_plugins() -> list[Plugin[Any]]:
    """Every plugin of the entry point group, by name. Raises ConfigError for one that cannot be loaded."""
    found: dict[str, Plugin[Any]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            loaded = point.load()
        except ImportError as error:
            raise ConfigError(f"plugins.{point.name}", f"{point.value} cannot be imported: {error}") from error
        if not isinstance(loaded, Plugin):
            raise ConfigError(
                f"plugins.{point.name}", f"{point.value} is not a plugin", hint="decorate it with @plugin"
            )
        if loaded.name in found:
            raise ConfigError(f"plugins.{loaded.name}", "two installed plugins have this name", value=point.value)
        found[loaded.name] = loaded
    return list(found.values())


def in_order(plugins: Sequence[Plugin[Any]], lent: Iterable[type]) -> list[Plugin[Any]]:
    """The plugins so that each comes after those that provide what it needs.

    Raises ConfigError naming what is missing, or that the needs go in a circle."""
    available = set(lent)
    promised = {service for plugin in plugins for service in plugin.provides}
    waiting = list(plugins)
    ordered: list[Plugin[Any]] = []
    while waiting:
        ready = [plugin for plugin in waiting if available.issuperset(plugin.needs)]
        if not ready:
            stuck = waiting[0]
            missing = [need.__name__ for need in stuck.needs if need not in available | promised]
            problem = (
                f"needs {', '.join(missing)}, which nobody provides" if missing else "waits for itself in a circle"
            )
            raise ConfigError(f"plugins.{stuck.name}", problem)
        ordered += ready
        available |= {service for plugin in ready for service in plugin.provides}
        waiting = [plugin for plugin in waiting if plugin not in ready]
    return ordered


def build(plugins: Sequence[Plugin[Any]], config: AppConfig, services: Services) -> None:
    """Build the plugins, in order, from their sections of the config. Raises ConfigError."""
    for plugin in plugins:
        section = config.section(plugin.section, plugin.config)
        for contribution in plugin.build(section, PluginHost(plugin.name, services)):
            services.add(plugin.name, contribution)


class House:
    """Everything built, nothing started: what `greenroom status` looks at and what `running` starts."""

    def __init__(self, config: AppConfig, backend: BackendConfig, services: Services, database: Database) -> None:
        self.config = config
        self.backend = backend
        self.services = services
        self.database = database

    @property
    def migrations(self) -> list[Migrations]:
        """Those of the floor, then those of the plugins."""
        return [AUTH_MIGRATIONS, *self.services.all(Migrations)]

    async def migrate(self) -> list[str]:
        """Bring the database up to date. Returns the names of what was applied."""
        return await migrate(self.database, self.migrations)

    async def status(self) -> dict[str, Any]:
        """The facts of each part, by its title."""
        waiting = await pending(self.database, self.migrations)
        facts: dict[str, Any] = {"Database": await self._database_status(len(waiting))}
        if not waiting:
            for status in self.services.all(Status):
                facts[status.title] = dict(await status.read())
        return facts

    async def _database_status(self, waiting: int) -> dict[str, Any]:
        direct = self.database.direct is not None
        return {
            "server": await self.database.fetchval("select current_setting('server_version')"),
            "kind": "embedded" if self.backend.database.embedded else "outside",
            "size": await self.database.fetchval("select pg_size_pretty(pg_database_size(current_database()))"),
            "migrations to apply": waiting,
            "wake-ups": "LISTEN" if direct else "polling: behind a pooler, without backend.database.directConnection",
        }


@asynccontextmanager
async def opened(
    config: AppConfig, environ: Mapping[str, str], *, database: Database | None = None
) -> AsyncIterator[House]:
    """Open the database and build every plugin, without starting anything.

    A given `database` is used as it is. Raises ConfigError, ServiceUnavailableError."""
    backend = config.section("backend", BackendConfig)
    plugins = installed_plugins()
    data = data_folder(environ)
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(open_database(backend.database, data))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        events = await stack.enter_async_context(open_events(database))
        telemetry = open_telemetry(environ)
        stack.callback(telemetry.close)
        services = Services()
        _lend_the_floor(services, config, backend, database)
        services.lend(DataFolder, DataFolder(data))
        services.lend(aiohttp.ClientSession, session)
        services.lend(Events, events)
        services.lend(Metrics, telemetry.metrics)
        services.lend(Telemetry, telemetry)
        services.lend(Urls, _urls(config, session, services))
        build(in_order(plugins, services.lent), config, services)
        yield House(config, backend, services, database)


def _lend_the_floor(services: Services, config: AppConfig, backend: BackendConfig, database: Database) -> None:
    """The services that need no closing."""
    open_to_all = backend.auth.dangerously_disable_default_auth_policy
    services.lend(AppConfig, config)
    services.lend(BackendConfig, backend)
    services.lend(Database, database)
    services.lend(
        Auth,
        Auth(
            base_url=backend.base_url,
            keys=DatabaseKeyStore(database),
            external_tokens=read_tokens(backend.auth.external_access),
            enforced=not open_to_all,
        ),
    )
    enabled = bool(config.get("permission.enabled", False))
    services.lend(Permissions, Permissions(enabled=enabled, anonymous=open_to_all))


def _urls(config: AppConfig, session: aiohttp.ClientSession, services: Services) -> Urls:
    """The readers of the plugins first, then plain HTTP for the hosts that the config allows."""
    http = HttpReader(session, allowed_hosts(config.get("backend.reading.allow", [])))
    integrations = Integrations.from_config(config.get("integrations"))
    return Urls(lambda: [*services.all(UrlReader), http], integrations)


def check_config(config: AppConfig) -> list[str]:
    """Read every section that some part of the house reads. Returns the warnings. Raises ConfigError."""
    config.section("backend", BackendConfig)
    allowed_hosts(config.get("backend.reading.allow", []))
    Integrations.from_config(config.get("integrations"))
    for plugin in installed_plugins():
        config.section(plugin.section, plugin.config)
    return config.warnings


class Running:
    """A started house: its ASGI application, and how to ask after it."""

    def __init__(self, house: House, asgi: ASGIApp, loops: Loops, state: Lifecycle) -> None:
        self.house = house
        self.asgi = asgi
        self.loops = loops
        self.state = state


@asynccontextmanager
async def running(
    config: AppConfig,
    environ: Mapping[str, str],
    *,
    database: Database | None = None,
    roles: Collection[Role] = ("api", "worker"),
    state: Lifecycle | None = None,
) -> AsyncIterator[Running]:
    """The house, started: migrated, its loops turning, ready to answer. At the end, loops finish what they are at."""
    async with opened(config, environ, database=database) as house:
        for name in await house.migrate():
            log.info("Applied the migration %s", name)
        services = house.services
        loops = Loops(services.all(Loop), services.get(Events, "app"), roles)
        state = state or Lifecycle()
        state.unready = lambda: standstill(loops)
        asgi = build_asgi(
            services.all(Routes),
            config=house.backend,
            auth=services.get(Auth, "app"),
            state=state,
            telemetry=services.get(Telemetry, "app"),
        )
        loops.start()
        state.started()
        try:
            yield Running(house, asgi, loops, state)
        finally:
            await loops.drain(house.backend.lifecycle.server_shutdown_timeout.total_seconds())


def standstill(loops: Loops) -> str | None:
    """Why this process does not do its work, None when it does: a loop that has only failed for a while."""
    for beat in loops.beats():
        since = datetime.now(UTC) - beat.at if beat.at else None
        if beat.failures >= FAILURES_TOLERATED and (since is None or since > STANDSTILL):
            return f"The loop {beat.name} has failed {beat.failures} times in a row: {beat.error}"
    return None
