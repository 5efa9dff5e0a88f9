"""What both sides are told through the API, one thing after the other: locations registered, pointed elsewhere and unregistered,
entities refreshed and deleted.

Nothing here makes an orphan: those go when each side's clock says so, and Greenroom marks them at once, on purpose."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from greenroom.entity import Entity, ref_of
from tests.conformance.fuzz.entities import entities
from tests.conformance.fuzz.hunt import Difference, Hunt, drawn
from tests.conformance.fuzz.operating import UNKNOWN
from tests.conformance.fuzz.sides import Side, remember, uid_variable
from tests.conformance.script import Request

PLACES = [f"place-{number}.yaml" for number in range(5)]
MISSING = [f"missing-{number}.yaml" for number in range(3)]
IN_A_FILE = 6


class Places:
    """Files that are registered, and what is done about them."""

    def __init__(self, sides: Sequence[Side], chance: random.Random, folder: Path, base: str) -> None:
        """`folder` is served at `base`, to both sides."""
        self._sides, self._chance, self._folder, self._base = sides, chance, folder, base
        self.registered: dict[str, str] = {}
        """Variable with the id of a location -> its file."""
        self._brought: set[str] = set()
        """Locations whose file was there once: pointed elsewhere, they would leave orphans."""
        self._names = 0

    async def write(self, anchor: Entity) -> None:
        """Write the files. In each, another claims the name of the anchor, and is refused."""
        for number, name in enumerate(PLACES):
            fresh = await asyncio.to_thread(drawn, entities(), self._chance.getrandbits(32), IN_A_FILE)
            for entity in fresh:
                entity["metadata"]["name"] += f".p{number}"
            once = {ref_of(entity): entity for entity in fresh}  # twice, upstream counts its one parent twice
            texts = [
                json.dumps(entity, ensure_ascii=False)
                for entity in (*once.values(), {**anchor, "spec": {"owner": name}})
            ]
            (self._folder / name).write_text("\n---\n".join(texts))

    async def change(self, hunt: Hunt, times: int, refs: Sequence[str], deletable: Sequence[str]) -> list[Difference]:
        """Do some of it on both sides, waiting after each. `refs` may be refreshed, and those `deletable` deleted by uid."""
        found = []
        for _ in range(times):
            request = self._request(refs, [ref for ref in deletable if self._has_uid(ref)])
            if (difference := await hunt.difference(request)) is not None:
                found.append(difference)
            await asyncio.gather(*(side.settle() for side in self._sides))
        await asyncio.gather(*(remember(side.run) for side in self._sides))
        return found

    def _has_uid(self, ref: str) -> bool:
        return all(uid_variable(ref) in side.run.known for side in self._sides)

    def _request(self, refs: Sequence[str], deletable: Sequence[str]) -> Request:
        what = self._chance.choice(
            ("register", "register", "register", "point", "unregister", "refresh", "delete", "odd")
        )
        if what == "register":
            return self._register(self._chance.choice(PLACES + MISSING))
        if what == "point" and self.registered:
            return self._point(self._chance.choice(list(self.registered)))
        if what == "unregister" and self.registered:
            variable = self._chance.choice(list(self.registered))
            del self.registered[variable]
            return Request(delete=f"/locations/${{{variable}}}")
        if what == "delete" and deletable:
            return Request(delete=f"/entities/by-uid/${{{uid_variable(self._chance.choice(deletable))}}}")
        if what == "refresh" and refs:
            return Request(post="/refresh", json={"entityRef": self._chance.choice(refs)})
        return self._chance.choice(ODD)

    def _register(self, name: str) -> Request:
        self._names += 1
        variable = f"location.{self._names}"
        save: Mapping[str, str] = {}
        if name not in self.registered.values():
            self._hold(variable, name)
            save = {variable: "location.id"}
        query = {"onConflict": "refresh"} if self._chance.random() < 0.3 else {}
        body = {"type": "url", "target": f"{self._base}/{name}"}
        return Request(post="/locations", query=dict(query), json=body, save=dict(save))

    def _point(self, variable: str) -> Request:
        taken = [name for other, name in self.registered.items() if other != variable]
        free = [] if variable in self._brought else [name for name in PLACES + MISSING if name not in taken]
        name = self._chance.choice([*free, *free, self.registered[variable], *taken])
        if name not in taken:
            self._hold(variable, name)
        return Request(put=f"/locations/${{{variable}}}", json={"type": "url", "target": f"{self._base}/{name}"})

    def _hold(self, variable: str, name: str) -> None:
        self.registered[variable] = name
        if name in PLACES:
            self._brought.add(variable)


ODD = (
    Request(delete=f"/locations/{UNKNOWN}"),
    Request(delete=f"/entities/by-uid/{UNKNOWN}"),
    Request(delete="/entities/by-uid/nope"),
    Request(delete=f"/entities/unprocessed/delete/{UNKNOWN}"),
    Request(put=f"/locations/{UNKNOWN}", json={"type": "url", "target": "https://git.example.com/x.yaml"}),
    Request(put=f"/locations/{UNKNOWN}", json={"type": "file", "target": "/x"}),
    Request(put=f"/locations/{UNKNOWN}", json={"type": "url"}),
    Request(post="/locations", json={"type": "file", "target": "/x"}),
    Request(post="/locations", json={"target": "/x"}),
    Request(post="/refresh", json={"entityRef": "component:default/nope"}),
    Request(post="/refresh", json={"entityRef": "nope"}),
)
