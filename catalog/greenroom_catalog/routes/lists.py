"""Lists of entities: the whole catalog as a stream, pages with links, pages with cursors, and facets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from greenroom.auth import Credentials
from greenroom.permissions import Permissions
from greenroom.web import asked, json_response
from greenroom_catalog.query.conditions import Predicate
from greenroom_catalog.query.cursors import encode
from greenroom_catalog.query.filters import Order
from greenroom_catalog.query.permissions import ENTITY_READ
from greenroom_catalog.query.projection import Projection, parse_fields
from greenroom_catalog.query.query import CHUNK, EntityQueries, FacetValue, Page
from greenroom_catalog.routes import requests
from greenroom_catalog.routes.requests import PageRequest, Window

Cut = Callable[[bytes], bytes]

JSON = "application/json; charset=utf-8"


READ_AHEAD = 16
"""Streams for which a chunk is read while the last one is sent. What is read ahead is memory, however slow the reader."""


class Ahead:
    """Chunks as they are read, the next one already while somebody is busy with one."""

    def __init__(self, most: int = READ_AHEAD) -> None:
        self._free = most

    async def __call__(self, chunks: AsyncIterator[list[bytes]]) -> AsyncGenerator[list[bytes], None]:
        """The same chunks, read ahead unless that is done for enough others."""

        async def following() -> list[bytes] | None:
            return await anext(chunks, None)

        coming: asyncio.Task[list[bytes] | None] | None = None
        try:
            while True:
                chunk = await (following() if coming is None else coming)
                self._free += coming is not None
                coming = None
                if chunk is None:
                    return
                if self._free:
                    self._free -= 1
                    coming = asyncio.create_task(following())
                held = [chunk]
                del chunk  # whoever it is for may take an hour over it
                yield held.pop()
        finally:
            if coming is not None:
                self._free += 1
                coming.cancel()
                await asyncio.wait([coming])  # what became of it concerns nobody any more
                _ = coming.cancelled() or coming.exception()


def list_routes(queries: EntityQueries, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that answer with the entities that match."""
    ahead = Ahead()

    @get("/entities", operation_id="GetEntities")
    async def entities(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        query = requests.filters(ask.query)
        fields = parse_fields(ask.query.get("fields"))
        orders = requests.orders_from_query(ask.query)
        window = requests.window_from_query(ask.query)
        if not await permissions.allows(ask.credentials, ENTITY_READ):
            return json_response(b"[]")
        cut = Projection(fields) if fields else None
        if window is None:
            order = Order(orders[0].key.lower(), orders[0].direction) if orders else None
            return await _streamed(ahead(queries.stream(query, order)), cut)
        after = requests.window_after(ask.query, window)
        ids, headers = await _listed(queries, query, orders, after, ask.url)
        return await _sent(ahead(queries.read(ids)), len(ids), cut, headers=headers)

    @get("/entities/by-query", operation_id="GetEntitiesByQuery")
    async def by_query(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        wanted = requests.page_from_query(ask.query)
        return await answer(wanted, ask.credentials)

    @post("/entities/by-query", operation_id="QueryEntitiesByPredicate", status_code=200)
    async def by_predicate(request: Request[Any, Any, Any]) -> Response[Any]:
        ask = asked(request)
        wanted = requests.page_from_body(requests.body_of(ask) or {})
        return await answer(wanted, ask.credentials)

    async def answer(wanted: PageRequest, credentials: Credentials) -> Response[Any]:
        if not await permissions.allows(credentials, ENTITY_READ):
            return json_response({"items": [], "totalItems": 0, "pageInfo": {}})
        page = await queries.page(wanted.cursor, limit=wanted.limit, offset=wanted.offset)
        cut = Projection(wanted.fields) if wanted.fields else None
        head, tail = b'{"items":[', _trailer(page)
        if page.unread:
            return await _sent(ahead(queries.read(page.unread)), len(page.unread), cut, head, tail)
        return json_response(head + _inside(page.documents, cut) + tail, etag=cut is not None)

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
    chunks: AsyncIterator[list[bytes]],
    count: int,
    cut: Cut | None,
    head: bytes = b"[",
    tail: bytes = b"]",
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """A page. A long one is sent as it is read, unless it needs an ETag: then it is cut as it is read."""
    if count > CHUNK and cut is None:
        return await _streamed(chunks, cut, head, tail, headers)
    documents = [document if cut is None else cut(document) async for chunk in chunks for document in chunk]
    return json_response(head + b",".join(documents) + tail, headers=headers, etag=cut is not None)


async def _streamed(
    chunks: AsyncIterator[list[bytes]],
    cut: Cut | None,
    head: bytes = b"[",
    tail: bytes = b"]",
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """All of them. The first chunk is read before the answer begins, so that what goes wrong by then is told properly."""
    first = await anext(chunks, None)
    if first is None:
        return json_response(head + tail, headers=headers)
    return Stream(_bytes(head + _inside(first, cut), chunks, cut, tail), media_type=JSON, headers=headers)


async def _bytes(begun: bytes, rest: AsyncIterator[list[bytes]], cut: Cut | None, tail: bytes) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in rest:
        piece = b",%b" % _inside(chunk, cut)
        del chunk
        yield piece
    yield tail


def _inside(documents: list[bytes], cut: Cut | None) -> bytes:
    return b",".join(documents if cut is None else map(cut, documents))
