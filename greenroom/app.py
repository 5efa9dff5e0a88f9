"""The composition root: plugins are found, built in the order of their needs, started, and stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast

import aiohttp

from greenroom.auth import Auth, read_tokens
from greenroom.auth.storage import MIGRATIONS as AUTH_MIGRATIONS
from greenroom.auth.storage import DatabaseKeyStore
from greenroom.db import Database, open_database
from greenroom.db.opening import START_SECONDS
from greenroom.embedded import data_folder
from greenroom.errors import ConfigError, ServiceUnavailableError, describe
from greenroom.events import Events, open_events
from greenroom.health import Health
from greenroom.loops import Loops, Role
from greenroom.migrate import migrate, pending, read_migrations
from greenroom.permissions import Permissions
from greenroom.plugin import (
    Action,
    Autocomplete,
    Check,
    Contribution,
    DataFolder,
    EntityKind,
    EntityProvider,
    LocationAnalyzer,
    Loop,
    Migrations,
    MissingServiceError,
    PlaceholderResolver,
    Plugin,
    Processor,
    Provides,
    Ready,
    Status,
    TemplateFilter,
    TemplateGlobal,
    UrlReader,
)
from greenroom.presence import Presence
from greenroom.settings import AppConfig, BackendConfig, IntegrationsConfig, PermissionConfig
from greenroom.telemetry import Metrics, Telemetry, open_telemetry
from greenroom.urls import Urls
from greenroom.urls.configured import known_hosts
from greenroom.urls.hosts import host_readers
from greenroom.urls.outgoing import open_outgoing
from greenroom.urls.reading import HttpReader
from greenroom.web import Door, Lifecycle, Routes

ENTRY_POINTS = "greenroom.plugins"
FLOOR = "greenroom itself"
START_REST = 1.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class Services:
    """What is lent and what was contributed. Each plugin sees it through a `PluginHost` of its own."""

    def __init__(self) -> None:
        self._services: dict[type, object] = {}
        self._contributions: list[Contribution] = []
        self._owners: dict[str, str] = {}

    @property
    def lent(self) -> set[type]:
        """The types of the services that there are."""
        return set(self._services)

    def lend(self, kind: type[T], service: T) -> None:
        """Make a service of the floor known under its type."""
        self.add(FLOOR, Provides(kind, service))

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
        """Take what a plugin yielded. Raises ConfigError for what is no contribution, and for a service, or the id of a
        contribution, that is taken."""
        for id_ in _ids(plugin, contribution):
            if id_ in self._owners:
                raise _taken(id_, self._owners[id_], plugin)
            self._owners[id_] = plugin
        if isinstance(contribution, Provides):
            self._services[contribution.protocol] = contribution.service
        else:
            self._contributions.append(contribution)


_NAMES: dict[type, Callable[[Any], Iterable[str]]] = {
    Provides: lambda one: [f"the service {one.protocol.__module__}.{one.protocol.__qualname__}"],
    Loop: lambda one: [f"the loop {one.name}"],
    Migrations: lambda one: [f"the migrations of {one.part}"],
    Check: lambda one: [f"the check {one.name}"],
    Status: lambda one: [f"the status {one.title}"],
    Processor: lambda one: [f"the processor {one.name}"],
    PlaceholderResolver: lambda one: [f"the placeholder resolver ${one.key}"],
    EntityKind: lambda one: [f"the kind {one.kind} of {version}" for version in one.versions],
    Action: lambda one: [f"the action {one.id}"],
    TemplateFilter: lambda one: [f"the template filter {one.name}"],
    TemplateGlobal: lambda one: [f"the template global {one.name}"],
    Autocomplete: lambda one: [f"the autocomplete provider {one.provider}"],
    EntityProvider: lambda one: [f"the entity provider {one.name}"],
    UrlReader: lambda one: (),
    LocationAnalyzer: lambda one: (),
    Ready: lambda one: (),
    Routes: lambda one: (),
}
"""What a plugin may contribute, and what nothing else in the house may be: two of one name would undo each other's work."""


def _ids(plugin: str, contribution: Contribution) -> Iterable[str]:
    """Raises ConfigError for what no part of the house would ever ask for, such as a provider that lacks an attribute."""
    for kind, names in _NAMES.items():
        if isinstance(contribution, kind) and not isinstance(contribution, type):
            return names(contribution)
    known = ", ".join(sorted(kind.__name__ for kind in _NAMES))
    raise ConfigError(
        f"plugins.{plugin}", f"yields {_shown(contribution)}, which is no contribution", hint=f"one is: {known}"
    )


