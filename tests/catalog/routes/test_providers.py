"""Entity providers over HTTP: how they stand, what their runs did, and who may have a hand on them."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from greenroom.auth import Auth
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import MemoryKeyStore
from greenroom.settings import BackendConfig
from greenroom.web.door import build_asgi
from greenroom.web.lifecycle import Lifecycle
from greenroom_catalog.routes.own import greenroom_routes
from greenroom_catalog.routes.providers import iso_duration
from greenroom_catalog.storage.runs import Failure, ProviderRuns, Tally
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.routes.conftest import TOKEN, error_of
from tests.support.asgi import Client, Reply
from tests.support.policy import Policy
from tests.support.postgres import MigratedDatabase

HOUR = timedelta(hours=1)


class World:
    """The routes, over runs that no process has begun."""

    def __init__(self, runs: ProviderRuns) -> None:
        self.runs, self.policy = runs, Policy()
        token = ExternalToken(hashlib.sha256(TOKEN.encode()).digest(), "tests")
        auth = Auth(base_url="http://test", keys=MemoryKeyStore(), external_tokens=[token])
        state = Lifecycle()
        state.started()
        routes = greenroom_routes(runs, permissions=self.policy)
        app = build_asgi([routes], config=BackendConfig(), auth=auth, state=state)
        self.http = Client(app, TOKEN, base="/api/greenroom/catalog/providers")

    async def post(self, path: str) -> Reply:
        """Without a body."""
        return await self.http.request("POST", path)


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    runs = ProviderRuns(await migrated_database([MIGRATIONS]))
    await runs.register({"git:demo": HOUR, "once": None})
    return World(runs)


async def test_a_provider_that_has_not_run_is_told_of(world: World) -> None:
    listed = (await world.http.get("")).json["items"]
    assert [(one["name"], one["schedule"], one["state"], one["lastRun"]) for one in listed] == [
        ("git:demo", "PT1H", "waiting", None),
        ("once", None, "waiting", None),
    ]


async def test_a_run_is_told_of_while_it_lasts_and_afterwards(world: World) -> None:
    await world.post("/git:demo/trigger")
    claim = await world.runs.claim(["git:demo"], HOUR, "host:7")
    assert claim is not None
    assert claim.by_hand
    tally = Tally(found=5, added=2, failed=1, done=1, total=4, failures=[Failure("x.git", "it is not there")])
    await world.runs.report(claim.id, tally)
    one = (await world.http.get("/git:demo")).json
    assert (one["state"], one["nextRunAt"], one["runs"]) == ("running", None, [one["lastRun"]])
    run = one["lastRun"]
    assert (run["status"], run["cause"], run["causedBy"], run["process"]) == ("running", "trigger", "tests", "host:7")
    assert (run["progress"], run["finishedAt"], run["found"], run["added"]) == ({"done": 1, "total": 4}, None, 5, 2)
    assert run["expectedAt"] > run["startedAt"]
    assert run["failures"] == [{"what": "x.git", "error": "it is not there"}]
    await world.runs.finish(claim, tally, "it broke", HOUR)
    (run,) = (await world.http.get("/git:demo/runs?limit=1")).json["items"]
    assert (run["status"], run["error"], run["expectedAt"]) == ("failed", "it broke", None)


async def test_a_paused_provider_says_by_whom_and_is_not_triggered(world: World) -> None:
    paused = (await world.post("/once/pause")).json
    assert (paused["state"], paused["pausedBy"], paused["nextRunAt"]) == ("paused", "tests", None)
    refused = error_of(await world.post("/once/trigger"))
    assert refused == (409, "ConflictError", "Provider once is paused: resume it first")
    assert (await world.post("/once/resume")).json["pausedAt"] is None
    assert (await world.post("/once/trigger")).status == 200


@pytest.mark.parametrize("path", ["/nope", "/nope/runs", "/no%00pe"])
async def test_an_unknown_provider_is_not_found(world: World, path: str) -> None:
    assert error_of(await world.http.get(path))[:2] == (404, "NotFoundError")


async def test_who_may_look_may_not_trigger_unless_that_is_allowed_too(world: World) -> None:
    world.policy.denied = {"catalog.ingestion.manage"}
    for path in ("", "/once", "/once/runs"):
        assert (await world.http.get(path)).status == 200
    for path in ("/once/trigger", "/once/pause", "/once/resume", "/nope/trigger"):
        assert (await world.post(path)).status == 403
    world.policy.denied = {"catalog.ingestion.read"}
    for path in ("", "/once", "/once/runs", "/nope"):
        assert (await world.http.get(path)).status == 403


async def test_nobody_may_do_any_of_it(world: World) -> None:
    world.http.token = None
    assert (await world.http.get("")).status == 401
    assert (await world.post("/once/trigger")).status == 401


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "PT0S"), (5400, "PT1H30M"), (0.25, "PT0.25S"), (90061, "PT25H1M1S"), (60, "PT1M")]
)
def test_durations_are_iso_durations(seconds: float, text: str) -> None:
    assert iso_duration(timedelta(seconds=seconds)) == text


async def test_a_refused_removal_is_told_of_and_confirmed(world: World) -> None:
    nothing = await world.post("/once/confirm")
    assert error_of(nothing)[:2] == (409, "ConflictError")
    claim = await world.runs.claim(["once"], HOUR, "host:1")
    assert claim is not None
    await world.runs.finish(claim, Tally(), "Refused", None, refused=600)
    assert (await world.http.get("/once")).json["refusedRemoval"] == 600
    confirmed = await world.post("/once/confirm")
    assert (confirmed.status, confirmed.json["refusedRemoval"], confirmed.json["state"]) == (200, None, "waiting")
    again = await world.runs.claim(["once"], HOUR, "host:1")
    assert again is not None
    assert (again.confirmed, again.by_hand) == (600, True)


async def test_what_is_paused_cannot_be_confirmed(world: World) -> None:
    claim = await world.runs.claim(["once"], HOUR, "host:1")
    assert claim is not None
    await world.runs.finish(claim, Tally(), "Refused", None, refused=600)
    await world.runs.pause("once", None)
    assert (await world.post("/once/confirm")).status == 409
    assert (await world.http.get("/once")).json["refusedRemoval"] == 600
