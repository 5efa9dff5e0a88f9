"""What the demo's golden path makes is sound, whatever is said in its form: it is read by what will read it at home."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import DEMO
from tests.acceptance.test_golden_path import VALUES
from tests.support.called import Run

TEMPLATE = DEMO / "repositories" / "golden-paths" / "python-service" / "template.yaml"
DESCRIPTIONS = {
    "a quote at the end": 'Sells "cabins"',
    "a backslash": r"Reads C:\users\new, and \N{BULLET}",
    "one at the end": "Reads C:\\",
    "all quotes": '""" \'\'\' ` "',
    "YAML": "Sells: cabins # at night, {or} [not] & *all* ! %",
    "other languages": "夜のフェリー 🛳️ Überfahrt zu zweit 👩‍✈️",
    "what a template would render": "${{ values.name }} {% raw %} {{ x }}",
    "a number": "42",
    "markup": "<b>Sells</b> | cabins | & more",
}
NAMES = ["class", "null", "on", "time", "aiohttp", "pip", "x", "a-1-b"]
"""What Python, YAML, the library, a dependency or an environment has a meaning for; and the odd ones that have none."""
READERS: dict[str, Callable[[str], Any]] = {
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": yaml.safe_load,
}


@pytest.fixture
def make(greenroom: Run, tmp_path: Path) -> Callable[..., Path]:
    """Fill in the form, and get the folder of what came of it."""

    def made(**values: str) -> Path:
        (tmp_path / "values.yaml").write_text(yaml.safe_dump({**VALUES, **values}))
        folder = tmp_path / "made"
        result = greenroom("template", "dry-run", TEMPLATE, "--values", tmp_path / "values.yaml", "--out", folder)
        assert result.code == 0, result.out + result.err
        return folder

    return made


def sound(folder: Path) -> dict[str, Any]:
    """Every file that some program reads, as it reads it."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in READERS]
    assert {path.suffix for path in files} == set(READERS)
    return {str(path.relative_to(folder)): READERS[path.suffix](path.read_text(encoding="utf-8")) for path in files}


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_a_description_may_hold_any_text(make: Callable[..., Path], what: str) -> None:
    folder, said = make(description=DESCRIPTIONS[what]), DESCRIPTIONS[what]
    files = sound(folder)
    assert ast.get_docstring(files["src/harbour_night_ferry/__init__.py"], clean=False) == said
    assert files["pyproject.toml"]["project"]["description"] == said
    assert files["catalog-info.yaml"][0]["metadata"]["description"] == said
    for page in ("README.md", "docs/index.md"):
        assert said in (folder / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_service_of_any_name_can_be_imported_and_is_called_so_everywhere(
    make: Callable[..., Path], name: str
) -> None:
    folder = make(name=name)
    files = sound(folder)
    manifests = [files[f"deploy/kubernetes/{kind}.yaml"][0] for kind in ("deployment", "service")]
    manifests += [files[f"deploy/monitoring/{kind}.yaml"][0] for kind in ("alerts", "scraping")]
    assert {manifest["metadata"]["name"] for manifest in manifests} == {name}
    assert files["mkdocs.yml"]["site_name"] == name
    module = files["pyproject.toml"]["project"]["scripts"][f"harbour-{name}"].removesuffix(":main")
    code = f"import {module}; {module}.application()"
    run = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(run, cwd=folder / "src", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


REFUSED = {
    "two lines": {"description": "Sells\ncabins"},
    "two lines, as others write them": {"description": "Sells\u2028cabins"},
    "a bell": {"description": "Sells\acabins"},
    "what TOML does not take": {"description": "Sells\x7fcabins"},
    "nothing": {"description": ""},
    "an owner that no image is called after": {"repoUrl": "git.harbour-lights.example?owner=Crew&repo=ferry"},
    "a repository that none is called after": {"repoUrl": "git.harbour-lights.example?owner=crew&repo=a..b"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_make_a_file_that_cannot_be_read_is_refused_by_the_form(
    greenroom: Run, tmp_path: Path, what: str
) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({**VALUES, **REFUSED[what]}))
    result = greenroom("template", "dry-run", TEMPLATE, "--values", tmp_path / "values.yaml")
    assert (result.code, "does not match pattern" in result.out + result.err) == (1, True)


def test_the_image_that_is_run_is_one_that_is_pushed(make: Callable[..., Path]) -> None:
    files = sound(make(repoUrl="git.harbour-lights.example?owner=crew-2&repo=the.ferry_of-night"))
    [container] = files["deploy/kubernetes/deployment.yaml"][0]["spec"]["template"]["spec"]["containers"]
    steps = files[".github/workflows/ci.yaml"][0]["jobs"]["image"]["steps"]
    [push] = [step["with"] for step in steps if step["uses"].startswith("docker/build-push-action@")]
    pushed = push["tags"].replace("${{ github.repository }}", "crew-2/the.ferry_of-night").splitlines()
    assert push["push"]
    assert container["image"] in pushed
