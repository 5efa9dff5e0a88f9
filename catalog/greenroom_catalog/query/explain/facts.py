"""ref -> facts: what the tables say about one entity, the entities above it, and the providers."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from greenroom.db import Database
from greenroom.entity import ORPHAN, Entity, EntityRef
from greenroom.sql import Queries
from greenroom_catalog.query.filters import storable
from greenroom_catalog.storage.packing import unpack

Reads: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether the asker may read the entity of a ref."""

MOST_SUSPECTS = 100
"""Locations behind which an unknown entity is looked for."""

LIKENESS = 0.8
"""How much of two names must be the same for one to be the other misspelt: `difflib.SequenceMatcher.ratio`."""

MOST_ALIKE = 5

_FAR = timedelta(days=3650)
"""Who is due later than this is never due: `catalog.processingInterval: false`."""


class Known(msgspec.Struct, frozen=True):
    """One entity on its way from its source to being served."""

    id: int
    ref: str
    document: Entity
    """As its source emitted it."""
    errors: Sequence[dict[str, Any]]
    location_key: str | None
    discovered_at: datetime
    provider: str | None
    """Who emitted it, if that was a provider."""
    referred_to: bool
    tried: bool
    processed: bool
    due_at: datetime | None
    ticket_at: datetime | None
    stitch_error: str | None
    stitch_failed_at: datetime | None
    served: Entity | None

    @property
    def never_again(self) -> bool:
        """Whether it is not refreshed by itself."""
        return self.due_at is not None and self.due_at - self.discovered_at > _FAR


class Provider(msgspec.Struct, frozen=True):
    """How a provider stands after the last run that it finished."""

    name: str
    paused_at: datetime | None
    running: bool
    finished_at: datetime | None
    found: int
    error: str | None
    failures: Sequence[dict[str, Any]]
    good_at: datetime | None


class Claimant(msgspec.Struct, frozen=True):
    """Whoever claims an entity and was turned away: a provider, or a Location entity."""

    provider: str | None
    ref: str | None
    wanted_by: str | None
    held_by: str
    seen_at: datetime


class Registered(msgspec.Struct, frozen=True):
    """A registered location."""

    id: UUID
    type: str
    target: str


class Moment(msgspec.Struct, frozen=True):
    """The clock of the database, and whether it takes writes."""

    now: datetime
    read_only: bool


class Facts(msgspec.Struct, frozen=True):
    """All that the tables say. `entity` is None for one that is unknown; `above` is nearest first."""

    ref: EntityRef
    moment: Moment
    entity: Known | None = None
    above: Sequence[Known] = ()
    providers: Sequence[Provider] = ()
    claimants: Sequence[Claimant] = ()
    registered: Registered | None = None
    """Of a Location entity, or of the topmost one above the entity."""
    absent: Sequence[str] = ()
    """Refs to which its relations lead, and which are not served."""
    suspects: Sequence[Known] = ()
    same_name: Sequence[str] = ()
    near_names: Sequence[str] = ()
    restricted: bool = False
    """Only what is served was looked at, since the asker may see no more."""

    @property
    def root(self) -> Known | None:
        """The entity at the top, which a provider emitted."""
        return self.above[-1] if self.above else self.entity

    @property
    def provider(self) -> Provider | None:
        """The provider from which it came, as far as it is known."""
        name = self.root.provider if self.root is not None else None
        return next((provider for provider in self.providers if provider.name == name), None)


