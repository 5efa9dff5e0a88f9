"""A source that changes: a file of made-up entities, of which each turn changes, adds and removes some."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity, ref_of
from tests.bench.entities import HOST, WORDS, entities


class Turn(NamedTuple):
    """What one turn did, by ref."""

    changed: list[str]
    added: list[str]
    removed: list[str]


class Churn:
    """The entities of one provider's file; always the same ones, changed in the same ways, for the same seed."""

    def __init__(self, file: Path, number: int, seed: int = 1) -> None:
        self.file = file
        self.entities: dict[str, Entity] = {ref_of(one): one for one in entities(number, seed)}
        self.turns = 0
        self._draw = random.Random(seed)
        self.write()

    def turn(self, changed: int, added: int = 0, removed: int = 0) -> Turn:
        """Change, add and remove so many, and write the file. What is changed tells by its title in which turn that was."""
        self.turns += 1
        gone = self._draw.sample(sorted(self.entities), removed)
        for ref in gone:
            del self.entities[ref]
        kept = self._draw.sample(sorted(self.entities), changed)
        for ref in kept:
            self.entities[ref] = self._changed(self.entities[ref])
        new = [self._new(number) for number in range(added)]
        self.entities.update({ref_of(one): one for one in new})
        self.write()
        return Turn(kept, [ref_of(one) for one in new], gone)

    def write(self) -> None:
        """Put the file in place as a whole, as a sane exporter does: nobody reads half of it."""
        draft = self.file.with_name(f"{self.file.name}.new")
        draft.write_bytes(b"\n".join(map(msgspec.json.encode, self.entities.values())))
        draft.replace(self.file)

    def restore(self, entities: Mapping[str, Entity]) -> None:
        """Have the file hold these."""
        self.entities = dict(entities)
        self.write()

    def _changed(self, entity: Entity) -> Entity:
        changed = copy.deepcopy(entity)
        changed["metadata"]["title"] = f"{changed['metadata']['name']} of turn {self.turns}"
        self._draw.choice(CHANGES)(self._draw, changed)
        return changed

    def _new(self, number: int) -> Entity:
        """One that is like another but for its name."""
        new = copy.deepcopy(self.entities[self._draw.choice(sorted(self.entities))])
        name = f"{self._draw.choice(WORDS)}-turn-{self.turns}-{number}"
        location = f"url:https://{HOST}/turns/{name}/blob/main/catalog-info.yaml"
        new["metadata"]["name"] = name
        new["metadata"]["title"] = f"{name} of turn {self.turns}"
        new["metadata"]["annotations"].update({LOCATION: location, ORIGIN_LOCATION: location})
        return new


def _describe(draw: random.Random, entity: Any) -> None:
    entity["metadata"]["description"] = " ".join(draw.choices(WORDS, k=50))


def _tag(draw: random.Random, entity: Any) -> None:
    entity["metadata"]["tags"] = sorted(set(draw.choices(WORDS, k=3)))


def _give_away(draw: random.Random, entity: Any) -> None:
    """To another owner, whose relations change with it."""
    if "owner" in entity["spec"]:
        entity["spec"]["owner"] = f"group:default/team-{draw.randrange(4)}"


def _depend(draw: random.Random, entity: Any) -> None:
    """On others, most of which exist nowhere."""
    if entity["kind"] in ("Component", "Resource"):
        entity["spec"]["dependsOn"] = [f"component:default/{word}-{draw.randrange(99)}" for word in draw.choices(WORDS)]


def _retype(draw: random.Random, entity: Any) -> None:
    if "type" in entity["spec"]:
        entity["spec"]["type"] = draw.choice(("service", "library", "website"))


CHANGES: tuple[Callable[[random.Random, Any], None], ...] = (_describe, _tag, _give_away, _depend, _retype)
