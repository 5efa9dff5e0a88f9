"""The scaffolder's HTTP surface over fakes of all that lies below."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from greenroom.auth import Auth, Credentials
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import MemoryKeyStore
from greenroom.entity import Entity
from greenroom.errors import ConflictError, InputError, NotFoundError
from greenroom.plugin import Autocomplete, Suggestion
from greenroom.settings import BackendConfig
from greenroom.web.door import build_asgi
from greenroom.web.lifecycle import Lifecycle
from greenroom_scaffolder.routes import scaffolder_routes
from greenroom_scaffolder.routes.reading import Templates
from greenroom_scaffolder.settings import EventStreams
from greenroom_scaffolder.tasks.broker import Broker, StoredTask, TaskPage
from greenroom_scaffolder.tasks.dry_run import DryRun, DryRuns
from greenroom_scaffolder.tasks.events import Batch, TaskEvent
from greenroom_scaffolder.tasks.following import Feed
from greenroom_scaffolder.tasks.task import EventType, TaskStatus
from greenroom_scaffolder.workspace.workspace import Content
from tests.support.asgi import App, Client, Reply
from tests.support.policy import Policy

TOKEN = "a-token-of-the-tests"
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def a_task(id_: str, spec: Any, created_by: str | None = None, status: TaskStatus = "open") -> StoredTask:
    """A task as the store has it."""
    return StoredTask(id_, msgspec.Raw(msgspec.json.encode(spec)), status, NOON, None, created_by)


def an_event(id_: int, type_: EventType, message: str, *, last: bool = False) -> TaskEvent:
    """An event; `last`: nothing comes after it."""
    body = msgspec.Raw(msgspec.json.encode({"message": message}))
    json = msgspec.json.encode({"id": id_, "body": body, "type": type_})
    return TaskEvent(id_, type_, body, NOON, not last, json)


@dataclass
class FakeTasks(Broker):
    """Tasks in memory, whose events come when a test adds them."""

    known: dict[str, StoredTask] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    retried: list[tuple[str, Mapping[str, str], bool]] = field(default_factory=list)
    past: list[TaskEvent] = field(default_factory=list)
    followers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    broken: Exception | None = None

    def add(self, *new: TaskEvent) -> None:
        """Something happens."""
        self.past += new
        news, self.news = self.news, asyncio.Event()
        news.set()

    def become(self, task_id: str, status: TaskStatus) -> None:
        """Something became of a task."""
        self.known[task_id] = msgspec.structs.replace(self.known[task_id], status=status)

    async def create(
        self, spec: Mapping[str, Any], *, created_by: str | None, secrets: Mapping[str, str], initiator: Credentials
    ) -> str:
        id_ = str(uuid4())
        self.known[id_] = a_task(id_, spec, created_by)
        self.created.append({"spec": spec, "created_by": created_by, "secrets": secrets, "initiator": initiator})
        return id_

    async def get(self, task_id: str) -> StoredTask:
        if task_id not in self.known:
            raise NotFoundError(f"No task with id '{task_id}' found")
        return self.known[task_id]

    async def list(self, **asked: Any) -> TaskPage:
        self.listed.append(asked)
        return TaskPage(list(self.known.values())[: asked["limit"]], len(self.known))

    async def cancel(self, task_id: str) -> None:
        self.cancelled.append(task_id)

    async def retry(
        self, task_id: str, *, secrets: Mapping[str, str], initiator: Credentials, start_over: bool = False
    ) -> None:
        if self.known[task_id].status == "processing":
            raise ConflictError(f"Task with taskId {task_id} cannot be retried")
        self.retried.append((task_id, secrets, start_over))

    async def events(self, task_id: str, after: int | None = None) -> Sequence[TaskEvent]:
        return [one for one in self.past if one.id > (after or 0) or (after is not None and one.type == "completion")]

    def follow(self, task_id: str, after: int | None = None) -> Feed:
        return FakeFeed(self, after)


class FakeFeed(Feed):
    """What a test adds."""

    def __init__(self, tasks: FakeTasks, after: int | None) -> None:
        self.over = False
        self._tasks, self._last = tasks, after or 0
        self._stopped = asyncio.Event()
        tasks.followers += 1

    async def next(self, seconds: float | None = None) -> Batch | None:
        while not self.over:
            if self._tasks.broken is not None:
                raise self._tasks.broken
            news = self._tasks.news
            if batch := Batch(one for one in self._tasks.past if one.id > self._last):
                self._last = batch[-1].id
                self.over = batch.last
                return batch
            waits = [asyncio.create_task(one.wait()) for one in (news, self._stopped)]
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if not done:
                break
        return None

    def end(self, *_cause: object) -> None:
        self.over = True
        self._stopped.set()

    async def close(self) -> None:
        self._tasks.followers -= 1


@dataclass
class FakeDryRuns(DryRuns):
    """Writes the files that it is given."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    async def run(
        self,
        spec: Mapping[str, Any],
        *,
        files: Sequence[tuple[str, bytes]] = (),
        secrets: Mapping[str, str] | None = None,
        initiator: object = None,
    ) -> DryRun:
        self.asked.append({"spec": spec, "files": files, "secrets": secrets, "initiator": initiator})
        if any(step["action"] == "no:such" for step in spec["steps"]):
            raise NotFoundError("Template action with ID 'no:such' is not registered.")
        written = [Content(path, content, executable=False) for path, content in files]
        return DryRun([{"body": {"message": "Starting"}}], written, {"done": True})


