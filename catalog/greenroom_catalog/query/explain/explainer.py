"""ref -> Explanation: gather the facts, look at the files, and tell what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import LOCATION, ORIGIN_LOCATION, EntityRef
from greenroom.errors import GreenroomError
from greenroom.sql import Queries
from greenroom_catalog.ingestion.locations import Location, LocationRefError, absolute_target, parse_location
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.query.explain.absence import search
from greenroom_catalog.query.explain.case import Case, Setup
from greenroom_catalog.query.explain.chain import chain_of
from greenroom_catalog.query.explain.diagnosis import diagnose
from greenroom_catalog.query.explain.facts import FactFinder, Facts, Known, Reads
from greenroom_catalog.query.explain.failures import FAILURES, classify
from greenroom_catalog.query.explain.look import PATIENCE, Look, Looker
from greenroom_catalog.query.explain.places import annotation
from greenroom_catalog.query.explain.story import HEALTHY, Claim, Explanation, Finding, State
from greenroom_catalog.query.explain.wording import finding, reader_of

MOST_READ = 20
"""Locations whose files are read to find an unknown entity."""

_UNWELL = frozenset({"host-timeout", "host-unreachable", "host-rate-limited", "host-failing"})
"""Hosts that answered so a moment ago are not asked again for the sake of an explanation."""


async def _all(ref: str) -> bool:
    return True


class Sight(msgspec.Struct, frozen=True):
    """What the asker may see. `entity`: this entity, were it served; `inside`: what is not served, and why; `reads`: whether
    another entity, of which an explanation would speak, may be told of to those who have no sight of what is inside."""

    entity: bool = True
    inside: bool = True
    reads: Reads = _all


class Explainer:
    """Explains why an entity is there, missing, stale, orphaned, in conflict or failed."""

    def __init__(
        self, database: Database, sql: Queries, reader: Reader, setup: Setup, *, patience: timedelta = PATIENCE
    ) -> None:
        self._facts = FactFinder(database, sql)
        self._reader = reader
        self._setup = setup
        self._patience = patience

    async def explain(
        self, ref: EntityRef, *, at: str | None = None, read: bool = True, sight: Sight | None = None
    ) -> Explanation:
        """Why the entity is as it is. `at` is the URL of a file that should have it; with `read`, files are looked at.

        What the asker has no sight of is told as what nobody has ever heard of."""
        sight = sight or Sight()
        case = Case(await self._seen(ref, sight), self._setup)
        looker = Looker(self._reader, self._setup.rules, self._patience)
        if at is not None:
            target = self._as_processed(at)
            look = await self._with_entity(
                case.ref, looker, await looker.at(Location("url", target), origin=f"url:{at}")
            )
            case = msgspec.structs.replace(case, at=look, registrable=at)
        if read and sight.inside:
            case = await self._looked(case, looker)
        told = explanation(case, await self._findings(case, sight, at))
        return msgspec.convert(_without_secrets(msgspec.to_builtins(told), self._setup.hide), Explanation)

    async def _seen(self, ref: EntityRef, sight: Sight) -> Facts:
        """The facts that the asker may be told."""
        if sight.inside:
            return await self._facts.of(ref)
        return await (self._facts.of_served(ref, sight.reads) if sight.entity else self._facts.of_nothing(ref))

    async def _with_entity(self, ref: str, looker: Looker, look: Look) -> Look:
        """The look itself, unless it is at a location below that the entity stands."""
        if look.error is not None or look.with_entity(ref) is not None:
            return look
        below = await looker.below(look)
        return next((one for one in below if one.with_entity(ref) is not None), look)

    def _as_processed(self, url: str) -> str:
        """The URL as processing spells the target of a location, by which files are claimed."""
        try:
            return absolute_target(url, "url", Location("url", url), self._reader.urls)
        except GreenroomError:
            return url  # reading it will tell

    async def _findings(self, case: Case, sight: Sight, at: str | None) -> list[Finding]:
        if case.facts.entity is not None:
            found = diagnose(case, case.facts.entity)
            hidden = not sight.entity and case.facts.entity.served is not None
            return [finding(case, "not-permitted", subject=case.ref), *found] if hidden else found
        spellings = [f"url:{at}", str(case.at.location)] if case.at is not None else []
        registered = [ref for spelling in spellings for ref in await self._facts.locations_of(spelling)]
        return search(case, registered)

    async def _looked(self, case: Case, looker: Looker) -> Case:
        """The case with the files behind it, as they are now."""
        entity = case.facts.entity
        if entity is not None:
            return msgspec.structs.replace(case, looks=await _at_source(entity, case.facts, looker))
        suspects = _worth_reading(case.facts.suspects)[:MOST_READ]
        looks = await asyncio.gather(*(looker.behind(known.document) for known in suspects))
        behind = {known.ref: look for known, look in zip(suspects, looks, strict=True)}
        return msgspec.structs.replace(case, behind=behind)


def _worth_reading(suspects: Sequence[Known]) -> list[Known]:
    """Locations that can probably be read first; those of hosts that are not well, not at all."""
    classes = {known.ref: {classify(error["message"]) for error in known.errors} for known in suspects}
    readable = [known for known in suspects if not classes[known.ref] & _UNWELL]
    return sorted(readable, key=lambda known: any(FAILURES[slug].stage == "read" for slug in classes[known.ref]))


async def _at_source(entity: Known, facts: Facts, looker: Looker) -> Sequence[Look]:
    """The file of an entity, or the targets of a Location. A `file` is read only where ingestion itself reads it: below a
    location of that type. What a provider emitted need not be a file of ours: it is looked at only for the line of an error."""
    if entity.ref.startswith("location:"):
        return await looker.behind(entity.document)
    try:
        location = parse_location(annotation(entity, LOCATION))
    except LocationRefError:
        return ()
    below = facts.above[0] if facts.above else None
    if below is None and not (entity.errors or entity.stitch_error):
        return ()
    from_files = below is not None and annotation(below, LOCATION).startswith("file:")
    if location.type == "url" or (location.type == "file" and from_files):
        origin = annotation(entity, ORIGIN_LOCATION) or str(location)
        return [await looker.at(location, origin=origin)]
    return ()


def explanation(case: Case, findings: Sequence[Finding]) -> Explanation:
    """Put the story together: the first error is the verdict."""
    entity = case.facts.entity
    ordered = _once(findings)
    if entity is not None:
        ordered.sort(key=lambda one: one.severity != "error")
    worst = next((one for one in ordered if one.severity == "error"), None)
    reading = reader_of(case.facts) if entity is not None else None
    due = reading.due_at if reading is not None and not reading.never_again else None
    return Explanation(
        ref=case.ref,
        state=_state(entity, worst),
        verdict=worst.verdict if worst is not None else HEALTHY,
        problem=worst is not None,
        summary=_summary(case, worst),
        chain=chain_of(case, ordered),
        findings=ordered,
        next_refresh=due,
        last_seen=entity.discovered_at if entity is not None else None,
        conflicts=[
            Claim(claim.wanted_by or claim.provider or claim.ref or "?", claim.held_by, claim.seen_at)
            for claim in case.facts.claimants
        ],
        alternatives=[] if entity is not None else [*case.facts.same_name, *case.facts.near_names][:10],
    )


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Without what the file asked about and the location that reads it both tell."""
    found: dict[tuple[str, str | None, str | None], Finding] = {}
    for one in findings:
        found.setdefault((one.verdict, one.message, one.at), one)
    return list(found.values())


