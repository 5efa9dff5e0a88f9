from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.catalog.routes.conftest import Surface, error_of
from tests.support.asgi import Reply

_LEAST = 'Malformed cursor: Validation error: Number must be greater than or equal to 1 at "limit"'
SPEC = {"type": "url", "target": "https://git.test/a.yaml"}


async def test_a_location_is_registered_listed_looked_at_and_unregistered(surface: Surface) -> None:
    response = await surface.http.post("/locations", SPEC)
    made = response.json["location"]
    assert (response.status, response.json["entities"]) == (201, [])
    assert list(made) == ["id", "type", "target", "entityRef"]
    assert (await surface.http.get("/locations")).json == [{"data": made}]
    assert (await surface.http.get(f"/locations/{made['id']}")).json == made
    response = await surface.http.request("DELETE", f"/locations/{made['id']}")
    assert (response.status, response.raw) == (204, b"")
    response = await surface.http.request("DELETE", f"/locations/{made['id']}")
    assert error_of(response) == (404, "NotFoundError", f"Found no location with ID {made['id']}")


async def test_a_dry_run_shows_what_would_come_and_keeps_nothing(surface: Surface) -> None:
    response = await surface.http.post("/locations?dryRun=yes", {**SPEC, "presence": "optional"})
    body = response.json
    assert (response.status, body["exists"], surface.below.locations) == (201, False, {})
    assert body["location"]["id"] == "url:https://git.test/a.yaml"
    assert body["location"]["entityRef"].startswith("location:default/generated-")
    assert [one["kind"] for one in body["entities"]] == ["Location"]


async def test_what_is_registered_already_conflicts_unless_it_shall_be_refreshed(surface: Surface) -> None:
    await surface.http.post("/locations", SPEC)
    message = "Location url:https://git.test/a.yaml already exists"
    assert error_of(await surface.http.post("/locations", SPEC)) == (409, "ConflictError", message)
    assert (await surface.http.post("/locations?onConflict=refresh", SPEC)).status == 201


async def test_strange_members_of_a_location_are_refused_as_upstreams_schema_says_it(surface: Surface) -> None:
    status, name, message = error_of(await surface.http.post("/locations", {**SPEC, "foo": 1}))
    assert (status, name) == (400, "InputError")
    assert message.startswith('Malformed request: [\n  {\n    "code": "unrecognized_keys",\n    "keys": [\n      "foo"')


async def _put(surface: Surface, id_: str, spec: Any) -> Reply:
    return await surface.http.request(
        "PUT", f"/locations/{id_}", {"content-type": "application/json"}, json.dumps(spec).encode()
    )


async def test_a_location_is_pointed_elsewhere_and_keeps_its_id(surface: Surface) -> None:
    made = (await surface.http.post("/locations", SPEC)).json["location"]
    reply = await _put(surface, made["id"], {"type": "url", "target": "https://git.test/b.yaml"})
    assert (reply.status, reply.json) == (200, {**made, "target": "https://git.test/b.yaml"})


async def test_locations_are_found_page_by_page(surface: Surface) -> None:
    for name in "abc":
        await surface.http.post("/locations", {**SPEC, "target": f"https://git.test/{name}.yaml"})
    first = (await surface.http.post("/locations/by-query", {"limit": 2, "query": {"type": "url"}})).json
    assert (len(first["items"]), first["totalItems"], list(first["pageInfo"])) == (2, 3, ["nextCursor"])
    rest = (
        await surface.http.post("/locations/by-query", {"cursor": first["pageInfo"]["nextCursor"], "limit": 9})
    ).json
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 3
    assert rest["pageInfo"] == {}
    assert [(query, limit) for query, limit, _ in surface.below.found] == [({"type": "url"}, 3)] * 2


def _cursor(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"limit": 0}, "Limit must be a positive integer >= 1"),
        ({"limit": 1.5}, "Limit must be a positive integer >= 1"),
        ({"cursor": ""}, "Cursor cannot be empty"),
        ({"cursor": "x"}, "Malformed cursor, unknown encoding"),
        ({"cursor": _cursor({})}, 'Malformed cursor: Validation error: Required at "limit"'),
        ({"cursor": _cursor({"limit": 0})}, _LEAST),
        ({"cursor": _cursor({"limit": 1, "query": "x"})}, "Query must be an object"),
        ({"cursor": _cursor({"limit": 1, "afterId": "x"})}, "Malformed cursor: afterId is not the id of a location"),
        ({"query": {"$foo": 1}}, 'Invalid query: Validation error: Invalid at "$foo"'),
    ],
)
async def test_a_query_for_locations_that_makes_no_sense_is_refused(surface: Surface, body: Any, message: str) -> None:
    assert error_of(await surface.http.post("/locations/by-query", body)) == (400, "InputError", message)


async def test_the_location_of_an_entity_is_found_by_a_name_in_any_spelling(surface: Surface) -> None:
    message = "found no entity for ref component:default/a b"
    reply = await surface.http.get("/locations/by-entity/Component/Default/A%20b")
    assert error_of(reply) == (404, "NotFoundError", message)
    made = (await surface.http.post("/locations", SPEC)).json["location"]
    assert (await surface.http.get("/locations/by-entity/Component/default/a")).json == made


async def test_who_may_not_is_told_nothing_of_locations(surface: Surface) -> None:
    made = (await surface.http.post("/locations", SPEC)).json["location"]
    surface.policy.denied = {"catalog.location.read", "catalog.location.create", "catalog.location.delete"}
    assert (await surface.http.get("/locations")).raw == b"[]"
    message = f"Found no location with ID {made['id']}"
    assert error_of(await surface.http.get(f"/locations/{made['id']}")) == (404, "NotFoundError", message)
    for response in (
        await surface.http.post("/locations", SPEC),
        await surface.http.post("/locations?dryRun=true", SPEC),
        await surface.http.request("DELETE", "/locations/unknown"),
        await _put(surface, "unknown", {"type": "file", "target": "/x"}),
    ):
        assert error_of(response) == (403, "NotAllowedError", "")
    nothing = {"items": [], "totalItems": 0, "pageInfo": {}}
    assert (await surface.http.post("/locations/by-query", {"query": {"foo": 1}})).json == nothing
    reply = await surface.http.get("/locations/by-entity/component/default/a")
    assert error_of(reply) == (404, "NotFoundError", "")


@pytest.mark.parametrize("readonly", [True])
async def test_a_readonly_catalog_only_takes_dry_runs(surface: Surface) -> None:
    message = "This operation not allowed in readonly mode"
    assert error_of(await surface.http.post("/locations", SPEC)) == (403, "NotAllowedError", message)
    assert error_of(await surface.http.request("DELETE", "/locations/x")) == (403, "NotAllowedError", message)
    assert error_of(await _put(surface, "x", SPEC)) == (403, "NotAllowedError", message)
    assert (await surface.http.post("/locations?dryRun=true", SPEC)).status == 201
