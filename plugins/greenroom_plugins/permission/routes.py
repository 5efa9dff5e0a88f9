"""`POST /authorize` and `GET /health` of the permission API."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from greenroom.auth import Credentials, require
from greenroom.errors import InputError
from greenroom.permissions import Permissions
from greenroom.web import Routes, asked, json_response
from greenroom_plugins.permission.requests import DecisionRequest, read_requests

NEEDS_A_REF = (
    "Resource permissions require a resourceRef to be set. Direct user requests without a resourceRef are not allowed."
)


def permission_routes(permissions: Permissions) -> Routes:
    """The routes, which ask `permissions` for every decision."""

    @get("/health")
    async def health() -> Response[bytes]:
        return json_response({"status": "ok"})

    @post("/authorize", status_code=200)
    async def authorize(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        credentials = require(ask.credentials, "user", "none")
        requests = read_requests({} if ask.body is None else ask.body)
        _need_refs(requests, credentials)
        items = [await _decide(permissions, credentials, one) for one in requests]
        return json_response({"items": items})

    return Routes("permission", [health, authorize], open_paths=("/health",))


def _need_refs(requests: list[DecisionRequest], credentials: Credentials) -> None:
    """Who asks directly may ask about one resource, not for the conditions on all of them."""
    unresolved = any(one.permission.resource_type is not None and one.resource_ref is None for one in requests)
    if credentials.kind == "user" and unresolved:
        raise InputError(NEEDS_A_REF)


async def _decide(permissions: Permissions, credentials: Credentials, one: DecisionRequest) -> dict[str, str]:
    """One answer for the whole request, also for several refs: a definitive decision does not depend on them."""
    decision = await permissions.authorize(credentials, one.permission)
    return {"id": one.id, "result": decision.value}
