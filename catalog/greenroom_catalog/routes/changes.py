"""Changes to entities that users ask for: refresh and delete."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, post
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Auth
from greenroom.errors import NotFoundError
from greenroom.permissions import Permissions
from greenroom.web import asked, empty
from greenroom_catalog.query.filters import storable
from greenroom_catalog.query.permissions import ENTITY_DELETE, ENTITY_REFRESH
from greenroom_catalog.query.query import as_uid
from greenroom_catalog.routes.requests import body_of
from greenroom_catalog.routes.services import EntityWriter


def change_routes(writer: EntityWriter, permissions: Permissions, auth: Auth) -> list[HTTPRouteHandler]:
    """The routes that change entities."""

    @post("/refresh", operation_id="RefreshEntity", status_code=200)
    async def refresh(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        body = body_of(ask)
        ref, token = body["entityRef"], body.get("authorizationToken")
        credentials = await auth.authenticate(token, "catalog") if token else ask.credentials
        await permissions.require(credentials, ENTITY_REFRESH, ref)
        if not storable(ref) or not await writer.refresh(ref):
            raise NotFoundError(f"Entity {ref.lower()} not found")
        return empty()

    @delete("/entities/by-uid/{uid:str}", operation_id="DeleteEntityByUid", status_code=200)
    async def delete_by_uid(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await permissions.require(ask.credentials, ENTITY_DELETE)
        known = as_uid(ask.path["uid"])
        if known is not None:  # what was never there is gone all the same
            await writer.delete_by_uid(known)
        return empty(204)

    return [refresh, delete_by_uid]
