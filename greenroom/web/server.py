"""An ASGI application on a socket, until it is told to stop: readiness down first, then a pause, then the last requests."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import uvicorn

from greenroom.web.asgi import ASGIApp
from greenroom.web.lifecycle import Lifecycle
from greenroom.web.protocol import Protocol

log = logging.getLogger("greenroom.web")

BACKLOG = 2048
KEEP_ALIVE = 5
"""Seconds an idle connection is kept, as node does."""


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


async def serve(
    asgi: ASGIApp,
    listening: socket.socket,
    state: Lifecycle,
    *,
    shutdown_delay: timedelta = timedelta(0),
    shutdown_timeout: timedelta = timedelta(seconds=30),
    stop: asyncio.Event | None = None,
    on_listening: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`, then drain.

    Readiness goes down at once. For `shutdown_delay` new requests are still served, so that load balancers can turn
    away; then the socket closes and requests under way have `shutdown_timeout` to finish. A second signal ends the waiting."""
    stop = stop or asyncio.Event()
    config = uvicorn.Config(
        asgi,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",  # it tells of its own start and stop otherwise; the CLI does that better
        server_header=False,
        proxy_headers=False,  # whom to believe is for `trustProxy` to say
        http=Protocol,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(shutdown_timeout.total_seconds())),
    )
    server = Server(config)
    with _signals(stop, server):
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
        if on_listening is not None:
            on_listening()
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        state.stopping()
        if not serving.done() and shutdown_delay and state.serves:
            log.info("Shutting down: serving for another %g s", shutdown_delay.total_seconds())
            await asyncio.wait([serving], timeout=shutdown_delay.total_seconds())
        server.should_exit = True
        await serving
        state.down()


@contextmanager
def _signals(stop: asyncio.Event, server: uvicorn.Server) -> Iterator[None]:
    """The first signal asks to stop, the second to do so at once."""
    loop = asyncio.get_running_loop()

    def received() -> None:
        if stop.is_set():
            server.force_exit = server.should_exit = True
        stop.set()

    handled = []
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, received)
            handled.append(name)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not in the main thread
            continue
    try:
        yield
    finally:
        for name in handled:
            loop.remove_signal_handler(name)
