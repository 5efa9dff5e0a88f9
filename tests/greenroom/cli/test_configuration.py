"""What the layers of configuration come to, told without its secrets, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.called import Run

SECRET = "do-not-show-me"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_merged_configuration_is_printed_without_secrets(folder: Path, greenroom: Run) -> None:
    token = f"{{type: static, options: {{token: {SECRET}, subject: ci}}}}"
    one = write(folder / "one.yaml", f"app: {{title: One}}\nbackend: {{auth: {{externalAccess: [{token}]}}}}\n")
    two = write(folder / "two.yaml", "app: {title: Two}\norganization: {name: '${NAME_OF_ORGANIZATION}'}\n")
    for output in ("yaml", "json"):
        shown = greenroom(
            "config", "print", "--config", one, "--config", two, "-o", output, NAME_OF_ORGANIZATION="Acme"
        )
        assert shown.code == 0
        assert SECRET not in shown.out
        found = yaml.safe_load(shown.out)
        assert (found["app"]["title"], found["organization"]["name"]) == ("Two", "Acme")
        assert found["backend"]["auth"]["externalAccess"][0]["options"]["token"] == "<secret>"


def test_without_names_the_files_that_upstream_reads_are_read(folder: Path, greenroom: Run) -> None:
    write(folder / "app-config.yaml", "app: {title: Base}")
    write(folder / "app-config.local.yaml", "app: {title: Mine}")
    assert greenroom("config", "print", "-o", "json").json["app"]["title"] == "Mine"
    assert greenroom("config", "print", "-o", "json", APP_CONFIG_app_title="Environment").json["app"] == {
        "title": "Environment"
    }


def test_a_sound_configuration_passes(folder: Path, greenroom: Run) -> None:
    write(folder / "app-config.yaml", "backend: {listen: ':7008'}")
    checked = greenroom("config", "check")
    assert (checked.code, checked.out, checked.err) == (0, "The configuration is valid.\n", "")


def test_a_typing_error_in_a_key_is_a_warning(folder: Path, greenroom: Run) -> None:
    write(folder / "app-config.yaml", "backend: {lisen: ':7008'}")
    checked = greenroom("config", "check")
    assert checked.code == 0
    assert checked.err.startswith("warning: ")
    assert "backend.lisen: unknown key, did you mean listen?" in checked.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("backend: {listen: ':much'}", ["backend.listen", ":much"]),
        ("catalog: {providers: {ndjson: {shops: {}}}}", ["catalog.providers.ndjson.shops", "path"]),
        ("backend: {database: {client: mysql}}", ["backend.database.client", "mysql"]),
        ("backend: [", ["app-config.yaml"]),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_path(folder: Path, greenroom: Run, text: str, told: list[str]) -> None:
    write(folder / "app-config.yaml", text)
    checked = greenroom("config", "check")
    assert (checked.code, checked.out) == (2, "")
    assert checked.err.startswith(f"Configuration: {folder}/app-config.yaml")
    for word in told:
        assert word in checked.err


@pytest.mark.parametrize(
    ("description", "told"),
    [
        (None, ["scaffolder.scripts: expected a folder, found", "each file NAME.yaml in it"]),
        ("id: acme:greet\nrun: [./gret.sh]", ["there is no such program to `run`, found './gret.sh'", "PATH"]),
        ("id: acme:greet\nrun: [./greet.sh]", ["the program may not be executed, found './greet.sh'", "chmod +x"]),
        ("id: acme:greet\nrun: [no-such-program]", ["there is no such program to `run`, found 'no-such-program'"]),
        (
            "id: acme:greet\nrun: [sh]\ninput: {type: objekt}",
            ["`input` is no JSON Schema: type: 'objekt' is not valid"],
        ),
        ("id: [", ["does not describe an action: did not find expected node content (line 2)"]),
    ],
)
def test_what_is_wrong_with_programs_that_are_actions_is_told_with_their_file(
    folder: Path, greenroom: Run, description: str | None, told: list[str]
) -> None:
    write(folder / "app-config.yaml", "scaffolder: {scripts: [actions]}")
    if description is not None:
        (folder / "actions").mkdir()
        write(folder / "actions" / "greet.sh", "#!/bin/sh\n")
        write(folder / "actions" / "greet.yaml", description + "\n")
    checked = greenroom("config", "check")
    assert (checked.code, checked.out) == (2, "")
    for word in ["scaffolder.scripts", *([] if description is None else ["greet.yaml"]), *told]:
        assert word in checked.err
    assert checked.err.count("\n") == 1


def test_programs_that_are_actions_may_be_right(folder: Path, greenroom: Run) -> None:
    write(folder / "app-config.yaml", "scaffolder: {scripts: [actions]}")
    (folder / "actions").mkdir()
    write(folder / "actions" / "greet.yaml", "id: acme:greet\nrun: [sh, -c, exit]\n")
    write(folder / "actions" / "later.yaml", "id: acme:later\nrun: [bin/of-the-workspace]\n")
    assert greenroom("config", "check").code == 0


def test_a_variable_that_nobody_has_set_is_named(greenroom: Run) -> None:
    """The config of the demo, without what the demo sets."""
    demo = Path(__file__).parents[3] / "deploy" / "demo" / "app-config.yaml"
    checked = greenroom("config", "check", "--config", demo)
    assert checked.code == 2
    assert "catalog.providers.git.demo.folder is left out: GREENROOM_DEMO is not set)" in checked.err
