"""looks + an error -> what the files say of it: its place, its class, and what `validate` would advise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from greenroom.entity import LOCATION
from greenroom_catalog.ingestion.findings import Finding as Complaint
from greenroom_catalog.ingestion.findings import FoundEntity
from greenroom_catalog.ingestion.holes import holes_of
from greenroom_catalog.query.explain.facts import Known
from greenroom_catalog.query.explain.failures import classify
from greenroom_catalog.query.explain.look import Look, Seen

_URL = re.compile(r"https?://[^\s'\",<>]+")
_FILE = re.compile(r"\bfile[: ](/.+?)(?: does not exist| could not be read|,|$)")
_LINE = re.compile(r"at line (\d+), column (\d+)")
_PLACEHOLDER = re.compile(r"Placeholder \$(\w+) could not read location (.+?), ", re.DOTALL)
_NOT_FOR_PAGES = frozenset({"yaml-broken", "not-an-object", "envelope-invalid"})
"""Classes that a web page has only since it is none of ours."""


class Place(NamedTuple):
    """A place in a file."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column or 1}"


def local(target: str) -> str:
    """A file as its author has it: a path, or the name at the end of a URL."""
    return target.partition("?")[0].rpartition("/")[2] or target if "://" in target else target


def host_of(target: str) -> str:
    """The host of a URL, with its port; the text itself where it is none."""
    try:
        return urlsplit(target).netloc.rpartition("@")[2] or target
    except ValueError:
        return target


def annotation(known: Known, name: str) -> str:
    """An annotation of an entity as its source emitted it, `""` without it."""
    metadata: Any = known.document.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return str(annotations.get(name) or "") if isinstance(annotations, dict) else ""


def stands_at(known: Known) -> str:
    """Where it comes from, as an operator would write it: a URL or a path, and all of what is neither (`ldap:acme`)."""
    location = annotation(known, LOCATION)
    type_, _, target = location.partition(":")
    return target if type_ in ("url", "file") else location


def targets_of(known: Known) -> list[str]:
    """The targets of a Location entity as they are written; none for other entities."""
    spec: Any = known.document.get("spec")
    if not known.ref.startswith("location:") or not isinstance(spec, dict):
        return []
    return [str(target) for target in (spec.get("target"), *(spec.get("targets") or ())) if target]


def target_in(message: str, known: Known) -> str:
    """The URL or path that an error is about: as it says itself, else the targets of the location, else where it stands."""
    if found := _URL.search(message):
        return found[0].rstrip(":,.;)")
    if found := _FILE.search(message):
        return found[1]
    return ", ".join(targets_of(known)) or stands_at(known)


def complaint_like(looks: Sequence[Look], message: str) -> Complaint | None:
    """What is wrong with a file now in the words of an error that was stored."""
    for complaint in (complaint for seen in _files(looks) for complaint in seen.complaints()):
        if complaint.message in message or message in complaint.message:
            return complaint
    return None


def complaint_place(complaint: Complaint) -> Place:
    """Where it is."""
    return Place(complaint.file, complaint.line, complaint.column)


def class_of(message: str, looks: Sequence[Look] = ()) -> str:
    """The class of an error: by its words, and by what the file turns out to be."""
    slug = classify(message)
    if slug in _NOT_FOR_PAGES and (complaint := complaint_like(looks, message)) is not None:
        pages = (seen for seen in _files(looks) if seen.is_page)
        return "web-page" if any(seen.location.target == complaint.file for seen in pages) else slug
    return slug


def start_of(entity: FoundEntity) -> Place:
    """Where the document of an entity begins."""
    return Place(entity.file, entity.line, 1)


def place_of(looks: Sequence[Look], message: str, target: str, ref: str | None = None) -> Place:
    """Where an error is: found in the file as it is now, or as the error itself says, or at the entity's document."""
    if complaint := complaint_like(looks, message):
        return complaint_place(complaint)
    if found := _LINE.search(message):
        return Place(target, int(found[1]), int(found[2]))
    entity = None if ref is None else entity_in(looks, ref)
    if entity is None:
        return Place(target)
    return _placeholder(entity, message) or start_of(entity)


def entity_in(looks: Sequence[Look], ref: str) -> FoundEntity | None:
    """The document of an entity in these files."""
    return next((entity for seen in _files(looks) for entity in seen.of(ref)), None)


def _placeholder(entity: FoundEntity, message: str) -> Place | None:
    """Where the placeholder stands of which an error speaks."""
    found = _PLACEHOLDER.search(message)
    if found is None:
        return None
    for hole in holes_of(entity.value):
        if (hole.key, hole.argument) == (found[1], found[2]):
            span = entity.places.value(entity.line, hole.path)
            return Place(entity.file, span.line, span.column)
    return None


def _files(looks: Sequence[Look]) -> Iterator[Seen]:
    return (seen for look in looks for seen in look.files)
