"""The demo works from a bare checkout, and a second start keeps what somebody tried out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.git.conftest import MakeWorld
from tests.plugins.git.repositories import ENVIRON

DEMO = Path(__file__).resolve().parents[3] / "deploy" / "demo"


def setup(folder: Path, *options: str) -> None:
    subprocess.run([sys.executable, DEMO / "setup.py", folder, *options], env=ENVIRON, check=True)


def tip(repository: Path) -> str:
    command = ["git", f"--git-dir={repository}", "rev-parse", "main^{tree}"]
    return subprocess.run(command, env=ENVIRON, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    setup(tmp_path / "demo")
    return tmp_path / "demo"


async def test_every_file_of_the_sample_is_found_and_read(world: MakeWorld, folder: Path) -> None:
    here = world(folder=f"{folder}/*.git", paths=["**/catalog-info.yaml"])
    source = await here.run()
    sample = {path.read_bytes() for path in (DEMO / "repositories").rglob("catalog-info.yaml")}
    assert {(await here.urls.read(target)).content for target in source.targets} == sample
    assert len(sample) == len(source.targets) == 11


def test_another_setup_keeps_what_was_pushed_and_a_reset_brings_the_sample_back(folder: Path, tmp_path: Path) -> None:
    repository, work = folder / "payments.git", tmp_path / "work"
    before = tip(repository)
    git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "clone", "--quiet", repository, work], env=ENVIRON, check=True)
    (work / "catalog-info.yaml").write_text("changed", encoding="utf-8")
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "Try"], env=ENVIRON, check=True)
    nobody = {**ENVIRON, "GREENROOM_DEMO_URL": "http://127.0.0.1:1"}
    pushed = subprocess.run([*git, "push"], env=nobody, check=True, capture_output=True, text=True)
    assert "it will look by itself" in pushed.stderr
    changed = tip(repository)
    setup(folder)
    assert tip(repository) == changed != before
    setup(folder, "--reset")
    assert tip(repository) == before
