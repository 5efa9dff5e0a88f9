"""The scaffolder's rooms, built by hand from top to bottom, and what they offer the rest of the house."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from greenroom.auth import Auth
from greenroom.db import Database
from greenroom.errors import ConfigError
from greenroom.events import Events
from greenroom.permissions import Permissions
from greenroom.plugin import (
    Action,
    Autocomplete,
    CatalogLocations,
    CatalogReader,
    Check,
    Contribution,
    DataFolder,
    Host,
    Loop,
    Ready,
    Status,
    TemplateFilter,
    TemplateGlobal,
    plugin,
)
from greenroom.presence import Presence
from greenroom.settings import BackendConfig
from greenroom.telemetry import Gauge, Metrics
from greenroom.urls import Urls
from greenroom.urls.integrations import Integrations
from greenroom_scaffolder.actions.builtin import builtin_actions
from greenroom_scaffolder.actions.registry import Registry
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.actions.scripts import script_actions
from greenroom_scaffolder.routes import scaffolder_routes
from greenroom_scaffolder.routes.extensions import extensions
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.settings import ScaffolderConfig
from greenroom_scaffolder.storage.store import MIGRATIONS, TO_CLAIM, Store
from greenroom_scaffolder.tasks.broker import Broker
from greenroom_scaffolder.tasks.dry_run import DryRuns
from greenroom_scaffolder.tasks.following import TaskEvents
from greenroom_scaffolder.tasks.meters import Audit, Meters, watch
from greenroom_scaffolder.tasks.removals import Removals
from greenroom_scaffolder.tasks.runner import Bounds, Runner
from greenroom_scaffolder.tasks.sweeping import Sweeper
from greenroom_scaffolder.tasks.task import Journal, Outcome, Task
from greenroom_scaffolder.tasks.worker import Janitor, Lookout, Worker
from greenroom_scaffolder.templating import Engine
from greenroom_scaffolder.templating.backstage import backstage_filters
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.sealing import CONFIGURED, Keyring, keys_from

CENSUS = 15.0
"""Seconds between two counts of the tasks."""
KEY_FILE = "scaffolder.key"
"""In the data folder: what secrets are sealed with where no key is configured."""
REMOVALS = 64
"""Workspaces that may wait for being deleted; whoever comes then deletes their own first."""


@plugin("scaffolder", ScaffolderConfig, needs=(CatalogReader, CatalogLocations))
def scaffolder(config: ScaffolderConfig, host: Host) -> Iterable[Contribution]:
    """Run software templates, and tell of it at `/api/scaffolder`."""
    backend, data = host.get(BackendConfig), host.get(DataFolder)
    store = Store(host.get(Database))
    sealing = _keyring(config, backend, data)
    workshop = Workshop(config, host)

    yield MIGRATIONS
    yield from _brought(config, host, workshop)
    yield Ready(lambda: workshop.open(working_directory(backend, data)))
    yield Ready(lambda: lone_key(config, backend, host))
    yield from _served(config, host, workshop, store, sealing)
    if config.concurrent_tasks_limit:
        yield from _worked(config, host, workshop, store, sealing)
    yield from _kept_in_order(config, host, workshop, store)
    yield Check("scaffolder.threads", workshop.trouble)
    yield Status("Scaffolder", lambda: _status(store, config.concurrent_tasks_limit))


def _brought(config: ScaffolderConfig, host: Host, workshop: Workshop) -> Iterable[Contribution]:
    """What is there for templates, whatever plugins there are."""
    urls = host.get(Urls)
    yield from backstage_filters(type_of(urls.integrations))
    builtin = builtin_actions(
        urls,
        workshop.render,
        workshop.bounds.quota,
        catalog=host.get(CatalogReader),
        permissions=host.get(Permissions),
        auth=host.get(Auth),
        locations=host.get(CatalogLocations),
        only_with_user_token=config.require_scm_user_credentials,
    )
    yield from builtin
    yield from script_actions(map(Path, config.scripts), {one.id for one in builtin})


def _served(
    config: ScaffolderConfig, host: Host, workshop: Workshop, store: Store, sealing: Keyring
) -> Iterable[Contribution]:
    """The HTTP surface, and what brings it events."""
    followers, permissions = TaskEvents(store, host.get(Events)), host.get(Permissions)
    yield scaffolder_routes(
        Broker(store, followers, sealing),
        Templates(host.get(CatalogReader), permissions, host.get(Auth)),
        workshop.dry_runs,
        permissions=permissions,
        actions=workshop.actions,
        extensions=lambda: extensions(host.all(TemplateFilter), host.all(TemplateGlobal)),
        providers=lambda: host.all(Autocomplete),
        streams=config.events,
    )

    async def follow() -> float:
        """Followers are told by events; there is nothing to look for."""
        return 3600.0

    async def part() -> None:
        followers.close()
        await workshop.removals.close()

    yield Loop("scaffolder.followers", follow, runs_in="every", close=part)


def _worked(
    config: ScaffolderConfig, host: Host, workshop: Workshop, store: Store, sealing: Keyring
) -> Iterable[Contribution]:
    """What runs tasks in this process."""
    audit = Audit(host.log, config.auditor.task_parameter_max_length)
    worker = Worker(
        store,
        workshop.run,
        events=host.get(Events),
        presence=host.get(Presence),
        sealing=sealing,
        slots=config.concurrent_tasks_limit,
        grace=config.shutdown_grace.total_seconds(),
        threads=lambda: workshop.runner.threads,
        watch=lambda task: watch(task, workshop.meters, audit),
    )

    async def lay_down() -> None:
        await worker.close()
        await workshop.removals.close()

    yield Loop("scaffolder.tasks", worker.step, wakes=(TO_CLAIM,), close=lay_down)
    yield Check("scaffolder.journal", worker.trouble, serious=True)


def _kept_in_order(config: ScaffolderConfig, host: Host, workshop: Workshop, store: Store) -> Iterable[Contribution]:
    """What looks after the tasks of all processes, and counts them."""
    yield Loop("scaffolder.lookout", Lookout(store, host.get(Presence), stale=config.stale_after).look)
    every = config.task_timeout_janitor_frequency
    janitor = Janitor(store, config.task_timeout, every, retention=config.workspace.retention)
    yield Loop("scaffolder.janitor", janitor.step)
    backend, data = host.get(BackendConfig), host.get(DataFolder)
    sweeper = Sweeper(store, lambda: working_directory(backend, data), lambda: workshop.removals.used)
    yield Loop("scaffolder.sweep", sweeper.step)
    gauge = host.get(Metrics).gauge("scaffolder_tasks", "Tasks, by what became of them", ("status",))
    yield Loop("scaffolder.census", Census(store, gauge).count)


class Workshop:
    """What runs templates. It is whole once all plugins are built, for any of them may bring actions and filters."""

    def __init__(self, config: ScaffolderConfig, host: Host) -> None:
        limits = config.workspace
        self._config, self._host = config, host
        self.bounds = Bounds(quota=Quota(limits.max_bytes, limits.max_files, limits.max_file_bytes))
        self.meters = Meters(host.get(Metrics))
        self.removals = Removals(most=REMOVALS)
        self._engines: Engines | None = None
        self._runner: Runner | None = None
        self._listing = b""

    def open(self, root: Path) -> None:
        """Look at what there is. Workspaces are made in `root`."""
        filters, global_values = self._vocabulary()
        self._engines = Engines(filters, global_values)
        self._runner = Runner(
            Registry(self._host.all(Action)),
            Engine(filters, global_values),
            root,
            environment=self._config.default_environment,
            permissions=self._host.get(Permissions),
            meters=self.meters,
            bounds=self.bounds,
            verbose=self._host.log.isEnabledFor(logging.DEBUG),
            removals=self.removals,
        )

    @property
    def runner(self) -> Runner:
        if self._runner is None:
            raise RuntimeError("the scaffolder is asked to run something before all plugins are built")
        return self._runner

    def actions(self) -> bytes:
        """The list of all actions, in JSON: there are no others until the next start."""
        self._listing = self._listing or msgspec.json.encode(self.runner.registry.listing())
        return self._listing

    def render(
        self, context: Mapping[str, Any], *, cookiecutter: bool, trim_blocks: bool, lstrip_blocks: bool
    ) -> Callable[[str], str]:
        """As `actions.rendering.Templates`: what renders the files of a skeleton."""
        if self._engines is None:
            raise RuntimeError("the scaffolder is asked to render something before all plugins are built")
        return self._engines(context, cookiecutter=cookiecutter, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks)

    def dry_runs(self) -> DryRuns:
        """What tries templates out."""
        return DryRuns(self.runner)

    async def run(self, task: Task, journal: Journal, cancelled: asyncio.Event) -> Outcome:
        """A run of a task (`tasks.worker.Run`)."""
        return await self.runner.run(task, journal, cancelled)

    async def trouble(self) -> str | None:
        """What keeps threads, and gives nothing for it (for a `Check`)."""
        return await self._runner.trouble() if self._runner else None

    def _vocabulary(self) -> tuple[dict[str, Callable[..., Any]], dict[str, Any]]:
        filters = {one.name: one.apply for one in self._host.all(TemplateFilter)}
        return filters, {one.name: one.value for one in self._host.all(TemplateGlobal)}


class Census:
    """Counts tasks for `/metrics`."""

    def __init__(self, store: Store, gauge: Gauge) -> None:
        self._store, self._gauge = store, gauge

    async def count(self) -> float:
        """One round of the loop."""
        counts = await self._store.tally()
        self._gauge.clear()
        for status, tasks in counts.items():
            self._gauge.set(tasks, status=status)
        return CENSUS


def type_of(integrations: Integrations) -> Callable[[str], str | None]:
    """Host -> the type of its integration."""
    return lambda host: next((one.type for one in integrations.hosts if one.host == host), None)


def working_directory(backend: BackendConfig, data: DataFolder) -> Path:
    """Where workspaces are made: nobody else may look into what we make. Raises ConfigError."""
    if backend.working_directory is None:
        own = data.path / "workspaces"
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        return own
    path = Path(backend.working_directory)
    if not path.is_dir():
        raise ConfigError("backend.workingDirectory", "there is no such folder", value=str(path))
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError("backend.workingDirectory", "cannot be written to", value=str(path))
    return path


def _keyring(config: ScaffolderConfig, backend: BackendConfig, data: DataFolder) -> Keyring:
    """The keys of the config, else one of this machine's own."""
    return keys_from(_configured_keys(config, backend), data.path / KEY_FILE)


