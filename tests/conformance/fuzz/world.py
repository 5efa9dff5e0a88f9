"""What both sides are fed: entities of a provider, and files behind Location entities, mutated step by step and compared whole."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from greenroom.entity import Entity, ref_of
from greenroom.errors import InputError
from greenroom_catalog.stitching.tokens import project
from tests.conformance.compare import Outcome, differences, name_of
from tests.conformance.fuzz.entities import entities
from tests.conformance.fuzz.hunt import Hunt, drawn
from tests.conformance.fuzz.sides import AUTHORIZED, Side, feed, rest
from tests.conformance.script import Request

FILES = 3
IN_A_FILE = 12
LEAVING = 0.15
"""Of the entities that are not replaced, how many go with each mutation."""

UNCLAIMED = 0.15
"""Of the new entities, how many come without a location key."""

WHOLE = 0.2
"""Of the mutations, how many are full ones."""

ANCHOR: Entity = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "System",
    "metadata": {
        "name": "anchor",
        "annotations": {f"backstage.io/managed-by-{where}location": "fuzz:here" for where in ("", "origin-")},
    },
    "spec": {"owner": "team"},
}
"""Always there. Files claim it too, in vain; the provider changes its key every time."""


class World:
    """The entities as they were fed. All of it comes from one seed."""

    def __init__(self, sides: Sequence[Side], chance: random.Random, folder: Path, base: str) -> None:
        """`folder` is served at `base`, to both sides."""
        self.sides, self._chance, self._folder, self._base = sides, chance, folder, base
        self.fed: dict[str, Entity] = {}
        self.files: dict[str, dict[str, Entity]] = {}
        """Ref of a Location entity -> the entities of its file."""
        self.stuck: set[str] = set()
        """What could not be stitched: upstream tries again a minute later, whatever became of it, so it is not replaced."""

    async def mutate(self, count: int) -> None:
        """Add, replace and remove some entities on both sides, claim one that is taken, and write one of the files anew."""
        added = {
            ref: entity
            for ref, entity in (await self._drawn(count)).items()
            if self._may_replace(ref, entity, self.fed)
        }
        number = self._chance.randrange(FILES)
        location = self._location(number)
        files = (
            ref_of(self._location(one)) for one in range(FILES)
        )  # they claim each other: see DIFFERENCES, conflicts
        kept = (*added, *files, ref_of(ANCHOR))
        going = [ref for ref in self.fed if ref not in kept and self._chance.random() < LEAVING]
        await self._write(number, ref_of(location))
        unclaimed = [ref for ref in added if ref not in self.fed and self._chance.random() < UNCLAIMED]
        added |= {ref_of(one): one for one in (location, ANCHOR)}
        self.fed = {ref: entity for ref, entity in self.fed.items() if ref not in going} | added
        if self._chance.random() < WHOLE:
            await asyncio.gather(*(side.full(list(self.fed.values())) for side in self.sides))
        else:
            await feed(self.sides, [added[ref] for ref in unclaimed], [], key=None)
            await feed(self.sides, [added[ref] for ref in added if ref not in unclaimed], going)
        await feed(self.sides, [{**ANCHOR, "spec": {"owner": f"rival-{count}"}}], [], key="rival")
        await rest(self.sides)
        await self._refresh(ref_of(location))

    async def _refresh(self, ref: str) -> None:
        await asyncio.gather(*(_refresh(side, ref) for side in self.sides))
        await rest(self.sides)

    async def _drawn(self, count: int) -> dict[str, Entity]:
        fresh = await asyncio.to_thread(drawn, entities(), self._chance.getrandbits(32), count)
        return {ref_of(entity): entity for entity in fresh}

    def _may_replace(self, ref: str, entity: Entity, held: dict[str, Entity]) -> bool:
        """What upstream does with an entity that cannot be stitched any more takes a minute."""
        return ref not in self.stuck and (ref not in held or _can_be_stitched(entity))

    async def _write(self, number: int, location: str) -> None:
        """New text for a file: some entities changed, some new, none gone, for orphans go when each side's clock says so."""
        held = self.files.setdefault(location, {})
        for entity in (await self._drawn(IN_A_FILE)).values():
            entity["metadata"]["name"] += f".f{number}"
            if self._may_replace(ref_of(entity), entity, held):
                held[ref_of(entity)] = entity
        self._save(number, held)

    def _save(self, number: int, held: dict[str, Entity]) -> None:
        documents = [*held.values(), *([self._location(number + 1)] if number + 1 < FILES else [])]
        text = "\n---\n".join(json.dumps(one, ensure_ascii=False) for one in documents)
        (self._folder / f"world-{number}.yaml").write_text(text)

    def _location(self, number: int) -> Entity:
        target = f"{self._base}/world-{number}.yaml"
        annotations = {f"backstage.io/managed-by-{where}location": f"url:{target}" for where in ("", "origin-")}
        return {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": f"file-{number}", "annotations": annotations},
            "spec": {"type": "url", "targets": [target]},
        }

    async def forget(self, names: Sequence[str]) -> None:
        """Remove entities that the sides have made different things of. In a file, where none may go, they are made plain."""
        gone = [ref for ref, entity in self.fed.items() if entity["metadata"]["name"] in names]
        self.fed = {ref: entity for ref, entity in self.fed.items() if ref not in gone}
        await feed(self.sides, [], gone)
        await rest(self.sides)
        for number in range(FILES):
            location = ref_of(self._location(number))
            held = self.files.get(location, {})
            odd = [ref for ref, entity in held.items() if entity["metadata"]["name"] in names]
            if odd:
                held |= {ref: _plain(held[ref]) for ref in odd}
                self._save(number, held)
                await self._refresh(location)

    def leaves(self) -> list[str]:
        """What was fed and brings in nothing itself."""
        return [ref for ref, entity in self.fed.items() if entity["kind"] != "Location" and ref != ref_of(ANCHOR)]

    def named(self, names: Sequence[str]) -> list[Entity]:
        """The entities of these names, as they were fed."""
        everything = [*self.fed.values(), *(one for held in self.files.values() for one in held.values())]
        return [entity for entity in everything if entity["metadata"]["name"] in names]


