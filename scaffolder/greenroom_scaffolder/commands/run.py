"""`greenroom template run` and `follow`: a task of a running server, watched from a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, show
from greenroom.entity import EntityRef, EntityRefError, parse_ref
from greenroom.errors import NotFoundError, ServiceUnavailableError
from greenroom_scaffolder.commands.answers import answers, given, secret_option, value_option, values_option
from greenroom_scaffolder.commands.following import Follower, links, texts
from greenroom_scaffolder.commands.form import Block, is_secret

API = "/api/scaffolder/v2"
REST = 1.0
"""Seconds between two event streams of a task, of which none told its end."""
PATIENCE = 30
"""Streams in a row that may fail without an event, before a server is given up."""
GOING_ON = ("open", "processing")
"""What a task is that has not ended."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the task's end as JSON, and no progress.")


@click.command(short_help="Run a template on a server, and watch it.")
@click.argument("template")
@value_option
@values_option
@secret_option
@click.option("--detach", is_flag=True, help="Print the task's id, and do not wait.")
@json_option
@server_option
@token_option
@config_option
@click.pass_context
def run(
    ctx: click.Context,
    template: str,
    assignments: tuple[str, ...],
    values: Path | None,
    hidden: tuple[str, ...],
    detach: bool,
    as_json: bool,
    server: str | None,
    token: str | None,
    layers: tuple[Path, ...],
) -> None:
    """Run a template, such as `python-service` or `template:default/python-service`.

    What the form of the template fills in is filled in; what is missing is asked for on a terminal.

    Exit codes: 0 completed (with --detach: begun), 1 failed, cancelled or refused, 2 wrong usage, 3 no server.
    """
    ref = _ref(template)

    async def work(client: Client) -> int:
        blocks = await _form(client, ref)
        found = answers(blocks, assignments, values, hidden, ask if sys.stdin.isatty() else None)
        body = {"templateRef": str(ref), "values": found.values, "secrets": found.secrets}
        task = (await client.call("POST", f"{API}/tasks", body=body))["id"]
        if detach:
            click.echo(task)
            return 0
        return await watch(client, task, as_json=as_json)

    ctx.exit(with_client(server, token, layers, work))


@click.command(short_help="Watch a task of a server.")
@click.argument("task")
@json_option
@server_option
@token_option
@config_option
@click.pass_context
def follow(
    ctx: click.Context, task: str, as_json: bool, server: str | None, token: str | None, layers: tuple[Path, ...]
) -> None:
    """Watch a task from its beginning to its end. Exit codes as those of `run`."""
    if not task:
        raise click.BadParameter("it is empty: give the id of a task", param_hint="TASK")
    ctx.exit(with_client(server, token, layers, lambda client: watch(client, task, as_json=as_json)))


async def _form(client: Client, ref: EntityRef) -> list[Block]:
    """The pages of a template's form. Raises NotFoundError."""
    address = "/".join(quote(part, safe="") for part in (ref.namespace, ref.kind, ref.name))
    try:
        form = await client.call("GET", f"{API}/templates/{address}/parameter-schema")
    except NotFoundError as error:
        hint = "`greenroom catalog list kind=template` tells which there are"
        raise NotFoundError(f"There is no {ref} that you may use: {hint}") from error
    return [step["schema"] for step in form["steps"]]


def _ref(template: str) -> EntityRef:
    try:
        return parse_ref(template, default_kind="template")
    except EntityRefError as error:
        raise click.BadParameter(error.message, param_hint="TEMPLATE") from error


def ask(name: str, schema: Block) -> Any:
    """One value, from whoever sits at the terminal; asked for again when it cannot be read."""
    choice = click.Choice([str(one) for one in schema["enum"]]) if schema.get("enum") else None

    def read(text: str) -> Any:
        said = text if choice is None else choice.convert(text, None, None)
        return given([f"{name}={said}"], [{"properties": {name: schema}}])[name]

    if schema.get("description"):
        click.secho(str(schema["description"]), dim=True, err=True)
    title = schema.get("title") or name
    return click.prompt(title, type=choice, value_proc=read, hide_input=is_secret(schema), err=True)


async def watch(client: Client, task: str, *, as_json: bool) -> int:
    """Tell of a task until it has ended. The exit code. Raises ServiceUnavailableError."""
    address = f"{API}/tasks/{quote(task, safe='')}"
    steps = (await client.call("GET", address))["spec"]["steps"]
    follower = Follower({step["id"]: step["name"] for step in steps})
    if not as_json:
        console().print(f"Task {task}", style="dim", markup=False)
    failures, status = 0, GOING_ON[0]
    try:
        while status in GOING_ON:
            before = follower.last
            try:
                status = await _read(client, address, follower, silent=as_json)
                failures = 0
            except ServiceUnavailableError:
                failures = failures + 1 if follower.last == before else 1
                if failures == 1:
                    click.secho("The server has gone; waiting for it …", dim=True, err=True)
                if failures > PATIENCE:
                    raise
            if status in GOING_ON:
                await asyncio.sleep(REST)
    except asyncio.CancelledError:
        click.echo(f"The task goes on: greenroom template follow {task}", err=True)
        raise
    return _tell_end(status, follower.completion or {}, as_json=as_json)


async def _read(client: Client, address: str, follower: Follower, *, silent: bool) -> str:
    """Until the task or the stream has ended. The status of the task. Raises ServiceUnavailableError."""
    out = console()
    async for event in client.events(f"{address}/eventstream", query=[("after", str(follower.last))]):
        for line in follower.read(event):
            if not silent:
                out.print(line.text, style=line.style, markup=False)
        if follower.ended():  # the stream stays open for those who may try the task again
            break
    if not follower.ended():
        return GOING_ON[0]
    return str((await client.call("GET", address))["status"])  # not every failure has an error in its completion


def _tell_end(status: str, completion: Mapping[str, Any], *, as_json: bool) -> int:
    """The exit code."""
    out, completed = console(), status == "completed"
    if as_json:
        show(dict(completion), "json")
    elif completed:
        output = completion.get("output") or {}
        out.print("✔ Done", style="bold green")
        for title, where in links(output):
            out.print(f"  {title}: {where}", markup=False)
        for line in texts(output):
            out.print(line, markup=False)
    else:
        error = completion.get("error")
        why = f"{error['name']}: {error['message']}" if error else completion.get("message") or status
        out.print(f"✘ {why}", style="bold red", markup=False)
    return 0 if completed else 1
