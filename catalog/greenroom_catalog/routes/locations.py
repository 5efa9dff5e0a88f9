"""Registered locations: list, register, look at, unregister."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import NotAllowedError, NotFoundError
from greenroom.permissions import Decision, Permissions
from greenroom.web import asked, empty, json_response
from greenroom_catalog.ingestion import locations as refs
from greenroom_catalog.query.permissions import LOCATION_CREATE, LOCATION_DELETE, LOCATION_READ
from greenroom_catalog.routes import requests
from greenroom_catalog.routes.services import Location, Locations


def location_routes(locations: Locations, permissions: Permissions, *, readonly: bool) -> list[HTTPRouteHandler]:
    """The routes of registered locations."""

    @get("/locations", operation_id="GetLocations")
    async def listed(request: Request[Any, Any, Any]) -> Response[bytes]:
        if await permissions.authorize(asked(request).credentials, LOCATION_READ) is not Decision.ALLOW:
            return json_response(b"[]")
        return json_response([{"data": _to_wire(one)} for one in await locations.all()])

    @get("/locations/{id:str}", operation_id="GetLocation")
    async def one(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        if await permissions.authorize(ask.credentials, LOCATION_READ) is not Decision.ALLOW:
            raise NotFoundError(f"Found no location with ID {ask.path['id']}")
        return json_response(_to_wire(await locations.get(ask.path["id"])))

    @post("/locations", operation_id="CreateLocation", status_code=201)
    async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        spec = requests.location(requests.body_of(ask))
        dry_run = requests.is_yes(ask.query.get("dryRun"))
        if not dry_run:
            _refuse_if(readonly)
        await permissions.require(ask.credentials, LOCATION_CREATE)
        if dry_run:
            return json_response(await _tried_out(locations, spec), 201)
        made = await locations.create(spec["type"], spec["target"], on_conflict=ask.query.get("onConflict"))
        return json_response({"location": _to_wire(made), "entities": []}, 201)

    @delete("/locations/{id:str}", operation_id="DeleteLocation", status_code=200)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        _refuse_if(readonly)
        await permissions.require(ask.credentials, LOCATION_DELETE)
        await locations.delete(ask.path["id"])
        return empty(204)

    return [listed, one, create, remove]


def _refuse_if(readonly: bool) -> None:
    if readonly:
        raise NotAllowedError("This operation not allowed in readonly mode")


def _to_wire(location: Location) -> dict[str, str]:
    return {
        "id": str(location.id),
        "type": location.type,
        "target": location.target,
        "entityRef": location.entity_ref,
    }


async def _tried_out(locations: Locations, spec: dict[str, str]) -> dict[str, Any]:
    """What registering would bring, without doing it: the location has a ref already, and its reference for an id."""
    location = refs.Location(spec["type"], spec["target"])
    brought = await locations.try_out(*location)
    return {
        "exists": await locations.exists(*location),
        "location": {**spec, "id": str(location), "entityRef": refs.location_ref(location)},
        "entities": [one.entity for one in brought],
    }
