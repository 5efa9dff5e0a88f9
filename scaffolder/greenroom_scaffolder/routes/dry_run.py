"""A template that is tried out, with files beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import InputError
from greenroom.permissions import Permissions
from greenroom.web import asked, json_response, shapes
from greenroom_scaffolder.routes.permissions import DRY_RUN, TASK_CREATE
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.routes.services import DryFile, DryRuns
from greenroom_scaffolder.routes.tasks import refused
from greenroom_scaffolder.templates import (
    DRY_RUN_REF,
    check_options,
    check_secrets,
    check_template,
    check_values,
    read_template,
    task_spec,
)

_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")


def _anything(value: Any, path: shapes.Path, issues: list[shapes.Issue]) -> shapes.Parsed:
    return "valid", value


_TEXT = shapes.of_kind("string")
_BODY = shapes.fields(
    {
        "values": shapes.record(_TEXT, _anything),
        "secrets": shapes.optional(shapes.record(_TEXT, _TEXT)),
        "directoryContents": shapes.array(shapes.fields({"path": _TEXT, "base64Content": _TEXT})),
    }
)


def dry_run_routes(dry_runs: DryRuns, templates: Templates, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The route that tries a template out."""

    @post("/v2/dry-run", operation_id="DryRun", status_code=200)
    async def dry_run(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await permissions.require(ask.credentials, TASK_CREATE)
        await permissions.require(ask.credentials, DRY_RUN)
        body, issues = shapes.parse(_BODY, ask.body)
        if issues:
            raise InputError(f"Malformed request: {shapes.listed(issues)}")
        check_template(ask.body["template"])
        template = read_template(ask.body["template"])
        user_ref, user = await templates.user(ask.credentials)
        values, secrets = body["values"], body.get("secrets") or {}
        if wrong := check_values(template, values) or check_secrets(template, secrets):
            return refused(wrong)
        check_options(template.steps)
        spec = task_spec(template, values, ref=DRY_RUN_REF, user_ref=user_ref, user_entity=user)
        files = [(one["path"], decoded(one["base64Content"])) for one in body["directoryContents"]]
        result = await dry_runs.run(spec, files=files, secrets=secrets, initiator=ask.credentials)
        told = {
            "log": result.log,
            "directoryContents": _told(result.files),
            "output": result.output,
            "steps": spec["steps"],
        }
        return json_response(told)

    return [dry_run]


def decoded(text: str) -> bytes:
    """As Node reads base64: either alphabet, with or without padding, past what is neither."""
    kept = _FOREIGN.sub("", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return base64.b64decode(kept + "=" * (-len(kept) % 4))


def _told(files: Sequence[DryFile]) -> list[dict[str, Any]]:
    return [
        {
            "path": one.path,
            "executable": one.executable,
            "base64Content": base64.b64encode(one.content).decode(),
        }
        for one in files
    ]
