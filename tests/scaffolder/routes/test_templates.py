"""Forms, dry runs, and what the author of a template has at hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from greenroom.web import load_document
from greenroom_scaffolder.routes.dry_run import decoded
from tests.conformance.oracle import shared_folder
from tests.scaffolder.routes.conftest import TEMPLATE, Surface, error_of

FORM = "/v2/templates/default/Template/Service/parameter-schema"
WISH: dict[str, Any] = {
    "template": TEMPLATE,
    "values": {"name": "x"},
    "secrets": {"KEY": "k"},
    "directoryContents": [{"path": "a/b.txt", "base64Content": base64.b64encode(b"hello").decode()}],
}


async def test_a_form_is_found_in_any_case(surface: Surface) -> None:
    block = TEMPLATE["spec"]["parameters"]
    assert (await surface.http.get(FORM)).json == {
        "title": "service",
        "steps": [{"title": "Name it", "schema": block}],
    }


async def test_of_a_form_only_what_may_be_read_is_shown(surface: Surface) -> None:
    surface.policy.denied.add("scaffolder.template.parameter.read")
    assert (await surface.http.get(FORM)).json == {"title": "service", "steps": []}


async def test_a_template_that_may_not_be_read_is_not_there(surface: Surface) -> None:
    surface.policy.denied.add("catalog.entity.read")
    assert error_of(await surface.http.get(FORM)) == (
        404,
        "NotFoundError",
        "Template template:default/service not found",
    )


async def test_an_older_template_gets_upstreams_answer(surface: Surface) -> None:
    surface.catalog.entities["template:default/service"] = {**TEMPLATE, "apiVersion": "backstage.io/v1beta2"}
    reply = await surface.http.get(FORM)
    assert error_of(reply) == (
        400,
        "InputError",
        "Unsupported apiVersion field in schema entity, backstage.io/v1beta2",
    )


async def test_a_dry_run_tells_what_was_said_written_and_put_out(surface: Surface) -> None:
    reply = await surface.http.post("/v2/dry-run", WISH)
    assert list(reply.json) == ["log", "directoryContents", "output", "steps"]
    assert reply.json["directoryContents"] == [
        {"path": "a/b.txt", "executable": False, "base64Content": base64.b64encode(b"hello").decode()}
    ]
    assert reply.json["steps"][0]["id"] == "step-1"
    asked = surface.dry_runs.asked[0]
    assert (asked["files"], asked["secrets"]) == ([("a/b.txt", b"hello")], {"KEY": "k"})
    assert asked["spec"]["templateInfo"] == {
        "entityRef": "template:default/dry-run",
        "entity": {"metadata": TEMPLATE["metadata"]},
    }


async def test_a_dry_run_is_allowed_to_those_who_may_run(surface: Surface) -> None:
    for needed in ("scaffolder.task.create", "scaffolder.template.dry-run"):
        surface.policy.denied = {needed}
        assert (await surface.http.post("/v2/dry-run", WISH)).status == 403


@pytest.mark.parametrize(
    ("differently", "refusal"),
    [
        ({"template": {**TEMPLATE, "kind": "Component"}}, (400, "InputError", "Input template is not a template")),
        ({"template": []}, (400, "InputError", "request/body/template must be object")),
        ({"directoryContents": None}, (400, "InputError", "request/body/directoryContents must be array")),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "steps": [{"action": "no:such"}]}}},
            (404, "NotFoundError", "Template action with ID 'no:such' is not registered."),
        ),
        (
            {"template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "output": {"nested": {}}}}},
            (400, "TypeError", "/spec/output/nested must be string - type: string"),
        ),
    ],
)
async def test_what_cannot_be_tried_out_is_told(surface: Surface, differently: Any, refusal: Any) -> None:
    assert error_of(await surface.http.post("/v2/dry-run", {**WISH, **differently})) == refusal


async def test_a_file_without_content_is_upstreams_error(surface: Surface) -> None:
    status, name, message = error_of(
        await surface.http.post("/v2/dry-run", {**WISH, "directoryContents": [{"path": "a"}]})
    )
    assert (status, name) == (400, "InputError")
    assert message.startswith("Malformed request: [")
    assert '"base64Content"' in message


async def test_wrong_values_of_a_dry_run_are_told(surface: Surface) -> None:
    reply = await surface.http.post("/v2/dry-run", {**WISH, "values": {}})
    assert (reply.status, reply.json["errors"][0]["message"]) == (400, 'requires property "name"')
    assert surface.dry_runs.asked == []


async def test_nine_megabytes_are_tried_out_and_eleven_are_not(surface: Surface) -> None:
    def of(size: int) -> dict[str, Any]:
        return {**WISH, "directoryContents": [{"path": "big", "base64Content": "A" * size}]}

    assert (await surface.http.post("/v2/dry-run", of(9 * 1024 * 1024))).status == 200
    assert (await surface.http.post("/v2/dry-run", of(11 * 1024 * 1024))).status == 400


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("aGk=", b"hi"),
        ("aGk", b"hi"),
        ("a G\nk=", b"hi"),
        ("_-8=", b"\xff\xef"),
        ("", b""),
        ("aGk=aGk=", b"hi"),
        ("aGkaa", b"hi\x1a"),
    ],
)
def test_base64_is_read_as_node_reads_it(text: str, content: bytes) -> None:
    assert decoded(text) == content


async def test_values_to_choose_from_are_asked_of_their_provider(surface: Surface) -> None:
    reply = await surface.http.post("/v2/autocomplete/acme/branches", {"token": "t", "context": {"title": "Main"}})
    assert reply.json == {"results": [{"id": "main", "title": "Main"}, {"id": "t"}]}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("github/x", {"token": "t", "context": {}}, "Unsupported provider: github"),
        ("acme/x", {"token": "t", "context": {}}, "Unsupported resource: x"),
        ("acme/x", {"token": "", "context": {}}, "Missing token query parameter"),
        ("acme/x", {"token": "t"}, "request/body must have required property 'context'"),
    ],
)
async def test_values_that_nobody_knows(surface: Surface, path: str, body: Any, message: str) -> None:
    assert error_of(await surface.http.post(f"/v2/autocomplete/{path}", body)) == (400, "InputError", message)


async def test_actions_and_extensions_are_told_as_they_are(surface: Surface) -> None:
    assert (await surface.http.get("/v2/actions")).json == [{"id": "debug:log"}]
    assert (await surface.http.get("/v2/templating-extensions")).json["globals"] == {"functions": {}, "values": {}}


async def test_permissions_and_rules_are_listed_in_upstreams_order(surface: Surface) -> None:
    told = (await surface.http.get("/.well-known/backstage/permissions/metadata")).json
    recorded = shared_folder() / "spec" / "transcripts" / "t_permission.json"
    if not recorded.exists():
        pytest.skip(f"needs {recorded}")
    theirs = next(
        one["response"]["body"]
        for one in json.loads(recorded.read_text())
        if one["name"] == "scaffolder metadata" and one["response"]["status"] == 200
    )
    assert told["permissions"] == theirs["permissions"]
    assert [bare(rule) for rule in told["rules"]] == [bare(rule) for rule in theirs["rules"]]


def bare(value: Any) -> Any:
    """Without what is said in our own words."""
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if key != "description"}
    return [bare(item) for item in value] if isinstance(value, list) else value


PROSE = {"description", "summary", "example", "examples"}


def said(value: Any) -> Any:
    if isinstance(value, list):
        return [said(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: said(item)
        for name, item in value.items()
        if name not in PROSE or (isinstance(item, dict) and "type" in item)
    }


def add_ours(retry: Any) -> None:
    """What a retry takes and answers, of which upstream's document does not speak."""
    retry["requestBody"]["content"]["application/json"]["schema"]["properties"]["startOver"] = {"type": "boolean"}
    retry["responses"] |= {code: {"$ref": "#/components/responses/ErrorResponse"} for code in ("403", "404")}


async def test_the_document_is_served_whole_and_says_what_upstreams_says(surface: Surface) -> None:
    served = (await surface.http.get("/openapi.json")).json
    ours = load_document("scaffolder")
    assert list(served["paths"]) == [f"/api/scaffolder{path}" for path in ours["paths"]]
    assert all(one["summary"] for item in ours["paths"].values() for one in item.values())
    path = shared_folder() / "spec" / "openapi" / "scaffolder.json"
    if not path.exists():
        pytest.skip(f"needs upstream's document, {path}")
    theirs = json.loads(path.read_text())
    add_ours(theirs["paths"]["/v2/tasks/{taskId}/retry"]["post"])
    assert said(ours["paths"]) == said(theirs["paths"])
    assert said(ours["components"]) == said(theirs["components"])
