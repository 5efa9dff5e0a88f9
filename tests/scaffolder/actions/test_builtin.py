"""The actions that are always there, as clients see them."""

from __future__ import annotations

import pytest
import yaml

from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.builtin import builtin_actions
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.schemas import validate
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import by_id

ACTIONS = by_id(builtin_actions(Urls(), Engines(), Quota()))
IN_DRY_RUNS = {
    "catalog:fetch",
    "catalog:write",
    "debug:log",
    "fetch:plain",
    "fetch:plain:file",
    "fetch:template",
    "fetch:template:file",
    "fs:delete",
    "fs:readdir",
    "fs:rename",
    "workspace:template",
    "workspace:template:file",
}
"""What upstream declares so (spec 03b)."""


def test_all_of_upstream_are_there() -> None:
    others = {"catalog:register", "debug:wait", "fetch:cookiecutter", "notification:send"}
    assert set(ACTIONS) == IN_DRY_RUNS | others
    assert {one.id for one in ACTIONS.values() if one.dry_run} == IN_DRY_RUNS


def test_only_what_may_simply_run_again_says_so() -> None:
    assert {one.id for one in ACTIONS.values() if not one.idempotent} == {"fs:rename", "notification:send"}


@pytest.mark.parametrize("id_", sorted(ACTIONS))
def test_an_action_is_described_and_its_examples_are_right(id_: str) -> None:
    action = ACTIONS[id_]
    assert action.description
    assert action.examples
    assert action.input_schema
    for example in action.examples:
        for step in yaml.safe_load(example.example)["steps"]:
            assert step["action"] == id_
            assert validate(step["input"], action.input_schema) == []


def test_schemas_are_upstreams_word_for_word() -> None:
    assert ACTIONS["debug:wait"].input_schema == {
        "type": "object",
        "properties": {
            "minutes": {"type": "number", "description": "Waiting period in minutes."},
            "seconds": {"type": "number", "description": "Waiting period in seconds."},
            "milliseconds": {"type": "number", "description": "Waiting period in milliseconds."},
        },
        "additionalProperties": False,
        "$schema": "http://json-schema.org/draft-07/schema#",
    }
