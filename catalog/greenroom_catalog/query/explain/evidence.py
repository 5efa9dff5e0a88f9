"""case -> the case with what its files hold now: the entity's own, those that may have it, and the one that the asker names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION
from greenroom.errors import GreenroomError
from greenroom.urls import Urls
from greenroom_catalog.ingestion.locations import Location, LocationRefError, absolute_target, parse_location
from greenroom_catalog.query.explain.case import Case
from greenroom_catalog.query.explain.facts import Facts, Known
from greenroom_catalog.query.explain.failures import FAILURES, classify
from greenroom_catalog.query.explain.look import Look, Looker
from greenroom_catalog.query.explain.places import annotation

MOST_READ = 20
"""Locations whose files are read to find an unknown entity."""

_UNWELL = frozenset({"host-timeout", "host-unreachable", "host-rate-limited", "host-failing"})
"""Hosts that answered so a moment ago are not asked again for the sake of an explanation."""


async def with_url(case: Case, looker: Looker, url: str, urls: Urls) -> Case:
    """With the file that the asker names, or, if only that has the entity, a file at a location below it."""
    look = await looker.at(Location("url", _as_processed(url, urls)), origin=f"url:{url}")
    if look.error is None and look.with_entity(case.ref) is None:
        below = await looker.below(look)
        look = next((one for one in below if one.with_entity(case.ref) is not None), look)
    return msgspec.structs.replace(case, at=look, registrable=url)


def _as_processed(url: str, urls: Urls) -> str:
    """The URL as processing spells the target of a location, by which files are claimed."""
    try:
        return absolute_target(url, "url", Location("url", url), urls)
    except GreenroomError:
        return url  # reading it will tell


async def with_files(case: Case, looker: Looker) -> Case:
    """With the file of an entity that is known, or those of the locations behind which an unknown one may be."""
    entity = case.facts.entity
    if entity is not None:
        return msgspec.structs.replace(case, looks=await _at_source(entity, case.facts, looker))
    suspects = _worth_reading(case.facts.suspects)[:MOST_READ]
    looks = await asyncio.gather(*(looker.behind(known.document) for known in suspects))
    behind = {known.ref: look for known, look in zip(suspects, looks, strict=True)}
    return msgspec.structs.replace(case, behind=behind)


def _worth_reading(suspects: Sequence[Known]) -> list[Known]:
    """Locations that can probably be read first; those of hosts that are not well, not at all."""
    classes = {known.ref: {classify(error["message"]) for error in known.errors} for known in suspects}
    readable = [known for known in suspects if not classes[known.ref] & _UNWELL]
    return sorted(readable, key=lambda known: any(FAILURES[slug].stage == "read" for slug in classes[known.ref]))


async def _at_source(entity: Known, facts: Facts, looker: Looker) -> Sequence[Look]:
    """The file of an entity, or the targets of a Location. A `file` is read only where ingestion itself reads it: below a
    location of that type. What a provider emitted need not be a file of ours: it is looked at only for the line of an error."""
    if entity.ref.startswith("location:"):
        return await looker.behind(entity.document)
    try:
        location = parse_location(annotation(entity, LOCATION))
    except LocationRefError:
        return ()
    below = facts.above[0] if facts.above else None
    if below is None and not (entity.errors or entity.stitch_error):
        return ()
    from_files = below is not None and annotation(below, LOCATION).startswith("file:")
    if location.type == "url" or (location.type == "file" and from_files):
        origin = annotation(entity, ORIGIN_LOCATION) or str(location)
        return [await looker.at(location, origin=origin)]
    return ()
