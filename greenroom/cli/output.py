"""values -> text: tables for people, JSON and YAML for programs. NO_COLOR and pipes are honoured by rich."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

ENDLESS = 100_000
"""Columns of a pipe."""

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to print.",
)


class ReaderGoneError(BrokenPipeError):
    """`greenroom … | head`: nobody reads on, which is no fault. Without a number, so that click lets it pass."""


def show(value: Any, output: str, columns: Sequence[str] = ()) -> None:
    """Print a value. As a table, a list of objects shows the `columns` (dotted paths), or those that its objects have."""
    if output == "json":
        write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    elif output == "yaml":
        write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())
    elif isinstance(value, list):
        show_table(value, columns)
    else:
        show_facts(value)


def write(text: str) -> None:
    """Print as it is."""
    try:
        click.echo(text)
    except BrokenPipeError as error:  # click would make a failure of it
        raise ReaderGoneError from error


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), title: str | None = None) -> None:
    """Print objects as rows."""
    names = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in names:
        table.add_column(name.rpartition(".")[2].upper(), overflow="fold")
    for row in rows:
        table.add_row(*(cell(look_up(row, name)) for name in names))
    console().print(table if rows else Text("nothing", style="dim"))


def show_facts(facts: Mapping[str, Any]) -> None:
    """Print an object: scalars and small objects as lines, then lists of objects as tables."""
    out = console()
    tables = {name: value for name, value in facts.items() if is_table(value)}
    lines = {name: value for name, value in facts.items() if name not in tables}
    width = max(map(len, lines), default=0) + 2
    for name, value in lines.items():
        out.print(Text(name.ljust(width), style="bold") + cell(value))
    for name, rows in tables.items():
        out.print()
        show_table(rows, title=name)


def is_table(value: Any) -> bool:
    """Whether it is a list of objects, and not an empty one."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def cell(value: Any) -> Text:
    """One value as text that is never taken for markup."""
    if value is None or value == []:
        return Text("-", style="dim")
    if isinstance(value, Mapping):
        return Text(", ".join(f"{key} {inner}" for key, inner in value.items()) or "-")
    if isinstance(value, list):
        return Text(", ".join(map(str, value)))
    return Text(str(value))


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    found: Any = row
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def say_error(name: str, message: str) -> None:
    """Tell of an error on standard error."""
    console(stderr=True).print(Text(f"{name}: ", style="bold red") + Text(message))


@contextmanager
def working(what: str) -> Iterator[None]:
    """On a terminal, show that something is under way."""
    with console(stderr=True).status(what):
        yield


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """On a terminal, show a bar; the function that is lent moves it on by so many."""
    from rich.progress import Progress

    out = console(stderr=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)


class PipeConsole(Console):
    """Rich would make a failure of a reader that is gone."""

    def on_broken_pipe(self) -> None:
        raise ReaderGoneError


def console(*, stderr: bool = False) -> Console:
    """Standard output (or error); lines of a pipe are not cut to the width of a terminal that is not there."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return PipeConsole(stderr=stderr, width=None if terminal else ENDLESS, soft_wrap=not terminal, highlight=False)
