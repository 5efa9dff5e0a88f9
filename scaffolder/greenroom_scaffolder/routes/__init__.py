"""The HTTP surface of the scaffolder."""

from greenroom_scaffolder.routes.surface import scaffolder_routes

__all__ = ["scaffolder_routes"]
