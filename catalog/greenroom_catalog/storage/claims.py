"""claims -> who holds what: an entity is emitted by a provider or another entity, under a location key, and one of them wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """An unprocessed entity on its way into `refresh_state`; `hash` covers the document."""

    ref: str
    document: bytes
    hash: bytes
    location_key: str | None


class Held(msgspec.Struct, frozen=True, gc=False):
    """What the catalog has of an entity, as far as a comparison needs it."""

    hash: bytes
    location_key: str | None
    id: int = 0


class Claim(msgspec.Struct, frozen=True):
    """That this entity be so. `parent` is the id of the entity that emitted it, 0 for a provider."""

    emitted: Emitted
    parent: int = 0


class Conflict(msgspec.Struct, frozen=True):
    """An emission that was turned away because another location key holds the entity. `parent`: of which entity it was."""

    ref: str
    wanted_by: str | None
    held_by: str | None
    parent: int = 0


def arbitrate(claims: Sequence[Claim], held: Mapping[str, Held]) -> tuple[dict[str, Claim], list[Conflict]]:
    """Who wins each entity, one claim after another as if each was written before the next was looked at (spec 02 §4.7).

    Of two location keys the first wins; of two claims under one key the last; who has none holds nothing."""
    winners: dict[str, Claim] = {}
    conflicts: list[Conflict] = []
    for claim in claims:
        ref, key = claim.emitted.ref, claim.emitted.location_key
        before = winners[ref].emitted if ref in winners else held.get(ref)
        if before is None or before.location_key is None or before.location_key == key:
            winners[ref] = claim
        else:
            conflicts.append(Conflict(ref, key, before.location_key, claim.parent))
    return winners, conflicts


def turned_away(claim: Claim, holder: Held) -> Conflict:
    return Conflict(claim.emitted.ref, claim.emitted.location_key, holder.location_key, claim.parent)


def columns(conflicts: Sequence[Conflict]) -> tuple[list[int | None], list[str], list[str | None], list[str | None]]:
    return (
        [conflict.parent or None for conflict in conflicts],
        [conflict.ref for conflict in conflicts],
        [conflict.wanted_by for conflict in conflicts],
        [conflict.held_by for conflict in conflicts],
    )


def is_news(emitted: Emitted, held: Held | None) -> bool:
    """Whether writing the emission would change anything (or meet a conflict)."""
    return held is None or held.hash != emitted.hash or held.location_key != emitted.location_key
