"""Entity providers: how they stand, what their runs did, and a hand on them: trigger, pause, resume."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.auth import Credentials, ServicePrincipal, UserPrincipal
from greenroom.errors import ConflictError, NotFoundError
from greenroom.javascript.times import iso
from greenroom.permissions import Permissions
from greenroom.web import asked, json_response
from greenroom_catalog.query.permissions import INGESTION_MANAGE, INGESTION_READ
from greenroom_catalog.storage.runs import ProviderRuns, Run, Standing


def provider_routes(runs: ProviderRuns, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes of providers. Reading needs `catalog.ingestion.read`, the rest `catalog.ingestion.manage`."""
    return [*_to_look_at(runs, permissions), *_to_manage(runs, permissions)]


def _to_look_at(runs: ProviderRuns, permissions: Permissions) -> list[HTTPRouteHandler]:
    @get("/catalog/providers", operation_id="GetProviders")
    async def providers(request: Request[Any, Any, Any]) -> Response[bytes]:
        await permissions.require(asked(request).credentials, INGESTION_READ)
        standings, now = await runs.standings(), datetime.now(UTC)
        return json_response({"items": [to_wire(one, now) for one in standings]})

    @get("/catalog/providers/{name:str}", operation_id="GetProvider")
    async def provider(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await permissions.require(ask.credentials, INGESTION_READ)
        one = await _standing(runs, ask.path["name"])
        history, now = await runs.runs(one.name), datetime.now(UTC)
        return json_response({**to_wire(one, now), "runs": [run_to_wire(run, now) for run in history]})

    @get("/catalog/providers/{name:str}/runs", operation_id="GetProviderRuns")
    async def runs_of_provider(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await permissions.require(ask.credentials, INGESTION_READ)
        one = await _standing(runs, ask.path["name"])
        history, now = await runs.runs(one.name, ask.query.get("limit", 50)), datetime.now(UTC)
        return json_response({"items": [run_to_wire(run, now) for run in history]})

    return [providers, provider, runs_of_provider]


def _to_manage(runs: ProviderRuns, permissions: Permissions) -> list[HTTPRouteHandler]:
    async def managed(request: Request[Any, Any, Any]) -> tuple[Standing, str | None]:
        ask = asked(request)
        await permissions.require(ask.credentials, INGESTION_MANAGE)
        return await _standing(runs, ask.path["name"]), principal_of(ask.credentials)

    async def runnable(request: Request[Any, Any, Any]) -> tuple[Standing, str | None]:
        one, who = await managed(request)
        if one.paused_at is not None:
            raise ConflictError(f"Provider {one.name} is paused: resume it first")
        return one, who

    async def told(name: str) -> Response[bytes]:
        return json_response(to_wire(await _standing(runs, name), datetime.now(UTC)))

    @post("/catalog/providers/{name:str}/trigger", operation_id="TriggerProvider", status_code=200)
    async def trigger(request: Request[Any, Any, Any]) -> Response[bytes]:
        one, who = await runnable(request)
        await runs.trigger(one.name, who, by_hand=True)
        return await told(one.name)

    @post("/catalog/providers/{name:str}/confirm", operation_id="ConfirmRemoval", status_code=200)
    async def confirm(request: Request[Any, Any, Any]) -> Response[bytes]:
        one, who = await runnable(request)
        if not await runs.confirm(one.name, who):
            raise ConflictError(f"Provider {one.name} has nothing to confirm: its last run was not refused a removal")
        return await told(one.name)

    @post("/catalog/providers/{name:str}/pause", operation_id="PauseProvider", status_code=200)
    async def pause(request: Request[Any, Any, Any]) -> Response[bytes]:
        one, who = await managed(request)
        await runs.pause(one.name, who)
        return await told(one.name)

    @post("/catalog/providers/{name:str}/resume", operation_id="ResumeProvider", status_code=200)
    async def resume(request: Request[Any, Any, Any]) -> Response[bytes]:
        one, _ = await managed(request)
        await runs.resume(one.name)
        return await told(one.name)

    return [trigger, confirm, pause, resume]


async def _standing(runs: ProviderRuns, name: str) -> Standing:
    found = await runs.standings(name) if "\0" not in name else []
    if not found:
        raise NotFoundError(f"No such entity provider: {name}")
    return found[0]


def principal_of(credentials: Credentials) -> str | None:
    """Who asks, as a run tells it."""
    match credentials.principal:
        case UserPrincipal(ref):
            return ref
        case ServicePrincipal(subject):
            return subject
        case _:
            return None


def to_wire(one: Standing, now: datetime) -> dict[str, Any]:
    """A provider as the document has it; of one answer `now` is the same throughout, or a run would be expected at two times."""
    return {
        "name": one.name,
        "state": _state(one),
        "schedule": iso_duration(one.every) if one.every is not None else None,
        "nextRunAt": moment(one.next_run_at) if one.paused_at is None and not one.running else None,
        "pausedAt": moment(one.paused_at),
        "pausedBy": one.paused_by,
        "refusedRemoval": one.refused,
        "lastRun": run_to_wire(one.last, now) if one.last else None,
    }


def run_to_wire(run: Run, now: datetime) -> dict[str, Any]:
    """A run as the document has it."""
    tally = run.tally
    return {
        "id": run.id,
        "provider": run.provider,
        "status": _status(run),
        "cause": run.cause,
        "causedBy": run.caused_by,
        "process": run.process,
        "startedAt": moment(run.started_at),
        "finishedAt": moment(run.finished_at),
        "expectedAt": moment(run.expected_at(now)) if run.running else None,
        "progress": {"done": tally.done, "total": tally.total} if tally.done is not None else None,
        "found": tally.found,
        "added": tally.added,
        "changed": tally.changed,
        "removed": tally.removed,
        "unchanged": tally.unchanged,
        "refreshed": tally.refreshed,
        "failed": tally.failed,
        "failures": [{"what": one.what, "error": one.error} for one in tally.failures],
        "error": run.error,
    }


def _state(one: Standing) -> str:
    if one.running:
        return "running"
    if one.paused_at is not None:
        return "paused"
    return "waiting" if one.triggered or one.last is None else "idle"


def _status(run: Run) -> str:
    if run.finished_at is None:
        return "running" if run.running else "lost"
    return "failed" if run.error is not None else "succeeded"


def moment(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def iso_duration(duration: timedelta) -> str:
    """`PT1H30M`, to the millisecond."""
    seconds, milliseconds = divmod(duration // timedelta(milliseconds=1), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{milliseconds:03}".rstrip("0") if milliseconds else ""
    parts = [(hours, "", "H"), (minutes, "", "M"), (seconds, fraction, "S")]
    text = "".join(f"{count}{rest}{unit}" for count, rest, unit in parts if count or rest)
    return f"PT{text}" if text else "PT0S"
