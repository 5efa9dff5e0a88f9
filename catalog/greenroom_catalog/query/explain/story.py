"""What an explanation consists of, as it goes over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from greenroom_catalog.query.explain.failures import Stage

State: TypeAlias = Literal["served", "stale", "orphaned", "failed", "pending", "missing"]
"""How the entity stands: `stale` is served as it last was; `failed` was never served, for an error; `pending` not yet."""

Severity: TypeAlias = Literal["error", "warning"]

HEALTHY = "served"
"""The verdict on an entity with which nothing is wrong."""


class Step(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One station of the way from the provider to what is served. `ok` is null where the entity has not come that far."""

    stage: Stage
    ok: bool | None
    what: str
    at: str | None = None
    """A URL or file, with `:line:column` where that is known."""
    since: datetime | None = None
    message: str | None = None
    """The error in upstream's words, as it is stored."""
    hint: str | None = None


class Finding(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Something that explains the entity's state; the first `error` is the verdict. A `warning` is only worth knowing."""

    verdict: str
    """A slug of `failures.FAILURES`."""
    severity: Severity
    stage: Stage
    summary: str
    hint: str
    message: str | None = None
    at: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    since: datetime | None = None
    commands: Sequence[str] = ()
    suspected: bool = False
    """Whether this only may be the reason: nobody saw the entity there."""
    subject: str | None = None
    """The provider, or the entity, with which something is wrong; mostly the entity itself, or the location above it."""


class Claim(msgspec.Struct, frozen=True, rename="camel"):
    """A location that claims the entity, and was turned away since another holds it."""

    wanted_by: str
    held_by: str
    seen_at: datetime


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """Why an entity is as it is."""

    ref: str
    state: State
    verdict: str
    """`served`, or a slug of `failures.FAILURES`."""
    problem: bool
    summary: str
    chain: Sequence[Step]
    findings: Sequence[Finding] = ()
    next_refresh: datetime | None = None
    last_seen: datetime | None = None
    """When its source last emitted it anew or otherwise than before."""
    conflicts: Sequence[Claim] = ()
    alternatives: Sequence[str] = ()
    """Refs of entities that may have been meant."""
