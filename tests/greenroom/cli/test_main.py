"""The command line as a whole: help at once, exit codes, pipes, terminals and colours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from greenroom.cli.main import catalog, cli
from tests.support.called import Run
from tests.support.installed import pretend_installed
from tests.support.processes import command, environment, run, run_on_terminal

HEAVY = {
    "aiohttp",
    "asyncpg",
    "joserfc",
    "litestar",
    "prometheus_client",
    "uvicorn",
    "uvloop",
    "greenroom_catalog",
    "greenroom_scaffolder",
}


def every_command(
    group: click.Group, above: tuple[str, ...] = (), context: click.Context | None = None
) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = context or click.Context(group, info_name="greenroom")
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        inner = click.Context(group, context, name)
        found += every_command(one, (*above, name), inner) if isinstance(one, click.Group) else [(*above, name)]
    return found


def test_help_does_not_wait_for_heavy_imports() -> None:
    program = (
        "import sys\nfrom greenroom.cli.main import main\nsys.argv[1:] = ['--help']\n"
        "try:\n    main()\nfinally:\n    print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "serve" in done.stdout
    assert HEAVY.isdisjoint(done.stderr.split())


def test_the_commands_are_those_of_the_manual() -> None:
    assert {" ".join(names) for names in every_command(cli)} == {
        "serve",
        "worker",
        "migrate",
        "status",
        "catalog list",
        "catalog get",
        "catalog refresh",
        "catalog explain",
        "catalog providers list",
        "catalog providers show",
        "catalog providers run",
        "catalog providers pause",
        "catalog providers resume",
        "catalog providers confirm",
        "catalog validate",
        "template run",
        "template follow",
        "template test",
        "template dry-run",
        "template lint",
        "template parameters",
        "template eval",
        "template actions",
        "locations list",
        "locations add",
        "locations rm",
        "config check",
        "config print",
        "plugins",
        "openapi",
    }


def test_the_help_says_of_a_command_what_the_command_says_of_itself() -> None:
    for group in (cli, catalog):
        context = click.Context(group)
        for name, lazy in group.lazy.items():
            command = group.get_command(context, name)
            assert command is not None
            sentence = (command.help or "").partition(".")[0].replace("\n", " ")
            assert lazy.about.startswith(sentence)


def test_other_packages_bring_commands(tmp_path: Path) -> None:
    package = tmp_path / "acme-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[greenroom.commands]\nacme = acme_cli:acme\ncatalog.paint = acme_cli:paint\nodd = acme_cli:ODD\n"
    )
    (tmp_path / "acme_cli.py").write_text(
        "import click\nODD = 1\n@click.command()\ndef acme():\n    'What acme does.'\n    click.echo('hello')\n"
        "@click.command()\ndef paint():\n    'Paint it.'\n    click.echo('blue')\n"
    )
    assert run("acme", PYTHONPATH=str(tmp_path)).out == "hello\n"
    assert run("catalog", "paint", PYTHONPATH=str(tmp_path)).out == "blue\n"
    listed = run("catalog", "--help", PYTHONPATH=str(tmp_path)).out.splitlines()
    assert ["paint", "Paint", "it."] in [line.split() for line in listed]
    odd = run("odd", PYTHONPATH=str(tmp_path))
    assert (odd.code, odd.err) == (1, "Error: acme_cli:ODD is no click command\n")


@pytest.mark.parametrize("command", ["plugins", "config check", "template actions"])
def test_a_broken_plugin_is_named_and_no_traceback_is_shown(command: str, tmp_path: Path) -> None:
    (tmp_path / "acme_broken.py").write_text("def f(:\n")
    pretend_installed(tmp_path, {"acme": "acme_broken:acme"})
    shown = run(*command.split(), PYTHONPATH=str(tmp_path))
    assert shown.code == 2
    assert "plugins.acme: acme_broken:acme cannot be imported: SyntaxError" in " ".join(shown.err.split())
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("names", every_command(cli), ids=" ".join)
def test_every_command_explains_itself(greenroom: Run, names: tuple[str, ...]) -> None:
    shown = greenroom(*names, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: greenroom {' '.join(names)}")
    assert len(shown.out.splitlines()[2].strip()) > 10, "a sentence on what it does"


@pytest.mark.parametrize("arguments", [(), ("brew",), ("catalog", "list", "--limit", "0"), ("catalog", "get")])
def test_wrong_usage_is_told_apart_from_failure(greenroom: Run, arguments: tuple[str, ...]) -> None:
    assert greenroom(*arguments).code == 2


def test_the_version_is_told(greenroom: Run) -> None:
    assert greenroom("--version").out.startswith("greenroom, version ")


def test_plugins_are_listed_in_every_form(greenroom: Run) -> None:
    rows = greenroom("plugins", "-o", "json").json
    catalog = next(row for row in rows if row["name"] == "catalog")
    assert catalog["provides"] == ["CatalogReader", "CatalogProviders", "CatalogLocations"]
    assert catalog["about"]
    assert yaml.safe_load(greenroom("plugins", "-o", "yaml").out) == rows
    assert [line.split()[0] for line in greenroom("plugins").out.splitlines()] == [
        "NAME",
        *(row["name"] for row in rows),
    ]


def test_the_api_document_is_printed(greenroom: Run) -> None:
    document = greenroom("openapi", "-o", "json").json
    assert "/entities/by-query" in document["paths"]
    assert yaml.safe_load(greenroom("openapi").out) == document
    missing = greenroom("openapi", "teapot")
    assert (missing.code, missing.out) == (1, "")
    assert "teapot" in missing.err


@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "-o", "json"), ("openapi",)])
def test_a_reader_who_stops_reading_is_no_fault(arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        command(*arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_pipes_get_no_colours_and_whole_lines() -> None:
    listed = run("plugins", COLUMNS="40")
    assert "\x1b" not in listed.out
    assert any("serve them at `/api/catalog`" in line for line in listed.out.splitlines())
    assert "\x1b" not in run("config", "check", "--config", "/nope.yaml").err


def test_terminals_get_colours_unless_they_are_not_wanted() -> None:
    wrong = ("config", "check", "--config", "/nope.yaml")
    red = "\x1b[1;31m"
    assert red in run_on_terminal(*wrong).out
    assert red not in run_on_terminal(*wrong, NO_COLOR="1").out


def test_an_interrupted_command_says_so_by_its_exit_code(greenroom: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("greenroom.app.installed_plugins", interrupt)
    assert greenroom("plugins").code == 130


def test_python_m_greenroom_is_the_command_line(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).out == run("--version").out != ""
