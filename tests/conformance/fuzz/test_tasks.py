"""The harness of the fuzz of tasks, without upstream: what it asks is well-formed and of every kind, and it sees what differs."""

from __future__ import annotations

import copy
import json

from tests.conformance.compare import Outcome
from tests.conformance.fuzz.calls import ODD, Calls, spoiled
from tests.conformance.fuzz.forms import filled_in, forms
from tests.conformance.fuzz.hunt import drawn
from tests.conformance.fuzz.inputs import FILES
from tests.conformance.fuzz.lives import how_it_ended, since_the_retry
from tests.conformance.fuzz.templates import ACTIONS, as_dry_run, cases
from tests.conformance.scaffolder_corpus import listed, templates
from tests.conformance.scaffolder_sides import differing
from tests.conformance.script import HERE, TOKEN, encode_query, fill
from tests.conformance.scrub import Answer


def test_templates_of_every_action_are_drawn_and_can_be_sent() -> None:
    found = drawn(cases(), 1, 60)
    steps = [step for case in found for step in case.entity["spec"]["steps"]]
    assert len({step["action"] for step in steps} & set(ACTIONS)) > 10
    assert sum("each" in step for step in steps) > 5
    assert sum("if" in step for step in steps) > 10
    assert len(json.dumps(as_dry_run(found[0]))) > len(FILES)


def test_what_is_spoiled_is_a_copy_that_differs() -> None:
    right = {"a": {"b": [1, {"c": 2}]}, "d": "x"}
    before, odd = copy.deepcopy(right), copy.deepcopy(ODD)
    found = drawn(spoiled(right, 2), 1, 200)
    assert right == before
    assert odd == ODD
    assert sum(one != right for one in found) > 150


def test_requests_to_every_operation_can_be_sent_and_only_the_service_creates_tasks() -> None:
    requests = drawn(
        Calls({"r0-0": None, "r0-1": {"properties": {"name": {"type": "string"}}}}, ["task.0"]).requests(), 1, 500
    )
    variables = {"task.0": "x", "guest": "x"}
    for request in requests:
        encode_query(fill(request.query, variables))
        assert fill(request.path, variables).isascii()
        json.dumps(fill(request.json, variables), default=str)
    paths = " ".join(f"{request.method} {request.path}" for request in requests)
    for part in ("GET /api/scaffolder/v2/tasks/", "/eventstream", "/events?after=", "/retry", "/cancel", "/parameter-schema",
                 "POST /api/scaffolder/v2/tasks ", "POST /api/scaffolder/v2/dry-run", "/autocomplete/", "/v2/tasks?"):  # fmt: skip
        assert part in paths, part
    assert all(
        request.as_ == TOKEN for request in requests if request.post == "/api/scaffolder/v2/tasks" and not request.raw
    )


def test_forms_are_filled_in_right_and_wrong() -> None:
    for form in drawn(forms(), 1, 60):
        for values in drawn(filled_in(form), 1, 3):
            json.dumps(values)


def test_of_a_task_that_was_begun_anew_only_what_came_since_is_compared() -> None:
    events = [{"type": kind} for kind in ("log", "completion", "recovered", "log", "completion")]
    assert since_the_retry(Answer(200, {}, events)).body == events[3:]
    assert how_it_ended(Answer(200, {}, events)).body == events[4:]
    assert since_the_retry(Answer(404, {}, {"error": {}})).body == {"error": {}}


def told(message: str, status: int = 200, name: str = "Error") -> Outcome:
    return Outcome(name="x", answer=Answer(status, {}, {"error": {"name": name, "message": message}}))


def test_what_is_meant_to_differ_is_not_told_and_all_else_is() -> None:
    wrong = "Invalid input passed to action fs:readdir, instance"
    assert not differing(told("the template's", 500), told("the template's", 400))
    assert not differing(told("ENOENT"), told(f"{wrong}.paths[1] is not of a type(s) string"))
    assert not differing(told(f'{wrong} requires "***":'), told(f'{wrong} requires "name":'))
    assert differing(told("ENOENT"), told(f"{wrong}.path is not of a type(s) string"))
    assert differing(told("one", 500), told("another", 400))
    assert differing(told("one", 400), told("one", 404))


def test_templates_by_hand_are_found_with_the_files_beside_them() -> None:
    own = [file for root, file in listed() if root == HERE / "templates"]
    assert len(own) > 40
    found = next(templates(["nested-paths/template.yaml"]))
    assert {"skeleton/README.md", "overlay/only.txt"} <= {file["path"] for file in found.files}
