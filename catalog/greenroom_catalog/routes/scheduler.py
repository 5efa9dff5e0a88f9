"""The catalog's scheduled tasks, as upstream's scheduler tells of those of any plugin (spec 01 §5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Request, Response, get, post

from greenroom.errors import ConflictError, NotFoundError
from greenroom.web import Routes, asked, empty, json_response
from greenroom_catalog.ingestion.runner import LONGEST_RUN
from greenroom_catalog.routes.providers import iso_duration
from greenroom_catalog.storage.chores import Chore, Chores
from greenroom_catalog.storage.runs import ProviderRuns, Standing

TASKS = "/.backstage/scheduler/v1/tasks"
SUFFIX = ":refresh"
"""What upstream's providers append to their name for the id of the task that runs them."""


class SweepTask(msgspec.Struct, frozen=True):
    """The one task that is no provider's: its id and how often it is done."""

    id: str
    cadence: timedelta


def scheduler_routes(runs: ProviderRuns, chores: Chores, sweep: SweepTask | None) -> Routes:
    """Below `/api/catalog/.backstage/scheduler`. Any credentials will do, as upstream. `sweep`: None if orphans are kept."""

    async def provider_of(id_: str) -> Standing:
        found = await runs.standings(id_.removesuffix(SUFFIX)) if id_.endswith(SUFFIX) and "\0" not in id_ else []
        if not found or found[0].every is None:
            raise NotFoundError(f"Task {id_} does not exist")
        return found[0]

    @get(TASKS)
    async def tasks() -> Response[bytes]:
        swept = [_sweep_to_wire(sweep, await chores.get(sweep.id))] if sweep else []
        providers = [_provider_to_wire(one, one.every) for one in await runs.standings() if one.every is not None]
        return json_response({"tasks": [*providers, *swept]})

    @post(TASKS + "/{id:str}/trigger", status_code=200)
    async def trigger(request: Request[Any, Any, Any]) -> Response[bytes]:
        id_ = asked(request).path["id"]
        if sweep is not None and id_ == sweep.id:
            await chores.trigger(id_)
            return empty()
        provider = await provider_of(id_)
        if provider.running:
            raise ConflictError(f"Task {id_} is currently running")
        if provider.paused_at is not None:
            raise ConflictError(f"Task {id_} is paused: resume the provider first")
        await runs.trigger(provider.name, "scheduler", by_hand=True)
        return empty()

    @post(TASKS + "/{id:str}/cancel", status_code=200)
    async def cancel(request: Request[Any, Any, Any]) -> Response[bytes]:
        id_ = asked(request).path["id"]
        idle = (sweep is not None and id_ == sweep.id) or not await runs.cancel((await provider_of(id_)).name)
        if idle:
            raise ConflictError(f"Task {id_} is not running")
        return empty()

    return Routes("catalog", [tasks, trigger, cancel])


def _sweep_to_wire(task: SweepTask, chore: Chore | None) -> dict[str, Any]:
    state = {"status": "idle"}
    if chore is not None:
        state["startsAt"] = _moment(chore.next_run_at)
        if chore.ended_at is not None:
            state["lastRunEndedAt"] = _moment(chore.ended_at)
        if chore.error is not None:
            state["lastRunError"] = _error(chore.error)
    cadence = iso_duration(task.cadence)
    settings = {"version": 2, "cadence": cadence, "timeoutAfterDuration": iso_duration(task.cadence * 0.8)}
    return _task(task.id, settings, state)


def _provider_to_wire(one: Standing, every: timedelta) -> dict[str, Any]:
    longest = one.longest or LONGEST_RUN
    settings = {"version": 2, "cadence": iso_duration(every), "timeoutAfterDuration": iso_duration(longest)}
    state: dict[str, str] = {"status": "running" if one.running else "idle"}
    if one.running and one.last is not None:
        state["startedAt"] = _moment(one.last.started_at)
        state["timesOutAt"] = _moment(one.last.started_at + longest)
    elif one.next_run_at is not None and one.paused_at is None:
        state["startsAt"] = _moment(one.next_run_at)
    if one.last is not None and one.last.finished_at is not None:
        state["lastRunEndedAt"] = _moment(one.last.finished_at)
        if one.last.error is not None:
            state["lastRunError"] = _error(one.last.error)
    return _task(one.name + SUFFIX, settings, state)


def _task(id_: str, settings: dict[str, Any], state: dict[str, str]) -> dict[str, Any]:
    return {
        "taskId": id_,
        "pluginId": "catalog",
        "scope": "global",
        "settings": settings,
        "taskState": state,
        "workerState": {"status": state["status"]},
    }


def _error(message: str) -> str:
    """JSON within JSON, as upstream stores it."""
    return msgspec.json.encode({"name": "Error", "message": message}).decode()


def _moment(at: datetime) -> str:
    """As luxon prints it: an offset, not a Z."""
    return at.isoformat(timespec="milliseconds")
