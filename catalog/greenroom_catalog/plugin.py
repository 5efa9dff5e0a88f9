"""The catalog's rooms, built by hand from top to bottom, and what they offer the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec

from greenroom.auth import Auth
from greenroom.db import Database
from greenroom.errors import ConfigError
from greenroom.permissions import Permissions
from greenroom.plugin import (
    CatalogLocations,
    CatalogProviders,
    CatalogReader,
    Check,
    Contribution,
    EntityKind,
    EntityProvider,
    Host,
    LocationAnalyzer,
    Loop,
    PlaceholderResolver,
    Provides,
    Ready,
    Status,
    plugin,
)
from greenroom.plugin import Processor as ProcessorOfPlugin
from greenroom.presence import Presence
from greenroom.settings import AppConfig, BackendConfig, FieldError, IntegrationsConfig, hide_in_text
from greenroom.telemetry import Metrics, Redaction
from greenroom.urls import Urls
from greenroom_catalog.ingestion.analysis import Analysis
from greenroom_catalog.ingestion.engine import Engine
from greenroom_catalog.ingestion.meters import Census, Meters
from greenroom_catalog.ingestion.processor import Processor
from greenroom_catalog.ingestion.providers import ConfigLocations, Source, Triggers
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.ingestion.registry import REGISTERED_LOCATIONS, RegisteredLocations
from greenroom_catalog.ingestion.repositories import RepositorySearch, accessible
from greenroom_catalog.ingestion.runner import SLOTS, ProviderRunner
from greenroom_catalog.ingestion.steps import Extensions
from greenroom_catalog.ingestion.sweeping import CADENCE, TASK, Sweeper
from greenroom_catalog.ingestion.validation import Validation
from greenroom_catalog.model import Rules, read_rules
from greenroom_catalog.query.explain import Explainer, Setup
from greenroom_catalog.query.query import EntityQueries, LentReader
from greenroom_catalog.query.tallies import PATIENCE
from greenroom_catalog.routes.explain import explain_routes
from greenroom_catalog.routes.lent import LentLocations
from greenroom_catalog.routes.own import greenroom_routes
from greenroom_catalog.routes.scheduler import SweepTask, scheduler_routes
from greenroom_catalog.routes.surface import catalog_routes
from greenroom_catalog.settings import CatalogConfig
from greenroom_catalog.storage.changes import Changes
from greenroom_catalog.storage.chores import Chores
from greenroom_catalog.storage.clock import Clock
from greenroom_catalog.storage.locations import LocationTable
from greenroom_catalog.storage.reports import Reports
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import MIGRATIONS, Store
from greenroom_catalog.storage.upkeep import Upkeep
from greenroom_catalog.storage.waking import TO_DO, TO_PROCESS, TO_PROVIDE, TO_STITCH
from greenroom_catalog.storage.workers import Workers


class CheckedConfig(CatalogConfig):
    """`catalog`, its rules known to be sound, so that a wrong one is found by `greenroom config check` too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            _rules(self)
        except ConfigError as error:
            raise FieldError(error.path.removeprefix("catalog."), error.problem, error.hint) from error


