"""What somebody is about to bring in, looked at beforehand: repositories, and single entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from greenroom.errors import GreenroomError, to_wire
from greenroom.permissions import Permissions
from greenroom.web import asked, empty, json_response
from greenroom_catalog.ingestion.validation import placed
from greenroom_catalog.query.permissions import ENTITY_VALIDATE, LOCATION_ANALYZE
from greenroom_catalog.routes import location_requests, requests
from greenroom_catalog.routes.services import Analyzes, Validates


def analysis_routes(analysis: Analyzes, validation: Validates, permissions: Permissions) -> list[HTTPRouteHandler]:
    """The routes that look and store nothing."""

    @post("/analyze-location", operation_id="AnalyzeLocation", status_code=200)
    async def analyze(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        wanted = location_requests.analysis(requests.body_of(ask))
        await permissions.require(ask.credentials, LOCATION_ANALYZE)
        return json_response(await analysis.analyze(wanted.target, wanted.filename))

    @post("/validate-entity", operation_id="ValidateEntity", status_code=200)
    async def validate(request: Request[Any, Any, Any]) -> Response[bytes]:
        ask = asked(request)
        body = requests.body_of(ask)
        try:
            entity = placed(body["entity"], body["location"])
        except GreenroomError as error:
            return _invalid([error])
        await permissions.require(ask.credentials, ENTITY_VALIDATE)
        problems = await validation.problems(entity)
        return _invalid(problems) if problems else empty()

    return [analyze, validate]


def _invalid(problems: Sequence[GreenroomError]) -> Response[bytes]:
    """Upstream's answer to an entity that is not sound: not the envelope of errors."""
    return json_response({"errors": [to_wire(problem) for problem in problems]}, 400)
