"""Start to stop of a server process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Collection
from socket import socket

from greenroom.app import running
from greenroom.cli.summary import summarise
from greenroom.errors import ConfigError
from greenroom.loops import Role
from greenroom.settings import AppConfig, BackendConfig, Listen, hide_credentials
from greenroom.telemetry import configure_logging
from greenroom.web import Door, Lifecycle, bind, serve

log = logging.getLogger("greenroom.app")


async def run_server(config: AppConfig, *, api_only: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Raises what makes the start fail: ConfigError, ServiceUnavailableError, ConflictError.

    Health is answered, and requests are held back, from before the database is there."""
    await _serve(config, ["api"] if api_only else ["api", "worker"])


async def run_worker(config: AppConfig, *, port: int | None = None) -> None:
    """Work until SIGTERM or SIGINT; a second one ends the waiting for what is under way. Raises like `run_server`.

    With a `port`, health and metrics are answered there, and nothing else."""
    if port is not None:
        await _serve(config, ["worker"], port)
        return
    configure_logging(environ=os.environ, secrets=config.secrets(), hide=hide_credentials)
    house = asyncio.create_task(_live(config, ["worker"]), name="house")
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, house.cancel)
    await _ended(house)


async def _serve(config: AppConfig, roles: Collection[Role], port: int | None = None) -> None:
    configure_logging(environ=os.environ, secrets=config.secrets(), hide=hide_credentials)
    backend = config.section("backend", BackendConfig)
    listen = backend.listen if port is None else Listen(backend.listen.host, port)
    door, stop = Door(config=backend, state=Lifecycle()), asyncio.Event()
    with _bind(listen) as listening:
        log.info("Listening on %s", _address(listening))
        house = asyncio.create_task(_live(config, roles, door), name="house")
        house.add_done_callback(lambda _: stop.set())  # a start that fails is the end
        await serve(
            door,
            listening,
            door.state,
            shutdown_delay=backend.lifecycle.server_shutdown_delay,
            shutdown_timeout=backend.lifecycle.server_shutdown_timeout,
            stop=stop,
        )
    house.cancel()
    await _ended(house)


async def _live(config: AppConfig, roles: Collection[Role], door: Door | None = None) -> None:
    """Keep the house running until cancelled."""
    began = time.monotonic()
    async with running(config, os.environ, roles=roles, door=door) as house:
        for warning in config.warnings:  # complete, now that everybody has read their section
            log.warning("Configuration: %s", warning)
        log.info("Started in %.1f s", time.monotonic() - began)
        if "api" in roles and (sys.stdout.isatty() or os.environ.get("GREENROOM_SUMMARY")):
            await summarise(house)
        await asyncio.Event().wait()


async def _ended(house: asyncio.Task[None]) -> None:
    """Wait for the end. Raises what the house came to grief by; being cancelled is none."""
    await asyncio.wait([house])
    if not house.cancelled():
        house.result()


def _bind(listen: Listen) -> socket:
    try:
        return bind(listen.host, listen.port)
    except OSError as error:
        number = error.errno or 0
        raise ConfigError(
            "backend.listen",
            f"cannot listen there: {os.strerror(number) if number > 0 else error.strerror}",
            value=f"{listen.host}:{listen.port}",
            hint="is another server running? choose another port",
        ) from error


def _address(listening: socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
