"""The catalog's HTTP surface over a real database, with fakes for what lies below the reader."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from greenroom.auth import Auth
from greenroom.auth.external import ExternalToken
from greenroom.auth.keys import MemoryKeyStore
from greenroom.db import Database
from greenroom.entity import Entity
from greenroom.errors import ConflictError, GreenroomError, NotFoundError
from greenroom.settings import BackendConfig
from greenroom.web.door import build_asgi
from greenroom.web.lifecycle import Lifecycle
from greenroom_catalog.query.query import EntityQueries
from greenroom_catalog.query.tallies import PATIENCE
from greenroom_catalog.routes import catalog_routes
from greenroom_catalog.storage.store import MIGRATIONS
from tests.support.asgi import Client, Reply
from tests.support.policy import Policy
from tests.support.postgres import MigratedDatabase

TOKEN = "a-token-of-the-tests"


@dataclass
class Registered:
    """A location."""

    type: str
    target: str
    id: UUID = field(default_factory=uuid4)
    entity_ref: str = "location:default/generated-1"


@dataclass
class Page:
    """Some locations."""

    rows: list[Registered]
    total: int


@dataclass
class TriedOut:
    """An entity of a dry run."""

    entity: Entity


@dataclass
class Below:
    """Writer, location registry and analysis in one, in memory."""

    known: set[str] = field(default_factory=set)
    refreshed: list[str] = field(default_factory=list)
    deleted: list[UUID] = field(default_factory=list)
    locations: dict[str, Registered] = field(default_factory=dict)
    problems_of: dict[str, list[GreenroomError]] = field(default_factory=dict)
    found: list[tuple[Any, ...]] = field(default_factory=list)

    async def refresh(self, ref: str) -> int:
        self.refreshed.append(ref.lower())
        return int(ref.lower() in self.known)

    async def delete_by_uid(self, uid: UUID) -> bool:
        self.deleted.append(uid)
        return True

    async def all(self) -> Sequence[Registered]:
        return list(self.locations.values())

    async def get(self, id_: str) -> Registered:
        if id_ not in self.locations:
            raise NotFoundError(f"Found no location with ID {id_}")
        return self.locations[id_]

    async def create(self, type_: str, target: str, *, on_conflict: str | None = None) -> Registered:
        if await self.exists(type_, target) and on_conflict != "refresh":
            raise ConflictError(f"Location {type_}:{target} already exists")
        made = Registered(type_, target)
        self.locations[str(made.id)] = made
        return made

    async def update(self, id_: str, type_: str, target: str) -> Registered:
        held = await self.get(id_)
        held.type, held.target = type_, target
        return held

    async def find(self, query: Mapping[str, Any] | None, limit: int, after: UUID | None = None) -> Page:
        self.found.append((query, limit, after))
        rows = sorted(self.locations.values(), key=lambda one: one.id)
        return Page([one for one in rows if after is None or one.id > after][:limit], len(rows))

    async def of_entity(self, ref: str) -> Registered:
        if not self.locations:
            raise NotFoundError(f"found no entity for ref {ref}")
        return next(iter(self.locations.values()))

    async def analyze(self, target: str, filename: str | None = None) -> dict[str, Any]:
        return {"existingEntityFiles": [], "generateEntities": [target, filename]}

    async def problems(self, entity: Entity) -> Sequence[GreenroomError]:
        return self.problems_of.get(entity["metadata"]["name"], [])

    async def delete(self, id_: str) -> None:
        await self.get(id_)
        del self.locations[id_]

    async def exists(self, type_: str, target: str) -> bool:
        return any((one.type, one.target) == (type_, target) for one in self.locations.values())

    async def try_out(self, type_: str, target: str) -> Sequence[TriedOut]:
        return [TriedOut({"kind": "Location", "spec": {"type": type_, "target": target}})]


@dataclass
class Surface:
    """The running surface, and what lies around it."""

    http: Client
    database: Database
    below: Below
    policy: Policy


@pytest.fixture
def readonly() -> bool:
    return False


@pytest.fixture
def patience() -> float:
    return PATIENCE


@pytest.fixture
async def surface(migrated_database: MigratedDatabase, readonly: bool, patience: float) -> Surface:
    """`/api/catalog` on an empty catalog; the client carries a service's token."""
    database = await migrated_database([MIGRATIONS])
    below, policy = Below(), Policy()
    token = ExternalToken(hashlib.sha256(TOKEN.encode()).digest(), "tests")
    auth = Auth(base_url="http://test", keys=MemoryKeyStore(), external_tokens=[token])
    queries = EntityQueries(database.within(patience))
    routes = catalog_routes(queries, below, below, below, below, permissions=policy, auth=auth, readonly=readonly)
    state = Lifecycle()
    state.started()
    app = build_asgi([routes], config=BackendConfig(), auth=auth, state=state)
    return Surface(Client(app, TOKEN, base="/api/catalog"), database, below, policy)


def error_of(reply: Reply) -> tuple[int, str, str]:
    """Status, and the name and message of the envelope."""
    return reply.status, reply.error["name"], reply.error["message"]
