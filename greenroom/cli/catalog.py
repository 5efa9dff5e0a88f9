"""`greenroom catalog` and `greenroom locations`: a running server's catalog from the shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from greenroom.cli.client import Client, server_option, token_option, with_client
from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, output_option, progress, show, working
from greenroom.entity import EntityRefError, parse_ref

ENTITY_COLUMNS = ("kind", "metadata.namespace", "metadata.name", "spec.type", "spec.owner", "metadata.title")
PAGE = 500


@click.command("list")
@click.argument("filters", nargs=-1, metavar="[FILTER]...")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Entities to show.")
@click.option("--order", default="metadata.name", show_default=True, help="The field to order by.")
@output_option
@server_option
@token_option
@config_option
def list_entities(
    filters: Sequence[str],
    limit: int,
    order: str,
    output: str,
    server: str | None,
    token: str | None,
    layers: tuple[Path, ...],
) -> None:
    """List entities. A FILTER is `key=value[,key=value]` (all must hold); of several, one must hold.

    greenroom catalog list kind=component,spec.type=service
    """

    async def work(client: Client) -> tuple[list[dict[str, Any]], int]:
        query = [("filter", item) for item in filters]
        query += [("orderField", f"{order},asc"), ("limit", str(min(limit, PAGE)))]
        page = await client.call("GET", "/api/catalog/entities/by-query", query=query)
        found: list[dict[str, Any]] = page["items"]
        wanted = min(limit, page["totalItems"])
        with progress("Reading", wanted) as advance:
            advance(len(found))
            while len(found) < wanted and (cursor := page["pageInfo"].get("nextCursor")):
                query = [("cursor", cursor), ("limit", str(min(wanted - len(found), PAGE)))]
                page = await client.call("GET", "/api/catalog/entities/by-query", query=query)
                found += page["items"]
                advance(len(page["items"]))
        return found, page["totalItems"]

    found, total = with_client(server, token, layers, work)
    show(found, output, ENTITY_COLUMNS)
    if output == "table":
        console().print(f"{len(found)} of {total} entities", style="dim")


@click.command("get")
@click.argument("ref")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@server_option
@token_option
@config_option
def get_entity(ref: str, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Print one entity. REF is `kind:[namespace/]name`."""

    path = f"/api/catalog/entities/by-name/{_path(ref)}"

    async def work(client: Client) -> Any:
        return await client.call("GET", path)

    show(with_client(server, token, layers, work), output)


@click.command("refresh")
@click.argument("refs", nargs=-1, required=True)
@server_option
@token_option
@config_option
def refresh_entities(refs: Sequence[str], server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Read entities again from where they come from."""
    parsed = [str(_parsed(ref)) for ref in refs]

    async def work(client: Client) -> None:
        with progress("Refreshing", len(refs)) as advance:
            for ref in parsed:
                await client.call("POST", "/api/catalog/refresh", body={"entityRef": ref})
                advance(1)

    with_client(server, token, layers, work)
    console().print(f"{len(refs)} due for a refresh")


@click.group()
def locations() -> None:
    """Registered locations of a running server."""


@locations.command("list")
@output_option
@server_option
@token_option
@config_option
def list_locations(output: str, server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """List registered locations."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return [row["data"] for row in await client.call("GET", "/api/catalog/locations")]

    show(with_client(server, token, layers, work), output, ("id", "type", "target", "entityRef"))


@locations.command("add")
@click.argument("url")
@click.option("--dry-run", is_flag=True, help="Show what would come of it, store nothing.")
@output_option
@server_option
@token_option
@config_option
def add_location(
    url: str, dry_run: bool, output: str, server: str | None, token: str | None, layers: tuple[Path, ...]
) -> None:
    """Register the catalog file at URL."""

    async def work(client: Client) -> Any:
        query = [("dryRun", "true")] if dry_run else []
        return await client.call("POST", "/api/catalog/locations", query=query, body={"type": "url", "target": url})

    with working("Reading"):
        answer = with_client(server, token, layers, work)
    if dry_run and output == "table":
        show(answer["entities"], output, ENTITY_COLUMNS)
    else:
        show(answer if output != "table" else answer["location"], output)


@locations.command("rm")
@click.argument("ids", nargs=-1, required=True)
@server_option
@token_option
@config_option
def remove_location(ids: Sequence[str], server: str | None, token: str | None, layers: tuple[Path, ...]) -> None:
    """Unregister locations by ID; the entities that came only from them go too."""

    async def work(client: Client) -> None:
        with progress("Removing", len(ids)) as advance:
            for id_ in ids:
                await client.call("DELETE", f"/api/catalog/locations/{quote(id_, safe='')}")
                advance(1)

    with_client(server, token, layers, work)
    console().print(f"{len(ids)} unregistered")


def _parsed(ref: str) -> Any:
    try:
        return parse_ref(ref)
    except EntityRefError as error:
        raise click.BadParameter(error.message, param_hint="REF") from error


def _path(ref: str) -> str:
    parsed = _parsed(ref)
    return "/".join(quote(part, safe="") for part in (parsed.kind, parsed.namespace, parsed.name))
