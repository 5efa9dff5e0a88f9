"""Registered locations: list, find, register, look at, point elsewhere, unregister."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import NotAllowedError, NotFoundError
from greenroom.permissions import Permissions
from greenroom.web import asked, empty, json_response
from greenroom_catalog.ingestion import locations as refs
from greenroom_catalog.query.permissions import LOCATION_CREATE, LOCATION_DELETE, LOCATION_READ
from greenroom_catalog.routes import location_requests, requests
from greenroom_catalog.routes.entities import ref_of_path
from greenroom_catalog.routes.services import Location, Locations


def location_routes(locations: Locations, permissions: Permissions, *, readonly: bool) -> list[HTTPRouteHandler]:
    """The routes of registered locations."""

    @get("/locations", operation_id="GetLocations")
    async def listed(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not await permissions.allows(asked(request).credentials, LOCATION_READ):
            return json_response(b"[]")
        return json_response([{"data": _to_wire(one)} for one in await locations.all()])

    @get("/locations/{id:str}", operation_id="GetLocation")
    async def one(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        if not await permissions.allows(ask.credentials, LOCATION_READ):
            raise NotFoundError(f"Found no location with ID {ask.path['id']}")
        return json_response(_to_wire(await locations.get(ask.path["id"])))

    @post("/locations", operation_id="CreateLocation", status_code=201)
    async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        spec = location_requests.location(requests.body_of(ask))
        dry_run = requests.is_yes(ask.query.get("dryRun"))
        if not dry_run:
            _refuse_if(readonly)
        await permissions.require(ask.credentials, LOCATION_CREATE)
        if dry_run:
            return json_response(await _tried_out(locations, spec), 201)
        made = await locations.create(spec["type"], spec["target"], on_conflict=ask.query.get("onConflict"))
        return json_response({"location": _to_wire(made), "entities": []}, 201)

    @put("/locations/{id:str}", operation_id="UpdateLocation")
    async def update(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        spec = location_requests.location(requests.body_of(ask))
        _refuse_if(readonly)
        await permissions.require(ask.credentials, LOCATION_CREATE)
        return json_response(_to_wire(await locations.update(ask.path["id"], spec["type"], spec["target"])))

    @delete("/locations/{id:str}", operation_id="DeleteLocation", status_code=200)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        _refuse_if(readonly)
        await permissions.require(ask.credentials, LOCATION_DELETE)
        await locations.delete(ask.path["id"])
        return empty(204)

    return [create, listed, one, update, remove]  # OPTIONS tells the verbs in this order, which is upstream's


def location_search_routes(locations: Locations, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that find registered locations."""

    @post("/locations/by-query", operation_id="GetLocationsByQuery", status_code=200)
    async def by_query(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        wanted = location_requests.location_page(requests.body_of(ask))
        if not await permissions.allows(ask.credentials, LOCATION_READ):
            return json_response({"items": [], "totalItems": 0, "pageInfo": {}})
        page = await locations.find(wanted.query, wanted.limit + 1, wanted.after)
        rows = page.rows[: wanted.limit]
        info = {"nextCursor": wanted.next(rows[-1].id)} if len(page.rows) > len(rows) else {}
        return json_response({"items": [_to_wire(row) for row in rows], "totalItems": page.total, "pageInfo": info})

    @get("/locations/by-entity/{kind:str}/{namespace:str}/{name:str}", operation_id="getLocationByEntity")
    async def by_entity(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        if not await permissions.allows(ask.credentials, LOCATION_READ):
            raise NotFoundError("")
        return json_response(_to_wire(await locations.of_entity(ref_of_path(ask.path))))

    return [by_query, by_entity]


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
