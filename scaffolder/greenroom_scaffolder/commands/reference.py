"""`greenroom template actions`: every action of this installation, for people, for programs, and as a page of documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, show, write
from greenroom.plugin import Action

HEAD = """\
# The actions

<!-- written by `make docs`, from the actions themselves: change those, not this page -->

What `action:` in a step of a template may name. In a dry run, an action that does not support one is skipped, and its outputs are
examples. An action that may be run again is run again when its process died in the middle of it; another one fails then, and
`POST /api/scaffolder/v2/tasks/ID/retry` goes on from it.
"""


@click.command(short_help="List the actions of this installation, or tell of some.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@config_option
def actions(ids: tuple[str, ...], form: str, layers: tuple[Path, ...]) -> None:
    """List the actions of this installation, or tell of those with the given IDs."""
    from greenroom_scaffolder.actions.registry import Registry
    from greenroom_scaffolder.commands.bench import workbench
    from greenroom_scaffolder.templating.suggestions import nearest

    async def work() -> Registry:
        async with workbench(layers) as bench:
            return Registry(bench.actions)

    registry = asyncio.run(work())
    if missing := [id_ for id_ in ids if id_ not in registry]:
        near = nearest(missing[0], (one.id for one in registry))
        raise click.UsageError(f"there is no action {', '.join(missing)}{f', did you mean {near}?' if near else ''}")
    chosen = [one for one in registry if not ids or one.id in ids]
    if form == "json":
        show([told for told in registry.listing() if not ids or told["id"] in ids], "json")
    elif form == "markdown":
        write(page(chosen))
    else:
        _print(chosen, whole=bool(ids))


def _print(chosen: Sequence[Action[Any]], *, whole: bool) -> None:
    out = console()
    width = max((len(one.id) for one in chosen), default=0) + 2
    for one in chosen:
        if whole:
            out.print(one.id, style="bold", markup=False)
            write("\n".join(_about(one)))
            continue
        out.print(one.id.ljust(width), style="bold", end="", markup=False)
        out.print(" ".join((one.description or "").partition("\n\n")[0].split()), markup=False)


def page(chosen: Sequence[Action[Any]]) -> str:
    """All of them, in Markdown."""
    listed = "\n".join(f"- [`{one.id}`](#{_anchor(one.id)})" for one in chosen)
    return "\n".join(
        [HEAD, listed, "", *(line for one in chosen for line in ["## `" + one.id + "`", "", *_about(one)])]
    )


def _anchor(id_: str) -> str:
    """As GitHub makes one of a heading."""
    return "".join(letter for letter in id_.lower() if letter.isalnum() or letter in "-_")


def _about(one: Action[Any]) -> Iterator[str]:
    if one.description:
        yield from (one.description, "")
    yield f"Dry run: {'yes' if one.dry_run else 'skipped'}. May be run again: {'yes' if one.idempotent else 'no'}."
    yield ""
    yield from _properties("Input", one.input_schema)
    yield from _properties("Output", one.output_schema)
    for example in one.examples:
        yield from (f"{example.description}:", "", "```yaml", example.example.strip("\n"), "```", "")


def _properties(title: str, schema: Mapping[str, Any] | None) -> Iterator[str]:
    """A table of what a schema lists, of each of its alternatives."""
    if not schema:
        return
    alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
    for number, alternative in enumerate(alternatives, 1):
        properties = alternative.get("properties") or {}
        if not properties:
            continue
        which = f" ({number} of {len(alternatives)})" if len(alternatives) > 1 else ""
        yield from (f"| {title}{which} | type | |", "|---|---|---|")
        required = alternative.get("required") or ()
        for name, about in properties.items():
            sign = " *" if name in required else ""
            yield f"| `{name}`{sign} | {_type(about)} | {_cell(about.get('description') or '')} |"
        yield ""


def _type(about: Mapping[str, Any]) -> str:
    """In a few words."""
    if "enum" in about:
        return _cell(", ".join(f"`{one}`" for one in about["enum"]))
    several = about.get("anyOf") or about.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    kind = about.get("type", "any")
    named = " or ".join(kind) if isinstance(kind, list) else str(kind)
    default = f", default `{msgspec.json.encode(about['default']).decode()}`" if "default" in about else ""
    return f"{named}{default}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
