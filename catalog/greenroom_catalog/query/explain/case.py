"""What a diagnosis has before it, and how it words what it finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION
from greenroom.settings.redaction import hide_in_text
from greenroom_catalog.ingestion.findings import Finding as Complaint
from greenroom_catalog.ingestion.findings import FoundEntity
from greenroom_catalog.model import Rules
from greenroom_catalog.query.explain.facts import Facts, Known
from greenroom_catalog.query.explain.failures import FAILURES
from greenroom_catalog.query.explain.look import Look
from greenroom_catalog.query.explain.story import Finding, Severity
from greenroom_catalog.settings import LocationConfig

SILENT = timedelta(seconds=60)
"""What has been due for longer has no worker, or one that cannot keep up."""

UNKNOWN = "(unknown)"
"""What stands in a text for what nobody could tell."""

_URL = re.compile(r"https?://[^\s'\",<>]+")
_FILE = re.compile(r"\bfile[: ](/.+?)(?: does not exist| could not be read|,|$)")
_LINE = re.compile(r"at line (\d+), column (\d+)")


class Setup(msgspec.Struct, frozen=True):
    """The configuration, as far as it decides what becomes of an entity."""

    rules: Rules
    installed: Callable[[], Iterable[str]]
    """The names of the providers of this process."""
    disabled: Collection[str] = ()
    """Those of them that `catalog.providerOptions` disables."""
    locations: Sequence[LocationConfig] = ()
    keeps_orphans: bool = False
    rules_are_set: bool = False
    """Whether there is a `catalog.rules`."""
    hide: Callable[[str], str] = hide_in_text
    """Takes secrets out of a text, whatever the text is."""


class Case(msgspec.Struct, frozen=True):
    """One question, and all there is to answer it with."""

    facts: Facts
    setup: Setup
    looks: Sequence[Look] = ()
    """The file of the entity, read now; of a Location entity, its targets."""
    at: Look | None = None
    """What stands at the URL that the asker names, or, if it has the entity, at a location below it."""
    registrable: str = ""
    """That URL itself."""
    behind: Mapping[str, Sequence[Look]] = {}
    """By ref: what stands behind the locations that an unknown entity may come from."""

    @property
    def ref(self) -> str:
        return str(self.facts.ref)


class Place(NamedTuple):
    """A place in a file."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column or 1}"


