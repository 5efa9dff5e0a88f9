"""The scheduler's tasks: where an operator of upstream looks up when a provider runs, and for how long it may."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest

from greenroom.auth import Auth
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import MemoryKeyStore
from greenroom.settings import BackendConfig
from greenroom.web.door import build_asgi
from greenroom.web.lifecycle import Lifecycle
from greenroom_catalog.routes.scheduler import scheduler_routes
from greenroom_catalog.storage.chores import Chores
from greenroom_catalog.storage.runs import ProviderRuns
from greenroom_catalog.storage.store import MIGRATIONS
from tests.catalog.routes.conftest import TOKEN
from tests.support.asgi import Client
from tests.support.postgres import MigratedDatabase

HOUR = timedelta(hours=1)


class World:
    """The routes, over runs that no process has begun."""

    def __init__(self, runs: ProviderRuns, chores: Chores) -> None:
        self.runs = runs
        token = ExternalToken(hashlib.sha256(TOKEN.encode()).digest(), "tests")
        auth = Auth(base_url="http://test", keys=MemoryKeyStore(), external_tokens=[token])
        state = Lifecycle()
        state.started()
        app = build_asgi([scheduler_routes(runs, chores, None)], config=BackendConfig(), auth=auth, state=state)
        self.http = Client(app, TOKEN, base="/api/catalog/.backstage/scheduler/v1/tasks")


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    database = await migrated_database([MIGRATIONS])
    return World(ProviderRuns(database), Chores(database))


async def test_a_task_tells_the_timeout_of_its_provider_and_when_a_run_will_be_ended(world: World) -> None:
    await world.runs.register({"git:demo": HOUR, "other": HOUR}, {"git:demo": timedelta(minutes=20)})
    await world.runs.claim(["git:demo"], HOUR, "host:7")
    demo, other = (await world.http.get("")).json["tasks"]
    assert demo["settings"] == {"version": 2, "cadence": "PT1H", "timeoutAfterDuration": "PT20M"}
    assert other["settings"]["timeoutAfterDuration"] == "PT6H"
    begun, ends = (datetime.fromisoformat(demo["taskState"][name]) for name in ("startedAt", "timesOutAt"))
    assert ends - begun == timedelta(minutes=20)


async def test_a_changed_timeout_shows_after_the_next_start(world: World) -> None:
    for minutes in (20, 5):
        await world.runs.register({"git:demo": HOUR}, {"git:demo": timedelta(minutes=minutes)})
    (demo,) = (await world.http.get("")).json["tasks"]
    assert demo["settings"]["timeoutAfterDuration"] == "PT5M"
