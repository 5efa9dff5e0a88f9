"""What someone gave on the command line -> the values and secrets that a form would send."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from greenroom_scaffolder.commands.fields import Field

Block = Mapping[str, Any]
"""A page of the form: JSON Schema of an object."""

Ask = Callable[[str, Block], Any]
"""Asks for one value: called with its name and schema."""

value_option = click.option(
    "-v", "--value", "assignments", multiple=True, metavar="NAME=VALUE", help="A value of the form; YAML."
)
values_option = click.option(
    "--values", "values", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Values, as YAML."
)
secret_option = click.option(
    "-s", "--secret", "hidden", multiple=True, metavar="NAME[=@FILE]", help="A secret, from the environment or a file."
)


class Answers(NamedTuple):
    """What a form sends."""

    values: dict[str, Any]
    secrets: dict[str, str]


def answers(
    blocks: Sequence[Block],
    assignments: Iterable[str],
    file: Path | None,
    hidden: Iterable[str],
    ask: Ask | None = None,
) -> Answers:
    """The options of a command as the form would send them. Warns of values that are no fields.

    Raises click.UsageError for what cannot be read, is a secret or is missing, if there is nobody to `ask`."""
    values = {**(from_file(file) if file else {}), **given(assignments, blocks)}
    for warning in strays(values, blocks):
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    return completed(values, secrets(hidden), blocks, ask)


def given(assignments: Iterable[str], blocks: Iterable[Block]) -> dict[str, Any]:
    """`name=value` pairs. A value is YAML, but text where the form wants text. Raises click.BadParameter."""
    texts = {name for name, field in _fields(blocks) if field.wants_text}
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
    from greenroom_scaffolder.templating.suggestions import Suggestions

    known, suggestions = dict(_fields(blocks)), Suggestions()
    for name in names:
        if name not in known:
            near = suggestions.nearest(name, known)
            yield f"{name} is no field of the form{f', did you mean {near}?' if near else ''}"


def with_defaults(
    values: Mapping[str, Any], secrets: Mapping[str, str], field: Field, above: frozenset[int] = frozenset()
) -> dict[str, Any]:
    """What the stock form fills in before anybody types, also inside objects: defaults, and those of what they bring up;
    and stars for a secret that is sent by itself.

    `above` are the schemas that this one is in: a form that refers to itself would never be filled in."""
    filled, within = dict(values), {id(part) for part in field.parts()}
    while not within & above:
        before = dict(filled)
        for name, member in field.members(filled).items():
            _fill(filled, name, member, secrets, above | within)
        if filled == before:
            break
    return filled


def _fill(filled: dict[str, Any], name: str, member: Field, secrets: Mapping[str, str], above: frozenset[int]) -> None:
    schema, value = member.schema(filled.get(name)), filled.get(name, {})
    if name not in filled and name in secrets and member.is_secret:
        filled[name] = _stars(secrets[name])
    elif name not in filled and "default" in schema:
        filled[name] = schema["default"]
    elif isinstance(value, Mapping) and (inner := with_defaults(value, secrets, member, above)):
        filled[name] = inner


def completed(
    values: Mapping[str, Any], secrets: Mapping[str, str], blocks: Iterable[Block], ask: Ask | None = None
) -> Answers:
    """With the defaults of the form, and with what is required and missing, if there is somebody to ask.

    The stock form sends a field that is a secret among the secrets, and stars in its place; and so is it here.

    Raises click.UsageError that names what is missing, or was given openly."""
    from greenroom_scaffolder.commands.fields import page

    pages = [page(block) for block in blocks]
    if openly := [name for one in pages for name in _given_openly(values, one)]:
        raise click.BadParameter(f"{openly[0]} is a secret: give it by -s {openly[0]}", param_hint="-v")
    found, missing = Answers(dict(values), dict(secrets)), []
    for one in pages:
        found = Answers(with_defaults(found.values, found.secrets, one), found.secrets)
        if ask is None:
            missing += [_option(name, one.members().get(name)) for name in _missing(found, one)]
        else:
            found = _asked(found, one, ask)
    if missing:
        raise click.UsageError(f"the form asks for more: give {' '.join(missing)}, or --values FILE")
    return found


def _given_openly(value: Any, field: Field) -> Iterator[str]:
    """The secrets in a value, wherever the form has them, and whether it would show them now or not."""
    if isinstance(value, Mapping):
        for name, member in field.members().items():
            if name in value and member.is_secret:
                yield name
            elif name in value:
                yield from _given_openly(value[name], member)
    elif isinstance(value, list):
        for item in value:
            yield from _given_openly(item, field.items())


def _asked(found: Answers, page: Field, ask: Ask) -> Answers:
    """With answers to all that a page still asks for: each of them may bring up more."""
    values, secrets = found
    while missing := _missing(Answers(values, secrets), page):
        name = missing[0]
        member = page.members(values).get(name)
        said = ask(name, member.schema() if member else {})
        if member and member.is_secret:
            secrets, said = {**secrets, name: str(said)}, _stars(str(said))
        values = with_defaults({**values, name: said}, secrets, page)
    return Answers(values, secrets)


def _missing(found: Answers, page: Field) -> list[str]:
    return [name for name in page.required(found.values) if name not in found.values]


def _option(name: str, field: Field | None) -> str:
    """How to give a value."""
    return f"-s {name}" if field and field.is_secret else f"-v {name}=…"


def _stars(secret: str) -> str:
    return "*" * len(secret)


def is_secret(schema: Block) -> bool:
    """Whether a field is typed unseen, and kept out of the task's parameters."""
    return schema.get("ui:field") == "Secret"


def _fields(blocks: Iterable[Block]) -> Iterator[tuple[str, Field]]:
    """All fields of a form, whatever they depend on."""
    from greenroom_scaffolder.commands.fields import page

    for block in blocks:
        yield from page(block).members().items()


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
