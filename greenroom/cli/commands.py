"""names -> commands, each imported only when it is asked for: a command must not wait for the imports of the others.

Commands of other packages come from the entry point group `greenroom.commands`: `catalog.validate` names the click command that
becomes `greenroom catalog validate`. It is imported to be run or to be listed, so its module should import little.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

GROUP = "greenroom.commands"


class Lazy(NamedTuple):
    """Where a command is, `module:name`, and its sentence in the help of its group."""

    where: str
    about: str


class Commands(click.Group):
    """A group of commands that are imported when one is asked for; its own, then those of other packages."""

    def __init__(self, name: str | None = None, lazy: Mapping[str, Lazy] | None = None, **settings: Any) -> None:
        super().__init__(name, **settings)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *self.lazy, *_installed(_path(ctx))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        if (lazy := self.lazy.get(cmd_name)) is not None:
            return _load(lazy.where)
        path = _path(ctx)
        where = _of_this_wheel(f"{path}.{cmd_name}") or _installed(path).get(cmd_name)
        return None if where is None else _load(where)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names), default=0)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._about(ctx, name, limit)) for name in names])

    def _about(self, ctx: click.Context, name: str, limit: int) -> str:
        if (lazy := self.lazy.get(name)) is not None:
            return click.Command(name, help=lazy.about).get_short_help_str(limit)
        found = self.get_command(ctx, name)
        return "" if found is None else found.get_short_help_str(limit)


def _load(where: str) -> click.Command:
    module, _, name = where.partition(":")
    found = getattr(import_module(module), name)
    if not isinstance(found, click.Command):
        raise click.ClickException(f"{where} is no click command")
    return found


def _path(ctx: click.Context) -> str:
    """Where the group stands below `greenroom`, dotted."""
    names: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        names.insert(0, at.info_name or "")
        at = at.parent
    return ".".join(names)


def _of_this_wheel(name: str) -> str | None:
    """Where a command of greenroom's own wheel is. To ask all packages takes a sixth of the time of a short command."""
    for folder in sys.path:
        for file in Path(folder or ".").glob("greenroom-*.dist-info/entry_points.txt"):
            section = ""
            for line in file.read_text(encoding="utf-8").splitlines():
                key, _, value = (part.strip() for part in line.partition("="))
                section = key if key.startswith("[") else section
                if section == f"[{GROUP}]" and key == name:
                    return value
    return None


def _installed(path: str) -> dict[str, str]:
    """The commands of a group that other packages bring: their names, and where they are."""
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP)
    return {point.name.rpartition(".")[2]: point.value for point in points if point.name.rpartition(".")[0] == path}
