"""Why an entity is there, missing, stale, orphaned, in conflict or failed."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Credentials
from greenroom.entity import EntityRef, EntityRefError, parse_ref
from greenroom.errors import InputError, NotAllowedError
from greenroom.permissions import Decision, Permission, Permissions
from greenroom.web import asked, json_response
from greenroom_catalog.query.explain import Explanation, Sight
from greenroom_catalog.query.permissions import ENTITY_READ, LOCATION_ANALYZE, UNPROCESSED_READ


class Explains(Protocol):
    """Knows why (`query.explain.Explainer`)."""

    async def explain(
        self, ref: EntityRef, *, at: str | None = None, read: bool = True, sight: Sight | None = None
    ) -> Explanation:
        """Why the entity is as it is, as far as the asker's sight goes."""
        ...


def explain_routes(explainer: Explains, permissions: Permissions) -> list[HTTPRouteHandler]:
    """One route. Whoever may read entities is told what those show; all else needs `catalog.entities.unprocessed.read`."""

    async def may(credentials: Credentials, permission: Permission, ref: str | None = None) -> bool:
        return await permissions.authorize(credentials, permission, ref) is Decision.ALLOW

    @get("/catalog/explain", operation_id="ExplainEntity")
    async def explain(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        ref, at = _ref(ask.query["ref"]), ask.query.get("at")

        async def reads(other: str) -> bool:
            return await may(ask.credentials, ENTITY_READ, other)

        sight = Sight(await reads(str(ref)), await may(ask.credentials, UNPROCESSED_READ), reads)
        if at is not None and not (sight.inside and await may(ask.credentials, LOCATION_ANALYZE)):
            raise NotAllowedError(
                f"To have a file read, both {UNPROCESSED_READ.name} and {LOCATION_ANALYZE.name} must be allowed"
            )
        told = await explainer.explain(ref, at=at, read=ask.query.get("read", True), sight=sight)
        return json_response(msgspec.json.encode(told))

    return [explain]


def _ref(text: str) -> EntityRef:
    try:
        return parse_ref(text)
    except EntityRefError as error:
        raise InputError(error.message) from error
