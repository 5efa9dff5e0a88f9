"""`greenroom template dry-run`, `lint` and `parameters`: a template of a file, without a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from greenroom.cli.configuration import config_option
from greenroom.cli.output import console, show
from greenroom_scaffolder.commands import TEMPLATE_FILES
from greenroom_scaffolder.commands.answers import answers, secret_option, value_option, values_option
from greenroom_scaffolder.commands.cases import Case
from greenroom_scaffolder.commands.folders import chosen_files
from greenroom_scaffolder.commands.following import told
from greenroom_scaffolder.commands.form import Block

template_argument = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
STYLES = {"error": "red", "warning": "yellow"}


@click.command("dry-run", short_help="Try a template of a file: nothing outside a temporary folder changes.")
@template_argument
@value_option
@values_option
@secret_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write what it makes into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON.")
@config_option
@click.pass_context
def dry_run(
    ctx: click.Context,
    file: Path,
    assignments: tuple[str, ...],
    values: Path | None,
    hidden: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    layers: tuple[Path, ...],
) -> None:
    """Try the template in FILE. Actions that would reach outside are skipped, and their outputs are examples.

    Exit codes: 0 completed, 1 failed, 2 wrong usage.
    """
    from greenroom_scaffolder.commands.bench import read_template_file, workbench

    if out is not None and out.is_dir() and any(out.iterdir()):
        raise click.BadParameter(f"{out} is not empty", param_hint="--out")
    template = read_template_file(file)
    found = answers(template.blocks, assignments, values, hidden)
    case = Case(str(file), values=found.values, secrets=found.secrets)

    async def work() -> Any:
        async with workbench(layers) as bench:
            return await bench.run(template, file, case)

    result = asyncio.run(work())
    if out is not None and not result.error:
        _write(out, result)
    _show_result(result, as_json=as_json)
    ctx.exit(1 if result.error else 0)


def _write(out: Path, result: Any) -> None:
    file = out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, made in result.files.items():
            file = out / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if made.symlink:
                file.symlink_to(os.fsdecode(made.content))
                continue
            file.write_bytes(made.content)
            file.chmod(0o755 if made.executable else 0o644)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


def _show_result(result: Any, *, as_json: bool) -> None:
    facts = {
        "error": result.error,
        "steps": dict(result.steps),
        "files": {path: len(made.content) for path, made in result.files.items()},
        "output": dict(result.output),
    }
    if as_json:
        show({**facts, "log": list(result.log)}, "json")
        return
    out = console()
    for message in result.log:
        for line in told(message):
            out.print(line.text, style=line.style, markup=False)
    for path, size in facts["files"].items():
        out.print(f"{size:>8}  {path}", markup=False)
    if result.output:
        show(dict(result.output), "yaml")
    if result.error:
        out.print(f"✘ {result.error}", style="bold red", markup=False)


@click.command(short_help="Say what is wrong with templates, before anybody runs them.")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE|FOLDER..."
)
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@config_option
@click.pass_context
def lint(ctx: click.Context, paths: tuple[Path, ...], form: str, strict: bool, layers: tuple[Path, ...]) -> None:
    """Check templates against the actions, filters and globals of this installation: those in each FILE, and in each template.yaml
    and *.template.yaml below each FOLDER.

    Exit codes: 0 right, 1 errors (with --strict also warnings), 2 wrong usage.
    """
    from greenroom_scaffolder.commands.bench import workbench

    files = [file for file in chosen_files(paths, TEMPLATE_FILES) if file in paths or _is_meant(file)]
    if not files:
        raise click.UsageError(f"there are no templates: no file of one is called {' or '.join(TEMPLATE_FILES)}")

    async def work() -> list[Any]:
        async with workbench(layers) as bench:
            return [one for file in files for one in _findings(file, bench.backend)]

    findings = asyncio.run(work())
    _show_findings(findings, form)
    ctx.exit(1 if any(strict or one.severity == "error" for one in findings) else 0)


def _is_meant(file: Path) -> bool:
    """Whether a file that nobody has named is for Backstage: others have templates of this name, too, such as AWS in a skeleton."""
    try:
        return b"backstage.io" in file.read_bytes()
    except OSError:
        return True  # the finding says so


def _findings(file: Path, backend: Any) -> list[Any]:
    from greenroom_scaffolder.commands.neighbours import missing
    from greenroom_scaffolder.commands.placeholders import put_in_place
    from greenroom_scaffolder.templates.findings import Finding
    from greenroom_scaffolder.templates.lint import lint as findings_of
    from greenroom_scaffolder.templates.located import Unreadable, read_documents

    try:
        documents = [put_in_place(one, file.parent) for one in read_documents(file.read_text(encoding="utf-8"))]
    except OSError as error:
        return [Finding(str(file), 1, 1, "error", "unreadable", f"The file cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return [Finding(str(file), 1, 1, "error", "unreadable", f"The file is not UTF-8 text (byte {error.start})")]
    except Unreadable as error:
        return [Finding(str(file), error.place.line, error.place.column, "error", "unreadable", error.message)]
    findings = [
        *findings_of(documents, backend, file=str(file)),
        *(one for each in documents for one in missing(each, file)),
    ]
    return sorted(findings, key=lambda one: (one.line, one.column))


def _show_findings(found: Sequence[Any], form: str) -> None:
    out = console()
    if form == "json":
        show(msgspec.to_builtins(list(found)), "json")
        return
    for one in found:
        if form == "github":
            place = f"file={one.file},line={one.line},col={one.column}"
            text = "\n".join(filter(None, (one.message, one.hint)))
            message = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")  # as GitHub wants it
            click.echo(f"::{one.severity} {place},title={one.rule}::{message}")
            continue
        out.print(f"{one.file}:{one.line}:{one.column} ", style="bold", end="", markup=False)
        out.print(f"{one.severity} ", style=STYLES.get(one.severity, ""), end="", markup=False)
        out.print(f"{one.message} [{one.rule}]", markup=False)
        if one.hint:
            out.print(f"    {one.hint}", style="dim", markup=False)
    if form == "text" and not found:
        out.print("Nothing to say against it.", style="green")


@click.command(short_help="Print the form of a template, as frontends get it.")
@template_argument
@click.option("--example", is_flag=True, help="Print values that the form takes, for --values.")
@click.pass_context
def parameters(ctx: click.Context, file: Path, example: bool) -> None:
    """Print the form of the template in FILE, as frontends get it, or values that it takes.

    Exit codes: 0 printed, 1 not all values could be made up, 2 wrong usage.
    """
    from greenroom_scaffolder.commands.bench import read_template_file
    from greenroom_scaffolder.templates.parameters import parameter_schema

    template = read_template_file(file)
    if example:
        ctx.exit(0 if _show_example(template.blocks) else 1)
    show(msgspec.to_builtins(parameter_schema(template)), "json")


def _show_example(blocks: Sequence[Block]) -> bool:
    """Whether the form takes what was printed, but for its secrets."""
    from greenroom_scaffolder.commands.examples import example

    values: dict[str, Any] = {}
    wrong: list[str] = []
    for block in blocks:
        made, problems = example(block)
        values |= made
        wrong += problems
    show(values, "yaml")
    for problem in wrong:
        click.secho(f"not all could be made up: {problem}", fg="yellow", err=True)
    return not wrong
