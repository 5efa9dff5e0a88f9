"""Files are checked against what a running server serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.greenroom.cli.conftest import Pair
from tests.support.asgi import TOKEN
from tests.support.called import Run
from tests.support.processes import run, until

HOOKS = Path(__file__).parents[3] / ".pre-commit-hooks.yaml"


@pytest.fixture
def served(online: Run) -> dict[str, Any]:
    """The shop, as its author wrote it."""
    until(lambda: online("catalog", "get", "component:shop").code == 0)
    found: dict[str, Any] = online("catalog", "get", "component:shop", "-o", "json").json
    metadata = {name: value for name, value in found["metadata"].items() if name not in ("uid", "etag", "annotations")}
    return {**{name: found[name] for name in ("apiVersion", "kind", "spec")}, "metadata": metadata}


def check(greenroom: Run, pair: Pair, folder: Path, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    file = folder / "catalog-info.yaml"
    file.write_text("\n---\n".join(map(json.dumps, documents)))
    result = greenroom("catalog", "validate", file, "--format", "json", "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    assert result.code == 0, result.err
    return [row for row in result.json if row["code"] != "reference-not-found"]


def test_what_would_change_is_told(greenroom: Run, pair: Pair, served: dict[str, Any], tmp_path: Path) -> None:
    spec = {**served["spec"], "lifecycle": "retired"}
    renamed = {**served, "metadata": {"name": "shop2"}}
    (kept,) = check(greenroom, pair, tmp_path, served)
    assert (kept["code"], kept["severity"]) == ("would-keep", "note")
    (changed, added) = check(greenroom, pair, tmp_path, {**served, "spec": spec}, renamed)
    assert (changed["code"], added["code"]) == ("would-change", "would-add")
    lifecycle = json.dumps(served["spec"]["lifecycle"])
    assert changed["message"] == f'component:default/shop would change: spec.lifecycle {lifecycle} -> "retired"'


def test_what_would_change_is_summed_up(greenroom: Run, pair: Pair, served: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "catalog-info.yaml"
    file.write_text("\n---\n".join(map(json.dumps, [served, {**served, "metadata": {"name": "shop2"}}])))
    result = greenroom("catalog", "validate", file, "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    assert result.out.rstrip().endswith("in 2 entities of 1 file; 1 new, 1 unchanged")


def test_a_file_of_another_name_does_not_take_an_entity_over(
    greenroom: Run, pair: Pair, served: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(json.dumps(served))
    result = greenroom("catalog", "validate", file, "--format", "json", "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    (row,) = [row for row in result.json if row["code"] == "would-conflict"]
    assert "component:default/shop is held by " in row["message"]


def test_references_to_nothing_are_told_with_what_was_probably_meant(
    greenroom: Run, pair: Pair, served: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "new.yaml"
    spec = {
        **served["spec"],
        "owner": "nobody-at-all",
        "dependsOn": ["component:shopp", "component:shop", "component:new"],
    }
    file.write_text(yaml.safe_dump({**served, "metadata": {"name": "new"}, "spec": spec}))
    result = greenroom("catalog", "validate", file, "--format", "json", "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    found = [(row["path"], row["hint"]) for row in result.json if row["code"] == "reference-not-found"]
    assert found == [
        (["spec", "dependsOn", 0], "did you mean `shop`?"),
        (["spec", "owner"], "it may come later: relations to what is missing are kept"),
    ]


def test_wrong_files_are_not_asked_about_and_a_server_that_is_gone_is_told(
    greenroom: Run, pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: Component\n")
    asked = greenroom("catalog", "validate", file, "--format", "json", "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    assert asked.code == 1
    assert {row["severity"] for row in asked.json} == {"error"}
    file.write_text(
        json.dumps(
            {"apiVersion": "backstage.io/v1alpha1", "kind": "User", "metadata": {"name": "a"}, "spec": {"memberOf": []}}
        )
    )
    assert greenroom("catalog", "validate", file, "--server", "http://127.0.0.1:1").code == 3
    misspelt = greenroom("catalog", "validate", file, "--server", "localhost:7007")
    assert (misspelt.code, "such as http://localhost:7007" in misspelt.err) == (2, True)
    refused = greenroom("catalog", "validate", file, "--server", pair.api.url, "--token", "wrong")
    assert refused.code == 1
    assert "401" in refused.err


def test_the_hook_for_pre_commit_runs(tmp_path: Path) -> None:
    (hook,) = [one for one in yaml.safe_load(HOOKS.read_text()) if one["id"] == "greenroom-catalog-validate"]
    program, *arguments = hook["entry"].split()
    assert program == "greenroom"
    (tmp_path / "catalog-info.yaml").write_text("kind: Component\n")
    done = run(*arguments, "catalog-info.yaml", cwd=tmp_path)
    assert done.code == 1
    assert done.out.startswith("catalog-info.yaml:1:1: error missing-field ")


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("catalog-info.yaml", True),
        ("a/catalog-info.prod.yml", True),
        ("my-catalog-info.yaml", False),
        ("a.yaml", False),
    ],
)
def test_the_hook_is_for_catalog_files(name: str, matches: bool) -> None:
    import re

    (hook,) = [one for one in yaml.safe_load(HOOKS.read_text()) if one["id"] == "greenroom-catalog-validate"]
    assert (re.search(hook["files"], name) is not None) is matches


def test_the_server_knows_more_kinds_and_has_the_last_word_on_them(greenroom: Run, pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "robots.yaml"
    file.write_text("apiVersion: acme.io/v1\nkind: Robot\nmetadata: {name: r}\nspec: {}\n")
    result = greenroom("catalog", "validate", file, "--format", "json", "--server", pair.api.url, GREENROOM_TOKEN=TOKEN)
    assert result.code == 1
    assert [(row["code"], row["line"], row["message"]) for row in result.json] == [
        (
            "unknown-kind",
            2,
            "No processor recognized the entity robot:default/r as valid, possibly caused by a foreign kind or apiVersion",
        )
    ]
