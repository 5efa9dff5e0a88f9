"""`greenroom catalog explain`: why an entity is there, missing, stale, orphaned, in conflict or failed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, output_option, show, working
from greenroom.entity import EntityRefError, parse_ref

PROBLEM = 1
"""The exit code when something is wrong with the entity."""

_MARKS: Mapping[bool | None, tuple[str, str]] = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("·", "dim")}


@click.command("explain")
@click.argument("ref")
@click.option("--at", metavar="URL", help="The catalog file that should have it, registered or not.")
@click.option(
    "--read/--no-read", default=True, show_default=True, help="Whether the server looks at files as they are now."
)
@output_option
@server_option
@token_option
@config_option
def explain(
    ref: str, at: str | None, read: bool, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]
) -> None:
    """Tell why an entity is as it is: there, missing, stale, orphaned, in conflict or failed. REF is `kind:[namespace/]name`.

    Exits with 1 if something is wrong with it, with 0 if not.
    """
    try:
        known = parse_ref(ref)
    except EntityRefError as error:
        raise click.BadParameter(error.message, param_hint="REF") from error
    query = [("ref", str(known)), *([("at", at)] if at else []), *([] if read else [("read", "false")])]

    async def work(client: Client) -> Any:
        return await client.call("GET", "/api/greenroom/catalog/explain", query=query)

    with working("Looking"):
        told = with_client(server, token, layers, work)
    if output == "table":
        _tell(told)
    else:
        show(told, output)
    if told["problem"]:
        sys.exit(PROBLEM)


def _tell(told: Mapping[str, Any]) -> None:
    from rich.text import Text

    out = console()
    mark, style = _MARKS[not told["problem"]]
    out.print(Text(f"{mark} ", style=style) + Text(told["summary"], style="bold"))
    out.print()
    for step in told["chain"]:
        _tell_step(step)
    findings = told["findings"]
    for severity, title in (("error", "What is wrong"), ("warning", "Worth knowing")):
        chosen = [finding for finding in findings if finding["severity"] == severity]
        if chosen:
            out.print()
            out.print(Text(title, style="bold underline"))
        for finding in chosen:
            _tell_finding(finding)
    _tell_rest(told)


def _tell_step(step: Mapping[str, Any]) -> None:
    from rich.text import Text

    mark, style = _MARKS[step["ok"]]
    line = Text(f"  {mark} ", style=style) + Text(step["stage"].ljust(9), style="dim" if step["ok"] is None else "")
    if step["what"] != step["stage"]:
        line += Text(f" {step['what']}")
    if step.get("at"):
        line += Text(f"  {step['at']}", style="cyan")
    console().print(line)


def _tell_finding(finding: Mapping[str, Any]) -> None:
    from rich.text import Text

    out = console()
    style = "bold red" if finding["severity"] == "error" else "bold yellow"
    out.print(Text("  ") + Text(finding["verdict"], style=style) + Text(f"  {finding['summary']}"))
    indent = "      "
    if finding.get("at"):
        out.print(Text(f"{indent}at    ", style="dim") + Text(finding["at"], style="cyan"))
    if finding.get("message"):
        lines = finding["message"].rstrip().split("\n")
        out.print(Text(f"{indent}says  ", style="dim") + Text(f"\n{indent}      ".join(lines)))
    out.print(Text(f"{indent}hint  ", style="dim") + Text(finding["hint"]))
    for command in finding.get("commands", ()):
        out.print(Text(f"{indent}      $ {command}", style="green"))


def _tell_rest(told: Mapping[str, Any]) -> None:
    from rich.text import Text

    out = console()
    rest = {
        "next refresh": _moment(told["nextRefresh"]),
        "last change at the source": _moment(told["lastSeen"]),
        "do you mean": ", ".join(told["alternatives"]),
        "claimed by": ", ".join(claim["wantedBy"] for claim in told["conflicts"]),
    }
    lines = {name: value for name, value in rest.items() if value}
    if lines:
        out.print()
    for name, value in lines.items():
        out.print(Text(f"{name}: ", style="dim") + Text(str(value)))


def _moment(text: str | None) -> str | None:
    """To the second."""
    return f"{text[:10]} {text[11:19]} UTC" if text else None
