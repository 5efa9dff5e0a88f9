"""`greenroom template eval`: expressions, a line of JSON each."""

from __future__ import annotations

import sys
from typing import TextIO

import click


@click.command("eval", short_help="Render expressions: JSON lines in, JSON lines out.")
@click.argument("source", type=click.File("r", encoding="utf-8"), default="-")
def evaluate(source: TextIO) -> None:
    """Read lines {"template", "context"?, "options"?} from SOURCE (standard input), and answer each with
    {"render", "value"} or {"error"}.

    echo '{"template": "${{ parameters.name | upper }}", "context": {"parameters": {"name": "a"}}}' | greenroom template eval

    The options are those of fetch:template: cookiecutterCompat, trimBlocks, lstripBlocks.
    """
    from greenroom_scaffolder.templating.backstage import backstage_filters
    from greenroom_scaffolder.templating.evaluate import Evaluator

    evaluator = Evaluator(backstage_filters())
    for line in source:
        if line.strip():
            sys.stdout.write(evaluator.line(line) + "\n")
            sys.stdout.flush()
