"""The fuzz itself: worlds of entities to both sides, mutated again and again, and requests about each.

    python -m tests.conformance.fuzz.run [--seconds 120] [--seed N] [--requests 400]

A difference is printed with a minimal request, what differs, and the lines for `requests/<set>.yaml`. How many requests have run
since the last one is kept in `runs.json`, and told in the README.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from greenroom.entity import Entity, ref_of
from tests.conformance.client import serving
from tests.conformance.compare import Outcome, differences, name_of
from tests.conformance.fuzz import texts
from tests.conformance.fuzz.asking import Ask
from tests.conformance.fuzz.book import note
from tests.conformance.fuzz.entities import entities
from tests.conformance.fuzz.hunt import Difference, Hunt, drawn
from tests.conformance.fuzz.sides import Side, asking, feed, remember, started_greenroom, started_upstream
from tests.conformance.fuzz.vocabulary import vocabulary
from tests.conformance.script import Request
from tests.conformance.server import fresh_database

WORLD = 80
"""Entities of the first world."""
CHANGE = 20
"""Entities drawn for each mutation."""


class World:
    """What both sides were fed."""

    def __init__(self, sides: Sequence[Side], chance: random.Random) -> None:
        self.sides, self._chance = sides, chance
        self.fed: dict[str, Entity] = {}
        self.stuck: set[str] = set()
        """What could not be stitched: upstream tries again a minute later, whatever became of it, so it is not replaced."""

    async def mutate(self, count: int) -> None:
        """Add, replace and remove some entities on both sides."""
        fresh = await asyncio.to_thread(drawn, entities(), self._chance.getrandbits(32), count)
        added = {ref_of(entity): entity for entity in fresh if ref_of(entity) not in self.stuck}
        going = [ref for ref in self.fed if ref not in added and self._chance.random() < 0.15]
        self.fed = {ref: entity for ref, entity in self.fed.items() if ref not in going} | added
        await feed(self.sides, list(added.values()), going)

    async def forget(self, refs: Sequence[str]) -> None:
        """Remove entities that the sides have made different things of."""
        self.fed = {ref: entity for ref, entity in self.fed.items() if ref not in refs}
        await feed(self.sides, [], list(refs))


PENDING = Request(name="what is pending", get="/entities/unprocessed/pending", order="any")
EVERYTHING = (
    Request(name="what is served", get="/entities", order="any"),
    PENDING,
    Request(name="what failed", get="/entities/unprocessed/failed", order="any"),
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
        guilty = [ref for ref, entity in world.fed.items() if entity["metadata"]["name"] in odd]
        told += [line for name, lines in odd.items() for line in (f"the entity {name}", *lines[:6])]
        told += [msgspec.json.encode(world.fed[ref]).decode() for ref in guilty][:8]
        await world.forget(guilty)
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


def told(difference: Difference) -> str:
    """A difference for people: what was asked, what differs, and how to keep it."""
    request = difference.request
    asked = {
        key: value
        for key, value in msgspec.to_builtins(request).items()
        if value not in (None, {}, "", False, 0) and key not in ("name", "as")
    }
    kept = yaml.safe_dump([asked], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]
    return "\n".join(
        [f"DIFFERENCE {difference.signature}", *(f"    {line}" for line in difference.lines[:8]), f"  - {kept}"]
    )


async def fuzz(seconds: float, number: int, per_world: int) -> int:
    """Run until the time is over. Returns how many kinds of differences were found."""
    chance = random.Random(number)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = folder / "files"
        served.mkdir()
        files = await stack.enter_async_context(serving(served))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ask = asking(session, files, served)
        database = await stack.enter_async_context(fresh_database())
        ours = await stack.enter_async_context(started_greenroom(folder, database, ask))
        theirs = await stack.enter_async_context(started_upstream(folder, session, ask))
        world = World([theirs, ours], chance)
        hunt = Hunt(lambda request: _both(world, request))
        began, worlds, odd = time.monotonic(), 0, 0
        while time.monotonic() - began < seconds:
            await world.mutate(CHANGE if worlds else WORLD)
            worlds += 1
            if lines := await compared(world, hunt):
                odd += 1
                say("DIFFERENCE in what was made of entities", *(f"    {line}" for line in lines))
            shown = await _entities(ours)
            strategy = Ask(vocabulary(shown)).requests()
            for difference in await hunt.through(strategy, chance.getrandbits(32), per_world):
                say(told(difference))
            if worlds % 3 == 0:
                dry = texts.Dry(served, files)
                for difference in await hunt.through(dry.requests(), chance.getrandbits(32), per_world // 8):
                    say(told(difference), repr(dry.text(difference.request)))
        took = time.monotonic() - began
        say(f"{hunt.asked} requests about {worlds} worlds in {took:.0f} s: {len(hunt.found) + odd} differences")
        say(f"answers: {dict(hunt.statuses)}", f"meant to differ: {dict(hunt.exempt)}")
        note(number, hunt.asked, hunt.since, len(hunt.found) + odd)
        return len(hunt.found) + odd


async def _both(world: World, request: Request) -> tuple[Outcome, Outcome]:
    theirs, ours = await asyncio.gather(*(side.run.outcome(request) for side in world.sides))
    return theirs, ours


async def _entities(side: Side) -> list[Entity]:
    await remember(side.run)
    outcome = await side.run.outcome(Request(get="/entities"))
    served: list[Any] = outcome.answer.body
    return served


def say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.fuzz.run", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--requests", type=int, default=400, help="for each world")
    asked = parser.parse_args()
    say(f"seed {asked.seed}")
    return 1 if asyncio.run(fuzz(asked.seconds, asked.seed, asked.requests)) else 0


if __name__ == "__main__":
    sys.exit(main())