@dataclass
class FakeCatalog:
    """Entities by reference."""

    entities: dict[str, Entity] = field(default_factory=dict)

    async def by_refs(self, refs: Sequence[str]) -> list[Entity | None]:
        return [self.entities.get(ref) for ref in refs]


@dataclass
class Surface:
    """The running surface, and what lies below it."""

    http: Client
    app: App
    tasks: FakeTasks
    dry_runs: FakeDryRuns
    catalog: FakeCatalog
    policy: Policy
    state: Lifecycle


TEMPLATE: Entity = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {
        "name": "service",
        "namespace": "default",
        "annotations": {"backstage.io/managed-by-location": "url:https://git.test/t/template.yaml"},
    },
    "spec": {
        "type": "service",
        "parameters": {"title": "Name it", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "steps": [{"action": "debug:log", "input": {"message": "${{ parameters.name }}"}}],
        "secrets": {"schema": {"type": "object", "required": ["KEY"], "properties": {"KEY": {"type": "string"}}}},
    },
}


async def complete(resource: str, token: str, context: Mapping[str, str]) -> Sequence[Suggestion]:
    if resource != "branches":
        raise InputError(f"Unsupported resource: {resource}")
    return [Suggestion("main", context.get("title")), Suggestion(token)]


@pytest.fixture
def streams() -> EventStreams:
    return EventStreams(heartbeat=timedelta(seconds=15), long_poll=timedelta(seconds=30))


@pytest.fixture
async def surface(streams: EventStreams) -> Surface:
    """`/api/scaffolder`; the client carries a service's token."""
    tasks, dry_runs, policy = FakeTasks(), FakeDryRuns(), Policy()
    catalog = FakeCatalog({"template:default/service": TEMPLATE})
    token = ExternalToken(hashlib.sha256(TOKEN.encode()).digest(), "tests")
    auth = Auth(base_url="http://test", keys=MemoryKeyStore(), external_tokens=[token])
    routes = scaffolder_routes(
        tasks,
        Templates(catalog, policy, auth),
        lambda: dry_runs,
        permissions=policy,
        actions=lambda: b'[{"id":"debug:log"}]',
        extensions=lambda: {"filters": {}, "globals": {"functions": {}, "values": {}}},
        providers=lambda: [Autocomplete("acme", complete)],
        streams=streams,
    )
    state = Lifecycle()
    state.started()
    app = build_asgi([routes], config=BackendConfig(), auth=auth, state=state)
    return Surface(Client(app, TOKEN, base="/api/scaffolder"), app, tasks, dry_runs, catalog, policy, state)


def error_of(reply: Reply) -> tuple[int, str, str]:
    """Status, and the name and message of the envelope."""
    return reply.status, reply.error["name"], reply.error["message"]


def is_uuid(text: str) -> bool:
    return str(UUID(text)) == text