def _plain(entity: Entity) -> Entity:
    """Of the same name, and as any kind would have it."""
    metadata = {key: entity["metadata"][key] for key in ("name", "namespace") if key in entity["metadata"]}
    spec = {
        "type": "plain",
        "lifecycle": "plain",
        "owner": "team",
        "definition": "plain",
        "children": [],
        "memberOf": [],
    }
    return {"apiVersion": "backstage.io/v1alpha1", "kind": entity["kind"], "metadata": metadata, "spec": spec}


def _can_be_stitched(entity: Entity) -> bool:
    try:
        project({**entity, "relations": []}, "")
    except InputError:
        return False
    return True


async def _refresh(side: Side, ref: str) -> None:
    url = f"{side.run.known['self']}/api/catalog/refresh"
    async with side.run.session.post(url, json={"entityRef": ref}, headers=AUTHORIZED) as answer:
        await answer.read()


PENDING = Request(name="what is pending", get="/entities/unprocessed/pending", order="any")
EVERYTHING = (
    Request(name="what is served", get="/entities", order="any"),
    PENDING,
    Request(name="what failed", get="/entities/unprocessed/failed", order="any"),
    Request(name="what is registered", get="/locations", order="any"),
)


async def compared(world: World, hunt: Hunt) -> list[str]:
    """Compare all that is served and pending. Says what differs, with the entity; such entities are taken out."""
    told: list[str] = []
    for _ in range(3):
        odd: dict[str, list[str]] = {}
        for request in EVERYTHING:
            theirs, ours = await asyncio.gather(*(side.run.outcome(request) for side in world.sides))
            hunt.asked, hunt.since = hunt.asked + 1, hunt.since + 1
            if request is PENDING:
                world.stuck |= {ref_of(row["processed_entity"]) for row in _listed(theirs) if row["processed_entity"]}
            for name, lines in by_name(theirs, ours).items():
                odd.setdefault(name, []).extend(f"{request.name}: {line}" for line in lines)
        if not odd:
            return told
        hunt.since = 0
        told += [line for name, lines in odd.items() for line in (f"the entity {name}", *lines[:6])]
        told += [msgspec.json.encode(entity).decode() for entity in world.named(list(odd))][:8]
        await world.forget(list(odd))
    return [*told, "and it differs still"]


def by_name(theirs: Outcome, ours: Outcome) -> dict[str, list[str]]:
    """Differing lines by the name of the entity they are about."""
    listed = [_listed(outcome) for outcome in (theirs, ours)]
    names = sorted({name_of(item) for side in listed for item in side})
    found: dict[str, list[str]] = {}
    for name in names:
        parts = [[item for item in side if name_of(item) == name] for side in listed]
        outcomes = [
            msgspec.structs.replace(outcome, answer=msgspec.structs.replace(outcome.answer, body=part))
            for outcome, part in zip((theirs, ours), parts, strict=True)
        ]
        if lines := differences(outcomes[0], outcomes[1], "any"):
            found[name] = lines
    return found


def _listed(outcome: Outcome) -> list[Any]:
    body = outcome.answer.body
    return body["entities"] if isinstance(body, dict) and "entities" in body else body if isinstance(body, list) else []
