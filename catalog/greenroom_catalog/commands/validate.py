"""`greenroom catalog validate`: its options. What it does is imported when it runs."""

from __future__ import annotations

import click

FORMATS = ("text", "json", "sarif", "github")


@click.command(short_help="Check files of entities, as the catalog would.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print.")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option("-q", "--quiet", is_flag=True, help="Errors only, a line each, and no summary.")
@click.option("--follow", is_flag=True, help="Also check the files that relative targets of Locations lead to.")
@click.option("--origin", metavar="LOCATION", help="Where the files will be registered, for the rules: url:https://…")
@click.option(
    "--config", "layers", multiple=True, metavar="FILE", help="An app-config, for its catalog.rules; may be repeated."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND[=SCHEMA]",
    help="A kind that a plugin brings, and the file of its JSON Schema; without one, only what all kinds have is checked.",
)
@click.option(
    "--server", metavar="URL", help="Also check references against a running server, and tell what would change."
)
@click.option("--token", envvar="GREENROOM_TOKEN", metavar="TOKEN", help="A static token.  [env GREENROOM_TOKEN]")
@click.pass_context
def validate(
    ctx: click.Context,
    files: tuple[str, ...],
    form: str,
    strict: bool,
    quiet: bool,
    follow: bool,
    origin: str | None,
    layers: tuple[str, ...],
    kinds: tuple[str, ...],
    server: str | None,
    token: str | None,
) -> None:
    """Check files of entities, as the catalog would, without a server.

    FILE is a file, a folder (each catalog-info*.yaml below it), a pattern, or - for standard input.

    Exit codes: 0 right, 1 errors (with --strict also warnings), 2 wrong usage or a file that cannot be read, 3 no server.
    """
    from greenroom_catalog.commands.checking import Request, run

    request = Request(files, form, strict, quiet, follow, origin, layers, kinds, server, token)
    ctx.exit(run(request))
