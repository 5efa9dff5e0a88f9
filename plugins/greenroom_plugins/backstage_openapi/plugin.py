"""The backstage_openapi plugin: the API of this backend, as an entity in its catalog."""

from __future__ import annotations

from collections.abc import Iterable

from greenroom.plugin import Contribution, Host, plugin
from greenroom.settings import AppConfig, BackendConfig
from greenroom_plugins.backstage_openapi.provider import OpenApiConfig, OwnDocuments

SECTION = "catalog.providers.backstageOpenapi"


@plugin("backstage-openapi", OpenApiConfig, section=SECTION)
def backstage_openapi(config: OpenApiConfig, host: Host) -> Iterable[Contribution]:
    """One entity that documents the API of this backend, if the config has the section at all."""
    if host.get(AppConfig).has(SECTION):
        yield OwnDocuments(config, host.get(BackendConfig).base_url, host)
