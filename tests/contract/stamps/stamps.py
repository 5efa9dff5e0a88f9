"""Stamps: a processor that labels components, and tells the catalog of the office where they were stamped."""

from collections.abc import Iterable

import msgspec

from greenroom import Contribution, Entity, Host, Location, Processor, Work, plugin

OFFICE = {"apiVersion": "backstage.io/v1alpha1", "kind": "Resource", "metadata": {"name": "office"}}


class Config(msgspec.Struct):
    office: str
    owner: str = "post"


@plugin("stamps", Config)
def stamps(config: Config, host: Host) -> Iterable[Contribution]:
    """Components are stamped."""

    async def stamp(entity: Entity, work: Work) -> Entity:
        entity["metadata"].setdefault("labels", {})["stamps.example/office"] = config.office
        return entity

    async def register(entity: Entity, work: Work) -> Entity:
        office = {**OFFICE, "spec": {"type": "office", "owner": config.owner}}
        work.emit(office, Location("url", f"https://stamps.example/{config.office}"), location_key="stamps")
        work.relate(f"component:{entity['metadata']['name']}", "stampedAt", "resource:office")
        work.cache["times"] = work.cache.get("times", 0) + 1
        return entity

    yield Processor("stamps", before=stamp, after=register, kinds=["Component"])
