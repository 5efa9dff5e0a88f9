"""arguments -> a command: the tree of commands, and what becomes of an error.

Exit codes: 0 done; 1 the work failed; 2 wrong usage or configuration; 3 the server or the database cannot be reached.
Heavy imports are made by the commands that need them, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys

import click

from greenroom.cli.catalog import catalog, locations
from greenroom.cli.configuration import config
from greenroom.cli.output import ReaderGoneError, say_error
from greenroom.cli.running import migrate, openapi, plugins, serve, status, worker
from greenroom.errors import ConfigError, GreenroomError, ServiceUnavailableError

FAILED, MISUSED, UNREACHABLE = 1, 2, 3


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="greenroom")
def cli() -> None:
    """Greenroom: the backend that a Backstage frontend cannot tell from upstream."""


for command in (serve, worker, migrate, status, catalog, locations, config, plugins, openapi):
    cli.add_command(command)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except ConfigError as error:
        say_error("Configuration", error.message)
        code = MISUSED
    except ServiceUnavailableError as error:
        say_error("Not available", error.message)
        code = UNREACHABLE
    except GreenroomError as error:
        say_error(error.name, error.message)
        code = FAILED
    except (ReaderGoneError, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code or 0)
