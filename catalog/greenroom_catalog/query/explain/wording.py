"""a class of failure + a case -> a finding: the blanks of its texts filled in, and nothing secret in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from greenroom.entity import ORIGIN_LOCATION
from greenroom_catalog.ingestion.findings import Finding as Complaint
from greenroom_catalog.ingestion.locations import Location
from greenroom_catalog.ingestion.spelling import nearest
from greenroom_catalog.model.kinds import KINDS
from greenroom_catalog.query.explain.case import Case, Setup
from greenroom_catalog.query.explain.facts import Facts, Known, Provider
from greenroom_catalog.query.explain.failures import FAILURES
from greenroom_catalog.query.explain.look import Look
from greenroom_catalog.query.explain.places import (
    Place,
    annotation,
    class_of,
    complaint_like,
    complaint_place,
    entity_in,
    host_of,
    local,
    place_of,
    stands_at,
    target_in,
)
from greenroom_catalog.query.explain.story import Finding, Severity

UNKNOWN = "(unknown)"
"""What stands in a text for what nobody could tell."""

SILENT = timedelta(seconds=60)
"""What has been due for longer has no worker, or one that cannot keep up."""

_REFUSED = re.compile(r"Entity (\S+:\S+) at .* is not of an allowed kind for that location$", re.DOTALL)
_PROCESSOR = re.compile(r"^Processor (\S+) threw")


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
    **blanks: object,
) -> Finding:
    """A finding of a class. `hint` replaces that of the class; `blanks` are what only the finder knows."""
    failure, hide = FAILURES[slug], case.setup.hide
    known = _Blanks({key: hide(str(value)) for key, value in {**_blanks(case, place, since), **blanks}.items()})
    if "target" in blanks:
        known["host"] = hide(host_of(str(blanks["target"])))
    return Finding(
        verdict=slug,
        severity=severity,
        stage=failure.stage,
        summary=failure.summary.format_map(known),
        hint=failure.hint.format_map(known) if hint is None else hide(hint),
        message=None if message is None else hide(message),
        at=None if place is None else hide(str(place)),
        file=None if place is None else hide(place.file),
        line=place.line if place else None,
        column=place.column if place else None,
        since=since,
        commands=[command.format_map(known) for command in failure.commands],
        subject=subject,
    )


def _blanks(case: Case, place: Place | None, since: datetime | None) -> dict[str, str]:
    """What can be told of any case."""
    file = place.file if place else ""
    root = case.facts.root
    return {
        "ref": case.ref,
        "kind": case.facts.ref.kind,
        "parent": case.ref,
        "provider": (root.provider if root else None) or UNKNOWN,
        "target": file,
        "host": host_of(file),
        "file": file,
        "local": local(file),
        "since": told(since, case.facts.moment.now),
        "next": next_of(case, reader_of(case.facts)),
        "elsewhere": ": `--at URL`",
    }


def from_error(
    case: Case, known: Known, message: str, severity: Severity = "error", looks: Sequence[Look] | None = None
) -> Finding:
    """A finding for an error that processing `known` came to."""
    looks = case.looks if looks is None else looks
    target, slug = target_in(message, known), class_of(message, looks)
    place = place_of(looks, message, target, known.ref if known is case.facts.entity else None)
    if FAILURES[slug].stage == "location" and (file := stands_at(known)):
        place = Place(file)
    complaint, processor = complaint_like(looks, message), _PROCESSOR.match(message)
    kind, hint = _advice(case, message, looks, complaint, annotation(known, ORIGIN_LOCATION))
    return finding(
        case,
        slug,
        severity,
        message=message,
        place=place,
        hint=hint,
        subject=known.ref,
        target=target,
        parent=known.ref,
        kind=kind,
        field=field_of(complaint),
        processor=processor[1] if processor else UNKNOWN,
    )


def from_complaint(case: Case, look: Look, complaint: Complaint, origin: str, severity: Severity = "error") -> Finding:
    """A finding for what is wrong with a file as it is now, which comes from the location `origin`."""
    message, place = complaint.message, complaint_place(complaint)
    kind, hint = _advice(case, message, [look], complaint, origin)
    return finding(
        case, class_of(message, [look]), severity, message=message, place=place, hint=hint,
        kind=kind, field=field_of(complaint),
    )  # fmt: skip


def _advice(
    case: Case, message: str, looks: Sequence[Look], complaint: Complaint | None, origin: str
) -> tuple[str, str | None]:
    """The kind that an error is about, and a hint that is better than that of its class."""
    if refused := _REFUSED.match(message):
        entity = entity_in(looks, refused[1])
        kind = str(entity.value["kind"]) if entity is not None else refused[1].partition(":")[0]
        return kind, _on_refused(case.setup, kind, origin)
    if complaint is None or class_of(message, looks) == "web-page":
        return case.facts.ref.kind, None
    return case.facts.ref.kind, complaint.hint


def _on_refused(setup: Setup, kind: str, origin: str) -> str:
    """Which rules refuse a kind, and whether it is only misspelt."""
    rule, allowed, other = rules_for(setup, origin)
    hint = f"{rule} allows {allowed} from {origin}: add `{kind}` to its `allow`{other}"
    near = nearest(kind, [name for _, name in KINDS])
    if near is not None and near.lower() != kind.lower():
        return f"do you mean `kind: {near}`? If not: {hint}"
    return hint


def field_of(complaint: Complaint | None) -> str:
    """The dotted path to what is wrong."""
    return ".".join(map(str, complaint.path)) if complaint is not None and complaint.path else "metadata"


def rules_for(setup: Setup, origin: str) -> tuple[str, str, str]:
    """The rules that hold for a location, in words; the kinds that they allow; where else one could be allowed."""
    type_, _, target = origin.partition(":")
    kinds = [
        f"{kind.kind} of spec.type {kind.spec_type}" if kind.spec_type else kind.kind
        for rule in setup.rules.rules
        if rule.places is None or any(place.holds(type_, target) for place in rule.places)
        for kind in rule.kinds
    ]
    allowed = ", ".join(dict.fromkeys(kinds)) or "nothing"
    rule = "`catalog.rules`" if setup.rules_are_set else "`catalog.rules` (not set, so the default)"
    index = setup.index_of(Location(type_, target))
    if index is None:
        return rule, allowed, ""
    if setup.locations[index].rules is not None:
        rule += f" with `catalog.locations[{index}].rules`"
    return rule, allowed, f", or to the `rules` of `catalog.locations[{index}]`"


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


def good_run(case: Case, provider: Provider) -> str:
    """When a provider last did what it should, in words."""
    if provider.good_at is None:
        return "it has never gone well"
    return f"the last good run was {told(provider.good_at, case.facts.moment.now)}"


def overdue(case: Case, known: Known) -> str | None:
    """How long an entity has been due in vain, in words; None if that is not long."""
    if known.due_at is None or case.facts.moment.now - known.due_at <= SILENT:
        return None
    return told((case.facts.moment.now - known.due_at).total_seconds(), case.facts.moment.now)


def reader_of(facts: Facts) -> Known | None:
    """The entity whose processing reads the file: the location above, or the entity itself."""
    return facts.above[0] if facts.above else facts.entity


def next_of(case: Case, reading: Known | None) -> str:
    """When a location is read again, in words."""
    if reading is None or reading.due_at is None:
        return "when its location is due"
    if reading.never_again:
        return "never by itself (`catalog.processingInterval: false`)"
    seconds = (reading.due_at - case.facts.moment.now).total_seconds()
    return f"in {_length(seconds)}" if seconds > 0 else "as soon as a worker gets to it"
