"""The rooms below -> the scaffolder's HTTP surface, whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from greenroom.permissions import Permissions
from greenroom.plugin import Autocomplete
from greenroom.web import Routes, json_response, load_document
from greenroom_scaffolder.routes.dry_run import dry_run_routes
from greenroom_scaffolder.routes.events import event_routes
from greenroom_scaffolder.routes.examining import Examiner
from greenroom_scaffolder.routes.permissions import metadata
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.routes.tasks import task_routes
from greenroom_scaffolder.routes.templates import autocomplete_routes, form_routes, vocabulary_routes
from greenroom_scaffolder.settings import EventStreams
from greenroom_scaffolder.tasks.broker import Broker
from greenroom_scaffolder.tasks.dry_run import DryRuns

BODY_LIMIT = 10 * 1024 * 1024
"""Bytes: a dry run brings the files of its template along."""


def scaffolder_routes(
    tasks: Broker,
    templates: Templates,
    dry_runs: Callable[[], DryRuns],
    *,
    permissions: Permissions,
    actions: Callable[[], bytes],
    extensions: Callable[[], Mapping[str, Any]],
    providers: Callable[[], Sequence[Autocomplete]],
    streams: EventStreams,
) -> Routes:
    """Everything below `/api/scaffolder`. What plugins contribute is asked for once the house is built."""
    examiner = Examiner()
    handlers = [
        *form_routes(templates),
        *vocabulary_routes(actions, extensions),
        *task_routes(tasks, templates, permissions, examiner),
        *event_routes(tasks, permissions, streams),
        *dry_run_routes(dry_runs, templates, permissions, examiner),
        *autocomplete_routes(providers),
        _permissions_metadata(),
    ]
    return Routes("scaffolder", handlers, document=load_document("scaffolder"), body_limit=BODY_LIMIT)


def _permissions_metadata() -> HTTPRouteHandler:
    content = metadata()

    @get("/.well-known/backstage/permissions/metadata")
    async def permissions_metadata() -> Response[bytes]:
        return json_response(content)

    return permissions_metadata
