"""A template that is tried out, with files beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import InputError
from greenroom.permissions import Permissions
from greenroom.web import asked, json_response, shapes
from greenroom_scaffolder.routes.examining import LARGE, Examiner
from greenroom_scaffolder.routes.permissions import DRY_RUN, TASK_CREATE
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.tasks.dry_run import DryRun, DryRuns
from greenroom_scaffolder.templates import DRY_RUN_REF, Template, check_template, examine, read_template, task_spec
from greenroom_scaffolder.workspace.workspace import Content

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


class _Wish(msgspec.Struct, frozen=True):
    """What is to be tried out, with what, beside which files."""

    template: Template
    values: Mapping[str, Any]
    secrets: Mapping[str, str]
    files: Sequence[tuple[str, bytes]]


def dry_run_routes(
    dry_runs: Callable[[], DryRuns], templates: Templates, permissions: Permissions, examiner: Examiner
) -> list[HTTPRouteHandler]:
    """The route that tries a template out."""

    @post("/v2/dry-run", operation_id="DryRun", status_code=200)
    async def dry_run(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        await permissions.require(ask.credentials, TASK_CREATE)
        await permissions.require(ask.credentials, DRY_RUN)
        wish = await examiner.do(lambda: _read(ask.body), large=len(ask.raw) > LARGE)
        user_ref, user = await templates.user(ask.credentials)
        template, values, secrets = wish.template, wish.values, wish.secrets
        if refusal := await examiner.refusal(ask, template, lambda: examine(template, values, secrets)):
            return refusal
        spec = task_spec(template, values, ref=DRY_RUN_REF, user_ref=user_ref, user_entity=user)
        result = await dry_runs().run(spec, files=wish.files, secrets=secrets, initiator=ask.credentials)
        written = sum(len(one.content) for one in result.files)
        return await examiner.do(lambda: _answer(result, spec), large=len(ask.raw) + written > LARGE)

    return [dry_run]


def _read(body: Any) -> _Wish:
    """Raises InputError, and TemplateShapeError for a template that is none."""
    parsed, issues = shapes.parse(_BODY, body)
    if issues:
        raise InputError(f"Malformed request: {shapes.listed(issues)}")
    check_template(body["template"])
    files = [(one["path"], decoded(one["base64Content"])) for one in parsed["directoryContents"]]
    return _Wish(read_template(body["template"]), parsed["values"], parsed.get("secrets") or {}, files)


def decoded(text: str) -> bytes:
    """As Node reads base64: either alphabet, with or without padding, past what is neither."""
    kept = _FOREIGN.sub("", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return base64.b64decode(kept + "=" * (-len(kept) % 4))


def _answer(result: DryRun, spec: Mapping[str, Any]) -> Response[bytes]:
    told = {
        "log": result.log,
        "directoryContents": [_told(one) for one in result.files],
        "output": result.output,
        "steps": spec["steps"],
    }
    return json_response(told)


def _told(file: Content) -> dict[str, Any]:
    return {
        "path": file.path,
        "executable": file.executable,
        "base64Content": base64.b64encode(file.content).decode(),
    }
