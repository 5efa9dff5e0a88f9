"""Tasks over HTTP: what is created, listed, read, cancelled and run again, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scaffolder.routes.conftest import TEMPLATE, Surface, a_task, error_of, is_uuid

WISH = {"templateRef": "template:default/service", "values": {"name": "x"}, "secrets": {"KEY": "k"}}


async def made(surface: Surface, **differently: Any) -> str:
    reply = await surface.http.post("/v2/tasks", {**WISH, **differently})
    assert reply.status == 201, reply.text
    id_: str = reply.json["id"]
    return id_


async def test_a_task_has_all_that_its_worker_needs_and_none_of_its_secrets(surface: Surface) -> None:
    assert is_uuid(await made(surface))
    created = surface.tasks.created[0]
    assert created["spec"] == {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "steps": [
            {
                "action": "debug:log",
                "input": {"message": "${{ parameters.name }}"},
                "id": "step-1",
                "name": "debug:log",
            }
        ],
        "output": {},
        "parameters": {"name": "x"},
        "user": {},
        "templateInfo": {
            "entityRef": "template:default/service",
            "baseUrl": "https://git.test/t/template.yaml",
            "entity": {"metadata": TEMPLATE["metadata"]},
        },
    }
    assert (created["secrets"], created["created_by"]) == ({"KEY": "k"}, None)
    assert created["initiator"].kind == "service"


async def test_a_template_is_named_as_shortly_as_upstream_lets_one(surface: Surface) -> None:
    await made(surface, templateRef="Service")
    assert surface.tasks.created[0]["spec"]["templateInfo"]["entityRef"] == "template:default/service"


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({}, (400, "InputError", "request/body must have required property 'templateRef'")),
        ({**WISH, "templateRef": "t/:x"}, (404, "NotFoundError", "Template template:t/:x not found")),
        (
            {**WISH, "templateRef": "template:default/no"},
            (404, "NotFoundError", "Template template:default/no not found"),
        ),
        (
            {**WISH, "templateRef": ":"},
            (400, "InputError", 'Entity reference ":" was not on the form [<kind>:][<namespace>/]<name>'),
        ),
        (
            {**WISH, "templateRef": "component:x"},
            (400, "InputError", "Invalid kind, only 'Template' kind is supported"),
        ),
    ],
)
async def test_a_wish_that_names_no_template_is_told_why(surface: Surface, wish: Any, refusal: Any) -> None:
    assert error_of(await surface.http.post("/v2/tasks", wish)) == refusal


async def test_wrong_values_are_told_as_the_form_shows_them(surface: Surface) -> None:
    reply = await surface.http.post("/v2/tasks", {**WISH, "values": {"name": 5}})
    assert reply.status == 400
    (problem,) = reply.json["errors"]
    assert list(problem) == ["path", "property", "message", "schema", "instance", "name", "argument", "stack"]
    assert problem["stack"] == "instance.name is not of a type(s) string"
    assert surface.tasks.created == []


async def test_wrong_secrets_are_not_told_back(surface: Surface) -> None:
    reply = await surface.http.post("/v2/tasks", {**WISH, "secrets": {"OTHER": "hunter2"}})
    assert reply.status == 400
    assert [one["message"] for one in reply.json["errors"]] == ["secrets.KEY is required"]
    assert "hunter2" not in reply.text


async def test_bad_options_of_a_step_make_no_task(surface: Surface) -> None:
    steps = [{**TEMPLATE["spec"]["steps"][0], "greenroom": {"retry": {"attempts": 0}}}]
    bad = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "steps": steps}}
    surface.catalog.entities["template:default/service"] = bad
    for path, body in (("/v2/tasks", WISH), ("/v2/dry-run", {**WISH, "template": bad, "directoryContents": []})):
        reply = await surface.http.post(path, body)
        assert error_of(reply)[:2] == (400, "InputError")
        assert "steps[0].greenroom.retry.attempts must be a whole number" in error_of(reply)[2]
    assert not surface.tasks.created
    assert not surface.dry_runs.asked


async def test_who_may_not_create_is_not_even_told_whether_there_is_such_a_template(surface: Surface) -> None:
    surface.policy.denied.add("scaffolder.task.create")
    assert error_of(await surface.http.post("/v2/tasks", {**WISH, "templateRef": "no"})) == (403, "NotAllowedError", "")


async def test_what_may_not_be_read_of_a_template_is_not_run(surface: Surface) -> None:
    surface.policy.denied |= {"scaffolder.template.step.read", "scaffolder.template.parameter.read"}
    await made(surface, values={"name": 5})
    spec = surface.tasks.created[0]["spec"]
    assert (spec["steps"], spec["parameters"]) == ([], {"name": 5})


async def test_a_task_is_told_in_upstreams_order_of_keys(surface: Surface) -> None:
    surface.tasks.known["1"] = a_task("1", {"steps": []}, created_by="user:default/jo")
    reply = await surface.http.get("/v2/tasks/1")
    assert list(reply.json) == ["id", "spec", "status", "createdAt", "lastHeartbeatAt", "createdBy"]
    assert reply.json["createdAt"] == "2026-11-22T12:00:00.123Z"
    assert reply.json["lastHeartbeatAt"] is None


async def test_a_task_of_a_service_has_no_creator(surface: Surface) -> None:
    surface.tasks.known["1"] = a_task("1", {})
    assert "createdBy" not in (await surface.http.get("/v2/tasks/1")).json


@pytest.mark.parametrize("path", ["/v2/tasks/no", "/v2/tasks/no/events", "/v2/tasks/no/eventstream"])
async def test_no_task_is_no_task_whoever_asks(surface: Surface, path: str) -> None:
    surface.policy.denied.add("scaffolder.task.read")
    assert error_of(await surface.http.get(path)) == (404, "NotFoundError", "No task with id 'no' found")


async def test_a_list_is_filtered_ordered_and_cut(surface: Surface) -> None:
    for number in range(3):
        surface.tasks.known[str(number)] = a_task(str(number), {})
    query = "createdBy=user:default/a&createdBy=user:default/b&status=open&order=desc:status&order=asc:created_by&limit=2&offset=1"
    reply = await surface.http.get(f"/v2/tasks?{query}")
    assert ([one["id"] for one in reply.json["tasks"]], reply.json["totalTasks"]) == (["0", "1"], 3)
    assert surface.tasks.listed == [
        {
            "created_by": ["user:default/a", "user:default/b"],
            "status": ["open"],
            "order": [("status", "desc"), ("created_by", "asc")],
            "limit": 2,
            "offset": 1,
        }
    ]


async def test_no_creator_is_any_and_no_status_is_none_as_upstream_has_it(surface: Surface) -> None:
    await surface.http.get("/v2/tasks?createdBy=&createdBy=&status=&status=")
    assert (surface.tasks.listed[0]["created_by"], surface.tasks.listed[0]["status"]) == (None, [])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("order=created_at", 'Invalid order parameter "created_at", expected "<asc or desc>:<field name>"'),
        ("order=asc:spec", 'Invalid order field "spec"'),
        ("foo=1", "Unknown query parameter 'foo'"),
        ("limit=-1", "request/query/limit must be >= 0"),
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused(surface: Surface, query: str, message: str) -> None:
    assert error_of(await surface.http.get(f"/v2/tasks?{query}")) == (400, "InputError", message)


async def test_who_may_not_read_tasks_gets_no_list(surface: Surface) -> None:
    surface.policy.denied.add("scaffolder.task.read")
    assert (await surface.http.get("/v2/tasks")).status == 403


async def test_cancelling_needs_to_cancel_and_to_read(surface: Surface) -> None:
    surface.tasks.known["1"] = a_task("1", {})
    for needed in ("scaffolder.task.cancel", "scaffolder.task.read"):
        surface.policy.denied = {needed}
        assert (await surface.http.post("/v2/tasks/1/cancel", {})).status == 403
    surface.policy.denied = set()
    assert (await surface.http.post("/v2/tasks/1/cancel", {})).json == {"status": "cancelled"}
    assert surface.tasks.cancelled == ["1"]


async def test_a_task_is_gone_on_with_unless_it_shall_begin_anew(surface: Surface) -> None:
    id_ = await made(surface)
    surface.tasks.become(id_, "failed")
    assert (await surface.http.post(f"/v2/tasks/{id_}/retry", {"secrets": {"KEY": "new"}})).json == {"id": id_}
    await surface.http.post(f"/v2/tasks/{id_}/retry", {"secrets": {"KEY": "new"}, "startOver": True})
    assert surface.tasks.retried == [(id_, {"KEY": "new"}, False), (id_, {"KEY": "new"}, True)]


@pytest.mark.parametrize("anew", ["true", 1, None])
async def test_a_wish_to_begin_anew_that_cannot_be_read_is_not_taken_for_one_to_go_on(
    surface: Surface, anew: Any
) -> None:
    id_ = await made(surface)
    surface.tasks.become(id_, "failed")
    reply = await surface.http.post(f"/v2/tasks/{id_}/retry", {"secrets": {"KEY": "k"}, "startOver": anew})
    assert error_of(reply) == (400, "InputError", "request/body/startOver must be boolean")
    assert surface.tasks.retried == []


async def test_a_retry_without_the_secrets_that_the_template_asks_for_is_refused(surface: Surface) -> None:
    id_ = await made(surface)
    surface.tasks.become(id_, "failed")
    reply = await surface.http.request("POST", f"/v2/tasks/{id_}/retry")
    assert (reply.status, [one["message"] for one in reply.json["errors"]]) == (400, ["secrets.KEY is required"])
    assert surface.tasks.retried == []


async def test_a_task_that_runs_cannot_be_retried(surface: Surface) -> None:
    id_ = await made(surface)
    surface.tasks.become(id_, "processing")
    reply = await surface.http.post(f"/v2/tasks/{id_}/retry", {"secrets": {"KEY": "k"}})
    assert error_of(reply) == (409, "ConflictError", f"Task with taskId {id_} cannot be retried")


async def test_a_retry_needs_to_create_and_to_read(surface: Surface) -> None:
    id_ = await made(surface)
    for needed in ("scaffolder.task.create", "scaffolder.task.read"):
        surface.policy.denied = {needed}
        assert (await surface.http.post(f"/v2/tasks/{id_}/retry", {})).status == 403
