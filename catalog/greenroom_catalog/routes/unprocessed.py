"""Entities that were found but are not served, for the operator who looks for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, delete, get
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Credentials
from greenroom.errors import NotAllowedError
from greenroom.javascript.times import iso
from greenroom.permissions import Permission, Permissions
from greenroom.web import asked, empty, json_response
from greenroom_catalog.query.permissions import UNPROCESSED_DELETE, UNPROCESSED_READ
from greenroom_catalog.query.query import EntityQueries, Pending, as_uid
from greenroom_catalog.routes.requests import only
from greenroom_catalog.routes.services import EntityWriter


def unprocessed_routes(
    queries: EntityQueries, writer: EntityWriter, permissions: Permissions
) -> list[HTTPRouteHandler]:
    """The routes of upstream's module for unprocessed entities."""

    async def check(credentials: Credentials, permission: Permission = UNPROCESSED_READ) -> None:
        if not await permissions.allows(credentials, permission):
            raise NotAllowedError("Unauthorized")

    @get("/entities/unprocessed/failed")
    async def failed(request: Request[Any, Any, Any]) -> Response[bytes]:
        await check(asked(request).credentials)
        return json_response({"type": "failed", "entities": []})  # what was served once stays so, with a status

    @get("/entities/unprocessed/pending")
    async def pending(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await check(ask.credentials)
        owner = only(ask.query.get("owner"))
        found = [one for one in await queries.pending() if not owner or _owner(one) == owner]
        return json_response({"type": "pending", "entities": [_to_wire(one) for one in found]})

    @delete("/entities/unprocessed/delete/{uid:str}", status_code=200)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await check(ask.credentials, UNPROCESSED_DELETE)
        known = as_uid(ask.path["uid"])
        if known is not None:  # what was never there is gone all the same
            await writer.delete_by_uid(known)
        return empty(204)

    return [failed, pending, remove]


def _owner(pending: Pending) -> Any:
    spec = msgspec.json.decode(pending.unprocessed_entity).get("spec")
    return spec.get("owner") if isinstance(spec, dict) else None


def _to_wire(pending: Pending) -> dict[str, Any]:
    """A row as upstream joins it: id and ref come from the side that has none, so they are null."""
    return {
        "entity_id": None,
        "entity_ref": None,
        "unprocessed_entity": pending.unprocessed_entity,
        "unprocessed_hash": pending.unprocessed_hash.hex(),
        "processed_entity": pending.processed_entity,
        "result_hash": pending.result_hash.hex() if pending.result_hash else None,
        "cache": {},
        "next_update_at": _moment(pending.next_update_at),
        "last_discovery_at": _moment(pending.last_discovery_at),
        "errors": pending.errors or [],
        "location_key": pending.location_key,
        "hash": None,
        "final_entity": None,
        "last_updated_at": None,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
