"""A program with a description beside it is an action."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import ConfigError, GreenroomError
from greenroom.plugin import Action
from greenroom_scaffolder.actions.scripts import ScriptError, script_actions
from tests.scaffolder.actions.fakes import plant, run, told

GREET = """
id: acme:greet
description: Leave a greeting in the workspace.
input: {type: object, properties: {name: {type: string}}, required: [name], additionalProperties: false}
output: {type: object, properties: {greeting: {type: string}}, additionalProperties: false}
examples:
  - {description: Greet, example: "steps: []"}
idempotent: true
dryRun: true
environment: {GREETING: Hello}
run: [./greet.sh, "an argument"]
"""
PROGRAM = """#!/bin/sh
read input
echo "got $input and $1 in $(basename "$PWD"), dry: '$GREENROOM_DRY_RUN', step: $GREENROOM_STEP"
echo "$GREETING" > greeting.txt
printf '{"greeting": "%s"}' "$GREETING" > "$GREENROOM_OUTPUT"
"""


def scripts(folder: Path, description: str, program: str) -> list[Action[Any]]:
    plant(folder, {"greet.yaml": description, "greet.sh": program})
    (folder / "greet.sh").chmod(0o755)
    return script_actions([folder])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "ws"
    made.mkdir()
    return made


async def test_a_program_runs_in_the_workspace_with_its_input_and_answers_outputs(
    tmp_path: Path, workspace: Path
) -> None:
    [greet] = scripts(tmp_path / "scripts", GREET, PROGRAM)
    assert (greet.id, greet.idempotent, greet.dry_run) == ("acme:greet", True, True)
    assert greet.description == "Leave a greeting in the workspace."
    ctx, output = await run(greet, {"name": "Jo"}, workspace)
    assert output == {"greeting": "Hello"}
    assert (workspace / "greeting.txt").read_text() == "Hello\n"
    assert told(ctx) == ['got {"name":"Jo"} and an argument in ws, dry: \'\', step: step']
    ctx, _ = await run(greet, {"name": "Jo"}, workspace, dry_run=True)
    assert "dry: 'true'" in told(ctx)[0]


async def test_a_program_may_answer_nothing(tmp_path: Path, workspace: Path) -> None:
    [quiet] = scripts(tmp_path / "scripts", "id: acme:quiet\nrun: [./greet.sh]\n", "#!/bin/sh\n")
    assert (await run(quiet, {}, workspace))[1] == {}
    assert quiet.input_schema == {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("echo oops; exit 3", "failed with status 3"),
        ('echo "[1]" > "$GREENROOM_OUTPUT"', "are not a JSON object"),
        ('echo \'{"greeting": 1}\' > "$GREENROOM_OUTPUT"', "Invalid output of action acme:greet, instance.greeting is"),
        ('head -c 2000000 /dev/zero > "$GREENROOM_OUTPUT"', "larger than"),
        ("kill -9 $$", "failed with status -?9|failed with status 137"),
    ],
)
async def test_a_program_that_fails_fails_the_step(tmp_path: Path, workspace: Path, program: str, problem: str) -> None:
    [greet] = scripts(tmp_path / "scripts", GREET, f"#!/bin/sh\n{program}\n")
    with pytest.raises(GreenroomError, match=problem):
        await run(greet, {"name": "Jo"}, workspace)


async def test_a_program_has_limits(tmp_path: Path, workspace: Path) -> None:
    eats = f"id: acme:eat\nrun: ['{sys.executable}', '-c', 'x = bytearray(500_000_000)']\nlimits: {{memoryMegabytes: 300}}\n"
    [eat] = scripts(tmp_path / "a", eats, "")
    with pytest.raises(ScriptError, match="failed with status 1"):
        await run(eat, {}, workspace)
    spins = "id: acme:spin\nrun: [./greet.sh]\nlimits: {cpuSeconds: 1}\n"
    [spin] = scripts(tmp_path / "b", spins, "#!/bin/sh\nwhile :; do :; done\n")
    began = time.monotonic()
    with pytest.raises(ScriptError, match="failed with status"):
        await run(spin, {}, workspace)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("id: x", "missing required field `run`"),
        ("id: x\nrun: []", "names no program"),
        ("id: x\nrun: [a]\ninputs: {}", "unknown field `inputs`"),
        ("id: x\nrun: [a]\ntimeout: 0", "Expected `float` > 0.0 - at `$.timeout`"),
        ("id: x\nrun: [a]\ntimeout: -5", "at `$.timeout`"),
        ("id: x\nrun: [a]\ntimeout: .nan", "at `$.timeout`"),
        ("id: x\nrun: [a]\nlimits: {cpuSeconds: 0}", "Expected `int` >= 1 - at `$.limits.cpuSeconds`"),
        ("id: x\nrun: [a]\nlimits: {memoryMegabytes: -1}", "at `$.limits.memoryMegabytes`"),
        ("id: [", "does not describe an action"),
        ("just text", "does not describe an action"),
    ],
)
def test_a_wrong_description_stops_the_start_and_names_the_file(tmp_path: Path, description: str, problem: str) -> None:
    plant(tmp_path, {"greet.yaml": description})
    with pytest.raises(ConfigError, match=r"^scaffolder\.scripts: .*greet\.yaml") as caught:
        script_actions([tmp_path])
    assert problem in str(caught.value)


def test_two_programs_of_one_id_stop_the_start_and_both_files_are_named(tmp_path: Path) -> None:
    for folder, name in (("a", "greet.yaml"), ("b", "welcome.yaml")):
        plant(tmp_path / folder, {name: "id: acme:greet\nrun: [sh]"})
    with pytest.raises(ConfigError) as caught:
        script_actions([tmp_path / "a", tmp_path / "b"])
    first, second = tmp_path / "a" / "greet.yaml", tmp_path / "b" / "welcome.yaml"
    assert str(caught.value).startswith(f"scaffolder.scripts: {second}: has the id of {first}, found 'acme:greet'")


def test_a_program_with_the_id_of_a_builtin_action_stops_the_start_and_its_file_is_named(tmp_path: Path) -> None:
    plant(tmp_path, {"log.yaml": "id: debug:log\nrun: [sh]"})
    with pytest.raises(ConfigError) as caught:
        script_actions([tmp_path], builtin={"debug:log"})
    told = f"scaffolder.scripts: {tmp_path / 'log.yaml'}: has the id of a built-in action, found 'debug:log'"
    assert str(caught.value).startswith(told)


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder"):
        script_actions([tmp_path / "nope"])


def test_shells_and_other_files_in_the_folder_are_no_actions(tmp_path: Path) -> None:
    described: Mapping[str, str] = {
        "a.yml": "id: a\nrun: [sh]",
        "b.yaml": "id: b\nrun: [sh]",
        "c.sh": "",
        "README.md": "",
    }
    plant(tmp_path, described)
    assert [one.id for one in script_actions([tmp_path])] == ["a", "b"]
