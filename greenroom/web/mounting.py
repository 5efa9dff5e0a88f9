"""Routes -> one litestar application and, per plugin, the table the door matches against.

Litestar calls what needs it: dependencies, guards, parameters by name. Handlers that take the request and give a response,
as nearly all do, the door calls itself: litestar costs as much as the rest of a short answer."""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast, get_origin

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

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

Plain = Callable[[Request[Any, Any, Any]], Awaitable[Response[Any]]]


class Target(msgspec.Struct, frozen=True):
    """Where a matched request goes: past the check of its operation, if it is documented, to its handler."""

    operation: Operation | None
    entry: str
    """The path prefix by which litestar knows the handler, and it alone."""
    name: str
    """The operation id, or the path template: a label of few values."""
    handler: HTTPRouteHandler
    """As litestar knows it."""
    plain: Plain | None
    """The handler's function, if litestar would do nothing but call it."""


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
    told = {plugin: told_document(plugin, parts) for plugin, parts in by_plugin.items()}
    entered: dict[str, dict[str, HTTPRouteHandler]] = {}
    number = itertools.count()
    for plugin, parts in by_plugin.items():
        handlers = [handler for part in parts for handler in part.handlers]
        if (document := told[plugin]) is not None:
            handlers.append(_document_route(served_copy(document, f"/api/{plugin}")))
        entered[plugin] = {f"/{next(number)}": handler for handler in handlers}
    app = _litestar(
        Router(path=f"{entry}/api/{plugin}", route_handlers=[handler])
        for plugin, handlers in entered.items()
        for entry, handler in handlers.items()
    )
    known = _by_entry(app)
    mounted: dict[str, Mounted] = {}
    for plugin, parts in by_plugin.items():
        document = told[plugin]
        limit = limits.plugin.get(plugin) if limits else None
        mounted[plugin.lower()] = Mounted(
            id=plugin,
            mount=f"/api/{plugin}",
            table=_table(plugin, entered[plugin], known, compile_operations(document) if document else {}),
            policy=PathPolicy(
                open_paths=[path for part in parts for path in part.open_paths],
                cookie_paths=[path for part in parts for path in part.cookie_paths],
            ),
            document=document,
            body_limit=max(part.body_limit for part in parts),
            limiter=RateLimiter(limit) if limit else None,
        )
    return app, mounted


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


def _by_entry(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """The handlers as litestar has registered them."""
    found: dict[str, HTTPRouteHandler] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            found["/" + route.path.split("/", 2)[1]] = route.route_handlers[0]
    return found


def _table(
    plugin: str,
    entered: Mapping[str, HTTPRouteHandler],
    known: Mapping[str, HTTPRouteHandler],
    operations: Mapping[str, Operation],
) -> Table[Target]:
    rows, claimed = [], set()
    for entry, handler in entered.items():
        operation = operations.get(str(handler.operation_id)) if handler.operation_id else None
        if operation is not None and operation.operation_id in claimed:
            raise GreenroomError(f"Plugin {plugin} has two handlers for the operation {operation.operation_id}")
        if operation is not None:
            claimed.add(operation.operation_id)
        methods = tuple(sorted(str(method) for method in handler.http_methods))
        function = plain(handler)
        rows += [
            Row(
                methods,
                segments(path),
                Target(operation, entry, str(handler.operation_id or path), known[entry], function),
            )
            for path in sorted(handler.paths)
        ]
    return Table(rows)


@get(sync_to_thread=False)
def _bare() -> None:
    """A handler that asks nothing of litestar."""


_EXTRAS = (
    "after_request",
    "after_response",
    "background",
    "before_request",
    "cache",
    "cache_control",
    "dependencies",
    "dto",
    "etag",
    "exception_handlers",
    "guards",
    "middleware",
    "request_class",
    "request_max_body_size",
    "response_class",
    "response_cookies",
    "response_headers",
    "return_dto",
    "type_encoders",
)
"""What may be asked of litestar, by the names of a handler's attributes."""


def plain(handler: HTTPRouteHandler) -> Plain | None:
    """The function of a handler that takes the request, gives a response, and asks nothing else of litestar."""
    function: Any = handler.fn
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation of a function inside another: litestar knows more ways
        return None
    given = get_origin(signature.return_annotation) or signature.return_annotation
    responds = isinstance(given, type) and issubclass(given, Response)
    if list(signature.parameters) != ["request"] or not responds or not inspect.iscoroutinefunction(function):
        return None
    if any(getattr(handler, name) != getattr(_bare, name) for name in _EXTRAS):
        return None
    return cast(Plain, function)


def _litestar(routers: Iterable[Router]) -> Litestar:
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
