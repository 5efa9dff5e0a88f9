from __future__ import annotations

from typing import Any

from greenroom.errors import InputError
from tests.catalog.routes.conftest import Surface, error_of

LOCATION = "url:https://git.test/a.yaml"
COMPONENT: dict[str, Any] = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "a"}}


async def test_a_sound_entity_is_answered_with_nothing(surface: Surface) -> None:
    reply = await surface.http.post("/validate-entity", {"entity": COMPONENT, "location": LOCATION})
    assert (reply.status, reply.raw, "content-type" in reply.headers) == (200, b"", False)


async def test_everything_that_is_wrong_with_an_entity_is_told_without_an_envelope(surface: Surface) -> None:
    inner = InputError("too short")
    surface.below.problems_of["a"] = [InputError("Policy check failed", cause=inner), InputError("and more")]
    reply = await surface.http.post("/validate-entity", {"entity": COMPONENT, "location": LOCATION})
    cause = {"name": "InputError", "message": "too short"}
    first = {"name": "InputError", "message": "Policy check failed; caused by InputError: too short", "cause": cause}
    assert (reply.status, reply.json) == (400, {"errors": [first, {"name": "InputError", "message": "and more"}]})


async def test_what_is_no_entity_is_told_before_anybody_is_asked_for_permission(surface: Surface) -> None:
    surface.policy.denied = {"catalog.entity.validate"}
    reply = await surface.http.post("/validate-entity", {"entity": {}, "location": LOCATION})
    message = "<root> must have required property 'apiVersion' - missingProperty: apiVersion"
    assert (reply.status, reply.json) == (400, {"errors": [{"name": "TypeError", "message": message}]})
    reply = await surface.http.post("/validate-entity", {"entity": COMPONENT, "location": "file:/a.yaml"})
    only = "only 'url:<target>' is supported, e.g. url:https://host/path"
    message = f"Invalid location ref file:/a.yaml, {only}"
    assert (reply.status, reply.json) == (400, {"errors": [{"name": "TypeError", "message": message}]})
    reply = await surface.http.post("/validate-entity", {"entity": COMPONENT, "location": LOCATION})
    assert error_of(reply) == (403, "NotAllowedError", "")


async def test_a_repository_is_analyzed_with_the_name_of_file_that_was_asked_for(surface: Surface) -> None:
    location = {"type": "url", "target": "https://git.test/o/r"}
    reply = await surface.http.post("/analyze-location", {"location": location, "catalogFilename": "x.yaml"})
    assert (reply.status, reply.json["generateEntities"]) == (200, ["https://git.test/o/r", "x.yaml"])
    surface.policy.denied = {"catalog.location.analyze"}
    reply = await surface.http.post("/analyze-location", {"location": location})
    assert error_of(reply) == (403, "NotAllowedError", "")
    message = "request/body/location must have required property 'target'"
    reply = await surface.http.post("/analyze-location", {"location": {"type": "url"}})
    assert error_of(reply) == (400, "InputError", message)
