"""Rogue: does everything wrong that a plugin can do wrong, to whatever asks for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import msgspec

from greenroom import Contribution, Deferred, EntityKind, EntitySource, Host, Processor, plugin
from greenroom import PlaceholderResolver as Resolver

ASKED = "rogue.example/does"
LONG = 1000.0


class LocalError(Exception):
    """No error of Greenroom's"""


async def raising(*given: Any) -> Any:
    raise LocalError("went wrong")


async def hanging(*given: Any) -> Any:
    await asyncio.Event().wait()


async def stubborn(*given: Any) -> Any:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        await asyncio.sleep(LONG)  # until it is told again, when everything ends


async def sleeping(*given: Any) -> Any:
    time.sleep(LONG)  # noqa: ASYNC251 - what it is about


async def computing(*given: Any) -> Any:
    while True:
        pass


async def cancelling(*given: Any) -> Any:
    raise asyncio.CancelledError


async def babbling(*given: Any) -> Any:
    return object()


async def endless(*given: Any) -> Any:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


DEEDS: dict[str, Callable[..., Awaitable[Any]]] = {
    "raising": raising,
    "hanging": hanging,
    "stubborn": stubborn,
    "sleeping": sleeping,
    "computing": computing,
    "cancelling": cancelling,
    "babbling": babbling,
    "endless": endless,
}


def misbehaving(stage: str) -> Callable[..., Awaitable[Any]]:
    """A hook that does what the entity asks for in its annotation, `before raising`."""

    async def hook(entity: Any, work: Any = None) -> Any:
        asked = entity["metadata"].get("annotations", {}).get(ASKED, "")
        when, _, deed = asked.partition(" ")
        if when == stage:
            return await DEEDS[deed](entity, work)
        return stage != "check" and entity

    return hook


async def resolve(placeholder: Any) -> Any:
    return await DEEDS[placeholder.value]()


class Provider:
    """Does one of the deeds when it is run, after it has brought an entity."""

    def __init__(self, deed: str) -> None:
        self.name, self.every, self.deed = f"rogue-{deed}", timedelta(seconds=1), deed

    async def run(self, source: EntitySource) -> None:
        await source.full([Deferred(group(f"by-{self.deed}")), Deferred({"kind": 7})])
        await DEEDS[self.deed]()


def group(name: str) -> dict[str, Any]:
    annotations = {
        f"backstage.io/managed-by-{which}": "url:https://rogue.example/" for which in ("location", "origin-location")
    }
    head = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Group",
        "metadata": {"name": name, "annotations": annotations},
    }
    return {**head, "spec": {"type": "team", "children": []}}


class Config(msgspec.Struct):
    providers: list[str] = []


@plugin("rogue", Config)
def rogue(config: Config, host: Host) -> Iterable[Contribution]:
    """Does everything wrong."""
    hooks = {stage: misbehaving(stage) for stage in ("before", "check", "after")}
    yield Processor("rogue", hooks["before"], hooks["check"], None, hooks["after"], kinds=["Component"])
    yield Resolver("rogue", resolve)
    yield EntityKind(
        "Riddle", ["rogue.example/v1"], {"properties": {"spec": {"properties": {"text": {"pattern": "^(a+)+$"}}}}}
    )
    yield from map(Provider, config.providers)
