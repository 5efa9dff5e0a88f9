"""`greenroom catalog explain`: why an entity is there, missing, stale, orphaned, in conflict or failed."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, output_option, show, working
from greenroom.entity import EntityRefError, parse_ref
from greenroom.errors import ServiceUnavailableError

PATH = "/api/greenroom/catalog/explain"

PROBLEM = 1
"""The exit code when something is wrong with the entity."""

IN_FULL = 3
"""Errors that are told with all there is to them; of the others, and of what is only worth knowing, a line is enough."""

_TEACHING = re.compile(r"\. To learn more about catalog file format, visit: \S+$")
"""What upstream's messages end with; the hint knows better."""

_MARKS: Mapping[bool | None, tuple[str, str]] = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("·", "dim")}


@click.command("explain")
@click.argument("ref")
@click.option("--at", metavar="URL", help="The catalog file that should have it, registered or not.")
@click.option("--read/--no-read", default=True, show_default=True, help="Whether files are looked at as they are now.")
@click.option("--offline", is_flag=True, help="Ask no server: look into the database of the configuration.")
@output_option
@server_option
@token_option
@config_option
def explain(
    ref: str,
    at: str | None,
    read: bool,
    offline: bool,
    output: str,
    server: str | None,
    token: str | None,
    layers: tuple[Path, ...],
) -> None:
    """Tell why an entity is as it is: there, missing, stale, orphaned, in conflict or failed. REF is `kind:[namespace/]name`.

    Exit codes: 0 nothing is wrong with it, 1 something is, 2 wrong usage, 3 no server, or no database.
    """
    try:
        known = parse_ref(ref)
    except EntityRefError as error:
        raise click.BadParameter(error.message, param_hint="REF") from error
    query = [("ref", str(known)), *([("at", at)] if at else []), *([] if read else [("read", "false")])]

    with working("Looking"):
        told = asyncio.run(_offline(layers, query)) if offline else _asked(server, token, layers, query)
    if output == "table":
        _tell(told)
    else:
        show(told, output)
    if told["problem"]:
        sys.exit(PROBLEM)


def _asked(server: str | None, token: str | None, layers: Sequence[Path], query: Sequence[tuple[str, str]]) -> Any:
    async def work(client: Client) -> Any:
        return await client.call("GET", PATH, query=query)

    try:
        return with_client(server, token, layers, work)
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(f"{error.message}. Without a server, --offline asks its database") from error


async def _offline(layers: Sequence[Path], query: Sequence[tuple[str, str]]) -> Any:
    from greenroom.cli.inside import inside

    async with inside(layers) as house:
        return await house.get(PATH, query)


def _tell(told: Mapping[str, Any]) -> None:
    """The verdict, where and what to do about it; the way of the entity; then all else in a line each."""
    mark, style = _MARKS[not told["problem"]]
    _line(f"{mark} ", style, Text(told["summary"], style="bold"))
    errors = [one for one in told["findings"] if one["severity"] == "error"]
    others = [one for one in told["findings"] if one["severity"] != "error"]
    for number, finding in enumerate(errors[:IN_FULL]):
        if number:
            console().print()
            _line("✗ ", "bold red", Text(_sentence(finding)))
        _tell_finding(finding)
    console().print()
    for step in told["chain"]:
        _tell_step(step)
    if briefly := [*errors[IN_FULL:], *others]:
        console().print()
    for finding in briefly:
        _tell_briefly(finding)
    _tell_rest(told)


def _tell_finding(finding: Mapping[str, Any]) -> None:
    if finding.get("at"):
        _line("  at    ", "dim", Text(finding["at"], style="cyan"), whole=True)
    if finding.get("message"):
        _line("  says  ", "dim", Text(_TEACHING.sub("", finding["message"]).rstrip()))
    _line("  hint  ", "dim", Text(finding["hint"]))
    for number, command in enumerate(finding.get("commands", ())):
        _line("        " if number else "  run   ", "dim", Text(command, style="green"), whole=True)


def _tell_step(step: Mapping[str, Any]) -> None:
    mark, style = _MARKS[step["ok"]]
    text = Text(f"{step['stage']:<9} ", style="dim" if step["ok"] is None else "")
    if step["what"] != step["stage"] and not (step.get("at") and "/generated-" in step["what"]):
        text.append(f"{step['what']}  ")
    text.append(step.get("at") or "", style="cyan")
    text.rstrip()
    _line(f"  {mark} ", style, text, whole=True)


def _tell_briefly(finding: Mapping[str, Any]) -> None:
    text = Text(_sentence(finding))
    if finding.get("at") and finding["at"] not in finding["summary"]:
        text.append(f"  {finding['at']}", style="cyan")
    _line("  ! ", "bold red" if finding["severity"] == "error" else "bold yellow", text)


def _tell_rest(told: Mapping[str, Any]) -> None:
    said = " ".join(finding["summary"] for finding in told["findings"])
    rest = {
        "do you mean": ", ".join(ref for ref in told["alternatives"] if ref not in said),
        "last change at the source": _moment(told["lastSeen"]),
        "next refresh": _moment(told["nextRefresh"]),
    }
    lines = {name: value for name, value in rest.items() if value}
    if lines:
        console().print()
    for name, value in lines.items():
        _line(f"  {name}: ", "dim", Text(value, style="dim"))


def _sentence(finding: Mapping[str, Any]) -> str:
    return ("perhaps " if finding.get("suspected") else "") + str(finding["summary"])


def _line(start: str, style: str, text: Text, *, whole: bool = False) -> None:
    """Text behind a mark or a word, its further lines below its first. `whole`: to be copied, so never broken."""
    out = console()
    lines = [text] if whole else list(text.wrap(out, max(out.width - len(start), 20)))
    for number, line in enumerate(lines):
        line.rstrip()
        out.print(Text(" " * len(start) if number else start, style=style) + line, soft_wrap=True)


def _moment(text: str | None) -> str | None:
    """To the second."""
    return f"{text[:10]} {text[11:19]} UTC" if text else None
