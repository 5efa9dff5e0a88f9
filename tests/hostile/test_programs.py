"""Scripts that do what they like: they are ended with their step, and neither disk, memory nor anybody else suffers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from greenroom_scaffolder.actions.scripts import script_actions
from greenroom_scaffolder.tasks import keeping, programs
from greenroom_scaffolder.tasks.programs import ProgramLimits
from greenroom_scaffolder.tasks.runner import Bounds
from greenroom_scaffolder.workspace.quota import Quota
from tests.hostile.conftest import breathes, memory_of
from tests.scaffolder.tasks.rehearsal import Notebook, runner_of, spec_of, task_of

MB = 1024**2
LONG = int(os.environ.get("HOSTILE_EXAMPLES", "5")) > 5
"""Also what takes its seconds (`make hostile`)."""


class Script:
    """One script, run as the first step; the second one follows in any case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    async def run(self, program: str, bounds: Bounds | None = None, **about: Any) -> str:
        """What its step was told of; empty if nothing was wrong."""
        scripts = self.folder / "scripts"
        scripts.mkdir()
        described = {"id": "x:y", "run": ["./run.sh"], "timeout": 30, **about}
        (scripts / "x.yaml").write_text("\n".join(f"{name}: {value}" for name, value in described.items()))
        (scripts / "run.sh").write_text(f"#!/bin/sh\n{program}\n")
        (scripts / "run.sh").chmod(0o755)
        runner = runner_of(self.folder / "ws", *script_actions([scripts]), bounds=bounds)
        notebook = Notebook()
        spec = spec_of({"action": "x:y", "input": {}}, {"action": "test:list", "if": "${{ always() }}"})
        outcome = await runner.run(task_of(spec), notebook)
        self.lines = [line.removeprefix("\x1b[32minfo\x1b[39m: ") for line in notebook.lines]
        assert "Beginning step test:list" in self.lines, self.lines[-5:]
        assert os.listdir(self.folder / "ws") == []  # noqa: PTH208 - a glance
        return str((outcome.error or {}).get("message", ""))


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


async def test_who_ignores_its_end_is_ended_all_the_same(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "GRACE", 0.2)
    said = await script.run("trap '' TERM INT HUP; while :; do sleep 0.1; done", timeout=0.3)
    assert said == "The program of x:y took longer than 0.3 seconds"


async def test_a_swarm_of_daemons_ends_with_the_step(script: Script) -> None:
    """In sessions of their own, nobody's children, deaf, and each starts the next: the thirtieth is the last, should the test be
    killed."""
    alive = script.folder / "alive"
    swarm = f"""
    again() {{ trap '' TERM HUP; echo x >>{alive}; sleep 0.5; setsid "$0" again "$(($1 - 1))" >/dev/null 2>&1 & }}
    if [ "$1" = again ]; then [ "$2" -gt 0 ] && again "$2"; exit; fi
    for i in 1 2 3 4 5 6 7 8 9 10; do setsid "$0" again 30 >/dev/null 2>&1 & done
    while ! [ -e {alive} ]; do sleep 0.01; done
    """
    async with breathes():
        assert await script.run(swarm) == ""
    alive.unlink()
    await asyncio.sleep(0.7)
    assert not alive.exists()


async def test_the_number_of_processes_is_limited(script: Script) -> None:
    """The system does not hold root to it; so only that it is asked for is looked at."""
    bounds = Bounds(programs=ProgramLimits(processes=321))
    assert await script.run("ulimit -u 2>/dev/null || ulimit -p", bounds) == ""
    assert "321" in script.lines


async def test_a_program_that_fills_the_workspace_is_ended(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK", 0.05)
    bounds = Bounds(quota=Quota(max_bytes=5 * MB))
    fills = "n=0; while :; do n=$((n + 1)); head -c 1000000 /dev/zero >$n; sleep 0.02; done"
    began = time.monotonic()
    assert "more than the 5 MB that a task may have" in await script.run(fills, bounds)
    assert time.monotonic() - began < 25, "and not only by its own limit of 30 s"


async def test_a_program_that_makes_files_without_end_is_ended(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK", 0.05)
    bounds = Bounds(quota=Quota(max_files=100))
    assert "more than the 100" in await script.run("n=0; while :; do n=$((n + 1)); : >$n; sleep 0.001; done", bounds)


async def test_output_without_end_fills_neither_log_nor_memory(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PLENTY", MB // 20)  # which comes within the second on any machine
    async with breathes():
        with memory_of(100 * MB):
            said = await script.run("yes 'out of my mouth' & cat /dev/zero >&2", timeout=1)
    assert said == "The program of x:y took longer than 1 seconds"
    assert any(line.startswith("(what the program says from here on is left out") for line in script.lines)
    assert sum(map(len, script.lines)) < MB


async def test_a_program_that_closes_its_output_is_waited_for_and_ended(script: Script) -> None:
    assert await script.run("exec >&- 2>&-; sleep 0.2; echo x >done; [ -e done ]") == ""
    assert "took longer than 0.3 seconds" in await Script(_below(script.folder)).run(
        "exec >&- 2>&-; sleep 60", timeout=0.3
    )


def _below(folder: Path) -> Path:
    below = folder / "below"
    below.mkdir()
    return below


@pytest.mark.parametrize("made", ["mkfifo", "ln -s /dev/zero", "ln -s /etc/hostname", "mkdir"])
async def test_outputs_that_are_no_file_are_not_waited_for(script: Script, made: str) -> None:
    said = await script.run(f'rm -f "$GREENROOM_OUTPUT"; {made} "$GREENROOM_OUTPUT"')
    assert said.startswith(("EINVAL", "ELOOP", "EISDIR"))


DEEP = [("d" * 100, 60, "ENAMETOOLONG"), *([("d", 1_000, "")] if LONG else [])]


@pytest.mark.parametrize(("name", "levels", "problem"), DEEP)
async def test_a_tree_that_is_too_deep_is_refused_and_deleted(
    script: Script, name: str, levels: int, problem: str
) -> None:
    """What can still be named may be as deep as it likes."""
    deep = f"'{sys.executable}' -c 'import os\nfor _ in range({levels}): os.mkdir(\"{name}\"); os.chdir(\"{name}\")'"
    beside = f'cd "$(dirname "$GREENROOM_OUTPUT")"; {deep}' if problem else ""
    assert (await script.run(f"{deep}\n{beside}")).startswith(problem)


async def test_nothing_of_the_server_stands_in_the_environment(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_PASSWORD", "GITHUB_TOKEN", "APP_CONFIG_x", "GREENROOM_DATA", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "do-not-tell")
    assert await script.run("env; ls /proc/self/fd | wc -l") == ""
    names = sorted(line.partition("=")[0] for line in script.lines if "=" in line)
    known = "GREENROOM_DRY_RUN GREENROOM_KEY GREENROOM_OUTPUT GREENROOM_RUN GREENROOM_STEP GREENROOM_TASK GREENROOM_USER HOME"
    usual = "LANG LC_ALL LC_CTYPE PATH PWD OLDPWD SHLVL SSL_CERT_DIR SSL_CERT_FILE TMPDIR TZ _"
    assert set(known.split()) <= set(names)
    assert set(names) <= {*known.split(), *usual.split()}
    assert "do-not-tell" not in "".join(script.lines)
    assert int(next(line for line in script.lines if line.strip().isdigit())) <= 6, "files of the server stay its own"
