"""type + target -> Location: what a location reference says, and the Location entity that stands for it."""

from __future__ import annotations

import os.path
from hashlib import sha1

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity, Location
from greenroom.errors import GreenroomError, InputError
from greenroom.urls import InvalidUrlError, Urls
from greenroom_catalog.model.weburl import is_script_url

__all__ = [
    "Location",
    "LocationRefError",
    "absolute_target",
    "location_entity",
    "location_name",
    "location_of",
    "location_ref",
    "origin_of",
    "parse_location",
]


class LocationRefError(GreenroomError):
    """The location reference is malformed"""

    name = "TypeError"  # what upstream's parseLocationRef throws


def parse_location(ref: object) -> Location:
    """`<type>:<target>` -> Location (catalog-model, parseLocationRef). Raises LocationRefError."""
    if not isinstance(ref, str):
        raise LocationRefError(f"Unable to parse location ref '{ref}', unexpected argument {type(ref).__name__}")
    kind, colon, target = (part.strip() for part in ref.partition(":"))
    if not colon or not kind or not target:
        raise LocationRefError(
            f"Unable to parse location ref '{ref}', expected '<type>:<target>', e.g. 'url:https://host/path'"
        )
    if kind in ("http", "https"):
        raise LocationRefError(f"Invalid location ref '{ref}', please prefix it with 'url:', e.g. 'url:{ref}'")
    if is_script_url(target):
        raise LocationRefError(f"Invalid location ref '{ref}', target is a javascript: URL")
    return Location(kind, target)


def location_of(entity: Entity, ref: str) -> Location:
    """Where the entity stands. Raises InputError when its source forgot to say so."""
    return _annotated(entity, ref, LOCATION)


def origin_of(entity: Entity, ref: str) -> Location:
    """Where the chain of locations that led to the entity begins. Raises InputError."""
    return _annotated(entity, ref, ORIGIN_LOCATION)


def _annotated(entity: Entity, ref: str, annotation: str) -> Location:
    annotations = entity["metadata"].get("annotations")
    value = annotations.get(annotation) if isinstance(annotations, dict) else None
    if not value:
        raise InputError(f"Entity '{ref}' does not have the annotation {annotation}")
    return parse_location(value)


def location_name(location: Location) -> str:
    """The name of the Location entity that is made for a registration."""
    return f"generated-{sha1(str(location).encode(), usedforsecurity=False).hexdigest()}"


def location_ref(location: Location) -> str:
    """The ref of the Location entity that is made for a registration."""
    return f"location:default/{location_name(location)}"


def location_entity(location: Location, *, name: str | None = None, presence: str | None = None) -> Entity:
    """The Location entity that is made for a registration. A location that was moved keeps its old name."""
    spec = {"type": location.type, "target": location.target}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {
            "name": name or location_name(location),
            "annotations": {LOCATION: str(location), ORIGIN_LOCATION: str(location)},
        },
        "spec": spec if presence is None else {**spec, "presence": presence},
    }


def absolute_target(target: str, type_: str, base: Location, urls: Urls) -> str:
    """A target as written in a Location entity that stands at `base` -> the target to read."""
    if base.type != type_:
        return target
    if type_ == "url":
        try:
            return urls.resolve(target, base.target)
        except InvalidUrlError:
            return target  # reading it will tell
    if type_ == "file" and target.startswith("."):
        return os.path.normpath(os.path.join(os.path.dirname(base.target), target))  # noqa: PTH118, PTH120 - text, not a file
    return target
