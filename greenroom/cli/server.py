"""Start to stop of a server process, and what it tells a person at the terminal meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Collection
from socket import socket
from typing import Any

from rich.text import Text

from greenroom.app import Running, running
from greenroom.cli.output import console
from greenroom.errors import ConfigError, ServiceUnavailableError
from greenroom.loops import Role
from greenroom.settings import AppConfig, BackendConfig
from greenroom.telemetry import configure_logging
from greenroom.web import Door, Lifecycle, bind, serve
from greenroom.web.docs import PATH as DOCS_PATH

log = logging.getLogger("greenroom.app")

SETTLING = 60.0
"""Seconds for which the summary waits for the first round of providers."""


async def run_server(config: AppConfig, *, api_only: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Raises what makes the start fail: ConfigError, ServiceUnavailableError, ConflictError.

    Health is answered, and requests are held back, from before the database is there."""
    configure_logging(environ=os.environ, secrets=config.secrets())
    backend = config.section("backend", BackendConfig)
    roles: list[Role] = ["api"] if api_only else ["api", "worker"]
    door, stop = Door(config=backend, state=Lifecycle()), asyncio.Event()
    with _bind(backend) as listening:
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


async def run_worker(config: AppConfig) -> None:
    """Work until SIGTERM or SIGINT; a second one ends the waiting for what is under way. Raises like `run_server`."""
    configure_logging(environ=os.environ, secrets=config.secrets())
    house = asyncio.create_task(_live(config, ["worker"]), name="house")
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, house.cancel)
    await _ended(house)


async def _live(config: AppConfig, roles: Collection[Role], door: Door | None = None) -> None:
    """Keep the house running until cancelled."""
    began = time.monotonic()
    async with running(config, os.environ, roles=roles, door=door) as house:
        for warning in config.warnings:  # complete, now that everybody has read their section
            log.warning("Configuration: %s", warning)
        log.info("Started in %.1f s", time.monotonic() - began)
        if door is not None:
            await _summarise(house)
        await asyncio.Event().wait()


async def _ended(house: asyncio.Task[None]) -> None:
    """Wait for the end. Raises what the house came to grief by; being cancelled is none."""
    await asyncio.wait([house])
    if not house.cancelled():
        house.result()


def _bind(backend: BackendConfig) -> socket:
    listen = backend.listen
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


async def _summarise(house: Running) -> None:
    """On a terminal, tell once what the first round of providers brought, what failed, and where to look."""
    if not sys.stdout.isatty() and not os.environ.get("GREENROOM_SUMMARY"):
        return
    facts = await _first_round(house)
    if facts is None:
        return
    out = console()
    kinds = ", ".join(f"{count} {kind}" for kind, count in facts["by kind"].items()) or "none yet"
    out.print()
    out.print(Text.assemble(("Entities   ", "bold"), f"{facts['entities']} served: {kinds}"))
    for failure in facts["failures"]:
        out.print(Text.assemble(("Failed     ", "bold red"), f"{failure['entity']} at {failure['at']}"))
        out.print(Text(f"           {failure['error']}"))
    for provider in facts["providers"]:
        if provider["error"]:
            out.print(Text.assemble(("Provider   ", "bold red"), f"{provider['name']}: {provider['error']}"))
    base = house.house.backend.base_url
    out.print(Text.assemble(("API        ", "bold"), f"{base}/api/catalog/entities"))
    out.print(Text.assemble(("API docs   ", "bold"), f"{base}{DOCS_PATH}"))
    out.print(Text.assemble(("Look       ", "bold"), "greenroom status, greenroom catalog list"))
    out.print()


async def _first_round(house: Running) -> dict[str, Any] | None:
    """The catalog's facts, once every provider has run and nothing waits; what there is after SETTLING at the latest."""
    facts: dict[str, Any] | None = None
    with contextlib.suppress(TimeoutError, ServiceUnavailableError):  # the server can do without its summary
        async with asyncio.timeout(SETTLING):
            while True:
                facts = (await house.house.status()).get("Catalog")
                if facts is None or _is_settled(facts):
                    return facts
                await asyncio.sleep(0.5)
    return facts


def _is_settled(facts: dict[str, Any]) -> bool:
    waiting = facts["waiting to be processed"] + facts["waiting to be stitched"]
    ran = all(provider["last run"] != "never" and not provider["running"] for provider in facts["providers"])
    return ran and waiting == 0
