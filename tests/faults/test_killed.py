"""Processes are killed without warning, while entities come and change. Leases are as they are shipped: none is waited for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from tests.faults.world import LONG, SEED, Scale, World, world
from tests.support.postgres import TestServer

PROCESSES: dict[str, Sequence[str]] = {
    "api": ("serve",),
    "worker": ("worker",),
    **({"another": ("serve", "--api-only")} if LONG else {}),
}
FRESH_EVERY = 50
"""Kills after which the whole is compared with a fresh catalog: that takes its time."""


async def test_a_server_or_worker_that_is_killed_at_any_moment_costs_nobody_an_entity(
    postgres_server: TestServer, folder: Path, scale: Scale
) -> None:
    """One to four kills before each look: also of those that are still recovering, and of all at once."""
    draw = random.Random(SEED)
    async with world(postgres_server, folder, scale) as place:
        for name, arguments in PROCESSES.items():
            place.fleet.start(name, *arguments)
        await place.fleet.ready("api")
        span, kills, compared = 4.0 if scale.long else 1.0, 0, 0  # the first load takes longer than a change
        while kills < scale.kills:
            for _ in range(min(draw.randint(1, 4), scale.kills - kills)):
                await asyncio.sleep(draw.uniform(0, span))
                kills += _kill_some(place, draw)
            await place.settled()
            await place.agrees()
            if kills - compared >= FRESH_EVERY:
                compared = kills
                await place.is_fresh()
            span = 1.5 if scale.long else 0.4
            await place.change(scale.changed, 5, 5)
        await place.settled()
        await place.is_fresh()
        place.quiet()


def _kill_some(place: World, draw: random.Random) -> int:
    """Kill one, two or all of them at once, and start them again. Returns how many."""
    victims = draw.sample(list(PROCESSES), min(len(PROCESSES), draw.choices((1, 2, 3), (6, 2, 1))[0]))
    for name in victims:
        place.fleet.kill(name)
    for name in victims:
        place.fleet.start(name, *PROCESSES[name])
    return len(victims)
