"""Tasks as everybody else knows them: created, looked at, cancelled, retried and followed; secrets sealed on their way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import msgspec

from greenroom.auth import (
    NOBODY,
    AccessRestrictions,
    Credentials,
    NonePrincipal,
    Principal,
    ServicePrincipal,
    UserPrincipal,
)
from greenroom_scaffolder.storage.listing import Order
from greenroom_scaffolder.storage.rows import Claim, NewTask, TaskRow, read_id, storable
from greenroom_scaffolder.storage.store import Store
from greenroom_scaffolder.tasks.events import TaskEvent
from greenroom_scaffolder.tasks.following import Feed, TaskEvents
from greenroom_scaffolder.tasks.journal import Sealing
from greenroom_scaffolder.tasks.task import TaskStatus
from greenroom_scaffolder.workspace.redaction import refuse_large

_encode = msgspec.json.Encoder().encode


class StoredTask(msgspec.Struct, frozen=True):
    """A task as it is told of: without its secrets and its state."""

    id: str
    spec: msgspec.Raw
    """The TaskSpec, as JSON."""
    status: TaskStatus
    created_at: datetime
    last_heartbeat_at: datetime | None
    created_by: str | None


class TaskPage(msgspec.Struct, frozen=True):
    """Some of the tasks that match, and how many do."""

    tasks: Sequence[StoredTask]
    total: int


class Trust(msgspec.Struct, frozen=True):
    """What a task was given in confidence."""

    secrets: Mapping[str, str]
    initiator: Credentials


class Broker:
    """All that routes need of tasks."""

    def __init__(self, store: Store, events: TaskEvents, sealing: Sealing) -> None:
        self._store, self._events, self._sealing = store, events, sealing

    async def create(
        self, spec: Mapping[str, Any], *, created_by: str | None, secrets: Mapping[str, str], initiator: Credentials
    ) -> str:
        """Have a task run. Returns its id once it is safe in the database. Raises LargeSecretsError."""
        refuse_large(secrets)
        id_ = uuid4()
        sealed = seal_trust(self._sealing, str(id_), Trust(secrets, initiator))
        await self._store.create(NewTask(id_, created_by or "", _strategy(spec), _encode(spec), sealed))
        return str(id_)

    async def get(self, task_id: str) -> StoredTask:
        """Raises NotFoundError (`No task with id '…' found`)."""
        return _stored(await self._store.get(task_id))

    async def list(
        self,
        *,
        created_by: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        order: Order = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> TaskPage:
        """Without an order, the newest come first."""
        rows, total = await self._store.listing.page(created_by, status, order, limit, offset)
        return TaskPage([_stored(row) for row in rows], total)

    async def cancel(self, task_id: str) -> None:
        """Whatever state the task is in, it gets its event. Raises NotFoundError."""
        await self._store.cancel(task_id)

    async def retry(
        self, task_id: str, *, secrets: Mapping[str, str], initiator: Credentials, start_over: bool = False
    ) -> None:
        """Go on from the step that failed, or begin anew. A completed task begins anew, as one whose template says so.

        Raises NotFoundError, ConflictError (`Task with taskId … cannot be retried`), LargeSecretsError."""
        refuse_large(secrets)
        sealed = seal_trust(self._sealing, str(read_id(task_id)), Trust(secrets, initiator))
        await self._store.retry(task_id, sealed, start_over=start_over)

    async def events(self, task_id: str, after: int | None = None) -> Sequence[TaskEvent]:
        """Events past an id, and the completion whatever its id, by id."""
        return await self._events.now(task_id, after)

    def follow(self, task_id: str, after: int | None = None) -> Feed:
        """`events`, and then what comes, as it comes, until the process stops."""
        return self._events.follow(task_id, after)


def seal_trust(sealing: Sealing, task_id: str, trust: Trust) -> bytes:
    """Secrets and credentials, the token with them, for this task only."""
    plain = _encode(_Confided(dict(trust.secrets), _write(trust.initiator)))
    return sealing.seal(plain, task_id).encode()


def open_trust(sealing: Sealing, claim: Claim) -> Trust:
    """Nothing, if it was wiped. Raises SealError for what cannot be opened."""
    if claim.sealed is None:
        return Trust({}, NOBODY)
    confided = msgspec.json.decode(sealing.open(claim.sealed.decode(), str(claim.id)), type=_Confided)
    return Trust(confided.secrets, _read(confided.initiator))


class _Initiator(msgspec.Struct, omit_defaults=True):
    """Credentials on paper."""

    kind: str
    name: str = ""
    permissions: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    restricted: bool = False
    token: str | None = None
    expires_at: datetime | None = None


class _Confided(msgspec.Struct):
    secrets: dict[str, str]
    initiator: _Initiator


def _write(credentials: Credentials) -> _Initiator:
    principal, token, until = credentials.principal, credentials.token, credentials.expires_at
    if isinstance(principal, UserPrincipal):
        return _Initiator("user", principal.ref, token=token, expires_at=until)
    if isinstance(principal, ServicePrincipal):
        limits = principal.restrictions
        found = _Initiator("service", principal.subject, token=token, expires_at=until, restricted=limits is not None)
        if limits is not None:
            found.permissions, found.actions = limits.permissions, limits.actions
        return found
    return _Initiator("none", token=token, expires_at=until)


def _read(initiator: _Initiator) -> Credentials:
    principal: Principal = NonePrincipal()
    if initiator.kind == "user":
        principal = UserPrincipal(initiator.name)
    elif initiator.kind == "service":
        limits = AccessRestrictions(initiator.permissions, initiator.actions) if initiator.restricted else None
        principal = ServicePrincipal(initiator.name, limits)
    return Credentials(principal, initiator.token, initiator.expires_at)


def _strategy(spec: Mapping[str, Any]) -> str | None:
    """What the template says of recovery; what Postgres cannot hold is none that there is."""
    recovery = spec.get("EXPERIMENTAL_recovery")
    strategy = recovery.get("EXPERIMENTAL_strategy") if isinstance(recovery, Mapping) else None
    return storable(strategy) if isinstance(strategy, str) else None


def _stored(row: TaskRow) -> StoredTask:
    status = cast(TaskStatus, row.status)
    return StoredTask(
        str(row.id), msgspec.Raw(row.spec), status, row.created_at, row.heartbeat_at, row.created_by or None
    )
