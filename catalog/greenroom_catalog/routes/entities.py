"""Single entities and batches of them: by name, by uid, by refs, and what is above one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import NotAllowedError, NotFoundError
from greenroom.permissions import Permissions
from greenroom.web import asked, json_response
from greenroom_catalog.query.permissions import ENTITY_READ
from greenroom_catalog.query.projection import Projection
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.routes import requests


def entity_routes(queries: EntityQueries, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that answer with entities whose names are known."""

    @get("/entities/by-name/{kind:str}/{namespace:str}/{name:str}", operation_id="GetEntityByName")
    async def by_name(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        allowed = await permissions.allows(ask.credentials, ENTITY_READ)
        document = await queries.by_ref(ref_of_path(ask.path)) if allowed else None
        if document is None:
            where = f"with kind '{ask.path['kind']}' in namespace '{ask.path['namespace']}'"
            raise NotFoundError(f"No entity named '{ask.path['name']}' found, {where}")
        return json_response(document, etag=False)

    @get("/entities/by-uid/{uid:str}", operation_id="GetEntityByUid")
    async def by_uid(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        allowed = await permissions.allows(ask.credentials, ENTITY_READ)
        document = await queries.by_uid(ask.path["uid"]) if allowed else None
        if document is None:
            raise NotFoundError(f"No entity with uid {ask.path['uid']}")
        return json_response(document, etag=False)

    @get("/entities/by-name/{kind:str}/{namespace:str}/{name:str}/ancestry", operation_id="GetEntityAncestryByName")
    async def ancestry(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        root = ref_of_path(ask.path)
        if not await permissions.allows(ask.credentials, ENTITY_READ, root):
            raise NotAllowedError
        found = await queries.ancestry(root)
        if found is None:
            raise NotFoundError(f"No such entity {root}")
        items = [{"entity": msgspec.Raw(one.document), "parentEntityRefs": one.parents} for one in found]
        return json_response({"rootEntityRef": root, "items": items})

    return [by_name, by_uid, ancestry]


def batch_routes(queries: EntityQueries, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that answer with many entities whose refs are known."""

    @post("/entities/by-refs", operation_id="GetEntitiesByRefs", status_code=200)
    async def by_refs(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        batch = requests.batch(ask.query, requests.body_of(ask))
        if not await permissions.allows(ask.credentials, ENTITY_READ):
            return json_response({"items": [None] * len(batch.refs)})
        documents = await queries.by_refs(batch.refs, batch.query)
        if batch.fields is not None:
            documents = project(documents, batch.fields)
        items = joined([document or b"null" for document in documents])
        return json_response(b'{"items":' + items + b"}", etag=batch.fields is not None)

    return [by_refs]


def ref_of_path(path: Mapping[str, str]) -> str:
    """The canonical reference of a triplet from a URL."""
    return "{kind}:{namespace}/{name}".format_map(path).lower()


def joined(documents: Sequence[bytes]) -> bytes:
    """Documents -> a JSON array of them."""
    return b"[" + b",".join(documents) + b"]"


def project(documents: Sequence[bytes | None], fields: Sequence[str]) -> list[bytes | None]:
    """Each document cut down to the fields."""
    cut = Projection(fields)
    return [None if document is None else cut(document) for document in documents]
