"""What a client sees of a server whose database, migrations or plugins are not there yet."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from greenroom.settings import BackendConfig, Cors, LifecycleConfig
from greenroom.telemetry import Telemetry
from greenroom.web import Door, Lifecycle
from tests.greenroom.web.surface import auth, plain
from tests.support.asgi import Client, Reply

LIVENESS = "/.backstage/health/v1/liveness"
READINESS = "/.backstage/health/v1/readiness"
FIXED = "/api/plain/fixed"
HASTY = BackendConfig(lifecycle=LifecycleConfig(startup_request_pause_timeout=timedelta(0)))


def empty_door(config: BackendConfig | None = None) -> Door:
    return Door(config=config or BackendConfig(), state=Lifecycle())


def furnish(door: Door) -> None:
    door.mount([plain()], auth=auth(), telemetry=Telemetry())
    door.state.started()


async def early(door: Door, *targets: str) -> list[asyncio.Task[Reply]]:
    """Requests that are on their way when this returns."""
    tasks = [asyncio.create_task(Client(door).get(target)) for target in targets]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


async def test_health_is_answered_before_there_is_anything_else() -> None:
    asked = Client(empty_door(), token=None)
    assert (await asked.get(LIVENESS)).status == 200
    reply = await asked.get(READINESS)
    assert (reply.status, reply.text) == (503, '{"message":"Backend has not started yet","status":"error"}')


async def test_requests_to_plugins_wait_for_them() -> None:
    door = empty_door()
    known, unknown = await early(door, FIXED, "/api/nobody")
    furnish(door)
    assert (await known).status == 200
    assert (await unknown).status == 404


async def test_plugins_that_are_there_still_wait_for_the_start() -> None:
    door = empty_door()
    (waiting,) = await early(door, FIXED)
    door.mount([plain()], auth=auth(), telemetry=Telemetry())
    assert (await Client(door).get(READINESS)).status == 503
    assert not waiting.done()
    door.state.started()
    assert (await waiting).status == 200


async def test_a_start_that_takes_too_long_is_told_in_the_words_of_the_plugin() -> None:
    reply = await Client(empty_door(HASTY)).get(f"{FIXED}?a=b")
    assert reply.json == {
        "error": {"name": "ServiceUnavailableError", "message": "Service has not started up yet"},
        "request": {"method": "GET", "url": "/fixed?a=b"},
        "response": {"statusCode": 503},
    }


async def test_a_server_that_is_stopped_while_it_starts_refuses_those_who_wait() -> None:
    door = empty_door()
    (waiting,) = await early(door, FIXED)
    door.state.stopping()
    reply = await waiting
    assert (reply.status, reply.error["message"]) == (503, "Service is shutting down")
    assert (await Client(door).get(READINESS)).json["message"] == "Backend is shutting down"


async def test_a_browser_may_read_the_refusal() -> None:
    config = BackendConfig(cors=Cors(origin=["http://localhost:3000"]), lifecycle=HASTY.lifecycle)
    reply = await Client(empty_door(config)).get(FIXED, origin="http://localhost:3000")
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (503, "http://localhost:3000")


async def test_what_is_no_plugins_is_not_found_at_once() -> None:
    assert (await Client(empty_door()).get("/elsewhere")).status == 404
