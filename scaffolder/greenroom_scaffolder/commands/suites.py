"""`greenroom template test`: files of cases -> what went well, and what did not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from greenroom.cli.configuration import config_option
from greenroom.cli.output import console
from greenroom.errors import GreenroomError, describe
from greenroom_scaffolder.commands import CASE_FILES
from greenroom_scaffolder.commands.cases import Case, Suite, read_suite
from greenroom_scaffolder.commands.folders import chosen_files


class Verdict(msgspec.Struct, frozen=True):
    """Of one case."""

    suite: Suite
    case: Case
    problems: Sequence[str]


@click.command(short_help="Run the cases beside templates, without a server.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[FILE|FOLDER]...")
@click.option("--update", is_flag=True, help="Write the snapshots anew.")
@click.option("-k", "part", default="", metavar="TEXT", help="Only cases whose name contains this.")
@config_option
@click.pass_context
def test(ctx: click.Context, paths: tuple[Path, ...], update: bool, part: str, layers: tuple[Path, ...]) -> None:
    """Run the cases of each template.test.yaml, of the folders given or of this one.

    Exit codes: 0 all went well, 1 something did not, 2 wrong usage.
    """
    suites = [read_suite(file) for file in chosen_files(paths or (Path(),), CASE_FILES)]
    if not suites:
        raise click.UsageError(f"there are no cases: no file is called {' or '.join(CASE_FILES)}")
    verdicts = asyncio.run(_run(suites, part, layers, update=update))
    if not verdicts:
        raise click.UsageError(f"there is no case whose name contains {part!r}" if part else "there are no cases")
    _tell(verdicts)
    ctx.exit(1 if any(one.problems for one in verdicts) else 0)


async def _run(suites: Sequence[Suite], part: str, layers: Sequence[Path], *, update: bool) -> list[Verdict]:
    from greenroom_scaffolder.commands.bench import workbench

    async with workbench(layers) as bench:
        return [
            Verdict(suite, case, await judge(bench, suite, case, update=update))
            for suite in suites
            for case in suite.cases
            if part in case.name
        ]


async def judge(bench: Any, suite: Suite, case: Case, *, update: bool = False) -> list[str]:
    """What is wrong with a case. `bench` is a `Workbench`, whose imports the listing of commands is spared."""
    from greenroom_scaffolder.commands.bench import read_template_file
    from greenroom_scaffolder.commands.comparing import against_snapshot, problems, steady, write_snapshot

    try:
        made = await bench.run(read_template_file(suite.template), suite.template, case)
    except GreenroomError as error:
        return [describe(error)]
    result = steady(made, bench.root)
    wrong = list(problems(case, result))
    if case.snapshot and not update:
        wrong += against_snapshot(result, suite.snapshot_of(case))
    elif case.snapshot and not wrong:
        write_snapshot(result, suite.snapshot_of(case))
    return wrong


def _tell(verdicts: Sequence[Verdict]) -> None:
    out, before = console(), None
    for one in verdicts:
        if one.suite.file != before:
            before = one.suite.file
            out.print(str(before), style="bold", markup=False)
        sign, style = ("✘", "red") if one.problems else ("✔", "green")
        out.print(f"  {sign} {one.case.name}", style=style, markup=False)
        for problem in one.problems:
            out.print("\n".join(f"      {line}" for line in problem.splitlines()), markup=False)
    failed = sum(bool(one.problems) for one in verdicts)
    out.print(f"{len(verdicts) - failed} passed, {failed} failed", style="bold red" if failed else "bold green")