class FactFinder:
    """Reads facts. Each method is a few statements; none of them is ever run for an ordinary request."""

    def __init__(self, database: Database, sql: Queries) -> None:
        self._db = database
        self._sql = sql

    async def of(self, ref: EntityRef) -> Facts:
        """All facts about an entity, or about who may be meant by a ref that is unknown."""
        canonical = str(ref)
        row: Any = await self._db.fetchrow(self._sql.explain_moment)
        facts = Facts(ref, Moment(*row))
        if not storable(canonical):
            return facts
        chain = [_known(row) for row in await self._db.fetch(self._sql.explain_chain, canonical)]
        providers = [_provider(row) for row in await self._db.fetch(self._sql.explain_providers)]
        facts = msgspec.structs.replace(facts, providers=providers)
        if not chain:
            return await self._of_unknown(facts)
        claimants = [Claimant(*row) for row in await self._db.fetch(self._sql.explain_claims, canonical)]
        return msgspec.structs.replace(
            facts,
            entity=chain[0],
            above=chain[1:],
            claimants=claimants,
            registered=await self._registered(chain[-1].ref),
            absent=await self._absent(chain[0].served),
        )

    async def of_served(self, ref: EntityRef, reads: Reads) -> Facts:
        """The facts that may be told to whoever may read this entity, and those that `reads` says yes to, and nothing else.

        Which of its relations lead to nothing is not told: it would tell which lead to what must not be read."""
        facts = await self.of(ref)
        entity = _as_served(facts.entity) if facts.entity is not None else None
        plain = Facts(ref, facts.moment, restricted=True)
        if entity is None:
            same, near = await self._names(ref, failing=False)
            return msgspec.structs.replace(
                plain,
                same_name=[other for other in same if await reads(other)],
                near_names=[other for other in near if await reads(other)],
            )
        above = [served for known in facts.above if (served := _as_served(known)) is not None]
        return msgspec.structs.replace(plain, entity=entity, above=[known for known in above if await reads(known.ref)])

    async def of_nothing(self, ref: EntityRef) -> Facts:
        """What may be told to whoever may see nothing."""
        row: Any = await self._db.fetchrow(self._sql.explain_moment)
        return Facts(ref, Moment(*row), restricted=True)

    async def locations_of(self, location: str) -> list[str]:
        """Refs of the Location entities that read `type:target`, or stand for it."""
        if not storable(location):
            return []
        return [row[0] for row in await self._db.fetch(self._sql.explain_location, location)]

    async def _of_unknown(self, facts: Facts) -> Facts:
        ref = facts.ref
        rows = await self._db.fetch(self._sql.explain_suspects, str(ref), ref.name.lower(), MOST_SUSPECTS)
        same, near = await self._names(ref, failing=True)
        return msgspec.structs.replace(
            facts,
            suspects=[_known(row) for row in rows],
            same_name=same,
            near_names=near,
            registered=await self._registered(str(ref)),
        )

    async def _registered(self, ref: str) -> Registered | None:
        row = await self._db.fetchrow(self._sql.explain_registered, ref)
        return Registered(*row) if row else None

    async def _absent(self, served: Entity | None) -> list[str]:
        wanted = sorted({relation["targetRef"] for relation in (served or {}).get("relations") or ()})
        rows = await self._db.fetch(self._sql.explain_served, wanted) if wanted else []
        found = {row[0] for row in rows}
        return [ref for ref in wanted if ref not in found]

    async def _names(self, ref: EntityRef, *, failing: bool) -> tuple[list[str], list[str]]:
        """Entities of that name, and of a name that is nearly that one: served ones, and on request those that fail."""
        kind, _, name = (part.lower() for part in ref)
        if not storable(str(ref)):
            return [], []
        unserved = await self._db.fetch(self._sql.explain_failing_names, name) if failing else []
        same_name = [
            *await self._db.fetch(self._sql.explain_same_name, name),
            *(row for row in unserved if row["name"] == name),
        ]
        by_name: dict[str, list[str]] = {}
        for row in [*await self._db.fetch(self._sql.explain_near_names, name, kind), *unserved]:
            if row["name"] != name:
                by_name.setdefault(row["name"], []).append(_ref(*row))
        close = difflib.get_close_matches(name, by_name, MOST_ALIKE, LIKENESS)
        near = [ref for one in close for ref in by_name[one]]
        return [_ref(*row) for row in same_name], sorted(near, key=lambda ref: not ref.startswith(f"{kind}:"))[
            :MOST_ALIKE
        ]


def _ref(kind: str, namespace: str, name: str) -> str:
    return f"{kind}:{namespace}/{name}"


def _known(row: Any) -> Known:
    return Known(
        id=row["id"],
        ref=row["entity_ref"],
        document=msgspec.json.decode(unpack(row["unprocessed_entity"])),
        errors=msgspec.json.decode(row["errors"]) if row["errors"] is not None else (),
        location_key=row["location_key"],
        discovered_at=row["last_discovery_at"],
        provider=row["source_key"],
        referred_to=row["referred_to"],
        tried=row["tried"],
        processed=row["processed"],
        due_at=row["next_update_at"],
        ticket_at=row["requested_at"],
        stitch_error=row["stitch_error"],
        stitch_failed_at=row["stitch_failed_at"],
        served=msgspec.json.decode(row["final_entity"]) if row["final_entity"] is not None else None,
    )


def _as_served(known: Known) -> Known | None:
    """What anyone who may read the entity can see of it; None when it is not served."""
    if known.served is None:
        return None
    return msgspec.structs.replace(
        known,
        document=known.served,
        provider=None,
        referred_to=ORPHAN not in (known.served["metadata"].get("annotations") or {}),
        stitch_error=None,
        stitch_failed_at=None,
    )


def _provider(row: Any) -> Provider:
    failures = row["failures"]
    known = {**row, "failures": msgspec.json.decode(failures) if failures is not None else ()}
    return Provider(**known)
