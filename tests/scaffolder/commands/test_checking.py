"""A template of a file is tried, checked and looked at without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scaffolder.commands.test_suites import TEMPLATE, written
from tests.support.called import Run
from tests.support.processes import run

HOOKS = Path(__file__).parents[3] / ".pre-commit-hooks.yaml"


def test_a_dry_run_shows_what_a_template_makes_and_writes_it_where_it_is_told(tmp_path: Path) -> None:
    written(tmp_path / "t")
    out = tmp_path / "out"
    result = run("template", "dry-run", tmp_path / "t" / "template.yaml", "-v", "name=ada", "--out", out, "--json")
    told = json.loads(result.out)
    assert result.code == 0
    assert told["files"] == {"hello.txt": 10, "run.sh": 10}
    assert told["steps"] == {"files": "completed", "publish": "skipped"}
    assert (out / "hello.txt").read_text() == "Hello ada\n"
    assert (out / "run.sh").stat().st_mode & 0o111


def test_a_template_is_tried_wherever_it_lies_with_skeletons_elsewhere_in_its_repository(
    greenroom: Run, tmp_path: Path
) -> None:
    repository = tmp_path / "@ my templates"
    file = written(repository / "templates" / "greeting").with_name("template.yaml")
    file.write_text(TEMPLATE.replace("./skeleton", "../../skeletons/greeting"))
    (repository / "skeletons").mkdir()
    (file.parent / "skeleton").rename(repository / "skeletons" / "greeting")
    command = ["template", "dry-run", file, "-v", "name=a", "--json"]
    assert "hello.txt" in json.loads(greenroom(*command).out)["files"]
    (file.parent / ".git").mkdir()  # now that is the repository, and its skeletons are in another
    assert "outside its parent" in json.loads(greenroom(*command).out)["error"]


def test_a_template_of_the_wrong_shape_is_told_as_upstream_tells_it(greenroom: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("action: publish:git", "acton: publish:git"))
    told = greenroom("template", "dry-run", file, "-v", "name=a")
    assert told.code == 1
    assert "✘ TypeError: /spec/steps/1 must have required property 'action' - missingProperty: action" in told.out


def test_what_a_server_refuses_is_refused_without_one(greenroom: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("action: publish:git", "action: publish:git\n      greenroom: {tiemout: 5m}"))
    told = greenroom("template", "dry-run", file, "-v", "name=local")
    assert told.code == 1
    assert "✘ InputError: Invalid options of steps: steps[1].greenroom.tiemout is unknown" in told.out


def test_a_form_that_is_none_is_told_to_programs_too(greenroom: Run, tmp_path: Path) -> None:
    file = with_form(tmp_path, {"properties": {"name": {"type": "string", "pattern": "("}}})
    told = greenroom("template", "dry-run", file, "-v", "name=a", "--json")
    assert (told.code, told.err) == (1, "")
    assert json.loads(told.out)["error"].startswith("SyntaxError: Invalid regular expression: /(/")


def test_a_dry_run_does_not_write_over_what_is_there(greenroom: Run, tmp_path: Path) -> None:
    written(tmp_path / "t")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    result = greenroom(
        "template", "dry-run", tmp_path / "t" / "template.yaml", "-v", "name=a", "--out", tmp_path / "out"
    )
    assert (result.code, "is not empty" in result.err) == (2, True)


def test_a_template_without_files_makes_an_empty_folder(greenroom: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "template.yaml", tmp_path / "out"
    file.write_text(TEMPLATE)
    command = ["template", "dry-run", file, "-v", "name=local", "--out", out]
    assert (greenroom(*command).code, out.exists()) == (1, False)  # without a skeleton it fails
    step = "{url: ./skeleton, values: {name: '${{ parameters.name }}'}}"
    file.write_text(TEMPLATE.replace("fetch:template", "debug:log").replace(step, "{message: hello}"))
    assert (greenroom(*command).code, list(out.iterdir())) == (0, [])


def test_a_link_that_leads_nowhere_is_written_as_one(greenroom: Run, tmp_path: Path) -> None:
    written(tmp_path / "t")
    (tmp_path / "t" / "skeleton" / "later").symlink_to("not-yet.txt")
    file = tmp_path / "t" / "template.yaml"
    assert greenroom("template", "dry-run", file, "-v", "name=a", "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "later").readlink() == Path("not-yet.txt")


def test_a_dry_run_says_what_values_are_missing(greenroom: Run, tmp_path: Path) -> None:
    written(tmp_path)
    result = greenroom("template", "dry-run", tmp_path / "template.yaml")
    assert (result.code, "the form asks for more: give -v name=…" in result.err) == (2, True)


def test_lint_names_the_line_of_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("action: fetch:template", "action: fetch:templates"))
    result = run("template", "lint", file)
    assert result.code == 1
    assert f"{file}:12:" in result.out
    assert "fetch:templates" in result.out
    assert run("template", "lint", written(tmp_path / "good").with_name("template.yaml")).code == 0


def test_lint_finds_the_templates_of_a_folder(greenroom: Run, tmp_path: Path) -> None:
    broken = TEMPLATE.replace("action: fetch:template", "action: fetch:templates")
    files = ["a/template.yaml", "b/template.yml", "b/other.template.yaml", ".backstage/template.yaml"]
    others = ["b/notes.yaml", "node_modules/x/template.yaml", ".git/template.yaml"]
    for name in [*files, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(broken)
    written(tmp_path / "good")
    (tmp_path / "good" / "skeleton" / "template.yaml").write_text("Resources: {}  # of AWS\n")
    told = greenroom("template", "lint", "--format", "json", tmp_path, tmp_path / files[0], tmp_path / others[0])
    assert told.code == 1
    assert {one["file"] for one in told.json} == {str(tmp_path / name) for name in [*files, others[0]]}
    assert [one["file"] for one in told.json].count(str(tmp_path / files[0])) == 1, "each once"
    assert greenroom("template", "lint", tmp_path / "good").code == 0


def test_lint_of_a_folder_without_templates_does_not_say_that_all_is_well(greenroom: Run, tmp_path: Path) -> None:
    told = greenroom("template", "lint", tmp_path)
    assert (told.code, told.out, "there are no templates" in told.err) == (2, "", True)


def test_lint_says_of_a_file_without_a_template_that_it_has_none_if_somebody_names_it(
    greenroom: Run, tmp_path: Path
) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources: {}\n")
    assert "[no-template]" in greenroom("template", "lint", file).out


def test_the_hook_for_pre_commit_lints(tmp_path: Path) -> None:
    (hook,) = [one for one in yaml.safe_load(HOOKS.read_text()) if one["id"] == "greenroom-template-lint"]
    program, *arguments = hook["entry"].split()
    written(tmp_path)
    assert program == "greenroom"
    assert run(*arguments, "template.yaml", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("template.yaml", True),
        ("a/go.template.yml", True),
        ("template.test.yaml", False),
        ("my-template.yaml", False),
        ("a/skeleton/template.yaml", False),
    ],
)
def test_the_hook_is_for_templates(name: str, matches: bool) -> None:
    (hook,) = [one for one in yaml.safe_load(HOOKS.read_text()) if one["id"] == "greenroom-template-lint"]
    assert (bool(re.search(hook["files"], name)) and not re.search(hook["exclude"], name)) is matches


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("./skeletn", "There is no ./skeletn [missing-file]\n    did you mean `skeleton`?"),
        (
            "skeleton/nowhere.txt",
            "There is no skeleton/nowhere.txt [missing-file]\n    addresses without a host lead from",
        ),
        ("a" * 300 + "/b", "[missing-file]"),
        ("./skeleton", ""),
        ("skeleton/", ""),
        ("./${{ parameters.name }}", ""),
        ("https://git.example/a", ""),
    ],
)
def test_lint_says_that_a_skeleton_is_not_there(greenroom: Run, tmp_path: Path, url: str, said: str) -> None:
    file = written(tmp_path).with_name("template.yaml")
    file.write_text(TEMPLATE.replace("url: ./skeleton", f"url: '{url}'"))
    told = greenroom("template", "lint", file)
    assert (told.code, said in told.out, "missing-file" in told.out) == (bool(said), True, bool(said)), told


def test_lint_speaks_to_programs_too(greenroom: Run, tmp_path: Path) -> None:
    file = written(tmp_path).with_name("template.yaml")
    file.write_text(TEMPLATE.replace("parameters.name != 'local'", "parameters.nmae != 'local'"))
    found = json.loads(greenroom("template", "lint", "--format", "json", file).out)
    assert [(one["line"], one["severity"]) for one in found] == [(16, "error")]
    assert greenroom("template", "lint", "--format", "github", file).out.startswith(f"::error file={file},line=16,")


def test_the_form_is_printed_and_values_that_it_takes(greenroom: Run, tmp_path: Path) -> None:
    file = written(tmp_path).with_name("template.yaml")
    form = json.loads(greenroom("template", "parameters", file).out)
    assert [step["schema"]["required"] for step in form["steps"]] == [["name"]]
    assert greenroom("template", "parameters", file, "--example").out.startswith("name: ")


def with_form(tmp_path: Path, *pages: dict[str, Any]) -> Path:
    file = written(tmp_path).with_name("template.yaml")
    form = "    required: [name]\n    properties: {name: {type: string}}\n"
    file.write_text(TEMPLATE.replace(form, "".join(f"    - {json.dumps(page)}\n" for page in pages)))
    return file


def test_an_example_says_which_page_it_has_no_values_for(greenroom: Run, tmp_path: Path) -> None:
    odd = {"type": "string", "pattern": "^q{7}$"}
    file = with_form(
        tmp_path,
        {"required": ["name"], "properties": {"name": {"type": "string", "default": "ada"}}},
        {"properties": {"spare": {"type": "string"}}},
        {"required": ["odd", "port"], "properties": {"odd": odd, "port": {"type": "integer", "minimum": 1024}}},
    )
    told = greenroom("template", "parameters", file, "--example")
    assert (told.code, yaml.safe_load(told.out)) == (1, {"name": "ada", "port": 1024})
    assert told.err == 'not all could be made up: instance requires property "odd"\n'


def test_an_example_takes_what_pickers_offer_and_descriptions_show(greenroom: Run, tmp_path: Path) -> None:
    options = {"allowedHosts": ["git.example"], "allowedOwners": ["fleet"], "allowedRepos": ["ferry"]}
    address = r"^git\.harbour\.example\?owner=[a-z]+$"
    file = with_form(
        tmp_path,
        {"required": ["repo"], "properties": {"repo": {"ui:field": "RepoUrlPicker", "ui:options": options}}},
        {
            "required": ["address"],
            "properties": {
                "address": {
                    "type": "string",
                    "pattern": address,
                    "description": "As in `git.harbour.example?owner=fleet`, say.",
                }
            },
        },
    )
    told = greenroom("template", "parameters", file, "--example")
    made = {"repo": "git.example?owner=fleet&repo=ferry", "address": "git.harbour.example?owner=fleet"}
    assert (told.code, yaml.safe_load(told.out), told.err) == (0, made, "")


def test_an_example_is_taken_by_a_dry_run_which_wants_secrets_by_themselves(greenroom: Run, tmp_path: Path) -> None:
    secret = {"type": "string", "ui:field": "Secret"}
    file = with_form(
        tmp_path, {"required": ["name", "token"], "properties": {"name": {"default": "a"}, "token": secret}}
    )
    (tmp_path / "values.yaml").write_text(greenroom("template", "parameters", file, "--example").out)
    (tmp_path / "token").write_text("hunter2")
    told = greenroom(
        "template",
        "dry-run",
        file,
        "--values",
        tmp_path / "values.yaml",
        "-s",
        f"token=@{tmp_path / 'token'}",
        "--json",
    )
    assert (told.code, json.loads(told.out)["error"], "hunter2" in told.out) == (0, None, False)


def test_placeholders_stand_for_files_beside_the_template(greenroom: Run, tmp_path: Path) -> None:
    file = written(tmp_path).with_name("template.yaml")
    paged = TEMPLATE.replace(
        "    required: [name]\n    properties: {name: {type: string}}\n", "    - $yaml: ./pages/name.yaml\n"
    )
    file.write_text(paged.replace("action: publish:git", "action: {$text: pages/action.txt}"))
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "name.yaml").write_text("required: [name]\nproperties: {name: {$yaml: ./not-looked-into}}\n")
    (tmp_path / "pages" / "action.txt").write_text("publish:git")
    form = json.loads(greenroom("template", "parameters", file).out)
    assert form["steps"][0]["schema"] == {
        "required": ["name"],
        "properties": {"name": {"$yaml": "./not-looked-into"}},
    }
    assert greenroom("template", "lint", file).code == 0
    assert json.loads(greenroom("template", "dry-run", file, "-v", "name=a", "--json").out)["error"] is None


def test_a_placeholder_that_stands_for_nothing_is_told_with_its_place(greenroom: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("required: [name]", "required: {$json: ./no.json}"))
    told = greenroom("template", "lint", file)
    assert (told.code, f"{file}:8:23 error $json: {tmp_path}/no.json: No such file" in told.out) == (1, True)
    (tmp_path / "no.json").write_text("[")
    assert "holds no JSON" in greenroom("template", "lint", file).out
    (tmp_path / "no.json").write_text("[" * 500 + "]" * 500)
    assert "$json: ./no.json is nested deeper than 100 levels" in greenroom("template", "lint", file).out
    (tmp_path / "no.json").write_text("[")
    assert f"{file}:8:23: $json: ./no.json holds no JSON" in greenroom("template", "parameters", file).err


def test_a_placeholder_for_what_lies_elsewhere_stays(greenroom: Run, tmp_path: Path) -> None:
    file = written(tmp_path).with_name("template.yaml")
    file.write_text(TEMPLATE.replace("{name: {type: string}}", "{$yaml: https://example.com/fields.yaml}"))
    form = json.loads(greenroom("template", "parameters", file).out)
    assert form["steps"][0]["schema"]["properties"] == {"$yaml": "https://example.com/fields.yaml"}
    assert greenroom("template", "lint", file).code == 0


def test_a_file_that_is_no_text_is_told_as_that(greenroom: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_bytes(b"\xff\xfe")
    for command in ("lint", "dry-run", "parameters"):
        told = greenroom("template", command, file)
        assert told.code == 1
        assert "is not UTF-8 text (byte 0)" in told.out + told.err
        assert "Traceback" not in told.err


def test_a_dry_run_shows_no_colours_in_a_pipe_and_says_where_it_cannot_write(greenroom: Run, tmp_path: Path) -> None:
    written(tmp_path / "t")
    (tmp_path / "file").write_text("")
    file = tmp_path / "t" / "template.yaml"
    shown = greenroom("template", "dry-run", file, "-v", "name=local")
    assert (shown.code, "\x1b" in shown.out) == (0, False)
    refused = greenroom("template", "dry-run", file, "-v", "name=local", "--out", tmp_path / "file" / "out")
    assert (refused.code, "cannot be written: Not a directory" in refused.err) == (1, True)


def test_findings_for_github_are_one_line_each(greenroom: Run, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.replace("action: fetch:template", 'action: "fetch:\\n100%"'))
    told = greenroom("template", "lint", "--format", "github", file).out
    assert all(line.startswith("::") for line in told.splitlines())
    assert "fetch:%0A100%25" in told
    assert "%0A`greenroom template actions` lists those that there are" in told  # the hint is a line of its own


def test_expressions_are_answered_line_by_line(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text(
        '{"template": "${{ parameters.n + 1 }}", "context": {"parameters": {"n": 1}}}\n\n{"template": "${{ 1 +"}\nno\n'
    )
    with lines.open("ab") as more:
        more.write(b'{"template": "\xff"}\n' + b"[" * 100_000 + b"\n" + '{"template": "Zoë"}\n'.encode())
    told = run("template", "eval", lines, PYTHONIOENCODING="ascii:surrogateescape")  # of a terminal that knows no more
    answers = [json.loads(line) for line in told.out.splitlines()]
    assert answers[0] == {"render": "2", "value": 2}
    assert ["error" in answer for answer in answers] == [False, True, True, True, True, False]
    assert answers[-1]["value"] == "Zoë"
