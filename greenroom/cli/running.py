"""Commands that build the house: `serve`, `worker`, `migrate`, `status`, `plugins`, `openapi`."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from greenroom.cli.configuration import config_option, load_config
from greenroom.cli.output import console, output_option, show, show_facts, show_table, working
from greenroom.errors import ConfigError
from greenroom.settings import AppConfig, BackendConfig

T = TypeVar("T")

LEAVING = 10.0
"""Seconds for what is left behind to end, once all that was to be done is done."""

more_layers = click.argument("more", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@config_option
@more_layers
@click.option("--api-only", is_flag=True, help="Serve requests only: another process is the worker.")
def serve(layers: tuple[Path, ...], more: tuple[Path, ...], api_only: bool) -> None:
    """Serve the API, and do the work behind it.

    The port is that of backend.listen (7007). GREENROOM_DATA names the folder of the embedded database and of caches.
    """
    from greenroom.cli.server import run_server

    run(run_server(load_config([*layers, *more], environ=os.environ), api_only=api_only))


@click.command()
@config_option
@more_layers
@click.option("--port", type=click.IntRange(0, 65535), help="Answer health and metrics on this port.  [default: no]")
def worker(layers: tuple[Path, ...], more: tuple[Path, ...], port: int | None) -> None:
    """Do the work behind the API, without serving requests. Any number of workers may share one database.

    With --port, an orchestrator can ask after it at /.backstage/health/v1/liveness and /readiness, and at /metrics.
    """
    from greenroom.cli.server import run_worker

    run(run_worker(load_config([*layers, *more], environ=os.environ), port=port))


@click.command()
@config_option
def migrate(layers: tuple[Path, ...]) -> None:
    """Bring the database up to date. The server does so itself at its start."""

    async def work(config: AppConfig) -> list[str]:
        from greenroom.app import opened

        async with opened(config, os.environ) as house:
            return await house.migrate()

    with working("Migrating"):
        applied = _with_config(layers, work)
    for name in applied:
        console().print(f"applied {name}", highlight=False)
    console().print("The database is up to date.")


@click.command()
@config_option
@output_option
def status(layers: tuple[Path, ...], output: str) -> None:
    """Tell how things stand: database, providers, backlog, failures. Reads the database, so no server is needed."""

    async def work(config: AppConfig) -> dict[str, Any]:
        from greenroom.app import opened

        refuse_to_begin(config)
        async with opened(config, os.environ) as house:
            return await house.status()

    with working("Looking"):
        facts = _with_config(layers, work)
    if output != "table":
        show(facts, output)
        return
    for title, section in facts.items():
        console().print(title, style="bold underline")
        show_facts(section)
        console().print()


@click.command()
@output_option
def plugins(output: str) -> None:
    """List the installed plugins."""
    from greenroom.app import installed_plugins

    rows = [
        {
            "name": plugin.name,
            "config": plugin.section,
            "needs": [need.__name__ for need in plugin.needs],
            "provides": [service.__name__ for service in plugin.provides],
            "about": (plugin.build.__doc__ or "").strip().partition("\n")[0],
        }
        for plugin in installed_plugins()
    ]
    if output == "table":
        show_table(rows)
    else:
        show(rows, output)


@click.command()
@click.argument("name", default="catalog")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def openapi(name: str, output: str) -> None:
    """Print the OpenAPI document of an API."""
    from greenroom.web import load_document

    show(load_document(name), output)


def refuse_to_begin(config: AppConfig) -> None:
    """Looking makes no database: one that is not there is hardly meant, and would tell of an empty catalog."""
    from greenroom.embedded import data_folder, has_cluster

    data = data_folder(os.environ)
    if config.section("backend", BackendConfig).database.embedded and not has_cluster(data):
        hint = "set GREENROOM_DATA to the server's data folder, or name its backend.database by --config"
        raise ConfigError("GREENROOM_DATA", f"there is no database in {data}", hint=hint)


def _with_config(layers: Sequence[Path], work: Callable[[AppConfig], Coroutine[Any, Any, Any]]) -> Any:
    return run(work(load_config(layers, environ=os.environ)))


def run(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop where there is one: it serves a third more.

    When the work is done, what it has left behind - an action that does not heed its end, a thread - may hold the process up for
    so long, and no longer."""
    haste: list[threading.Timer] = []
    try:
        return _run(_hastened(work, haste))
    finally:
        for timer in haste:
            timer.cancel()


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.run(work)
    return uvloop.run(work)


def _leave(status: int) -> None:
    """At once, after the last word."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _hastened(work: Coroutine[Any, Any, T], haste: list[threading.Timer]) -> T:
    """From the end of the work on, the time of the process is counted."""
    status = 1
    try:
        done = await work
        status = 0
        return done
    finally:
        timer = threading.Timer(LEAVING, _leave, [status])
        timer.daemon = True
        timer.start()
        haste.append(timer)
