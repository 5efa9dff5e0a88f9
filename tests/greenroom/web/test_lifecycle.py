"""What a load balancer and an impatient client see while the server comes and goes."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from greenroom.settings import BackendConfig, LifecycleConfig
from greenroom.web import Lifecycle
from tests.greenroom.web.surface import client

LIVENESS = "/.backstage/health/v1/liveness"
READINESS = "/.backstage/health/v1/readiness"
HEALTH = "/.greenroom/health"
FIXED = "/api/plain/fixed"


class Gone:
    """An examination that finds nothing but trouble."""

    async def unfit(self) -> str | None:
        return "The database is gone"

    async def report(self) -> dict[str, Any]:
        return {"status": "error", "checks": [{"name": "database"}]}


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


async def test_readiness_follows_the_life_of_the_server_and_liveness_does_not() -> None:
    state = Lifecycle()
    asked = client(state=state)

    async def readiness() -> tuple[int, str]:
        assert (await asked.request("GET", LIVENESS, token=None)).text == '{"status":"ok"}'
        reply = await asked.request("GET", READINESS, token=None)
        return reply.status, reply.text

    assert await readiness() == (503, '{"message":"Backend has not started yet","status":"error"}')
    state.started()
    assert await readiness() == (200, '{"status":"ok"}')
    state.stopping()
    assert await readiness() == (503, '{"message":"Backend is shutting down","status":"error"}')
    assert (await asked.get(FIXED)).status == 200
    state.down()
    assert await readiness() == (503, '{"message":"Backend is shutting down","status":"error"}')


async def test_readiness_tells_what_else_is_wrong() -> None:
    state = Lifecycle(Gone())
    state.started()
    reply = await client(state=state).get(READINESS)
    assert (reply.status, reply.json) == (503, {"message": "The database is gone", "status": "error"})
    reply = await client(state=state).get(HEALTH)
    assert (reply.status, reply.json["checks"]) == (503, [{"name": "database"}])
    state.stopping()
    assert (await client(state=state).get(HEALTH)).json["message"] == "Backend is shutting down"


async def test_health_answers_any_case_a_slash_and_head_but_no_post() -> None:
    asked = client()
    assert (await asked.get("/.Backstage/health/v1/Readiness/")).status == 200
    assert (await asked.request("HEAD", READINESS)).status == 200
    assert (await asked.request("POST", READINESS)).status == 404


async def test_a_request_that_comes_too_early_waits_for_the_start() -> None:
    state = Lifecycle()
    waiting = asyncio.create_task(client(state=state).get(FIXED))
    await _until(lambda: bool(state._moved._waiters))
    assert not waiting.done()
    state.started()
    assert (await waiting).status == 200


async def test_a_start_that_takes_too_long_is_told() -> None:
    config = BackendConfig(lifecycle=LifecycleConfig(startup_request_pause_timeout=timedelta(0)))
    reply = await client(config, state=Lifecycle()).get(FIXED)
    assert reply.status == 503
    assert reply.error == {"name": "ServiceUnavailableError", "message": "Service has not started up yet"}


async def test_requests_are_refused_once_the_server_is_down_even_those_that_waited() -> None:
    state = Lifecycle()
    asked = client(state=state)
    waiting = asyncio.create_task(asked.get(FIXED))
    await _until(lambda: bool(state._moved._waiters))
    state.down()
    for reply in (await waiting, await asked.get(FIXED)):
        assert (reply.status, reply.error["message"]) == (503, "Service is shutting down")


async def test_public_keys_are_there_before_the_start() -> None:
    assert (await client(state=Lifecycle()).get("/api/plain/.backstage/auth/v1/jwks.json")).status == 200


def test_nothing_starts_again_after_the_end() -> None:
    state = Lifecycle()
    state.stopping()
    state.started()
    assert state.not_ready() == "Backend is shutting down"
    state.down()
    state.stopping()
    assert not state.serves