class _Blanks(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return UNKNOWN


def finding(
    case: Case,
    slug: str,
    severity: Severity = "error",
    *,
    message: str | None = None,
    place: Place | None = None,
    hint: str | None = None,
    since: datetime | None = None,
    subject: str | None = None,
    blanks: Mapping[str, object] | None = None,
    **more: object,
) -> Finding:
    """A finding of a class, its texts filled in."""
    failure = FAILURES[slug]
    blanks = {**(blanks or {}), **more}
    target = str(blanks.get("target") or (place.file if place else ""))
    known = _Blanks(
        {
            "ref": case.ref,
            "kind": case.facts.ref.kind,
            "parent": case.ref,
            "target": target,
            "host": host_of(target),
            "file": place.file if place else target,
            "local": local(place.file if place else target),
            "since": told(since, case.facts.moment.now),
            "next": next_of(case),
        }
    )
    known.update({key: value if isinstance(value, str) else str(value) for key, value in blanks.items()})
    return Finding(
        verdict=slug,
        severity=severity,
        stage=failure.stage,
        summary=failure.summary.format_map(known),
        hint=hint or failure.hint.format_map(known),
        message=message,
        at=None if place is None else str(place),
        file=None if place is None else place.file,
        line=place.line if place else None,
        column=place.column if place else None,
        since=since,
        commands=[command.format_map(known) for command in failure.commands],
        subject=subject,
    )


def local(target: str) -> str:
    """A file as its author has it: a path, or the name at the end of a URL."""
    return target.partition("?")[0].rpartition("/")[2] or target if "://" in target else target


def host_of(target: str) -> str:
    """The host of a URL, with its port; the text itself where it is none."""
    try:
        return urlsplit(target).netloc.rpartition("@")[2] or target
    except ValueError:
        return target


def told(moment: datetime | float | None, now: datetime) -> str:
    """A moment as `3 min ago`, a length in seconds as `3 min`."""
    if moment is None:
        return "never"
    if isinstance(moment, datetime):
        return f"{_length((now - moment).total_seconds())} ago ({moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"
    return _length(moment)


def _length(seconds: float) -> str:
    for unit, size in (("days", 172800), ("h", 7200), ("min", 120)):
        if seconds >= size:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def reader_of(facts: Facts) -> Known | None:
    """The entity whose processing reads the file: the location above, or the entity itself."""
    return facts.above[0] if facts.above else facts.entity


def next_of(case: Case) -> str:
    """When its file is read again, in words."""
    reading = reader_of(case.facts)
    if reading is None or reading.due_at is None:
        return "when its location is due"
    if reading.never_again:
        return "never by itself (`catalog.processingInterval: false`)"
    seconds = (reading.due_at - case.facts.moment.now).total_seconds()
    return f"in {_length(seconds)}" if seconds > 0 else "as soon as a worker gets to it"


def annotation(known: Known, name: str) -> str:
    """An annotation of an entity as its source emitted it, `""` without it."""
    metadata: Any = known.document.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return str(annotations.get(name) or "") if isinstance(annotations, dict) else ""


def target_in(message: str, known: Known) -> str:
    """The URL or path that an error is about: as it says itself, else the targets of the location, else where it stands."""
    if found := _URL.search(message):
        return found[0].rstrip(":,.;)")
    if found := _FILE.search(message):
        return found[1]
    spec: Any = known.document.get("spec")
    if known.ref.startswith("location:") and isinstance(spec, dict):
        targets = [*filter(None, [spec.get("target")]), *(spec.get("targets") or ())]
        if targets:
            return ", ".join(map(str, targets))
    return annotation(known, LOCATION).partition(":")[2]


def complaint_like(looks: Sequence[Look], message: str) -> Complaint | None:
    """What is wrong with a file now in the words of an error that was stored."""
    for look in looks:
        for seen in look.files:
            for complaint in seen.complaints():
                if complaint.message in message or message in complaint.message:
                    return complaint
    return None


def start_of(entity: FoundEntity) -> Place:
    """Where the document of an entity begins."""
    return Place(entity.file, entity.line, 1)


def place_of(looks: Sequence[Look], message: str, target: str, ref: str | None = None) -> Place:
    """Where an error is: found in the file as it is now, or as the error itself says, or at the entity's document."""
    if complaint := complaint_like(looks, message):
        return Place(complaint.file, complaint.line, complaint.column)
    if found := _LINE.search(message):
        return Place(target, int(found[1]), int(found[2]))
    if ref is not None:
        for look in looks:
            if seen := look.with_entity(ref):
                entity = seen.of(ref)[0]
                return start_of(entity)
    return Place(target)


def from_error(
    case: Case, slug: str, known: Known, message: str, severity: Severity = "error", looks: Sequence[Look] | None = None
) -> Finding:
    """A finding for an error that processing `known` came to."""
    target = target_in(message, known)
    looks = case.looks if looks is None else looks
    place = place_of(looks, message, target, known.ref if known is case.facts.entity else None)
    complaint = complaint_like(looks, message)
    origin = annotation(known, ORIGIN_LOCATION)
    refused = re.match(r"Entity (\S+?):\S+ at ", message)
    blanks: dict[str, object] = {
        "target": target,
        "parent": known.ref,
        "origin": origin,
        **rule_blanks(case.setup, origin),
    }
    if slug == "kind-not-allowed" and refused:
        blanks["kind"] = _kind_as_written(looks, message) or refused[1]
    if case.facts.provider is not None:
        blanks["provider"] = case.facts.provider.name
    elif (root := case.facts.root) is not None and root.provider:
        blanks["provider"] = root.provider
    hint = complaint.hint if complaint is not None and slug != "kind-not-allowed" else None
    return finding(case, slug, severity, message=message, place=place, hint=hint, subject=known.ref, blanks=blanks)


def _kind_as_written(looks: Sequence[Look], message: str) -> str | None:
    for look in looks:
        for seen in look.files:
            for entity in seen.examination.entities:
                if message.startswith(f"Entity {entity.ref} at "):
                    return str(entity.value["kind"])
    return None


def rule_blanks(setup: Setup, origin: str) -> dict[str, object]:
    """Which kinds may come from a location, and which entry of the config says so."""
    type_, _, target = origin.partition(":")
    kinds = [
        f"{kind.kind} of spec.type {kind.spec_type}" if kind.spec_type else kind.kind
        for rule in setup.rules.rules
        if rule.places is None or any(place.holds(type_, target) for place in rule.places)
        for kind in rule.kinds
    ]
    other = ""
    rule = "`catalog.rules`" if setup.rules_are_set else "`catalog.rules` (not set, so the default)"
    for index, location in enumerate(setup.locations):
        same = location.target == target or (location.type == "file" and target.endswith(location.target.lstrip("./")))
        if location.type == type_ and same:
            other = f", or to the `rules` of `catalog.locations[{index}]`"
            if location.rules is not None:
                rule += f" with `catalog.locations[{index}].rules`"
    return {"other": other, "allowed": ", ".join(dict.fromkeys(kinds)) or "nothing", "rule": rule}