@plugin("catalog", CheckedConfig, provides=(CatalogReader, CatalogProviders, CatalogLocations))
def catalog(config: CatalogConfig, host: Host) -> Iterable[Contribution]:
    """Ingest entities from providers and locations, and serve them at `/api/catalog`."""
    database, urls = host.get(Database), host.get(Urls)
    rules = _rules(config)
    processor = Processor(rules, Reader(urls))
    workers = Workers(database, host.get(Presence), host.log)
    store = Store(
        database,
        keep_orphans=config.orphan_strategy == "keep",
        lane=processor.lane,
        holder=workers.me,
        long_at_once=max(1, host.get(BackendConfig).database.pool_max // 2),
    )
    meters = Meters(host.get(Metrics))
    engine = Engine(store, processor, host.log, meters, interval=config.processing_interval, rules=fingerprint(config))
    locations = RegisteredLocations(
        LocationTable(database),
        Source(REGISTERED_LOCATIONS, store, host.log),
        store,
        processor,
        conflict=config.default_location_conflict_strategy,
    )
    runs = ProviderRuns(database, workers.me)
    known_secrets = Redaction(host.get(AppConfig).secrets())

    def hide(text: str) -> str:
        return hide_in_text(known_secrets(text))

    runner = ProviderRunner(
        runs,
        store,
        lambda: host.all(EntityProvider),
        host.log,
        evict=config.orphan_provider_strategy == "delete",
        disabled=config.disabled_providers,
        guard=config.guard,
        options=config.provider_options,
        hide=hide,
    )

    queries = EntityQueries(database.within(PATIENCE))

    yield MIGRATIONS
    yield Ready(lambda: processor.extend(_extensions(config, host)))
    yield catalog_routes(
        queries,
        store,
        locations,
        Analysis(locations, urls.integrations, lambda: host.all(LocationAnalyzer)),
        Validation(processor),
        permissions=host.get(Permissions),
        auth=host.get(Auth),
        readonly=config.readonly,
    )
    chores = Chores(database)
    sweeps = config.orphan_strategy == "delete"
    yield scheduler_routes(runs, chores, SweepTask(TASK, CADENCE) if sweeps else None)
    permissions = host.get(Permissions)
    explainer = Explainer(database, queries.sql, Reader(urls), _setup(config, host, rules, hide))
    yield greenroom_routes(runs, permissions=permissions, more=explain_routes(explainer, permissions))
    yield Provides(CatalogReader, LentReader(queries))
    yield Provides(
        CatalogLocations, LentLocations(locations, host.get(Permissions), host.get(Auth), readonly=config.readonly)
    )
    yield ConfigLocations(config.locations)
    yield locations
    yield RepositorySearch(
        urls, set(accessible(host.get(AppConfig).section("integrations", IntegrationsConfig))), host.log
    )
    reports, age = Reports(database, store, runs), config.queue_age
    yield Status("Catalog", reports.status)
    yield Check("catalog.queue", partial(reports.overdue, age.limit), serious=age.unready)
    yield Provides(CatalogProviders, Triggers(runs))
    # a run of a provider ends in a time of its own
    yield Loop("catalog.providers", runner.run_due, wakes=(TO_PROVIDE,), concurrency=SLOTS, longest=None)
    yield Loop("catalog.process", engine.process_due, wakes=(TO_PROCESS,), concurrency=3, close=engine.close)
    yield Loop("catalog.stitch", engine.stitch_due, wakes=(TO_STITCH,), concurrency=3)
    if sweeps:
        yield Loop("catalog.orphans", Sweeper(store, chores, host.log).sweep_due, wakes=(TO_DO,))
    # closed after those above, which may let go of something themselves
    yield Loop("catalog.workers", workers.look, close=workers.leave)
    yield Loop("catalog.clock", Clock(database, host.log).look)
    yield Loop("catalog.upkeep", Upkeep(database).look, longest=3600.0)
    yield Loop("catalog.changes", Changes(database).trim, runs_in="every")
    yield Loop("catalog.census", Census(database, store, meters).count, runs_in="every")


def _rules(config: CatalogConfig) -> Rules:
    """Raises ConfigError."""
    locations = [
        {"type": one.type, "target": one.target, **({} if one.rules is None else {"rules": one.rules})}
        for one in config.locations
    ]
    return read_rules(config.rules, locations, folder=Path.cwd())


def _setup(config: CatalogConfig, host: Host, rules: Rules, hide: Callable[[str], str]) -> Setup:
    """What of the config an explanation speaks of."""
    return Setup(
        rules=rules,
        installed=lambda: [provider.name for provider in host.all(EntityProvider)],
        disabled=config.disabled_providers,
        locations=config.locations,
        keeps_orphans=config.orphan_strategy == "keep",
        rules_are_set=config.rules is not None,
        hide=hide,
    )


def _extensions(config: CatalogConfig, host: Host) -> Extensions:
    """What all plugins add to processing. Known once they are built."""
    return Extensions(
        processors=host.all(ProcessorOfPlugin),
        resolvers=host.all(PlaceholderResolver),
        kinds=host.all(EntityKind),
        options=config.processor_options,
        bare=config.disable_default_processors,
    )


def fingerprint(config: CatalogConfig) -> str:
    """Of everything that decides how an unchanged file is processed."""
    return blake2b(msgspec.json.encode([config.rules, config.locations]), digest_size=8).hexdigest()
