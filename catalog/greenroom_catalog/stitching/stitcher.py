"""Ticket + relations -> Final: put together what is served, and how it is found (spec 02 §4.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Any

import msgspec

from greenroom.entity import EDIT_URL, ORPHAN, VIEW_URL, Entity
from greenroom_catalog.model.weburl import is_script_url
from greenroom_catalog.stitching.tokens import COLUMNS, Projection, project, shortened
from greenroom_catalog.storage.tickets import Final, Ticket

REJECTED_URL = "https://backstage.io/annotation-rejected-for-security-reasons"
PROCESSING_STATUS = "backstage.io/catalog-processing"

_PLACES = {column: place for place, column in enumerate(COLUMNS.values())}


def stitch(ticket: Ticket) -> Final | None:
    """One processed entity, its relations, its errors and its orphanhood, put together.

    None when it was never processed, or when this is what is served already. Raises InputError when the entity cannot be
    indexed, because two of its keys differ only in letter case."""
    if ticket.processed is None:
        return None
    digest = _digest(ticket, ticket.processed)
    if digest == ticket.hash:
        return None
    uid = str(ticket.uid)
    entity: Entity = msgspec.json.decode(ticket.processed)
    _annotate(entity, orphan=ticket.orphan)
    entity["relations"] = [{"type": type_, "targetRef": target} for type_, target in ticket.relations]
    if ticket.errors is not None:
        _add_status(entity, msgspec.json.decode(ticket.errors))
    metadata = entity["metadata"]
    metadata["uid"] = uid
    metadata["etag"] = metadata.get("etag") or digest.hex()
    found = project(entity, uid)
    return Final(
        ticket.id,
        ticket.ref,
        digest,
        msgspec.json.encode(entity),
        search_values(found),
        search_row(found),
    )


def _digest(ticket: Ticket, processed: bytes) -> bytes:
    """Of all that decides what is served. Each part is JSON, and says itself where it ends."""
    digest = sha1(msgspec.json.encode((ticket.relations, ticket.orphan)), usedforsecurity=False)
    digest.update(b"%b\n" % (ticket.errors or b""))
    digest.update(processed)
    return digest.digest()


def _annotate(entity: Entity, *, orphan: bool) -> None:
    metadata = entity["metadata"]
    annotations: dict[str, Any] = metadata.get("annotations") or {}
    for name in (VIEW_URL, EDIT_URL):
        value = annotations.get(name)
        if isinstance(value, str) and is_script_url(value):
            annotations[name] = REJECTED_URL
    if orphan:
        metadata["annotations"] = {**annotations, ORPHAN: "true"}


def _add_status(entity: Entity, errors: Sequence[Mapping[str, Any]]) -> None:
    """Tell of failed processing on the entity that is still served as it last was."""
    status = entity.get("status") or {}
    items = [
        {"type": PROCESSING_STATUS, "level": "error", "message": f"{e['name']}: {e['message']}", "error": e}
        for e in errors
    ]
    entity["status"] = {**status, "items": [*(status.get("items") or ()), *items]}


def search_values(found: Projection) -> bytes:
    """What the column of that name holds."""
    return msgspec.json.encode({shortened(key): held for key, held in found.values.items()})


def search_row(found: Projection) -> list[str | None]:
    """The columns of the table `search`, after `id`. Arrays are array literals."""
    row: list[str | None] = [None] * (2 * len(_PLACES))
    for column, value in found.columns.items():
        at = _PLACES[column]
        if isinstance(value, str):
            row[at] = value
        else:
            row[at], row[at + len(_PLACES)] = value
    tags = ",".join([f'"{_escape(tag)}"' for tag in found.tags])
    tokens = msgspec.json.encode(found.tokens).decode()  # half the time of `str`
    return [*row, f"{{{tags}}}", f"{{{tokens[1:-1]}}}"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
