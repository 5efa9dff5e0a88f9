"""Lists of entities: the whole catalog as a stream, pages with links, pages with cursors, and facets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Credentials
from greenroom.permissions import Permissions
from greenroom.web import JsonStream, asked, json_response, sent_method
from greenroom_catalog.query.conditions import Predicate
from greenroom_catalog.query.cursors import encode
from greenroom_catalog.query.filters import Order
from greenroom_catalog.query.pages import Pages, Reading, Way
from greenroom_catalog.query.permissions import ENTITY_READ
from greenroom_catalog.query.projection import Projection, parse_fields
from greenroom_catalog.query.query import EntityQueries, FacetValue, Page
from greenroom_catalog.query.streams import CHUNK
from greenroom_catalog.routes import requests
from greenroom_catalog.routes.ahead import WHOLE, Ahead, Chunks
from greenroom_catalog.routes.requests import PageRequest, Window


def list_routes(queries: EntityQueries, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that answer with the entities that match."""
    ahead = Ahead()
    pages: Pages[Response[Any]] = Pages(queries.looks)

    @get("/entities", operation_id="GetEntities")
    async def entities(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        query = requests.filters(ask.query)
        fields = parse_fields(ask.query.get("fields"))
        orders = requests.orders_from_query(ask.query)
        window = requests.window_from_query(ask.query)
        if not await permissions.allows(ask.credentials, ENTITY_READ):
            return json_response(b"[]")
        joined = Projection(fields).each if fields else WHOLE
        if window is None:
            order = Order(orders[0].key.lower(), orders[0].direction) if orders else None
            return await _streamed(ahead(queries.stream(query, order), joined))
        after = requests.window_after(ask.query, window)
        ids, headers = await _listed(queries, query, orders, after, ask.url)
        return await _sent(ahead(queries.read(ids), joined), len(ids), etag=bool(fields), headers=headers)

    @get("/entities/by-query", operation_id="GetEntitiesByQuery")
    async def by_query(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        key = f"{sent_method(request)} {ask.url}"  # what is wrong with a query is forgiven to HEAD
        return await answer(key, lambda: requests.page_from_query(ask.query), ask.credentials)

    @post("/entities/by-query", operation_id="QueryEntitiesByPredicate", status_code=200)
    async def by_predicate(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        key = b"%b %b" % (dict(request.scope["headers"]).get(b"content-type", b""), ask.raw)  # it tells the charset
        return await answer(key, lambda: requests.page_from_body(requests.body_of(ask) or {}), ask.credentials)

    async def answer(key: str | bytes, wanted: Callable[[], PageRequest], credentials: Credentials) -> Response[Any]:
        """`key`: all of the request, which is looked into only where there is no answer to it that still holds."""
        if await permissions.allows(credentials, ENTITY_READ):
            return await pages.current(key, lambda way: read(wanted(), way))
        wanted()
        return json_response({"items": [], "totalItems": 0, "pageInfo": {}})

    async def read(wanted: PageRequest, way: Way) -> Reading[Response[Any]]:
        page = await queries.page(wanted.cursor, limit=wanted.limit, offset=wanted.offset, way=way)
        joined = Projection(wanted.fields).each if wanted.fields else WHOLE
        head, tail = b'{"items":[', _trailer(page)
        if page.unread:
            chunks = ahead(queries.read(page.unread), joined)
            return Reading(await _sent(chunks, len(page.unread), head, tail, etag=bool(wanted.fields)), 0, None)
        body = head + joined(page.documents) + tail
        return Reading(json_response(body, etag=bool(wanted.fields)), len(body), page.seen)

    return [entities, by_predicate, by_query]  # OPTIONS tells the verbs in this order, which is upstream's


def facet_routes(queries: EntityQueries, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that count the values of fields."""

    @get("/entity-facets", operation_id="GetEntityFacets")
    async def facets(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        query = requests.filters(ask.query)
        return await count(requests.facets_from_query(ask.query), query, ask.credentials)

    @post("/entity-facets", operation_id="QueryEntityFacetsByPredicate", status_code=200)
    async def facets_by_predicate(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        names, query = requests.facets_from_body(requests.body_of(ask) or {})
        return await count(names, query, ask.credentials)

    async def count(names: list[str], query: Predicate | None, credentials: Credentials) -> Response[bytes]:
        found: dict[str, list[FacetValue]] = {name: [] for name in names}
        if await permissions.allows(credentials, ENTITY_READ):
            found = await queries.facets(names, query)
        return json_response({"facets": found})

    return [facets, facets_by_predicate]


def _trailer(page: Page) -> bytes:
    """What follows the items."""
    around = {"nextCursor": page.next, "prevCursor": page.previous}
    info = {name: encode(cursor) for name, cursor in around.items() if cursor is not None}
    return b"]," + msgspec.json.encode({"totalItems": page.total, "pageInfo": info})[1:]


async def _listed(
    queries: EntityQueries, query: Predicate | None, orders: Sequence[Order], window: Window, url: str
) -> tuple[list[int], dict[str, str]]:
    """The ids of one page, and its headers. One more than asked for is looked up, to know whether there is a next page."""
    limit = window.limit
    ids = await queries.listed(query, orders, None if limit is None else limit + 1, window.offset)
    if limit is None or len(ids) <= limit:
        return ids, {}
    return ids[:limit], {"Link": requests.next_link(url, window.next())}


async def _sent(
    chunks: Chunks,
    count: int,
    head: bytes = b"[",
    tail: bytes = b"]",
    headers: Mapping[str, str] | None = None,
    *,
    etag: bool,
) -> Response[Any]:
    """A page. A long one is sent as it is read, unless it needs an ETag: then it is put together first."""
    if count > CHUNK and not etag:
        return await _streamed(chunks, head, tail, headers)
    documents = [chunk async for chunk in chunks]
    return json_response(head + b",".join(documents) + tail, headers=headers, etag=etag)


async def _streamed(
    chunks: Chunks, head: bytes = b"[", tail: bytes = b"]", headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """All of them. The first chunk is read before the answer begins, so that what goes wrong by then is told properly."""
    first = await anext(chunks, None)
    if first is None:
        return json_response(head + tail, headers=headers)
    return JsonStream(_bytes([head + first], chunks, tail), headers)


async def _bytes(begun: list[bytes], rest: Chunks, tail: bytes) -> AsyncGenerator[bytes, None]:
    """`begun` is emptied: what was sent is not held."""
    try:
        yield begun.pop()
        async for chunk in rest:
            begun.append(chunk)
            del chunk
            yield b","  # by itself: to put it before a megabyte is to copy that
            yield begun.pop()
        yield tail
    finally:
        await rest.aclose()
