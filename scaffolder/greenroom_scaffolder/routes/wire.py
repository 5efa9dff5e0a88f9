"""Tasks and events -> the JSON that clients read, keys in upstream's order."""

from __future__ import annotations

from typing import Any

from greenroom.javascript.times import iso
from greenroom_scaffolder.tasks.broker import StoredTask
from greenroom_scaffolder.tasks.events import TaskEvent


def task_json(task: StoredTask) -> dict[str, Any]:
    """`{"id", "spec", "status", "createdAt", "lastHeartbeatAt", "createdBy"?}`: null before the first heartbeat."""
    told: dict[str, Any] = {
        "id": task.id,
        "spec": task.spec,
        "status": task.status,
        "createdAt": iso(task.created_at),
        "lastHeartbeatAt": None if task.last_heartbeat_at is None else iso(task.last_heartbeat_at),
    }
    return told if task.created_by is None else {**told, "createdBy": task.created_by}


def frame(event: TaskEvent) -> bytes:
    """An event as server-sent events have it, without an `id`, as upstream."""
    return b"event: %s\ndata: %s\n\n" % (event.type.encode(), event.json)
