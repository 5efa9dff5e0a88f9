"""Request -> exit code: read the files, examine them, print what was found."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from greenroom.entity import Entity
from greenroom_catalog.commands.files import STDIN, Source, Unreadable, read, read_all
from greenroom_catalog.commands.formats import Paint, as_github, as_json, as_sarif, as_text
from greenroom_catalog.commands.targets import files_at, missing_files, pointers_of
from greenroom_catalog.ingestion.findings import ABOUT, Examination, Finding, FoundEntity, examine
from greenroom_catalog.model import Rules

RIGHT, WRONG, MISUSED = 0, 1, 2
WOULD = {"would-add": "new", "would-change": "changed", "would-keep": "unchanged", "would-conflict": "held elsewhere"}
"""What a server says of entities, and how they are counted."""


class Request(NamedTuple):
    """What the command was asked for."""

    arguments: Sequence[str]
    format: str = "text"
    strict: bool = False
    quiet: bool = False
    follow: bool = False
    origin: str | None = None
    layers: Sequence[str] = ()
    kinds: Sequence[str] = ()
    server: str | None = None
    token: str | None = None


class Outcome(NamedTuple):
    """All that was found, file by file."""

    findings: list[Finding]
    entities: list[FoundEntity]
    contents: dict[str, bytes]
    unreadable: list[Unreadable]


def run(request: Request) -> int:
    """Do it, and give the exit code. Raises ConfigError, and, with a server, what a client raises."""
    outcome = check(request, _rules(request.layers))
    if request.server is not None:
        from greenroom_catalog.commands.live import ask

        outcome.findings[:] = ask(request.server, request.token, outcome.findings, outcome.entities)
    for name, reason in outcome.unreadable:
        click.echo(f"{name}: {reason}", err=True)
    findings = [found for found in _in_order(outcome) if found.severity == "error" or not request.quiet]
    _print(request, findings, outcome)
    return _code(request, outcome)


def _in_order(outcome: Outcome) -> list[Finding]:
    """As one reads: files as they were given, and each from its top."""
    files = {name: index for index, name in enumerate(outcome.contents)}
    return sorted(outcome.findings, key=lambda found: (files[found.file], found.line, found.column))


def check(request: Request, rules: Rules | None) -> Outcome:
    """Examine all files, and those that they lead to if asked to follow."""
    outcome = Outcome([], [], {}, [])
    known = _known(request.kinds) if request.kinds else None
    holders: dict[str, FoundEntity] = {}
    for source in _sources(request, outcome):
        outcome.contents[source.name] = source.content
        examination = examine(source.content, source.name, origin=request.origin, rules=rules, known=known)
        outcome.findings.extend([*examination.findings, *_beside(source, examination)])
        outcome.findings.extend(_duplicates(examination.entities, holders))
        outcome.entities.extend(examination.entities)
    return outcome


def _sources(request: Request, outcome: Outcome) -> Iterator[Source]:
    todo: deque[Source | Unreadable] = deque(read_all(request.arguments))
    seen = {os.path.realpath(item.name) for item in todo}
    while todo:
        source = todo.popleft()
        if isinstance(source, Unreadable):
            outcome.unreadable.append(source)
            continue
        known = len(outcome.entities)
        yield source
        for entity in outcome.entities[known:] if request.follow and source.name != STDIN else ():
            for pointer in pointers_of(entity):
                for path in files_at(pointer) if pointer.placeholder is None else ():
                    if os.path.realpath(path) not in seen:
                        seen.add(os.path.realpath(path))
                        todo.append(read(path))


def _beside(source: Source, examination: Examination) -> Iterator[Finding]:
    return iter(()) if source.name == STDIN else missing_files(examination)


def _duplicates(entities: Sequence[FoundEntity], holders: dict[str, FoundEntity]) -> Iterator[Finding]:
    """Warnings about refs that another of the files has too: the catalog takes the first it comes by."""
    for entity in entities:
        holder = holders.setdefault(entity.ref, entity)
        if holder.file != entity.file:
            span = entity.places.value(entity.line, ("metadata", "name"))
            message = f"{entity.ref} is also in {holder.file}:{holder.line}"
            hint = "whichever the catalog reads first wins: rename one, or remove it"
            yield Finding("duplicate-entity", "warning", message, entity.file, *span, (), entity.ref, hint)


def _rules(layers: Sequence[str]) -> Rules | None:
    """Those of the app-config, if one is given."""
    if not layers:
        return None
    from greenroom.errors import ConfigError
    from greenroom.settings import load
    from greenroom_catalog.model import read_rules

    for layer in layers:
        if not Path(layer).is_file():
            raise ConfigError(layer, "there is no such file", hint="see --config")
    config = load([Path(layer) for layer in layers], os.environ)
    return read_rules(config.get("catalog.rules"), config.get("catalog.locations"), folder=Path.cwd())


def _known(kinds: Sequence[str]) -> Callable[[Entity], bool]:
    """Whether an entity is of one of the kinds, `KIND` or `KIND=SCHEMA`. Raises BadParameter for a schema that is none."""
    bare = {kind.lower() for kind in kinds if "=" not in kind}
    described = [kind.partition("=") for kind in kinds if "=" in kind]
    checks = {kind.lower(): _schema_check(kind, file) for kind, _, file in described}

    def known(entity: Entity) -> bool:
        kind = entity["kind"].lower()
        return checks[kind](entity) if kind in checks else kind in bare

    return known


def _schema_check(kind: str, file: str) -> Callable[[Entity], bool]:
    from greenroom.errors import ConfigError
    from greenroom.plugin import EntityKind
    from greenroom_catalog.ingestion.custom_kinds import CustomKinds
    from greenroom_catalog.ingestion.parser import Parsed, parse

    source = read(file)
    documents = parse(source.content) if isinstance(source, Source) else []
    if len(documents) != 1 or not isinstance(documents[0], Parsed):
        raise click.BadParameter(f"{file} holds no JSON Schema", param_hint="--kind")
    schema = documents[0].value

    def check(entity: Entity) -> bool:
        described = EntityKind(entity["kind"], [entity["apiVersion"]], schema)
        return CustomKinds([described]).check(entity)

    try:
        CustomKinds([EntityKind(kind, ["any"], schema)])
    except ConfigError as error:
        raise click.BadParameter(error.message, param_hint="--kind") from error
    return check


def _print(request: Request, findings: Sequence[Finding], outcome: Outcome) -> None:
    if request.format == "json":
        _write(as_json(findings))
    elif request.format == "sarif":
        from importlib.metadata import version

        _write(as_sarif(findings, ABOUT, version("greenroom")))
    elif request.format == "github":
        _write("\n".join(as_github(findings)))
    else:
        paint = Paint(on=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        _write("\n".join(as_text(findings, _Lines(outcome.contents), paint, brief=request.quiet)))
        if outcome.contents and not request.quiet:
            _write(_summary(findings, outcome))


def _summary(findings: Sequence[Finding], outcome: Outcome) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    told = [_counted(errors, "error")] * bool(errors) + [_counted(warnings, "warning")] * bool(warnings)
    where = f"{_counted(len(outcome.entities), 'entity')} of {_counted(len(outcome.contents), 'file')}"
    counts = [(sum(found.code == code for found in findings), what) for code, what in WOULD.items()]
    would = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{' and '.join(told) or 'Nothing wrong'} in {where}{'; ' * bool(would)}{would}"


def _counted(number: int, what: str) -> str:
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else many}"


class _Lines:
    """The lines of the files that were read, split when a finding needs them."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents
        self._lines: dict[str, list[str]] = {}

    def __call__(self, name: str) -> Sequence[str]:
        if name not in self._lines:
            text = self._contents.get(name, b"").decode("utf-8", "replace").removeprefix("\ufeff")
            self._lines[name] = [line.rstrip("\r") for line in text.split("\n")]
        return self._lines[name]


def _write(text: str) -> None:
    """Print as it is. A reader that is gone is no fault: without a number, click lets the error pass."""
    if not text:
        return
    try:
        click.echo(text)
    except BrokenPipeError as error:
        raise BrokenPipeError from error


def _code(request: Request, outcome: Outcome) -> int:
    if outcome.unreadable:
        return MISUSED
    fatal = ("error", "warning") if request.strict else ("error",)
    return WRONG if any(finding.severity in fatal for finding in outcome.findings) else RIGHT
