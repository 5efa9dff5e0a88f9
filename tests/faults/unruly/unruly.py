"""A plugin whose providers do all that a provider should not. Its config is a list of their names."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta

from greenroom import Contribution, Deferred, EntitySource, Host, plugin

HELD = 300


def made(source: str, number: int) -> Iterable[Deferred]:
    """Components of a provider."""
    for index in range(number):
        location = f"url:https://git.example.com/{source}/{index}/blob/main/catalog-info.yaml"
        marks = {"backstage.io/managed-by-location": location, "backstage.io/managed-by-origin-location": location}
        yield Deferred(
            {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": f"{source}-{index}", "annotations": marks},
                "spec": {"type": "service", "lifecycle": "production", "owner": "team-0"},
            },
            source,
        )


class Unruly:
    """Behaves at its first run, and then no more."""

    every = timedelta(seconds=1)

    def __init__(self, deed: str) -> None:
        self.name = f"unruly-{deed}"
        self.deed = DEEDS[deed]
        self.behaved = False

    async def run(self, source: EntitySource) -> None:
        if self.behaved:
            await self.deed(source, self.name)
        else:
            await source.full(made(self.name, HELD))
            self.behaved = True


async def throws(source: EntitySource, name: str) -> None:
    async def some() -> AsyncIterator[Deferred]:
        for entity in made(name, HELD // 2):
            yield entity
        raise LookupError("the source ended in the middle")

    await source.full(some())


async def hangs(source: EntitySource, name: str) -> None:
    await asyncio.Event().wait()


async def blocks(source: EntitySource, name: str) -> None:
    time.sleep(1000)  # noqa: ASYNC251 - what it is about


async def floods(source: EntitySource, name: str) -> None:
    await source.full(made(name, 100_000_000))


async def empties(source: EntitySource, name: str) -> None:
    await source.full([])


DEEDS: dict[str, Callable[[EntitySource, str], Awaitable[None]]] = {
    "throws": throws,
    "hangs": hangs,
    "blocks": blocks,
    "floods": floods,
    "empties": empties,
}


@plugin("unruly", list[str])
def unruly(config: list[str], host: Host) -> Iterable[Contribution]:
    """One provider for each deed that is asked for."""
    for name in config:
        yield Unruly(name)
