"""The section `catalog` of `app-config.yaml`, as far as this part of the house reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import msgspec


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
    stitching_strategy: StitchingConfig | None = None
    import_: dict[str, Any] = msgspec.field(name="import", default_factory=dict)
    providers: dict[str, Any] = {}
    processors: dict[str, Any] = {}
    processor_options: dict[str, ProcessorOptions] = {}
    disable_default_processors: bool = False
