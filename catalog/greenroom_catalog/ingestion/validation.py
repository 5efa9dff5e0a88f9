"""Entity + where it is to stand -> what would be wrong with it, by the processing it would go through, storing nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.locations import LocationRefError, parse_location
from greenroom_catalog.ingestion.processor import Processed, Processor
from greenroom_catalog.model import validate_envelope


def placed(entity: Any, location: str) -> Entity:
    """An entity as if it had been found at `location`, `url:https://…`; what it says itself of where it stands wins.

    Raises EnvelopeError for what is no entity, LocationRefError."""
    known = validate_envelope(entity)
    _check_place(location)
    own = _members(known["metadata"].get("annotations"))
    for mark in (LOCATION, ORIGIN_LOCATION):
        _check_own(own.get(mark))
    marks = {LOCATION: location, ORIGIN_LOCATION: location, **own}
    return {**known, "metadata": {**known["metadata"], "annotations": marks}}


def _check_place(location: str) -> None:
    if parse_location(location).type != "url":
        only = "only 'url:<target>' is supported, e.g. url:https://host/path"
        raise LocationRefError(f"Invalid location ref {location}, {only}")


def _check_own(mark: object) -> None:
    """Whoever says that their Location stands on this disk would have its files read. What is no location is told later."""
    if isinstance(mark, str) and mark.partition(":")[0].strip().lower() == "file":
        _check_place(mark)


def _members(value: Any) -> Mapping[str, Any]:
    """What upstream takes annotations to be here: of a list each element is one, of a text each letter, of a number none.

    In a file they must be an object (`work.adopt`)."""
    if isinstance(value, dict):
        return value
    return {str(index): item for index, item in enumerate(value)} if isinstance(value, list | str) else {}


class Validation:
    """Tries entities out."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    async def problems(self, entity: Entity) -> Sequence[GreenroomError]:
        """What is wrong with an entity that is `placed`. The targets of a Location are read, and have to be sound."""
        result = await self._processor.process(entity)
        return result.errors if isinstance(result, Processed) else ()
