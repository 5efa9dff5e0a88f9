"""The ndjson plugin: entities from files with one JSON document a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenroom.plugin import Contribution, Host, plugin
from greenroom.urls import Urls
from greenroom_plugins.ndjson.provider import NdjsonConfig, NdjsonProvider

__all__ = ["NdjsonConfig", "NdjsonProvider", "ndjson"]


@plugin("ndjson", dict[str, NdjsonConfig], section="catalog.providers.ndjson")
def ndjson(config: Mapping[str, NdjsonConfig], host: Host) -> Iterable[Contribution]:
    """One provider for each file."""
    urls = host.get(Urls)
    for id_, one in config.items():
        yield NdjsonProvider(id_, one, urls)
