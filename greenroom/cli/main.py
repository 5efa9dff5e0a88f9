"""arguments -> a command: the tree of commands, and what becomes of an error.

Exit codes: 0 done; 1 the work failed; 2 wrong usage or configuration; 3 the server or the database cannot be reached.
Nothing is imported but what the one command needs (`commands`), so that `--help` answers at once, and checks of a file are quick.
"""

from __future__ import annotations

import io
import os
import sys

import click

from greenroom.cli.commands import Commands, Lazy
from greenroom.errors import ConfigError, GreenroomError, ServiceUnavailableError

FAILED, MISUSED, UNREACHABLE = 1, 2, 3

catalog = Commands(
    "catalog",
    {
        "list": Lazy("greenroom.cli.catalog:list_entities", "List entities."),
        "get": Lazy("greenroom.cli.catalog:get_entity", "Print one entity."),
        "providers": Lazy("greenroom.cli.providers:providers", "Where entities come from, and how it goes."),
        "refresh": Lazy("greenroom.cli.catalog:refresh_entities", "Read entities again from where they come from."),
        "explain": Lazy(
            "greenroom.cli.explain:explain",
            "Tell why an entity is as it is: there, missing, stale, orphaned, in conflict or failed.",
        ),
    },
    help="Look at the entities of a running server, and check files of entities.",
)

template = Commands("template", help="Try, check and run templates.")

cli = Commands(
    "greenroom",
    {
        "serve": Lazy("greenroom.cli.running:serve", "Serve the API, and do the work behind it."),
        "worker": Lazy("greenroom.cli.running:worker", "Do the work behind the API, without serving requests."),
        "migrate": Lazy("greenroom.cli.running:migrate", "Bring the database up to date."),
        "status": Lazy(
            "greenroom.cli.running:status", "Tell how things stand: database, providers, backlog, failures."
        ),
        "locations": Lazy("greenroom.cli.catalog:locations", "Registered locations of a running server."),
        "config": Lazy("greenroom.cli.configuration:config", "Look at the configuration."),
        "plugins": Lazy("greenroom.cli.running:plugins", "List the installed plugins."),
        "openapi": Lazy("greenroom.cli.running:openapi", "Print the OpenAPI document of an API."),
    },
    help="Greenroom: the backend that a Backstage frontend cannot tell from upstream.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
cli.add_command(catalog)
cli.add_command(template)
click.version_option(package_name="greenroom")(cli)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no check mark gets a question mark, not a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = cli.main(prog_name="greenroom", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except BrokenPipeError:  # nobody reads on, which is no fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except ConfigError as error:
        code = _fail("Configuration", error, MISUSED)
    except ServiceUnavailableError as error:
        code = _fail("Not available", error, UNREACHABLE)
    except GreenroomError as error:
        code = _fail(error.name, error, FAILED)
    sys.exit(code or 0)


def _fail(name: str, error: GreenroomError, code: int) -> int:
    from greenroom.cli.output import say_error

    say_error(name, error.message)
    return code
