"""ref -> Explanation: gather the facts, look at the files, and tell what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from greenroom.db import Database
from greenroom.entity import EntityRef
from greenroom.sql import Queries
from greenroom_catalog.ingestion.reader import Reader
from greenroom_catalog.query.explain.absence import search
from greenroom_catalog.query.explain.case import Case, Setup
from greenroom_catalog.query.explain.chain import chain_of
from greenroom_catalog.query.explain.diagnosis import diagnose
from greenroom_catalog.query.explain.evidence import with_files, with_url
from greenroom_catalog.query.explain.facts import FactFinder, Facts, Known, Reads
from greenroom_catalog.query.explain.look import PATIENCE, Looker
from greenroom_catalog.query.explain.story import HEALTHY, Claim, Explanation, Finding, State
from greenroom_catalog.query.explain.wording import finding, reader_of


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
            case = await with_url(case, looker, at, self._reader.urls)
        if read and sight.inside:
            case = await with_files(case, looker)
        told = explanation(case, await self._findings(case, sight, at))
        return msgspec.convert(_without_secrets(msgspec.to_builtins(told), self._setup.hide), Explanation)

    async def _seen(self, ref: EntityRef, sight: Sight) -> Facts:
        """The facts that the asker may be told."""
        if sight.inside:
            return await self._facts.of(ref)
        return await (self._facts.of_served(ref, sight.reads) if sight.entity else self._facts.of_nothing(ref))

    async def _findings(self, case: Case, sight: Sight, at: str | None) -> list[Finding]:
        if case.facts.entity is not None:
            found = diagnose(case, case.facts.entity)
            hidden = not sight.entity and case.facts.entity.served is not None
            return [finding(case, "not-permitted", subject=case.ref), *found] if hidden else found
        spellings = [f"url:{at}", str(case.at.location)] if case.at is not None else []
        registered = [ref for spelling in spellings for ref in await self._facts.locations_of(spelling)]
        return search(case, registered)


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