_CURRENT = frozenset({"not-permitted", "conflict", "not-in-file"})
"""Problems of an entity that is served as it should be."""


def _state(entity: Known | None, worst: Finding | None) -> State:
    if entity is None:
        return "missing"
    if entity.served is None:
        return "failed" if entity.errors or entity.stitch_error else "pending"
    if not entity.referred_to:
        return "orphaned"
    return "stale" if worst is not None and worst.verdict not in _CURRENT else "served"


_OPENINGS: dict[State, str] = {
    "served": "is served",
    "stale": "is served as it last was",
    "orphaned": "is an orphan",
    "failed": "is not served",
    "pending": "is not served yet",
    "missing": "is not in the catalog",
}


def _summary(case: Case, worst: Finding | None) -> str:
    opening = f"{case.ref} {_OPENINGS[_state(case.facts.entity, worst)]}"
    if worst is not None and worst.suspected:
        return f"{opening}, perhaps because {worst.summary}."
    return f"{opening}: {worst.summary}." if worst is not None else f"{opening}, and up to date."


_NOT_HIDDEN = frozenset(
    {*("summary", "hint", "message", "commands"), *("state", "verdict", "severity", "stage")}
    | {"since", "seenAt", "nextRefresh", "lastSeen"}
)
"""Members whose secrets were taken out before they became part of a sentence, whose values are of a known few, or moments."""


def _without_secrets(value: Any, hide: Callable[[str], str]) -> Any:
    """JSON without the secrets in any of its texts."""
    if isinstance(value, dict):
        return {key: item if key in _NOT_HIDDEN else _without_secrets(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, hide) for item in value]
    return hide(value) if isinstance(value, str) else value
