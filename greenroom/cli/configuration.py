"""`greenroom config`: what the layers come to, and whether they are right."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from greenroom.cli.output import console, show
from greenroom.errors import ConfigError
from greenroom.settings import AppConfig, default_paths, load


def load_config(layers: Sequence[Path], *, environ: Mapping[str, str]) -> AppConfig:
    """The given layers, or the files that upstream would read. Raises ConfigError."""
    for layer in layers:
        if not layer.is_file():
            raise ConfigError(str(layer), "there is no such file", hint="see --config")
    return load(list(layers) or default_paths(Path.cwd(), environ), environ)


config_option = click.option(
    "--config",
    "layers",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A layer of configuration; may be repeated, later ones win.  [default: app-config.yaml, app-config.local.yaml]",
)


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@config_option
def check(layers: tuple[Path, ...]) -> None:
    """Read every section as the server would, build its plugins, and say what is wrong."""
    from greenroom.app import check_config
    from greenroom.cli.offline import without_database

    async def build() -> None:
        async with without_database(layers):
            pass  # what plugins find wrong with what their section names, they say when they are built

    loaded = load_config(layers, environ=os.environ)
    for warning in check_config(loaded):
        console(stderr=True).print(f"warning: {warning}", markup=False, style="yellow")
    asyncio.run(build())
    console().print("The configuration is valid.")


@config.command("print")
@config_option
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def print_(layers: tuple[Path, ...], output: str) -> None:
    """Print the merged configuration, secrets hidden."""
    show(load_config(layers, environ=os.environ).redacted(), output)
