"""`greenroom template eval`: expressions, a line of JSON each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from greenroom.cli.configuration import config_option, load_config


@click.command("eval", short_help="Render expressions: JSON lines in, JSON lines out.")
@click.argument("source", type=click.File("rb"), default="-")
@config_option
def evaluate(source: BinaryIO, layers: tuple[Path, ...]) -> None:
    """Read lines {"template", "context"?, "options"?} from SOURCE (standard input), and answer each with
    {"render", "value"} or {"error"}.

    \b
    echo '{"template": "${{ parameters.name | upper }}", "context": {"parameters": {"name": "a"}}}' \\
      | greenroom template eval

    It knows the language and upstream's filters, not those of plugins. The options are those of fetch:template:
    cookiecutterCompat, trimBlocks, lstripBlocks.
    """
    from greenroom.settings import IntegrationsConfig
    from greenroom.urls.configured import known_hosts
    from greenroom_scaffolder.templating.backstage import backstage_filters
    from greenroom_scaffolder.templating.evaluate import Evaluator

    config = load_config(layers, environ=os.environ)
    known = {one.host: one.type for one in known_hosts(config.section("integrations", IntegrationsConfig)).hosts}
    evaluator = Evaluator({one.name: one.apply for one in backstage_filters(known.get)})
    answers = sys.stdout.buffer  # JSON is UTF-8, whatever the terminal is
    for line in source:
        if line.strip():
            answers.write(evaluator.line(line).encode() + b"\n")
            answers.flush()
