"""`greenroom catalog providers`: where entities come from, how the last runs went, and a hand on the next."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import click

from greenroom.cli.client import Client, RefusedError, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, output_option, say_error, show, show_facts, show_table
from greenroom.errors import NotFoundError

BASE = "/api/greenroom/catalog/providers"
COUNTS = ("found", "added", "changed", "removed", "unchanged", "refreshed", "failed")
LOOK = 0.4
"""Seconds between two looks at a run that is followed."""
BAR = 100
"""Steps of a bar."""
UNATTENDED = 5.0
"""Seconds after which it is told why a run has not begun."""


@click.group()
def providers() -> None:
    """Where entities come from, and how it goes.

    What each provider of a running server did and does, and a hand on its next run. `greenroom status` tells the same of a
    database."""


@providers.command("list")
@output_option
@server_option
@token_option
@config_option
def list_providers(output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """List the providers, with what the last run of each did, or has done so far."""

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
    found = with_client(server, token, layers, lambda client: _call(client, "GET", name))
    if output != "table":
        show(found, output)
        return
    show_facts(_facts(found))
    if found["runs"]:
        console().print()
        show_table([_run_row(run) for run in found["runs"]], title="runs")
        _show_failures(found["runs"][0])


@providers.command("run")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Ask for the run, and do not follow it.")
@output_option
@server_option
@token_option
@config_option
def run_provider(
    name: str, no_wait: bool, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]
) -> None:
    """Run a provider now, and follow it to its end.

    It looks at everything, also at what is not due by its own schedule. One that is running is run again afterwards. Ends
    with 1 if the run failed, or something in it did. Interrupted, it leaves the run to itself."""

    async def work(client: Client) -> Mapping[str, Any] | None:
        before = await _call(client, "GET", name)
        if before["state"] == "paused":
            raise RefusedError(f"{name} is paused: `greenroom catalog providers resume {name}` lets it run")
        await _call(client, "POST", name, "trigger")
        return None if no_wait else await _followed(client, before)

    run = with_client(server, token, layers, work)
    if run is None:
        console().print(f"{name} is asked to run")
        return
    if output == "table":
        show_facts({"run": run["id"], **_run_row(run), "process": run["process"]})
        _show_failures(run)
    else:
        show(run, output)
    if run["error"] is not None:
        say_error(name, run["error"])
    if run["status"] != "succeeded" or run["failed"]:
        raise click.exceptions.Exit(1)


@providers.command("confirm")
@click.argument("name")
@server_option
@token_option
@config_option
def confirm_removal(name: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Let a provider remove what its last run was refused to.

    It is run now, and may remove as many entities as it wanted to. `show` tells how many."""

    async def work(client: Client) -> Any:
        before = await _call(client, "GET", name)
        await _call(client, "POST", name, "confirm")
        return before["refusedRemoval"]

    refused = with_client(server, token, layers, work)
    console().print(f"{name} is asked to run, and may remove {refused} entities")


@providers.command("pause")
@click.argument("name")
@server_option
@token_option
@config_option
def pause_provider(name: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Begin no more runs of a provider, until it is resumed. One that is under way goes on."""
    found = with_client(server, token, layers, lambda client: _call(client, "POST", name, "pause"))
    console().print(f"{name} is paused" + ("; the run that is under way goes on" * (found["state"] == "running")))


@providers.command("resume")
@click.argument("name")
@server_option
@token_option
@config_option
def resume_provider(name: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Begin runs of a provider again: at once, if one fell due meanwhile."""
    with_client(server, token, layers, lambda client: _call(client, "POST", name, "resume"))
    console().print(f"{name} is resumed")


async def _call(client: Client, method: str, name: str, *path: str) -> Any:
    """The answer about a provider. Raises NotFoundError, with what the name may have been meant for."""
    try:
        return await client.call(method, "/".join([BASE, *(quote(part, safe="") for part in (name, *path))]))
    except NotFoundError as error:
        names = [one["name"] for one in (await client.call("GET", BASE))["items"]]
        meant = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(names) or 'none'}"
        raise NotFoundError(f"No such entity provider: {name} ({hint})") from error


