"""The rooms below -> the catalog's HTTP surface, whole."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from greenroom.auth import Auth
from greenroom.permissions import Permissions
from greenroom.web import Routes, json_response, load_document
from greenroom_catalog.query.permissions import metadata
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.routes.analysis import analysis_routes
from greenroom_catalog.routes.changes import change_routes
from greenroom_catalog.routes.entities import batch_routes, entity_routes
from greenroom_catalog.routes.lists import facet_routes, list_routes
from greenroom_catalog.routes.locations import location_routes, location_search_routes
from greenroom_catalog.routes.services import Analyzes, EntityWriter, Locations, Validates
from greenroom_catalog.routes.unprocessed import unprocessed_routes


def catalog_routes(
    queries: EntityQueries,
    writer: EntityWriter,
    locations: Locations,
    analysis: Analyzes,
    validation: Validates,
    *,
    permissions: Permissions,
    auth: Auth,
    readonly: bool = False,
) -> Routes:
    """Everything below `/api/catalog`. `readonly` is `catalog.readonly`: locations cannot be changed by users."""
    handlers = [
        *entity_routes(queries, permissions),
        *batch_routes(queries, permissions),
        *list_routes(queries, permissions),
        *facet_routes(queries, permissions),
        *change_routes(writer, permissions, auth),
        *location_search_routes(locations, permissions),
        *location_routes(locations, permissions, readonly=readonly),
        *analysis_routes(analysis, validation, permissions),
        *unprocessed_routes(queries, writer, permissions),
        _permissions_metadata(),
    ]
    return Routes("catalog", handlers, document=load_document("catalog"))


def _permissions_metadata() -> Any:
    content = metadata()

    @get("/.well-known/backstage/permissions/metadata")
    async def permissions_metadata() -> Response[bytes]:
        return json_response(content)

    return permissions_metadata
