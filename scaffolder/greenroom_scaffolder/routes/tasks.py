"""Tasks: have a template run, list and read them, cancel, run again."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from greenroom.permissions import Permissions
from greenroom.web import asked, json_response
from greenroom_scaffolder.routes import requests
from greenroom_scaffolder.routes.examining import Examiner
from greenroom_scaffolder.routes.permissions import TASK_CANCEL, TASK_CREATE, TASK_READ
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.routes.wire import task_json
from greenroom_scaffolder.tasks.broker import Broker
from greenroom_scaffolder.templates import check_secrets, examine, task_spec

log = logging.getLogger("greenroom.scaffolder")


def task_routes(
    tasks: Broker, templates: Templates, permissions: Permissions, examiner: Examiner
) -> list[HTTPRouteHandler]:
    """The routes of tasks, but for their events."""
    return [*_wishes(tasks, templates, permissions, examiner), *_known(tasks, permissions)]


def _wishes(
    tasks: Broker, templates: Templates, permissions: Permissions, examiner: Examiner
) -> list[HTTPRouteHandler]:
    """What has a template run: for the first time, or again."""

    @post("/v2/tasks", operation_id="Scaffold", status_code=201)
    async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        ref = requests.template_ref(ask.body["templateRef"])
        await permissions.require(ask.credentials, TASK_CREATE)
        creator, user = await templates.user(ask.credentials)
        values, secrets = ask.body["values"], ask.body.get("secrets", {})
        template = await templates.template(ref, ask.credentials)
        if refusal := await examiner.refusal(ask, template, lambda: examine(template, values, secrets)):
            return refusal
        log.info("Scaffolding task for %s%s", ask.body["templateRef"], f" created by {creator}" if creator else "")
        spec = task_spec(template, values, ref=ref, user_ref=creator, user_entity=user, base_url=template.base_url())
        task_id = await tasks.create(spec, created_by=creator, secrets=secrets, initiator=ask.credentials)
        return json_response({"id": task_id}, 201)

    @post("/v2/tasks/{taskId:str}/retry", operation_id="Retry", status_code=201)
    async def retry(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        task_id = ask.path["taskId"]
        task = await tasks.get(task_id)
        await permissions.require(ask.credentials, TASK_CREATE)
        await permissions.require(ask.credentials, TASK_READ, task_id)
        secrets = ask.body.get("secrets", {})
        if made_from := requests.template_of(task.spec):
            template = await templates.template(requests.template_ref(made_from), ask.credentials)
            if refusal := await examiner.refusal(ask, template, lambda: check_secrets(template, secrets)):
                return refusal
        anew = ask.body.get("startOver", False)
        await tasks.retry(task_id, secrets=secrets, initiator=ask.credentials, start_over=anew)
        return json_response({"id": task_id}, 201)

    return [create, retry]


def _known(tasks: Broker, permissions: Permissions) -> list[HTTPRouteHandler]:
    """Tasks that there are: looked at, or stopped."""

    @get("/v2/tasks", operation_id="ListTasks")
    async def listed(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        wanted = requests.task_query(ask.query)
        await permissions.require(ask.credentials, TASK_READ)
        page = await tasks.list(
            created_by=wanted.created_by,
            status=wanted.status,
            order=wanted.order,
            limit=wanted.limit,
            offset=wanted.offset,
        )
        return json_response({"tasks": [task_json(one) for one in page.tasks], "totalTasks": page.total})

    @get("/v2/tasks/{taskId:str}", operation_id="GetTask")
    async def one(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        task = await tasks.get(ask.path["taskId"])
        await permissions.require(ask.credentials, TASK_READ, ask.path["taskId"])
        return json_response(task_json(task))

    @post("/v2/tasks/{taskId:str}/cancel", operation_id="CancelTask", status_code=200)
    async def cancel(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        task_id = ask.path["taskId"]
        await tasks.get(task_id)
        await permissions.require(ask.credentials, TASK_CANCEL, task_id)
        await permissions.require(ask.credentials, TASK_READ, task_id)
        await tasks.cancel(task_id)
        return json_response({"status": "cancelled"})

    return [listed, one, cancel]
