"""`greenroom catalog validate`: which files it reads, what they point at, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from greenroom.errors import ConfigError
from greenroom_catalog.commands.validate import validate

GOOD = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: NAME}
spec: {type: service, lifecycle: production, owner: team}
"""
ODD = GOOD.replace("spec: {", "spec: {dependOn: [api:a], ")
WRONG = GOOD.replace("owner: team", "ownr: team")
API = "apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {name: NAME}\n"
LOCATION = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: l}\nspec:\n"


def named(name: str, text: str = GOOD) -> str:
    return text.replace("NAME", name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing in it, to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(validate, list(arguments), input=stdin)


def codes(result: Result) -> list[tuple[str, str]]:
    return [(row["file"], row["code"]) for row in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (GOOD, (), 0),
        (ODD, (), 0),
        (ODD, ("--strict",), 1),
        (WRONG, (), 1),
        (WRONG, ("--quiet",), 1),
        ("", (), 0),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_the_exit_code_tells_whether_the_catalog_would_take_the_file(
    here: Path, text: str, arguments: tuple[str, ...], code: int, form: str
) -> None:
    (here / "a.yaml").write_text(text)
    assert run("a.yaml", "--format", form, *arguments).exit_code == code


def test_a_file_that_cannot_be_read_is_told_apart_and_spoils_no_other(here: Path) -> None:
    (here / "a.yaml").write_text(WRONG)
    result = run("nowhere.yaml", "a.yaml", "--format", "json")
    assert result.exit_code == 2
    assert codes(result) == [("a.yaml", "missing-field")]
    assert result.stderr == "nowhere.yaml: no such file or directory\n"
    assert run().exit_code == 2


def test_folders_and_patterns_stand_for_files_each_read_once(here: Path) -> None:
    for name in ("catalog-info.yaml", "a/catalog-info.yml", "a/b/catalog-info-extra.yaml", "a/other.yaml"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(named("x", WRONG))
    for name in ("node_modules/p/catalog-info.yaml", ".git/catalog-info.yaml"):
        (here / name).parent.mkdir(parents=True)
        (here / name).write_text(WRONG)
    files = [file for file, code in codes(run(".", "--format", "json")) if code == "missing-field"]
    assert files == ["catalog-info.yaml", "a/catalog-info.yml", "a/b/catalog-info-extra.yaml"]
    found = run("./a/*.yaml", "a/other.yaml", "a/**/catalog*.yaml", "--format", "json")
    assert [file for file, code in codes(found) if code == "missing-field"] == [
        "./a/other.yaml",
        "a/b/catalog-info-extra.yaml",
    ]
    assert run("*.json").exit_code == 2
    (here / "empty").mkdir()
    assert "no catalog-info*.yaml" in run("empty").stderr


def test_standard_input_is_a_file_too(here: Path) -> None:
    result = run("-", "--format", "json", stdin=named("x", WRONG))
    assert codes(result) == [("<stdin>", "missing-field")]
    assert run("-", "-q", stdin=named("x", WRONG)).stdout.startswith("<stdin>:4:1: error missing-field")


def test_text_ends_with_a_summary_unless_quiet(here: Path) -> None:
    (here / "a.yaml").write_text(named("a") + "---\n" + named("b", ODD))
    (here / "b.yaml").write_text(named("c", WRONG))
    assert run("a.yaml", "b.yaml").stdout.splitlines()[-1] == "1 error and 1 warning in 3 entities of 2 files"
    assert run("a.yaml").stdout.splitlines()[-1] == "1 warning in 2 entities of 1 file"
    quiet = run("a.yaml", "b.yaml", "-q").stdout.splitlines()
    assert [line.partition(" ")[0] for line in quiet] == ["b.yaml:4:1:"]
    (here / "c.yaml").write_text(named("c"))
    assert run("c.yaml").stdout == "Nothing wrong in 1 entity of 1 file\n"


def test_targets_and_files_of_placeholders_must_be_there(here: Path) -> None:
    (here / "api").mkdir()
    (here / "api" / "openapi.yaml").write_text("openapi: 3.0.0")
    (here / "all.yaml").write_text(
        f"{LOCATION}  targets:\n  - ./apis.yaml\n  - ./ap/*.yaml\n  - api/openapi.yaml\n  - https://x.example/y.yaml\n"
    )
    api = f"{API}spec:\n  type: openapi\n  lifecycle: x\n  owner: y\n"
    (here / "api.yaml").write_text(
        f"{api}  definition:\n    $text: ./api/openapi.yml\n---\n{named('b', api)}  definition: {{$text: api/openapi.yaml}}\n"
    )
    rows = json.loads(run("all.yaml", "api.yaml", "--format", "json").stdout)
    assert [(row["file"], row["line"], row["column"], row["code"], row["hint"]) for row in rows] == [
        ("all.yaml", 6, 5, "location-target-missing", "did you mean `./api.yaml`?"),
        ("all.yaml", 7, 5, "location-target-missing", "or say `presence: optional`"),
        ("api.yaml", 9, 12, "placeholder-file-missing", "did you mean `./api/openapi.yaml`?"),
    ]
    (here / "all.yaml").write_text(f"{LOCATION}  presence: optional\n  target: ./apis.yaml\n")
    assert run("all.yaml").exit_code == 0


def test_targets_are_followed_when_asked(here: Path) -> None:
    (here / "b").mkdir()
    (here / "a.yaml").write_text(f"{LOCATION}  targets: [./b/*.yaml]\n")
    (here / "b" / "b.yaml").write_text(f"{LOCATION.replace('name: l', 'name: m')}  targets: [../c.yaml, ../a.yaml]\n")
    (here / "c.yaml").write_text(named("c", WRONG))
    assert run("a.yaml").exit_code == 0
    assert codes(run("a.yaml", "--follow", "--format", "json")) == [("c.yaml", "missing-field")]


def test_one_entity_in_two_files_is_told(here: Path) -> None:
    (here / "a.yaml").write_text(named("A"))
    (here / "b.yaml").write_text(named("a"))
    result = run("a.yaml", "b.yaml", "--format", "json")
    assert codes(result) == [("b.yaml", "duplicate-entity")]
    assert result.exit_code == 0


def test_the_rules_of_an_app_config_are_asked(here: Path) -> None:
    (here / "a.yaml").write_text(named("a"))
    (here / "app-config.yaml").write_text(
        "catalog:\n  rules:\n  - allow: [API]\n  - allow: [Component]\n    locations: [{type: url, pattern: 'https://good.example/**'}]\n"
    )
    config = ("--config", "app-config.yaml")
    assert run("a.yaml", *config).exit_code == 0
    assert run("a.yaml", *config, "--origin", "url:https://good.example/a/b.yaml").exit_code == 0
    refused = run("a.yaml", *config, "--origin", "url:https://bad.example/a/b.yaml")
    assert refused.exit_code == 1
    assert "is not of an allowed kind for that location" in refused.stdout
    assert isinstance(run("a.yaml", "--config", "nope.yaml").exception, ConfigError)


def test_kinds_of_plugins_are_taken_at_their_word_or_checked_by_their_schema(here: Path) -> None:
    robot = "apiVersion: acme.io/v1\nkind: Robot\nmetadata: {name: NAME}\nspec: {size: big}\n"
    (here / "a.yaml").write_text(named("r", robot))
    schema = {"properties": {"spec": {"required": ["arms"], "properties": {"size": {"type": "number"}}}}}
    (here / "robot.json").write_text(json.dumps(schema))
    assert codes(run("a.yaml", "--format", "json")) == [("a.yaml", "unknown-kind")]
    assert run("a.yaml", "--kind", "robot").exit_code == 0
    rows = json.loads(run("a.yaml", "--kind", "Robot=robot.json", "--format", "json").stdout)
    assert [(row["code"], row["line"], row["column"]) for row in rows] == [("malformed-value", 4, 7)]
    assert "/spec/size must be number - type: number" in rows[0]["message"]
    (here / "a.yaml").write_text(named("r", robot).replace("size: big", "size: 1, arms: 2"))
    assert run("a.yaml", "--kind", "Robot=robot.json").exit_code == 0
    (here / "robot.json").write_text(json.dumps({"type": "nonsense"}))
    assert run("a.yaml", "--kind", "Robot=robot.json").exit_code == 2
    assert run("a.yaml", "--kind", "Robot=nope.json").exit_code == 2
    (here / "a.yaml").write_text(named("bad name", robot))
    assert codes(run("a.yaml", "--kind", "Robot", "--format", "json")) == [("a.yaml", "malformed-name")]


HEAVY = {
    "aiohttp",
    "asyncpg",
    "asyncio",
    "litestar",
    "rich",
    "uvloop",
    "uvicorn",
    "joserfc",
    "prometheus_client",
    "greenroom_plugins",
}
ROOMS = {
    f"greenroom_catalog.{room}" for room in ("plugin", "routes", "query", "storage", "stitching", "ingestion.engine")
}


def test_a_check_imports_nothing_that_it_does_not_need(here: Path) -> None:
    (here / "a.yaml").write_text(named("x", WRONG))
    program = (
        "import sys\nfrom greenroom.cli.main import main\nsys.argv[1:] = ['catalog', 'validate', 'a.yaml']\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "missing-field" in done.stdout
    assert (HEAVY | ROOMS).isdisjoint(done.stderr.split())
