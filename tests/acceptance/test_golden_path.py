"""The scaffolder's main job, end to end, as the README tells it: a template and values become a repository and an entity."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import TOKEN
from tests.support.processes import Process, run, until
from tests.support.waiting import Wait, slowness

PROMISE = 10.0
"""Seconds from the command to the entity that is served."""
VALUES = {
    "name": "night-ferry",
    "description": "Sells cabins: at night",
    "owner": "group:default/passengers",
    "system": "booking",
    "repoUrl": "git.harbour-lights.example?owner=passengers&repo=night-ferry",
}


def template_run(server: Process, *more: str, **values: str) -> Any:
    pairs = [part for name, value in {**VALUES, **values}.items() for part in ("-v", f"{name}={value}")]
    return run("template", "run", "python-service", "--server", server.url, *pairs, *more, GREENROOM_TOKEN=TOKEN)


def test_one_command_makes_a_repository_and_its_component_is_served(server: tuple[Process, Path]) -> None:
    process, repositories = server
    wait = Wait()
    result = template_run(process)
    assert result.code == 0, result.out + result.err
    until(lambda: process.get("/api/catalog/entities/by-name/component/default/night-ferry", TOKEN)[0] == 200)
    assert wait.seconds() < PROMISE * slowness()
    entity = process.get("/api/catalog/entities/by-name/component/default/night-ferry", TOKEN)[1]
    assert entity["spec"]["owner"] == "group:default/passengers"
    assert {(one["type"], one["targetRef"]) for one in entity["relations"]} == {
        ("ownedBy", "group:default/passengers"),
        ("partOf", "system:default/booking"),
    }
    assert [link["title"] for link in entity["metadata"]["links"]] == ["Dashboard", "Health"]
    assert entity["metadata"]["annotations"]["backstage.io/source-template"] == "template:default/python-service"
    for step in ("Write the files", "Describe it for the catalog", "Make the repository", "Show it in the catalog"):
        assert f"✔ {step}" in result.out
    assert "In the catalog: component:default/night-ferry" in result.out

    repository = repositories / "published" / "passengers" / "night-ferry.git"
    listed = ["git", f"--git-dir={repository}", "ls-tree", "-r", "--name-only", "main"]
    files = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\n")
    assert {"Dockerfile", ".github/workflows/ci.yaml", "deploy/monitoring/dashboard.json", "docs/index.md"} <= set(
        files
    )
    assert "src/harbour_night_ferry/app.py" in files
    shown = ["git", f"--git-dir={repository}", "show", "main:deploy/monitoring/dashboard.json"]
    dashboard = json.loads(subprocess.run(shown, check=True, capture_output=True, text=True).stdout)
    assert dashboard["title"] == "night-ferry"


def test_a_value_that_the_form_refuses_is_told_before_anything_is_made(server: tuple[Process, Path]) -> None:
    process, repositories = server
    result = template_run(process, name="Night Ferry")
    assert (result.code, "does not match pattern" in result.err) == (1, True)
    assert not list(repositories.glob("published/*/Night*"))


def test_a_repository_that_others_have_is_not_written_over(server: tuple[Process, Path]) -> None:
    process, _ = server
    assert (
        template_run(process, name="lights-out", repoUrl=VALUES["repoUrl"].replace("night-ferry", "lights")).code == 0
    )
    result = template_run(process, "--json", name="others", repoUrl=VALUES["repoUrl"].replace("night-ferry", "lights"))
    assert result.code == 1
    assert result.json["error"]["name"] == "ConflictError"
