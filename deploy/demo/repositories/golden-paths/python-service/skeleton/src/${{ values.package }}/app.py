"""The web application: a greeting, health, and metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

REQUESTS = Counter("http_requests_total", "Answered requests.", ["method", "path", "status"])
SECONDS = Histogram("http_request_duration_seconds", "How long an answer took.", ["method", "path"])


@web.middleware
async def measured(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Count every answer, also those that are errors."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource else "unknown"
    began, status = time.perf_counter(), 500
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        REQUESTS.labels(request.method, path, status).inc()
        SECONDS.labels(request.method, path).observe(time.perf_counter() - began)


async def greet(_: web.Request) -> web.Response:
    return web.json_response({"service": "${{ values.name }}"})


async def healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def application() -> web.Application:
    app = web.Application(middlewares=[measured])
    app.add_routes([web.get("/", greet), web.get("/healthz", healthz), web.get("/metrics", metrics)])
    return app


def main() -> None:
    web.run_app(application(), port=int(os.environ.get("PORT", "${{ values.port }}")))
