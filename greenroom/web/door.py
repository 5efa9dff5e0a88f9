"""The ASGI application: one thin door in front of litestar that answers as upstream's express does.

Order, as upstream's: fixed headers, CORS, rate limit, health, then per plugin its rate limit, public keys, start and stop,
credentials, cookie, body, operation, handler; and an empty 404 for all that is left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response

from greenroom.auth import Auth, Shown
from greenroom.errors import ConfigError, InputError, ServiceUnavailableError
from greenroom.settings import BackendConfig, HealthConfig
from greenroom.telemetry import Telemetry, request_id
from greenroom.web.access import log_access
from greenroom.web.asgi import ASGIApp, Message, Receive, Send
from greenroom.web.bodies import NO_BODY, OTHER_BODY, Body, BodyError, ClientGoneError, is_json, read_json
from greenroom.web.cors import Cors
from greenroom.web.docs import DocsPage
from greenroom.web.headers import RawHeaders, fixed_headers, header_value
from greenroom.web.lifecycle import Lifecycle
from greenroom.web.limits import BODY as LIMITED
from greenroom.web.limits import ClientAddress, RateLimiter
from greenroom.web.mounting import Mounted, Plain, Target, mount_all
from greenroom.web.queries import decode_strictly, parse_query
from greenroom.web.responses import EVENTS, JSON, EventStream, JsonStream
from greenroom.web.routes import ASKED, CLOSING, METHOD, PATH, Asked, Routes
from greenroom.web.streaming import Streams, stream
from greenroom.web.visit import JSON_TYPE, Visit

LIVENESS = "/.backstage/health/v1/liveness"
READINESS = "/.backstage/health/v1/readiness"
HEALTH = "/.greenroom/health"
METRICS = "/metrics"
JWKS = "/.backstage/auth/v1/jwks.json"
COOKIE = "/.backstage/auth/v1/cookie"

EVENTS_TYPE = (b"content-type", EVENTS.encode())

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Answer = Callable[[Visit], Awaitable[None]]


class Door:
    """Answers from the first moment: health at once, requests to plugins once they are there.

    Everything that is known at the start is not worked out again per request. Raises ConfigError for headers, origins and
    proxies in the section `backend` that cannot be meant."""

    def __init__(self, *, config: BackendConfig, state: Lifecycle) -> None:
        limits = config.limits
        self.state = state
        self._config = config
        self._fixed = fixed_headers(config.csp, config.referrer)
        self._cors = Cors(config.cors) if config.cors else None
        self._limiter = RateLimiter(limits) if limits and limits.over_all else None
        self._address = ClientAddress(config.trust_proxy)
        self._streams = Streams()
        self._pause = config.lifecycle.startup_request_pause_timeout.total_seconds()
        self._health_headers = _health_headers(config.health)
        self._root: dict[str, Answer] = {LIVENESS: self._liveness, READINESS: self._readiness, HEALTH: self._report}
        if config.metrics is not False:
            self._root[METRICS] = self._metrics
        self._plugins: dict[str, Mounted] | None = None
        self._record_with(Telemetry())

    def mount(self, routes: Sequence[Routes], *, auth: Auth, telemetry: Telemetry) -> None:
        """Hand over the plugins, once they are built. Raises ConfigError and SchemaError for what cannot be served."""
        self._auth = auth
        self._inner, self._plugins = mount_all(routes, self._config.limits)
        documents = [(one.id, one.document) for one in self._plugins.values() if one.document]
        self._root |= DocsPage(documents).answers if documents else {}
        self._record_with(telemetry)

    def _record_with(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        labels = ("plugin", "operation", "method", "status")
        self._requests = telemetry.metrics.counter("http_server_requests", "Requests answered", labels)
        self._seconds = telemetry.metrics.histogram(
            "http_server_request_duration_seconds", "Time to answer", ("plugin", "operation")
        )

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._visit(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": None})

    async def _visit(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        visit = Visit(scope, receive, send, self._fixed)
        request_id.set(visit.id)
        visit.reply.added = [*self._fixed, (b"X-Request-Id", visit.id.encode())]
        if self.state.leaving:
            visit.reply.added.append((b"Connection", b"close"))  # the next request goes elsewhere
        try:
            if self._telemetry.tracer.enabled:
                await self._traced(visit)
            else:
                await self._answer(visit)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001 - the last place where anything can be answered
            await visit.error(error, visit.url)
        self._record(visit, time.perf_counter() - began)

    async def _traced(self, visit: Visit) -> None:
        with self._telemetry.tracer.span(visit.method, **{"http.request.method": visit.method}) as span:
            await self._answer(visit)
            span.update_name(f"{visit.method} {visit.plugin} {visit.operation}".rstrip())
            span.set_attribute("http.response.status_code", visit.reply.status)

    async def _answer(self, visit: Visit) -> None:
        if self._cors is not None:
            added = self._cors.answer(visit.method, visit.headers)
            if added is not None:
                visit.reply.added = [*visit.reply.added, *added.headers]
                visit.reply.vary = added.vary
                if added.status is not None:
                    visit.reply.added.append((b"Content-Length", b"0"))  # some browsers wait for a body without it
                    return await visit.reply.whole(added.status, [])
        if self._limiter is None:
            return await self._route(visit)
        return await self._limit(visit, self._limiter, self._route)

    async def _limit(self, visit: Visit, limiter: RateLimiter, go_on: Answer) -> None:
        peer = (visit.scope.get("client") or ("",))[0]
        verdict = limiter.admit(self._address.of(peer, visit.headers), peer)
        if verdict is None:
            return await go_on(visit)
        replaced = {name for name, _ in verdict.headers}
        kept = [pair for pair in visit.reply.added if pair[0] not in replaced]
        visit.reply.added = [*kept, *verdict.headers]
        if not verdict.passes:
            return await visit.json(LIMITED, 429)
        try:
            return await go_on(visit)
        finally:
            limiter.finished(verdict.key, visit.reply.status or 500)

    async def _route(self, visit: Visit) -> None:
        path = visit.path
        if path[:5].lower() == "/api/":
            end = path.find("/", 5)
            inside = "/" if end == -1 else path[end:]
            if self._plugins is None:
                return await self._wait(visit, inside)
            plugin = self._plugins.get((path[5:] if end == -1 else path[5:end]).lower())
            if plugin is not None:
                return await self._enter(visit, plugin, inside)
        return await self._at_root(visit)

    async def _wait(self, visit: Visit, inside: str) -> None:
        """There are no plugins yet."""
        try:
            await self.state.admit(self._pause)
        except ServiceUnavailableError as error:
            return await visit.error(error, f"{inside}?{visit.query}" if visit.query else inside)
        return await self._route(visit)

    async def _at_root(self, visit: Visit) -> None:
        lowered = visit.path.lower()
        answer = self._root.get(lowered) or self._root.get(lowered.removesuffix("/"))
        if answer is None:
            return await visit.empty(404)
        visit.operation = lowered.strip("/")
        if visit.method == "OPTIONS":
            return await visit.allow(("GET", "HEAD"))
        return await (answer(visit) if visit.reads else visit.empty(404))

    async def _liveness(self, visit: Visit) -> None:
        await visit.json(b'{"status":"ok"}', headers=self._health_headers)

    async def _readiness(self, visit: Visit) -> None:
        reason = await self.state.unfit()
        if reason is None:
            return await visit.json(b'{"status":"ok"}', headers=self._health_headers)
        body = msgspec.json.encode({"message": reason, "status": "error"})
        return await visit.json(body, 503, self._health_headers)

    async def _report(self, visit: Visit) -> None:
        report = await self.state.report()
        status = 503 if report["status"] == "error" else 200
        await visit.json(msgspec.json.encode(report), status, self._health_headers)

    async def _metrics(self, visit: Visit) -> None:
        metrics = self._telemetry.metrics
        await visit.reply.whole(200, [(b"content-type", metrics.content_type.encode())], metrics.render())

    async def _enter(self, visit: Visit, plugin: Mounted, path: str) -> None:
        """Into a plugin: from here on, errors tell URLs relative to it."""
        visit.plugin = plugin.id
        url = f"{path}?{visit.query}" if visit.query else path
        path = "/" + path.lstrip("/")  # express forgives slashes between the mount and the rest

        async def inside(visit: Visit) -> None:
            try:
                await self._inside(visit, plugin, path, url)
            except ClientGoneError:
                raise
            except Exception as error:  # noqa: BLE001
                await visit.error(error, url)

        if plugin.limiter is None:
            return await inside(visit)
        return await self._limit(visit, plugin.limiter, inside)

    async def _inside(self, visit: Visit, plugin: Mounted, path: str, url: str) -> None:
        lowered = path.lower().removesuffix("/")
        if lowered == JWKS and visit.method in ("GET", "HEAD", "OPTIONS"):
            visit.operation = "jwks"
            keys = msgspec.json.encode(self._auth.plugin_keys(plugin.id))
            return await (visit.allow(("GET", "HEAD")) if visit.method == "OPTIONS" else visit.json(keys))
        if not self.state.serves:
            await self.state.admit(self._pause)
        shown = visit.shown
        credentials = await self._auth.admit(shown, plugin.id, path, plugin.policy)
        if lowered == COOKIE and visit.method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            visit.operation = "cookie"
            return await self._cookie(visit, plugin, shown)
        body = await self._body(visit, plugin)
        match = plugin.table.find("GET" if visit.method == "HEAD" else visit.method, path)
        if match is None:
            return await self._unmatched(visit, plugin, path)
        parameters = match.parameters and _decode(match.parameters, documented=match.target.operation is not None)
        query: Mapping[str, Any] = {}
        operation = match.target.operation
        if operation is None:
            query = parse_query(visit.query)
        elif visit.method == "HEAD":
            query, parameters = operation.forgive(parse_query(visit.query), parameters)
        else:
            value = {} if body.value is None else body.value
            query, parameters = operation.check(visit.query, parameters, value, visit.header(b"content-type"))
            body = body._replace(value=value)
        visit.operation = match.target.name
        asked = Asked(query, parameters, body.value, body.raw, credentials, shown, plugin.id, visit.id, url)
        path = f"{plugin.mount}{match.path}"
        if match.target.plain is not None and not visit.unread:  # forms are opened and closed by litestar
            return await self._call(visit, match.target, match.target.plain, path, asked, body)
        return await self._hand_over(visit, match.target.entry, path, asked, body)

    async def _cookie(self, visit: Visit, plugin: Mounted, shown: Shown) -> None:
        if visit.method == "OPTIONS":
            return await visit.allow(("GET", "HEAD", "DELETE"))
        if visit.method == "DELETE":
            return await visit.reply.whole(204, [(b"Set-Cookie", self._auth.clear_cookie().encode("latin-1"))])
        renewal = await self._auth.renew_cookie(shown, plugin.id)
        cookie = [] if renewal.set_cookie is None else [(b"Set-Cookie", renewal.set_cookie.encode("latin-1"))]
        return await visit.json(msgspec.json.encode(renewal.body), headers=cookie)

    async def _body(self, visit: Visit, plugin: Mounted) -> Body:
        if not visit.unread:
            return NO_BODY
        if not is_json(visit.header(b"content-type") or ""):
            return OTHER_BODY
        visit.unread = False
        try:
            return await read_json(visit.headers, visit.receive, plugin.body_limit)
        except ClientGoneError:
            raise
        except BodyError as error:
            if plugin.document is not None:  # upstream's validator makes one kind of error of all of them
                raise InputError(error.message) from None
            raise

    async def _unmatched(self, visit: Visit, plugin: Mounted, path: str) -> None:
        methods = plugin.table.methods(path) if visit.method == "OPTIONS" else ()
        await (visit.allow(methods) if methods else visit.empty(404))

    async def _call(self, visit: Visit, target: Target, handler: Plain, path: str, asked: Asked, body: Body) -> None:
        """Past litestar: the request is what it would be there, and the response goes out as it would."""
        scope: Any = {
            **visit.scope,
            "path": path,
            "path_params": asked.path,
            "route_handler": target.handler,
            PATH: path,
            ASKED: asked,
            METHOD: visit.method,
            CLOSING: self.state.closing,
        }
        receive = _replay(body.raw, visit.receive) if body.read else visit.receive
        send: Any = visit.reply.send
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        response = await handler(request)
        if not await self._passed(visit, response, response.status_code or target.handler.status_code, receive):
            answer = response.to_asgi_response(
                None, request, status_code=target.handler.status_code, media_type=target.handler.media_type or None
            )
            await answer(scope, receive, send)

    async def _passed(self, visit: Visit, response: Response[Any], status: int, receive: Receive) -> bool:
        """Send a response of the plain kinds. Returns whether it is one."""
        kind = type(response)
        passes = kind is JsonStream or kind is EventStream or (kind is Response and response.media_type == JSON)
        if not passes or response.cookies or response.background:
            return False
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
        if isinstance(response, EventStream):
            await stream(visit.reply, status, [*headers, EVENTS_TYPE], response.pieces, receive)
        elif isinstance(response, JsonStream):
            await self._streams.send(visit.reply, status, [JSON_TYPE, *headers], response.pieces, receive)
        else:
            await visit.reply.whole(status, [JSON_TYPE, *headers], response.content)
        return True

    async def _hand_over(self, visit: Visit, entry: str, path: str, asked: Asked, body: Body) -> None:
        scope: Any = {
            **visit.scope,
            "path": f"{entry}{path}",
            "raw_path": path.encode("latin-1"),
            "method": "GET" if visit.method == "HEAD" else visit.method,
            "root_path": "",
            PATH: path,
            ASKED: asked,
            METHOD: visit.method,
            CLOSING: self.state.closing,
        }
        receive = _replay(body.raw, visit.receive) if body.read else visit.receive
        await self._inner(scope, receive, visit.reply.send)

    def _record(self, visit: Visit, seconds: float) -> None:
        status = visit.reply.status
        method = visit.method if visit.method in _METHODS else "other"
        self._requests.inc(plugin=visit.plugin, operation=visit.operation, method=method, status=str(status))
        self._seconds.observe(seconds, plugin=visit.plugin, operation=visit.operation)
        log_access(visit)


def _health_headers(health: HealthConfig) -> RawHeaders:
    """Raises ConfigError."""
    for name in health.headers:
        if not _TOKEN.fullmatch(name):
            raise ConfigError("backend.health.headers", "is not the name of a header", value=name)
    return [
        (name.encode(), header_value(text, f"backend.health.headers.{name}")) for name, text in health.headers.items()
    ]


def _decode(parameters: Mapping[str, str], *, documented: bool) -> dict[str, str]:
    decoded = {}
    for name, value in parameters.items():
        try:
            decoded[name] = decode_strictly(value)
        except ValueError:
            if documented:
                raise InputError("malformed uri'") from None  # the apostrophe is upstream's
            raise BodyError(f"Failed to decode param '{value}'") from None
    return decoded


def _replay(raw: bytes, receive: Receive) -> Receive:
    """A `receive` for a body that was read already."""
    waiting: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def build_asgi(
    routes: Sequence[Routes],
    *,
    config: BackendConfig,
    auth: Auth,
    state: Lifecycle,
    telemetry: Telemetry | None = None,
) -> ASGIApp:
    """The whole HTTP surface as one ASGI 3 application.

    Raises ConfigError and SchemaError for what cannot be served. `telemetry` defaults to metrics of its own."""
    door = Door(config=config, state=state)
    door.mount(routes, auth=auth, telemetry=telemetry or Telemetry())
    return door
