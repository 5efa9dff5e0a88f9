"""`greenroom template run` and `follow`: a task of a running server, watched from a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, show
from greenroom.entity import EntityRefError, parse_ref
from greenroom.errors import ServiceUnavailableError
from greenroom_scaffolder.commands.answers import Block, completed, from_file, given, secrets
from greenroom_scaffolder.commands.following import Follower, links

API = "/api/scaffolder/v2"
PATIENCE = 30
"""Seconds in a row that a server may be gone while a task is followed."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the task's end as JSON, and no progress.")


@click.command(short_help="Run a template on a server, and watch it.")
@click.argument("template")
@click.option("-v", "--value", "assignments", multiple=True, metavar="NAME=VALUE", help="A value of the form; YAML.")
@click.option("--values", "file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Values, as YAML.")
@click.option(
    "-s", "--secret", "hidden", multiple=True, metavar="NAME[=@FILE]", help="A secret, from the environment or a file."
)
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
    file: Path | None,
    hidden: tuple[str, ...],
    detach: bool,
    as_json: bool,
    server: str | None,
    token: str | None,
    layers: tuple[Path, ...],
) -> None:
    """Run a template, such as `python-service` or `template:default/python-service`.

    What the form of the template fills in is filled in; what is missing is asked for on a terminal.

    Exit codes: 0 completed, 1 failed, 2 wrong usage, 3 no server.
    """
    ref = _ref(template)

    async def work(client: Client) -> int:
        namespace, kind, name = ref.namespace, ref.kind, ref.name
        form = await client.call("GET", f"{API}/templates/{namespace}/{kind}/{name}/parameter-schema")
        blocks = [step["schema"] for step in form["steps"]]
        known = {**(from_file(file) if file else {}), **given(assignments, blocks)}
        values = completed(known, blocks, _ask if sys.stdin.isatty() else None)
        body = {"templateRef": str(ref), "values": values, "secrets": secrets(hidden)}
        task = (await client.call("POST", f"{API}/tasks", body=body))["id"]
        if detach:
            click.echo(task)
            return 0
        return await _follow(client, task, as_json=as_json)

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
    ctx.exit(with_client(server, token, layers, lambda client: _follow(client, task, as_json=as_json)))


def _ref(template: str) -> Any:
    try:
        return parse_ref(template, default_kind="template")
    except EntityRefError as error:
        raise click.BadParameter(error.message, param_hint="TEMPLATE") from error


def _ask(name: str, schema: Block) -> Any:
    """One value, from whoever sits at the terminal."""
    about = schema.get("description")
    if about:
        click.secho(str(about), dim=True, err=True)
    choices = schema.get("enum")
    kind: Any = click.Choice([str(one) for one in choices]) if choices else None
    text = click.prompt(schema.get("title") or name, type=kind, default=schema.get("default"), err=True)
    return given([f"{name}={text}"], [{"properties": {name: schema}}])[name]


async def _follow(client: Client, task: str, *, as_json: bool) -> int:
    """Until the task has ended. The exit code."""
    steps = (await client.call("GET", f"{API}/tasks/{task}"))["spec"]["steps"]
    follower = Follower({step["id"]: step["name"] for step in steps})
    out = console(stderr=as_json)
    if not as_json:
        out.print(f"Task {task}", style="dim", markup=False)
    waited = 0
    while not follower.ended():
        try:
            async for event in client.events(f"{API}/tasks/{task}/eventstream", query=[("after", str(follower.last))]):
                waited = 0
                for line in follower.read(event):
                    if not as_json:
                        out.print(line.text, style=line.style, markup=False)
                if follower.ended():  # the stream stays open for those who may try the task again
                    break
        except ServiceUnavailableError:
            waited += 1
            if waited > PATIENCE:
                raise
        if not follower.ended():  # the server is starting anew
            await asyncio.sleep(1)
    return _tell_end(follower.completion or {}, as_json=as_json)


def _tell_end(completion: Mapping[str, Any], *, as_json: bool) -> int:
    error, output = completion.get("error"), completion.get("output") or {}
    out = console()
    if as_json:
        show(dict(completion), "json")
    elif error:
        out.print(f"✘ {error['name']}: {error['message']}", style="bold red", markup=False)
    else:
        out.print("✔ Done", style="bold green")
        for title, where in links(output):
            out.print(f"  {title}: {where}", markup=False)
        for text in output.get("text") or ():
            out.print(f"\n  {text.get('title') or ''}\n{text.get('content') or ''}", markup=False)
    return 1 if error else 0
