"""Start to stop of a server process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from socket import socket

from greenroom.app import Running, running
from greenroom.cli.summary import summarise
from greenroom.errors import ConfigError
from greenroom.loops import Role
from greenroom.settings import AppConfig, BackendConfig, Listen, hide_credentials
from greenroom.telemetry import configure_logging
from greenroom.web import Door, Lifecycle, bind, serve

log = logging.getLogger("greenroom.app")


LAST_THREADS = 5.0
"""Seconds for threads that are still at something when all else has ended."""
TWICE = 0.5
"""Seconds within which a second signal is the same one."""
HASTE = 3.0
"""Seconds for a process that is to end at once, after which it is ended."""
COLLECT_AFTER = 20_000
"""New containers after which Python looks for circles among them. Its own 700 are passed every few entities of a bulk load, whose
objects go by themselves: a tenth of its time went into looking."""


class Ending:
    """How this process is asked to end. `asked`: finish what is under way; `at_once`: somebody insists."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        self._since = 0.0

    def signalled(self) -> None:
        """The first signal asks, the second insists. Some (`timeout`, `uv run`, a terminal) send one signal twice: that is one."""
        if not self.asked.is_set():
            self._since = time.monotonic()
        elif not self.at_once.is_set() and time.monotonic() - self._since > TWICE:
            log.warning("Told to stop again: nothing is waited for any more")
            self.at_once.set()
            asyncio.get_running_loop().call_later(HASTE, os._exit, 1)
        self.asked.set()

    def listen(self) -> None:
        """To SIGTERM and SIGINT, until the end of the process."""
        for name in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # on Windows, or not in the main thread
                asyncio.get_running_loop().add_signal_handler(name, self.signalled)


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
    ending = Ending()
    ending.listen()
    house = asyncio.create_task(_live(config, ["worker"], ending), name="house")
    asked = asyncio.create_task(ending.asked.wait())
    await asyncio.wait([house, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    house.cancel()
    await _ended(house)


async def _serve(config: AppConfig, roles: Collection[Role], port: int | None = None) -> None:
    """Serving and working end side by side: loops finish their steps while requests are still served."""
    configure_logging(environ=os.environ, secrets=config.secrets(), hide=hide_credentials)
    backend = config.section("backend", BackendConfig)
    listen = backend.listen if port is None else Listen(backend.listen.host, port)
    door, ending = Door(config=backend, state=Lifecycle()), Ending()
    with _bind(listen) as listening:
        log.info("Listening on %s", _address(listening))
        ending.listen()
        house = asyncio.create_task(_live(config, roles, ending, door), name="house")
        house.add_done_callback(lambda _: ending.asked.set())  # a start that fails is the end
        await serve(
            door,
            listening,
            door.state,
            shutdown_delay=backend.lifecycle.server_shutdown_delay,
            shutdown_timeout=backend.lifecycle.server_shutdown_timeout,
            stop=ending.asked,
            at_once=ending.at_once,
        )
    house.cancel()
    await _ended(house)


async def _live(config: AppConfig, roles: Collection[Role], ending: Ending, door: Door | None = None) -> None:
    """Keep the house running until cancelled; loops stop as soon as the process is to end."""
    began = time.monotonic()
    async with running(config, os.environ, roles=roles, door=door) as house:
        hurry = asyncio.create_task(_hurry(house, ending), name="hurry")
        for warning in config.warnings:  # complete, now that everybody has read their section
            log.warning("Configuration: %s", warning)
        gc.freeze()  # what there is now stays to the end, and need not be looked at again and again
        gc.set_threshold(COLLECT_AFTER, 10, 10)
        log.info("Started in %.1f s", time.monotonic() - began)
        if "api" in roles and (sys.stdout.isatty() or os.environ.get("GREENROOM_SUMMARY")):
            await summarise(house)
        await ending.asked.wait()
        await house.drain()
        await asyncio.gather(hurry, asyncio.Event().wait())  # for ever: requests may still be served


async def _hurry(house: Running, ending: Ending) -> None:
    await ending.at_once.wait()
    house.loops.hurry()


async def _ended(house: asyncio.Task[None]) -> None:
    """Wait for the end. Raises what the house came to grief by; being cancelled is none.

    Python would wait for threads too, such as one that reads from a disk that does not answer: not for ever."""
    await asyncio.wait([house])
    asyncio.get_running_loop().call_later(LAST_THREADS, _abandon_threads)
    if not house.cancelled():
        house.result()
    log.info("Stopped")


def _abandon_threads() -> None:
    log.warning("A thread is still at something, and is left behind")
    os._exit(0)


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