def _shown(value: object) -> str:
    """What it is; not what it holds, which may be secret."""
    if value is None or isinstance(value, int | float):
        return repr(value)
    name = getattr(value, "__qualname__", None)
    return f"the {type(value).__name__} {name}" if name else f"an object of type {type(value).__qualname__}"


def _taken(id_: str, first: str, second: str) -> ConfigError:
    if first == second:
        return ConfigError(f"plugins.{second}", f"contributes {id_} twice")
    hint = "give one of them another name, or uninstall one of the plugins"
    return ConfigError("plugins", f"both {first} and {second} contribute {id_}", hint=hint)


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
        loaded = _loaded(point)
        if loaded.name in found:
            raise ConfigError(f"plugins.{loaded.name}", "two installed plugins have this name", value=point.value)
        found[loaded.name] = loaded
    return list(found.values())


def _loaded(point: EntryPoint) -> Plugin[Any]:
    """Raises ConfigError, whatever the plugin's modules raise."""
    try:
        loaded = point.load()
    except Exception as error:
        problem = f"{point.value} cannot be imported: {_told(error, point.module)}"
        brought = f" the distribution {point.dist.name} {point.dist.version}" if point.dist else ""
        raise ConfigError(f"plugins.{point.name}", problem, hint=f"mend or uninstall{brought or ' it'}") from error
    if not isinstance(loaded, Plugin):
        raise ConfigError(f"plugins.{point.name}", f"{point.value} is not a plugin", hint="decorate it with @plugin")
    return loaded


@contextmanager
def _blaming(plugin: Plugin[Any]) -> Iterator[None]:
    """What the plugin's own code raises becomes a ConfigError that names it; errors which say themselves what to do stay."""
    try:
        yield
    except (ConfigError, MissingServiceError, ServiceUnavailableError):
        raise
    except Exception as error:
        problem = f"failed while it was built: {_told(error, plugin.build.__module__)}"
        raise ConfigError(f"plugins.{plugin.name}", problem, hint="mend the plugin, or uninstall it") from error


def _told(error: Exception, module: str) -> str:
    """The error, and the line of the plugin (that which `module` is part of) where it came to be, if there is one."""
    place = _place(error, module.partition(".")[0])
    return describe(error).removesuffix(": ") + (f", at {place}" if place else "")


def _place(error: Exception, package: str) -> str | None:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return f"{error.filename}:{error.lineno}"
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return lines[-1] if lines else None


def in_order(plugins: Sequence[Plugin[Any]], lent: Iterable[type]) -> list[Plugin[Any]]:
    """The plugins so that each comes after those that provide what it needs.

    Raises ConfigError naming what is missing, or that the needs go in a circle."""
    available = set(lent)
    waiting = list(plugins)
    ordered: list[Plugin[Any]] = []
    while waiting:
        ready = [plugin for plugin in waiting if available.issuperset(plugin.needs)]
        if not ready:
            raise _stuck(waiting, available)
        ordered += ready
        available |= {service for plugin in ready for service in plugin.provides}
        waiting = [plugin for plugin in waiting if plugin not in ready]
    return ordered


def _stuck(waiting: Sequence[Plugin[Any]], available: set[type]) -> ConfigError:
    """Why none of these plugins can be built before the others."""
    promised = available.union(*(plugin.provides for plugin in waiting))
    for plugin in waiting:
        if missing := [need.__name__ for need in plugin.needs if need not in promised]:
            hint = "is the plugin that provides it installed?"
            return ConfigError(
                f"plugins.{plugin.name}", f"needs {', '.join(missing)}, which nobody provides", hint=hint
            )
    names = ", ".join(plugin.name for plugin in waiting)
    return ConfigError(f"plugins.{waiting[0].name}", f"plugins wait for each other in a circle: {names}")


def build(plugins: Sequence[Plugin[Any]], config: AppConfig, services: Services) -> None:
    """Build the plugins, in order, from their sections of the config. Raises ConfigError."""
    waiting = [(plugin, ready) for plugin in plugins for ready in _build(plugin, config, services)]
    for plugin, ready in waiting:
        with _blaming(plugin):
            ready.check()


