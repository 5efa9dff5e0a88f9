"""Routes -> one litestar application and, per plugin, the table the door matches against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import PathPolicy
from greenroom.errors import GreenroomError
from greenroom.settings import RateLimit
from greenroom.web.asgi import ASGIApp
from greenroom.web.documents import served_copy, served_part
from greenroom.web.envelope import envelope
from greenroom.web.limits import RateLimiter
from greenroom.web.operations import Operation, compile_operations
from greenroom.web.responses import json_response
from greenroom.web.routes import METHOD, PATH, Routes, asked
from greenroom.web.table import Row, Table, segments


class Target(msgspec.Struct, frozen=True):
    """Where a matched request goes: to litestar, past the check of its operation if it is documented."""

    operation: Operation | None
    entry: str
    """The path prefix by which litestar knows the handler, and it alone."""
    name: str
    """The operation id, or the path template: a label of few values."""


class Mounted(msgspec.Struct, frozen=True):
    """One plugin as the door sees it."""

    id: str
    mount: str
    table: Table[Target]
    policy: PathPolicy
    document: Mapping[str, Any] | None
    """What of its OpenAPI document is served."""
    body_limit: int
    limiter: RateLimiter | None


def mount_all(routes: Sequence[Routes], limits: RateLimit | None) -> tuple[ASGIApp, dict[str, Mounted]]:
    """The litestar application behind the door, and the plugins by their id in lower case.

    Raises SchemaError for a document that requests cannot be checked against, GreenroomError for one operation id that
    two handlers claim or two documents in one plugin."""
    by_plugin: defaultdict[str, list[Routes]] = defaultdict(list)
    for one in routes:
        by_plugin[one.plugin].append(one)
    mounted: dict[str, Mounted] = {}
    entries: dict[str, HTTPRouteHandler] = {}
    for plugin, parts in by_plugin.items():
        handlers = [handler for part in parts for handler in part.handlers]
        document = told_document(plugin, parts)
        if document is not None:
            handlers.append(_document_route(served_copy(document, f"/api/{plugin}")))
        limit = limits.plugin.get(plugin) if limits else None
        entered = {f"/{len(entries) + index}": handler for index, handler in enumerate(handlers)}
        entries |= {f"{entry}/api/{plugin}": handler for entry, handler in entered.items()}
        mounted[plugin.lower()] = Mounted(
            id=plugin,
            mount=f"/api/{plugin}",
            table=_table(plugin, entered, compile_operations(document) if document else {}),
            policy=PathPolicy(
                open_paths=[path for part in parts for path in part.open_paths],
                cookie_paths=[path for part in parts for path in part.cookie_paths],
            ),
            document=document,
            body_limit=max(part.body_limit for part in parts),
            limiter=RateLimiter(limit) if limit else None,
        )
    return _litestar([Router(path=path, route_handlers=[handler]) for path, handler in entries.items()]), mounted


def told_document(plugin: str, parts: Sequence[Routes]) -> Mapping[str, Any] | None:
    """The one document of a plugin, without the operations that none of its handlers serves. Raises GreenroomError."""
    documents = [part.document for part in parts if part.document is not None]
    if len(documents) > 1:
        raise GreenroomError(f"Plugin {plugin} brings {len(documents)} OpenAPI documents; one is the limit")
    served = {str(handler.operation_id) for part in parts for handler in part.handlers}
    return served_part(documents[0], served) if documents else None


def _document_route(document: Mapping[str, Any]) -> HTTPRouteHandler:
    content = msgspec.json.encode(document)

    @get("/openapi.json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return json_response(content)

    return openapi


def _table(plugin: str, entered: Mapping[str, HTTPRouteHandler], operations: Mapping[str, Operation]) -> Table[Target]:
    rows, claimed = [], set()
    for entry, handler in entered.items():
        operation = operations.get(str(handler.operation_id)) if handler.operation_id else None
        if operation is not None and operation.operation_id in claimed:
            raise GreenroomError(f"Plugin {plugin} has two handlers for the operation {operation.operation_id}")
        if operation is not None:
            claimed.add(operation.operation_id)
        methods = tuple(sorted(str(method) for method in handler.http_methods))
        rows += [
            Row(methods, segments(path), Target(operation, entry, str(handler.operation_id or path)))
            for path in sorted(handler.paths)
        ]
    return Table(rows)


def _litestar(routers: Sequence[Router]) -> ASGIApp:
    return Litestar(
        list(routers),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        before_request=_undo_the_routing,
        exception_handlers={Exception: _answer_error},
        debug=False,
    )


async def _undo_the_routing(request: Request[Any, Any, Any]) -> None:
    """Litestar routed the escaped path; handlers that take a path parameter as an argument get it decoded."""
    request.scope["path"] = request.scope[PATH]  # type: ignore[literal-required]
    found = request.scope["path_params"]
    if found:
        decoded = asked(request).path
        request.scope["path_params"] = {
            name: decoded.get(name, value) if isinstance(value, str) else value for name, value in found.items()
        }


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    here = asked(request)
    method: str = request.scope[METHOD]  # type: ignore[literal-required]
    status, body = envelope(error, method, here.url)
    return json_response(body, status)
