"""What Greenroom tells beyond Backstage's API, below `/api/greenroom`."""

from __future__ import annotations

from collections.abc import Iterable

from litestar.handlers import HTTPRouteHandler

from greenroom.permissions import Permissions
from greenroom.web import Routes, load_document
from greenroom_catalog.routes.providers import provider_routes
from greenroom_catalog.storage.runs import ProviderRuns


def greenroom_routes(runs: ProviderRuns, *, permissions: Permissions, more: Iterable[HTTPRouteHandler] = ()) -> Routes:
    """Everything below `/api/greenroom`: the providers, and `more`."""
    return Routes("greenroom", [*provider_routes(runs, permissions), *more], document=load_document("greenroom"))