async def _followed(client: Client, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first run after those that there were before, once it has ended."""
    name, last = before["name"], before["lastRun"]["id"] if before["lastRun"] else 0
    with _bar(name) as (tell, wait):
        async for state, run in _later_runs(client, name, last):
            if run is None:
                wait(state)
            elif run["status"] != "running":
                return run
            else:
                tell(run)
    raise AssertionError("unreachable: it goes on until a run has ended")


async def _later_runs(client: Client, name: str, after: int) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
    """The state of the provider, and how the first run after that one stands: again and again."""
    while True:
        found = await _call(client, "GET", name)
        later = [run for run in found["runs"] if run["id"] > after]
        yield found["state"], later[-1] if later else None
        await asyncio.sleep(LOOK)


class _bar:  # noqa: N801 - used as a function
    """On a terminal, a bar that shows how far a run has come. The functions that are lent are told of the run, and of the
    state of a provider whose run has not begun: after a while that is said, on a terminal or not."""

    def __init__(self, name: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._out = out = console(stderr=True)
        self._silent_until = monotonic() + UNATTENDED
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"),
        )
        self._bar = Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
        self._task = self._bar.add_task(f"{name} waits for its turn", total=None, found="")
        self._name = name

    def __enter__(self) -> tuple[Callable[[Mapping[str, Any]], None], Callable[[str], None]]:
        self._bar.start()
        return self._tell, self._wait

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _wait(self, state: str) -> None:
        if monotonic() < self._silent_until:
            return
        self._silent_until = float("inf")
        why = {
            "running": "the run that is under way comes first",
            "paused": f"somebody paused it: `greenroom catalog providers resume {self._name}`",
        }
        nobody = "no process takes it up: is a worker running (`greenroom worker`, or `serve` without --api-only)?"
        self._out.print(f"{self._name} has not begun: {why.get(state, nobody)}", markup=False)

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
    facts = {"name": one["name"], "state": one["state"], "every": _schedule(one)}
    return {**facts, **(_run_row(last) if last else {})}


def _facts(one: Mapping[str, Any]) -> dict[str, Any]:
    failed = next((run for run in one["runs"] if run["error"] is not None), None)
    return {
        "name": one["name"],
        "state": one["state"],
        "every": _schedule(one),
        "next run": _second(one["nextRunAt"]),
        "paused": f"{_second(one['pausedAt'])} by {one['pausedBy'] or 'somebody'}" if one["pausedAt"] else None,
        "refused": f"to remove {one['refusedRemoval']} entities" if one["refusedRemoval"] is not None else None,
        "last error": f"{_second(failed['startedAt'])}: {failed['error']}" if failed else None,
    }


def _run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "outcome": run["status"] + _so_far(run, datetime.now(UTC)),
        "by": run["causedBy"] or run["cause"],
        "started": _second(run["startedAt"]),
        "took": _took(run),
        **{name: run[name] for name in COUNTS},
        "error": run["error"],
    }


def _so_far(run: Mapping[str, Any], now: datetime) -> str:
    """Of a run that is under way, how much of it is done, and how long the rest may take."""
    if run["status"] != "running":
        return ""
    share = _share(run, now)
    parts = [] if share is None else [f"{share:.0%}"]
    if run["expectedAt"] is not None:
        left = (datetime.fromisoformat(run["expectedAt"]) - now).total_seconds()
        parts.append(f"{max(0.0, left):.0f} s left")
    return f" ({', '.join(parts)})" if parts else ""


def _took(run: Mapping[str, Any]) -> str | None:
    if run["finishedAt"] is None:
        return None
    seconds = datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])
    return f"{seconds.total_seconds():.1f} s"


def _second(moment: str | None) -> str | None:
    return None if moment is None else re.sub(r"\.\d+Z$", "Z", moment)


def _schedule(one: Mapping[str, Any]) -> str:
    """`PT1H30M` -> `1 h 30 min`; what has no schedule runs at each start."""
    if one["schedule"] is None:
        return "start"
    units = {"H": "h", "M": "min", "S": "s"}
    return " ".join(f"{number} {units[unit]}" for number, unit in re.findall(r"([\d.]+)([HMS])", one["schedule"]))


def _show_failures(run: Mapping[str, Any]) -> None:
    if run["failures"]:
        console().print()
        show_table(run["failures"], title="failed")
