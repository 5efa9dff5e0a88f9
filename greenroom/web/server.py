"""An ASGI application on a socket, until it is told to stop: readiness down first, then a pause, then the last requests."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import cast

import uvicorn

from greenroom.web.asgi import ASGIApp
from greenroom.web.lifecycle import Lifecycle
from greenroom.web.protocol import Crowd, Protocol

log = logging.getLogger("greenroom.web")

BACKLOG = 2048
KEEP_ALIVE = 5
"""Seconds an idle connection is kept, as node does."""


MOST_CONNECTIONS = 20_000
OTHER_FILES = 256
"""For the database, caches, logs and outgoing requests."""


class Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: stopping is for `serve` to decide."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host is every interface, IPv4 and IPv6. Port 0 takes any free one. Raises OSError."""
    six = ":" in host or (not host and socket.has_dualstack_ipv6())
    family = socket.AF_INET6 if six else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=six and not host)
    # Asyncio sets it only on sockets that name their protocol; without it, answers wait 40 ms for an acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _room_for_connections() -> int:
    """How many connections the system lets us have, once asked for all that it gives: some files are needed for other things,
    and without them nothing would work, not even the health checks."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(allowed - OTHER_FILES, OTHER_FILES)


async def serve(
    asgi: ASGIApp,
    listening: socket.socket,
    state: Lifecycle,
    *,
    shutdown_delay: timedelta = timedelta(0),
    shutdown_timeout: timedelta = timedelta(seconds=30),
    stop: asyncio.Event,
    at_once: asyncio.Event | None = None,
    on_listening: Callable[[], None] | None = None,
) -> None:
    """Serve until `stop`, then drain.

    Readiness goes down at once. For `shutdown_delay` new requests are still served, so that load balancers can turn
    away; then the socket closes and requests under way have `shutdown_timeout` to finish. `at_once` ends all waiting."""
    config = uvicorn.Config(
        asgi,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",  # it tells of its own start and stop otherwise; the CLI does that better
        server_header=False,
        proxy_headers=False,  # whom to believe is for `trustProxy` to say
        http=cast("type[Protocol]", partial(Protocol, crowd=Crowd(_room_for_connections()))),
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(shutdown_timeout.total_seconds())),
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
    if on_listening is not None:
        on_listening()
    stopping = asyncio.create_task(stop.wait(), name="stop")
    hurrying = asyncio.create_task(_hurry(server, at_once or asyncio.Event()), name="stop at once")
    await asyncio.wait([serving, stopping, hurrying], return_when=asyncio.FIRST_COMPLETED)
    state.stopping()
    if not serving.done() and shutdown_delay and state.serves:
        log.info("Shutting down: serving for another %g s", shutdown_delay.total_seconds())
        waited_for = [serving, hurrying]
        await asyncio.wait(waited_for, timeout=shutdown_delay.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    state.closing.set()
    server.should_exit = True
    await serving
    state.down()
    for task in (stopping, hurrying):
        task.cancel()


async def _hurry(server: uvicorn.Server, at_once: asyncio.Event) -> None:
    await at_once.wait()
    server.force_exit = server.should_exit = True
