"""Entity + where it is to stand -> what would be wrong with it, by the processing it would go through, storing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.locations import LocationRefError, parse_location
from greenroom_catalog.ingestion.processor import Processed, Processor
from greenroom_catalog.model import validate_envelope


def placed(entity: Any, location: str) -> Entity:
    """An entity as if it had been found at `location`, `url:https://…`; what it says itself of where it stands wins.

    Raises EnvelopeError for what is no entity, LocationRefError, GreenroomError for annotations that are none."""
    known = validate_envelope(entity)
    if parse_location(location).type != "url":
        only = "only 'url:<target>' is supported, e.g. url:https://host/path"
        raise LocationRefError(f"Invalid location ref {location}, {only}")
    own = known["metadata"].get("annotations") or {}
    if not isinstance(own, dict):
        raise GreenroomError("metadata.annotations must be a valid object")  # as in a file
    marks = {LOCATION: location, ORIGIN_LOCATION: location, **own}
    return {**known, "metadata": {**known["metadata"], "annotations": marks}}


class Validation:
    """Tries entities out."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    async def problems(self, entity: Entity) -> Sequence[GreenroomError]:
        """What is wrong with an entity that is `placed`. The targets of a Location are read, and have to be sound."""
        result = await self._processor.process(entity)
        return result.errors if isinstance(result, Processed) else ()
