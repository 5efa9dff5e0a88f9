"""Greenroom: the backend that a Backstage frontend cannot tell from upstream."""

from greenroom.entity import Entity, EntityRef, parse_ref, ref_of
from greenroom.plugin import (
    CatalogProviders,
    CatalogReader,
    Contribution,
    Deferred,
    Document,
    EntityProvider,
    EntitySource,
    Host,
    Loop,
    Migrations,
    Mutation,
    NoConfig,
    Plugin,
    Provides,
    UrlReader,
    plugin,
)

__all__ = [
    "CatalogProviders",
    "CatalogReader",
    "Contribution",
    "Deferred",
    "Document",
    "Entity",
    "EntityProvider",
    "EntityRef",
    "EntitySource",
    "Host",
    "Loop",
    "Migrations",
    "Mutation",
    "NoConfig",
    "Plugin",
    "Provides",
    "UrlReader",
    "parse_ref",
    "plugin",
    "ref_of",
]
