"""What someone gave on the command line -> the values and secrets that a form would send."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from greenroom_scaffolder.commands.form import Answers, Ask, Block

value_option = click.option(
    "-v", "--value", "assignments", multiple=True, metavar="NAME=VALUE", help="A value of the form; YAML."
)
values_option = click.option(
    "--values", "values", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Values, as YAML."
)
secret_option = click.option(
    "-s", "--secret", "hidden", multiple=True, metavar="NAME[=@FILE]", help="A secret, from the environment or a file."
)


def answers(
    blocks: Sequence[Block],
    assignments: Iterable[str],
    file: Path | None,
    hidden: Iterable[str],
    ask: Ask | None = None,
) -> Answers:
    """The options of a command as the form would send them. Warns of values that are no fields.

    Raises click.UsageError for what cannot be read, is a secret or is missing, if there is nobody to `ask`."""
    from greenroom_scaffolder.commands.completing import completed

    values = {**(from_file(file) if file else {}), **given(assignments, blocks)}
    for warning in strays(values, blocks):
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    return completed(values, secrets(hidden), blocks, ask)


def given(assignments: Iterable[str], blocks: Iterable[Block]) -> dict[str, Any]:
    """`name=value` pairs. A value is YAML, but text where the form wants text. Raises click.BadParameter."""
    from greenroom_scaffolder.commands.fields import all_fields

    texts = {name for name, field in all_fields(blocks) if field.wants_text}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise click.BadParameter(f"{assignment!r} is not name=value", param_hint="-v")
        values[name] = text if name in texts else _yaml(text, f"-v {name}")
    return values


def from_file(path: Path) -> dict[str, Any]:
    """The object that a YAML or JSON file holds. Raises click.BadParameter."""
    found = _yaml(_text(path, "--values"), f"--values {path}")
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} holds no object", param_hint="--values")
    return found


def secrets(named: Iterable[str]) -> dict[str, str]:
    """`NAME` (from the environment) or `NAME=@FILE`. Never from the command line itself, which others can read.

    Raises click.BadParameter."""
    found = {}
    for one in named:
        name, sign, source = one.partition("=")
        if not sign and name not in os.environ:
            raise click.BadParameter(f"{name} is not set in the environment", param_hint="--secret")
        if sign and not source.startswith("@"):
            raise click.BadParameter(
                "give the name of an environment variable, or NAME=@FILE: others can read a command line",
                param_hint="--secret",
            )
        found[name] = _text(Path(source[1:]), "--secret").rstrip("\n") if sign else os.environ[name]
    return found


def strays(names: Iterable[str], blocks: Sequence[Block]) -> Iterator[str]:
    """What is to be said of values that no form asks for. They are sent all the same, as upstream takes them."""
    from greenroom_scaffolder.commands.fields import all_fields
    from greenroom_scaffolder.templating.suggestions import Suggestions

    known, suggestions = dict(all_fields(blocks)), Suggestions()
    for name in names:
        if name not in known:
            near = suggestions.nearest(name, known)
            yield f"{name} is no field of the form{f', did you mean {near}?' if near else ''}"


def _text(file: Path, option: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{file}: {error.strerror}", param_hint=option) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file} is not UTF-8 text (byte {error.start})", param_hint=option) from error


def _yaml(text: str, where: str) -> Any:
    """As a template is read: by YAML 1.2, where `yes` and `2026-11-22` are texts."""
    from greenroom_scaffolder.templates.located import Unreadable, read_documents

    try:
        documents = read_documents(text)
    except Unreadable as error:
        place = f"line {error.place.line}, column {error.place.column}"
        raise click.BadParameter(f"no YAML: {error.message} ({place})", param_hint=where) from error
    return documents[0].value if documents else None
