from __future__ import annotations

import httpx
import pytest

from tests.catalog.routes.conftest import Surface

SPEC = {"type": "url", "target": "https://git.test/a.yaml"}


def _error(response: httpx.Response) -> tuple[int, str, str]:
    envelope = response.json()
    return response.status_code, envelope["error"]["name"], envelope["error"]["message"]


async def test_a_location_is_registered_listed_looked_at_and_unregistered(surface: Surface) -> None:
    response = await surface.http.post("/locations", json=SPEC)
    made = response.json()["location"]
    assert (response.status_code, response.json()["entities"]) == (201, [])
    assert list(made) == ["id", "type", "target", "entityRef"]
    assert (await surface.http.get("/locations")).json() == [{"data": made}]
    assert (await surface.http.get(f"/locations/{made['id']}")).json() == made
    response = await surface.http.delete(f"/locations/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    response = await surface.http.delete(f"/locations/{made['id']}")
    assert _error(response) == (404, "NotFoundError", f"Found no location with ID {made['id']}")


async def test_a_dry_run_shows_what_would_come_and_keeps_nothing(surface: Surface) -> None:
    response = await surface.http.post("/locations?dryRun=yes", json={**SPEC, "presence": "optional"})
    body = response.json()
    assert (response.status_code, body["exists"], surface.below.locations) == (201, False, {})
    assert body["location"]["id"] == "url:https://git.test/a.yaml"
    assert body["location"]["entityRef"].startswith("location:default/generated-")
    assert [one["kind"] for one in body["entities"]] == ["Location"]


async def test_what_is_registered_already_conflicts_unless_it_shall_be_refreshed(surface: Surface) -> None:
    await surface.http.post("/locations", json=SPEC)
    message = "Location url:https://git.test/a.yaml already exists"
    assert _error(await surface.http.post("/locations", json=SPEC)) == (409, "ConflictError", message)
    assert (await surface.http.post("/locations?onConflict=refresh", json=SPEC)).status_code == 201


async def test_strange_members_of_a_location_are_refused_as_upstreams_schema_says_it(surface: Surface) -> None:
    status, name, message = _error(await surface.http.post("/locations", json={**SPEC, "foo": 1}))
    assert (status, name) == (400, "InputError")
    assert message.startswith('Malformed request: [\n  {\n    "code": "unrecognized_keys",\n    "keys": [\n      "foo"')


async def test_who_may_not_is_told_nothing_of_locations(surface: Surface) -> None:
    made = (await surface.http.post("/locations", json=SPEC)).json()["location"]
    surface.policy.denied = {"catalog.location.read", "catalog.location.create", "catalog.location.delete"}
    assert (await surface.http.get("/locations")).content == b"[]"
    message = f"Found no location with ID {made['id']}"
    assert _error(await surface.http.get(f"/locations/{made['id']}")) == (404, "NotFoundError", message)
    for response in (
        await surface.http.post("/locations", json=SPEC),
        await surface.http.post("/locations?dryRun=true", json=SPEC),
        await surface.http.delete("/locations/unknown"),
    ):
        assert _error(response) == (403, "NotAllowedError", "")


@pytest.mark.parametrize("readonly", [True])
async def test_a_readonly_catalog_only_takes_dry_runs(surface: Surface) -> None:
    message = "This operation not allowed in readonly mode"
    assert _error(await surface.http.post("/locations", json=SPEC)) == (403, "NotAllowedError", message)
    assert _error(await surface.http.delete("/locations/x")) == (403, "NotAllowedError", message)
    assert (await surface.http.post("/locations?dryRun=true", json=SPEC)).status_code == 201