def _build(plugin: Plugin[Any], config: AppConfig, services: Services) -> list[Ready]:
    """Returns what wants to be called once the other plugins are built, too."""
    section, waiting = config.section(plugin.section, plugin.config), []
    with _blaming(plugin):
        for contribution in plugin.build(section, PluginHost(plugin.name, services)):
            services.add(plugin.name, contribution)
            if isinstance(contribution, Ready):
                waiting.append(contribution)
    if broken := [service.__name__ for service in plugin.provides if service not in services.lent]:
        raise ConfigError(f"plugins.{plugin.name}", f"does not provide {', '.join(broken)}, as it promised")
    return waiting


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
        return list(self.services.all(Migrations))

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
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        presence = Presence(database)
        events = await stack.enter_async_context(open_events(database, greet=presence.announce))
        telemetry = open_telemetry(environ)
        stack.callback(telemetry.close)
        services = Services()
        _lend_the_floor(services, config, backend, database)
        services.lend(DataFolder, DataFolder(data))
        services.lend(aiohttp.ClientSession, session)
        services.lend(Events, events)
        services.lend(Presence, presence)
        services.lend(Metrics, telemetry.metrics)
        services.lend(Telemetry, telemetry)
        integrations = config.section("integrations", IntegrationsConfig)
        known = known_hosts(integrations)
        outgoing = await stack.enter_async_context(open_outgoing())
        readers = [*host_readers(integrations, known, outgoing), HttpReader(outgoing, backend.reading)]
        # the readers of the plugins come first, then those of Git hosts, then plain HTTP for what the config allows
        services.lend(Urls, Urls(lambda: [*services.all(UrlReader), *readers], known))
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
    permission = config.section("permission", PermissionConfig)
    services.lend(Permissions, Permissions(enabled=permission.enabled, anonymous=open_to_all))
    services.add(FLOOR, AUTH_MIGRATIONS)


def check_config(config: AppConfig) -> list[str]:
    """Read every section that some part of the house reads, and build what needs nothing but the config.

    Returns the warnings. Raises ConfigError."""
    backend = config.section("backend", BackendConfig)
    Door(config=backend, state=Lifecycle())
    config.section("permission", PermissionConfig)
    config.section("integrations", IntegrationsConfig)
    for plugin in installed_plugins():
        config.section(plugin.section, plugin.config)
    return config.warnings


async def _patiently(work: Callable[[], Awaitable[object]]) -> None:
    """Do it, also if the database is away for a moment, or crowded: as it may be when many processes start with it."""
    until = monotonic() + START_SECONDS
    while True:
        try:
            await work()
        except ServiceUnavailableError as error:
            if monotonic() > until:
                raise
            log.warning("The start waits: %s", error.message)
            await asyncio.sleep(START_REST)
        else:
            return


class Running:
    """A started house: its ASGI application, and how to ask after it."""

    def __init__(self, house: House, asgi: Door, loops: Loops) -> None:
        self.house = house
        self.asgi = asgi
        self.loops = loops

    async def drain(self) -> None:
        """Have the loops finish what they are at, for `backend.lifecycle.serverShutdownTimeout`; requests are served meanwhile."""
        await self.loops.drain(self.house.backend.lifecycle.server_shutdown_timeout.total_seconds())


@asynccontextmanager
async def running(
    config: AppConfig,
    environ: Mapping[str, str],
    *,
    database: Database | None = None,
    roles: Collection[Role] = ("api", "worker"),
    door: Door | None = None,
) -> AsyncIterator[Running]:
    """The house, started: migrated, its loops turning, ready to answer. At the end, loops finish what they are at.

    A `door` that is given may answer requests already, and lets those to plugins in once all is started; without the role
    `api` it answers health and metrics only. Raises ConfigError, ServiceUnavailableError, and ConflictError for a database
    that is newer than the code."""
    async with opened(config, environ, database=database) as house:
        await _patiently(house.migrate)
        services = house.services
        loops = Loops(services.all(Loop), services.get(Events, FLOOR), roles)
        door = door or Door(config=house.backend, state=Lifecycle())
        routes = services.all(Routes) if "api" in roles else ()
        door.mount(routes, auth=services.get(Auth, FLOOR), telemetry=services.get(Telemetry, FLOOR))
        health = Health(services.get(Events, FLOOR), read_migrations(house.migrations), loops, services.all(Check))
        door.state.examination = health
        loops.start()
        door.state.started()
        started = Running(house, door, loops)
        try:
            yield started
        finally:
            await started.drain()
            await health.close()