def _configured_keys(config: ScaffolderConfig, backend: BackendConfig) -> list[str]:
    """Ours, then upstream's `backend.auth.keys[].secret`, which are taken as they are."""
    own = [key.secret for key in config.secrets.keys]
    upstream = [key["secret"] for key in backend.auth.keys or () if isinstance(key, Mapping) and key.get("secret")]
    return [*own, *upstream]


def lone_key(config: ScaffolderConfig, backend: BackendConfig, host: Host) -> None:
    """An embedded database and the key file lie in one folder, and come and go together. Another database outlives the file."""
    if backend.database.embedded or _configured_keys(config, backend):
        return
    host.log.warning(
        "%s: none is configured, so the secrets of tasks are sealed with %s, which this machine alone has. Where it is lost, or "
        "another machine takes a task up, tasks that were under way fail. Configure scaffolder.secrets.keys[0].secret, the same on "
        "every machine; make one with: openssl rand -base64 32",
        CONFIGURED,
        host.get(DataFolder).path / KEY_FILE,
    )


async def _status(store: Store, slots: int) -> Mapping[str, Any]:
    """Of all processes together: whoever asks is mostly another one than those that run tasks."""
    counts = await store.tally()
    return {
        "tasks waiting": counts.get("open", 0),
        "tasks running": counts.get("processing", 0),
        "at most, in each process": slots or "none: scaffolder.concurrentTasksLimit is 0",
        "tasks done": counts.get("completed", 0),
        "tasks failed": counts.get("failed", 0),
    }
