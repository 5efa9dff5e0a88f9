"""Values and secrets that were given -> what the stock form would send: with its defaults, and with what it still asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from greenroom_scaffolder.commands.fields import Field, page
from greenroom_scaffolder.commands.form import Answers, Ask, Block


def completed(
    values: Mapping[str, Any], secrets: Mapping[str, str], blocks: Iterable[Block], ask: Ask | None = None
) -> Answers:
    """With the defaults of the form, and with what is required and missing, if there is somebody to ask.

    The stock form sends a field that is a secret among the secrets, and stars in its place; and so is it here.

    Raises click.UsageError that names what is missing, or was given openly."""
    pages = [page(block) for block in blocks]
    if openly := [name for one in pages for name in _given_openly(values, one)]:
        raise click.BadParameter(f"{openly[0]} is a secret: give it by -s {openly[0]}", param_hint="-v")
    found, missing = Answers(dict(values), dict(secrets)), []
    for one in pages:
        found = Answers(_with_defaults(found.values, found.secrets, one), found.secrets)
        if ask is None:
            missing += [_option(name, one.members().get(name)) for name in _missing(found, one)]
        else:
            found = _asked(found, one, ask)
    if missing:
        raise click.UsageError(f"the form asks for more: give {' '.join(missing)}, or --values FILE")
    return found


def _with_defaults(
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
    elif isinstance(value, Mapping) and (inner := _with_defaults(value, secrets, member, above)):
        filled[name] = inner


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


def _asked(found: Answers, shown: Field, ask: Ask) -> Answers:
    """With answers to all that a page still asks for: each of them may bring up more."""
    values, secrets = found
    while missing := _missing(Answers(values, secrets), shown):
        name = missing[0]
        member = shown.members(values).get(name)
        said = ask(name, member.schema() if member else {})
        if member and member.is_secret:
            secrets, said = {**secrets, name: str(said)}, _stars(str(said))
        values = _with_defaults({**values, name: said}, secrets, shown)
    return Answers(values, secrets)


def _missing(found: Answers, shown: Field) -> list[str]:
    return [name for name in shown.required(found.values) if name not in found.values]


def _option(name: str, field: Field | None) -> str:
    """How to give a value."""
    return f"-s {name}" if field and field.is_secret else f"-v {name}=…"


def _stars(secret: str) -> str:
    return "*" * len(secret)
