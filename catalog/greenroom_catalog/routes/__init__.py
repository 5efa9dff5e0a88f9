"""`/api/catalog`: decode, ask, answer."""

from greenroom_catalog.routes.surface import catalog_routes

__all__ = ["catalog_routes"]
