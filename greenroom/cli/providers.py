"""`greenroom catalog providers`: where entities come from, how the last runs went, and a hand on the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, output_option, say_error, show, show_facts, show_table

BASE = "/api/greenroom/catalog/providers"
COUNTS = ("found", "added", "changed", "removed", "unchanged", "refreshed", "failed")
LOOK = 0.4
"""Seconds between two looks at a run that is followed."""
BAR = 100
"""Steps of a bar."""


@click.group()
def providers() -> None:
    """Where entities come from."""


@providers.command("list")
@output_option
@server_option
@token_option
@config_option
def list_providers(output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """List the providers, with what the last run of each did."""

    async def work(client: Client) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client.call("GET", BASE))["items"]
        return found

    found = with_client(server, token, layers, work)
    show([_row(one) for one in found] if output == "table" else found, output)


@providers.command("show")
@click.argument("name")
@output_option
@server_option
@token_option
@config_option
def show_provider(name: str, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Show one provider, its last runs, and what failed in the last."""
    found = _ask(server, token, layers, "GET", name)
    if output != "table":
        show(found, output)
        return
    show_facts({key: found[key] for key in ("name", "state", "schedule", "nextRunAt", "pausedAt", "pausedBy")})
    if found["runs"]:
        console().print()
        show_table([_run_row(run) for run in found["runs"]], title="runs")
        _show_failures(found["runs"][0])


@providers.command("run")
@click.argument("name")
@output_option
@server_option
@token_option
@config_option
def run_provider(name: str, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Run a provider now, and follow it to its end.

    Ends with 1 if the run failed, or something in it did."""

    async def work(client: Client) -> Mapping[str, Any]:
        before = (await client.call("GET", _path(name)))["lastRun"]
        await client.call("POST", _path(name, "trigger"))
        with _bar(name) as tell:
            async for run in _later_runs(client, name, before["id"] if before else 0):
                if run["finishedAt"] is not None:
                    return run
                tell(run)
        raise AssertionError("unreachable: it goes on until a run has finished")

    run = with_client(server, token, layers, work)
    show({key: value for key, value in run.items() if key != "failures"} if output == "table" else run, output)
    if output == "table":
        _show_failures(run)
    if run["error"] is not None:
        say_error(name, run["error"])
    if run["status"] != "succeeded" or run["failed"]:
        raise click.exceptions.Exit(1)


@providers.command("pause")
@click.argument("name")
@server_option
@token_option
@config_option
def pause_provider(name: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Begin no more runs of a provider, until it is resumed. One that is under way goes on."""
    _ask(server, token, layers, "POST", name, "pause")
    console().print(f"{name} is paused")


@providers.command("resume")
@click.argument("name")
@server_option
@token_option
@config_option
def resume_provider(name: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Begin runs of a provider again."""
    _ask(server, token, layers, "POST", name, "resume")
    console().print(f"{name} is resumed")


def _ask(server: str | None, token: str | None, layers: Sequence[Path], method: str, *path: str) -> Any:
    async def work(client: Client) -> Any:
        return await client.call(method, _path(*path))

    return with_client(server, token, layers, work)


def _path(*parts: str) -> str:
    return "/".join([BASE, *(quote(part, safe="") for part in parts)])


async def _later_runs(client: Client, name: str, after: int) -> AsyncIterator[Mapping[str, Any]]:
    """How the first run after that one stands, again and again."""
    while True:
        history = (await client.call("GET", _path(name, "runs")))["items"]
        later = [run for run in history if run["id"] > after]
        if later:
            yield later[-1]
        await asyncio.sleep(LOOK)


class _bar:  # noqa: N801 - used as a function
    """On a terminal, a bar that shows how far a run has come; the function that is lent is told of the run."""

    def __init__(self, name: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        out = console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"),
        )
        self._bar = Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
        self._task = self._bar.add_task(f"{name} waits for its turn", total=None, found="")
        self._name = name

    def __enter__(self) -> Callable[[Mapping[str, Any]], None]:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, run: Mapping[str, Any]) -> None:
        share = _share(run, datetime.now(UTC))
        self._bar.update(
            self._task,
            description=self._name,
            total=None if share is None else BAR,
            completed=(share or 0) * BAR,
            found=f"{run['found']} found",
        )


def _share(run: Mapping[str, Any], now: datetime) -> float | None:
    """How much of a run is done, between 0 and 1; None when nobody can say."""
    progress = run["progress"]
    if progress and progress["total"]:
        return min(1.0, float(progress["done"]) / float(progress["total"]))
    if run["expectedAt"] is None:
        return None
    began, end = datetime.fromisoformat(run["startedAt"]), datetime.fromisoformat(run["expectedAt"])
    return min(1.0, (now - began) / (end - began)) if end > began else None


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    last = one["lastRun"]
    facts = {"name": one["name"], "state": one["state"], "every": one["schedule"] or "start"}
    return {**facts, **(_run_row(last) if last else {})}


def _run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    progress = run["progress"]
    done = f" {progress['done']}/{progress['total']}" if run["status"] == "running" and progress else ""
    return {
        "run": run["status"] + done,
        "by": run["causedBy"] or run["cause"],
        "started": run["startedAt"],
        "took": _took(run),
        **{name: run[name] for name in COUNTS},
        "error": run["error"],
    }


def _took(run: Mapping[str, Any]) -> str | None:
    if run["finishedAt"] is None:
        return None
    seconds = datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])
    return f"{seconds.total_seconds():.1f} s"


def _show_failures(run: Mapping[str, Any]) -> None:
    if run["failures"]:
        console().print()
        show_table(run["failures"], title="failed")
