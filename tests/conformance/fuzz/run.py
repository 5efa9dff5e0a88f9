"""The fuzz itself: worlds of entities to both sides, mutated again and again, and requests about each.

    python -m tests.conformance.fuzz.run [--seconds 120] [--seed N] [--requests 600]

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
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from greenroom.entity import Entity, ref_of
from tests.conformance.client import serving
from tests.conformance.compare import Outcome
from tests.conformance.fuzz import texts
from tests.conformance.fuzz.asking import Ask
from tests.conformance.fuzz.book import note
from tests.conformance.fuzz.following import as_steps, outcome
from tests.conformance.fuzz.hunt import Difference, Hunt
from tests.conformance.fuzz.operating import Operate
from tests.conformance.fuzz.places import MISSING, PLACES, Places
from tests.conformance.fuzz.sides import (
    Side,
    asking,
    remember,
    signed_in,
    started_greenroom,
    started_upstream,
    uid_variable,
)
from tests.conformance.fuzz.vocabulary import vocabulary
from tests.conformance.fuzz.world import ANCHOR, World, compared
from tests.conformance.script import TOKEN, Request
from tests.conformance.server import fresh_database
from tests.conformance.terminal import say

WORLD = 80
"""Entities of the first world."""
CHANGE = 20
"""Entities drawn for each mutation."""
CHANGES = 2
"""What is done through the API between two mutations."""


def told(difference: Difference) -> str:
    """A difference for people: what was asked, what differs, and how to keep it."""
    lines = [f"DIFFERENCE {difference.signature}", *(f"    {line}" for line in difference.lines[:8])]
    return "\n".join([*lines, *(f"  - {_entry(request)}" for request in as_steps(difference.request))])


def _entry(request: Request) -> str:
    """As it stands in `requests/<set>.yaml`."""
    said = msgspec.to_builtins(request).items()
    asked = {
        key: value
        for key, value in said
        if value not in (None, {}, "", False, 0) and key != "name" and (key, value) != ("as", TOKEN)
    }
    if request.as_ is None:
        asked["as"] = None
    return yaml.safe_dump([asked], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]


async def fuzz(seconds: float, number: int, per_world: int) -> int:
    """Run until the time is over. Returns how many kinds of differences were found."""
    chance = random.Random(number)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = folder / "files"
        served.mkdir()
        files = await stack.enter_async_context(serving(served))
        # one for each request: who asks on a connection that a busy server is just closing hears nothing
        connections = aiohttp.TCPConnector(force_close=True)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connections))
        ask = asking(session, files, served)
        database = await stack.enter_async_context(fresh_database())
        ours = await stack.enter_async_context(started_greenroom(folder, database, ask))
        theirs = await stack.enter_async_context(started_upstream(session, ask))
        world = World([theirs, ours], chance, served, files)
        places = Places(world.sides, chance, served, files)
        await places.write(ANCHOR)
        await signed_in(world.sides)
        hunt = Hunt(lambda request: _both(world, request))
        began, worlds, odd = time.monotonic(), 0, 0
        while time.monotonic() - began < seconds:
            await world.mutate(CHANGE if worlds else WORLD)
            worlds += 1
            for difference in await places.change(hunt, CHANGES, list(world.fed), world.leaves()):
                say(told(difference))
            if lines := await compared(world, hunt):
                odd += 1
                say("DIFFERENCE in what was made of entities", *(f"    {line}" for line in lines))
            shown = await _entities(ours)
            known = vocabulary(shown)  # of all: a key is told apart by none if one entity has it twice
            known.refs = [ref_of(entity) for entity in shown if _is_known(entity, world)]
            others = Operate(known, files, list(places.registered), [*PLACES, MISSING[0], "world-0.yaml"])
            for strategy, count in ((Ask(known).requests(), per_world), (others.requests(), per_world // 2)):
                for difference in await hunt.through(strategy, chance.getrandbits(32), count):
                    say(told(difference))
            if worlds % 3 == 0:
                dry = texts.Dry(served, files)
                for difference in await hunt.through(dry.requests(), chance.getrandbits(32), per_world // 8):
                    say(told(difference), repr(dry.text(difference.request)))
            say(f"{hunt.asked:,} requests about {worlds} worlds in {time.monotonic() - began:.0f} s")
        say(f"{len(hunt.found) + odd} differences")
        say(f"answers: {dict(hunt.statuses)}", f"meant to differ: {dict(hunt.exempt)}")
        note(number, hunt.asked, hunt.since, len(hunt.found) + odd)
        return len(hunt.found) + odd


async def _both(world: World, request: Request) -> tuple[Outcome, Outcome]:
    theirs, ours = await asyncio.gather(*(outcome(side.run, request) for side in world.sides))
    return theirs, ours


def _is_known(entity: Entity, world: World) -> bool:
    """Whether both sides serve it, so that both know its uid."""
    return all(uid_variable(ref_of(entity)) in side.run.known for side in world.sides)


async def _entities(side: Side) -> list[Entity]:
    await remember(side.run)
    served: list[Any] = (await side.run.outcome(Request(get="/entities"))).answer.body
    return served


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.fuzz.run", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--requests", type=int, default=600, help="for each world")
    asked = parser.parse_args()
    say(f"seed {asked.seed}")
    return 1 if asyncio.run(fuzz(asked.seconds, asked.seed, asked.requests)) else 0


if __name__ == "__main__":
    sys.exit(main())
