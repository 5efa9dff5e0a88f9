"""The section `catalog` of `app-config.yaml`, as far as this part of the house reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

import msgspec

from greenroom.settings import FieldError


class LocationConfig(msgspec.Struct, rename="camel"):
    """`catalog.locations[]`"""

    type: str
    target: str
    rules: list[dict[str, Any]] | None = None
    entity_presence: Literal["optional", "required"] | None = None


class StitchingConfig(msgspec.Struct, rename="camel"):
    """`catalog.stitchingStrategy`: accepted; tickets wake the stitcher, so there is nothing to poll for."""

    mode: str | None = None
    polling_interval: timedelta | None = None
    stitch_timeout: timedelta | None = None


class ProcessorOptions(msgspec.Struct, rename="camel"):
    """`catalog.processorOptions.NAME`; `timeout` is of each call of a plugin's hook."""

    disabled: bool = False
    priority: float | None = None
    timeout: timedelta | None = None


class ProviderOptions(msgspec.Struct, rename="camel"):
    """`catalog.providerOptions.<name of a provider>`"""

    disabled: bool = False
    """It is as if it were not installed: what it brought goes, unless `orphanProviderStrategy` is `keep`."""
    timeout: timedelta | None = None
    """Of each run. None: the provider's own (`schedule.timeout`), else six hours."""
    max_entities: int | None = None
    """That a run may emit. None: two million."""

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise FieldError("timeout", "a run takes some time")
        if self.max_entities is not None and self.max_entities < 1:
            raise FieldError("maxEntities", "expected at least 1")


class RemovalGuard(msgspec.Struct, rename="camel"):
    """`catalog.removalGuard`: what a provider's full mutation may take away before somebody has to confirm it."""

    share: float = 0.5
    """Of what the provider brought, from 0 to 1."""
    at_least: int = 100
    """Entities; what removes fewer is never refused."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise FieldError(
                "share", "a share is from 0 to 1", hint="such as 0.5; `removalGuard: false` refuses nothing"
            )


class ScmEvents(msgspec.Struct, rename="camel"):
    """`catalog.scmEvents`, in full: what is done about what a source code host tells."""

    refresh: bool = False
    unregister: bool = False
    move: bool = False


class QueueAge(msgspec.Struct, rename="camel"):
    """`catalog.queueAge`: how long an entity may wait for its turn before health tells of it."""

    limit: timedelta = timedelta(minutes=15)
    unready: bool = False
    """Whether that takes readiness down too. A long queue is no reason to serve less, so not by default."""

    def __post_init__(self) -> None:
        if self.limit <= timedelta(0):
            raise FieldError("limit", "everything waits for a moment")


SHORTEST_INTERVAL = timedelta(seconds=1)
"""Upstream's: a shorter `processingInterval` is taken as this."""


class CatalogConfig(msgspec.Struct, rename="camel"):
    """`catalog`"""

    locations: list[LocationConfig] = []
    rules: list[dict[str, Any]] | None = None
    readonly: bool = False
    orphan_strategy: Literal["keep", "delete"] = "delete"
    orphan_provider_strategy: Literal["keep", "delete"] = "delete"
    processing_interval: timedelta | bool | None = None
    default_location_conflict_strategy: Literal["reject", "refresh"] = "reject"
    provider_options: dict[str, ProviderOptions] = {}
    removal_guard: RemovalGuard | bool = True
    queue_age: QueueAge = msgspec.field(default_factory=QueueAge)
    stitching_strategy: StitchingConfig | None = None
    import_: dict[str, Any] = msgspec.field(name="import", default_factory=dict)
    providers: dict[str, Any] = {}
    processors: dict[str, Any] = {}
    processor_options: dict[str, ProcessorOptions] = {}
    disable_default_processors: bool = False
    scm_events: ScmEvents | bool = False

    def __post_init__(self) -> None:
        if self.processing_interval is True:
            raise FieldError("processingInterval", "expected a duration or false", hint="for example `{minutes: 10}`")
        if isinstance(self.processing_interval, timedelta):
            self.processing_interval = max(self.processing_interval, SHORTEST_INTERVAL)

    @property
    def guard(self) -> RemovalGuard | None:
        """None: whatever a provider says is believed."""
        return RemovalGuard() if self.removal_guard is True else self.removal_guard or None

    @property
    def disabled_providers(self) -> list[str]:
        return [name for name, options in self.provider_options.items() if options.disabled]

    def cautions(self) -> Iterable[str]:
        """What is accepted, and does not do what it does upstream."""
        stitching = self.stitching_strategy
        if stitching is not None and (stitching.polling_interval, stitching.stitch_timeout) != (None, None):
            yield "stitchingStrategy: a stitcher is woken when there is work, so its intervals have no effect"
        events = self.scm_events
        if events is True or (isinstance(events, ScmEvents) and (events.refresh or events.unregister or events.move)):
            yield (
                "scmEvents: no source code host tells this server of events but by the webhooks of `catalog.providers.git`, "
                "which refresh, add and remove by themselves; this setting has no effect"
            )
        for name in self.processors:
            yield f"processors.{name}: there is no such processor here; this setting has no effect"
