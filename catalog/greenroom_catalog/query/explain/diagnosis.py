"""case -> findings, for an entity that is known: what is wrong with it, the gravest first, then what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom_catalog.ingestion.locations import Location, location_ref
from greenroom_catalog.query.explain.case import (
    SILENT,
    Case,
    Place,
    annotation,
    finding,
    from_error,
    place_of,
    reader_of,
    rule_blanks,
    start_of,
    target_in,
    told,
)
from greenroom_catalog.query.explain.facts import Known
from greenroom_catalog.query.explain.failures import classify
from greenroom_catalog.query.explain.look import Look, Seen
from greenroom_catalog.query.explain.story import Finding, Severity

_OF_A_DOCUMENT = frozenset({"yaml-broken", "yaml-limit", "not-an-object", "envelope-invalid", "kind-not-allowed"})
"""Classes by which one document costs the whole file."""


def diagnose(case: Case, entity: Known) -> list[Finding]:
    """Everything there is to say about an entity that the tables know. Without an error, it is well."""
    found = [
        *_at(case, entity),
        *_errors(case, entity),
        *_stitching(case, entity),
        *_above(case),
        *_provider(case, entity),
        *_orphan(case, entity),
        *_source(case, entity),
        *_waiting(case, entity),
        *_claims(case),
        *_moved(case),
        *_dangling(case),
    ]
    return sorted(found, key=lambda one: one.severity != "error")


def _errors(case: Case, entity: Known) -> Iterator[Finding]:
    """Why its last processing failed."""
    for error in entity.errors:
        yield from_error(case, classify(error["message"]), entity, error["message"])


def _stitching(case: Case, entity: Known) -> Iterator[Finding]:
    if entity.stitch_error is None:
        return
    slug = "keys-differ-in-case" if "casing" in entity.stitch_error else "not-indexable"
    place = place_of(case.looks, entity.stitch_error, target_in("", entity), entity.ref)
    yield finding(
        case, slug, message=entity.stitch_error, place=place, since=entity.stitch_failed_at, subject=entity.ref
    )


def _above(case: Case) -> Iterator[Finding]:
    """What failed on the way down to the entity: it is served as it last was."""
    for depth, known in enumerate(case.facts.above):
        severity: Severity = "error" if depth == 0 else "warning"
        for error in known.errors:
            message = error["message"]
            slug = classify(message)
            if depth == 0 and is_neighbours(case.looks, case.ref, slug, message):
                yield neighbour(case, known, message, case.looks)
                yield from_error(case, slug, known, message, "warning")
            else:
                yield from_error(case, slug, known, message, severity if depth == 0 else "warning")


def is_neighbours(looks: Sequence[Look], ref: str, slug: str, message: str) -> bool:
    """Whether an error of a location is about another document than the entity's."""
    if slug not in _OF_A_DOCUMENT:
        return False
    if message.startswith("Entity "):
        return not message.startswith(f"Entity {ref} at ")
    seen = next((found for look in looks if (found := look.with_entity(ref)) is not None), None)
    return seen is not None and not seen.complaints(ref)


def neighbour(case: Case, known: Known, message: str, looks: Sequence[Look]) -> Finding:
    """The entity suffers for another document."""
    target = target_in(message, known)
    place = place_of(looks, message, target)
    return finding(case, "neighbour-refused", message=message, place=place, target=target, subject=known.ref)


def _provider(case: Case, entity: Known) -> Iterator[Finding]:
    """What is wrong with the provider at the top: an error if the entity is its own, else worth knowing."""
    root = case.facts.root
    if root is None or root.provider is None:
        return
    severity: Severity = "error" if root is entity else "warning"
    name, provider = root.provider, case.facts.provider
    if name in case.setup.disabled:
        yield finding(case, "provider-disabled", severity, provider=name, subject=name)
    elif name not in set(case.setup.installed()):
        yield finding(case, "provider-not-installed", severity, provider=name, subject=name)
    elif provider is not None and provider.paused_at is not None:
        yield finding(case, "provider-paused", severity, provider=name, since=provider.paused_at, subject=name)
    elif provider is not None and provider.error is not None:
        good = provider.good_at
        yield finding(
            case, "provider-failed", severity, message=provider.error, provider=name, since=good, subject=name
        )


def _orphan(case: Case, entity: Known) -> Iterator[Finding]:
    if not entity.referred_to:
        slug = "orphaned" if case.setup.keeps_orphans else "orphan-leaving"
        yield finding(case, slug, place=Place(target_in("", entity)), subject=entity.ref)


def _waiting(case: Case, entity: Known) -> Iterator[Finding]:
    """What has still to happen, and how long it has been so."""
    now = case.facts.moment.now
    for known in [entity, *case.facts.above[:1]]:
        overdue = (now - known.due_at).total_seconds() if known.due_at is not None else 0.0
        if overdue > SILENT.total_seconds():
            blanks = {"since": told(overdue, now)}
            yield finding(case, "worker-behind", since=known.due_at, subject=known.ref, blanks=blanks)
            return
    if entity.ticket_at is not None:
        slug = "stitcher-behind" if now - entity.ticket_at > SILENT else "waiting-for-stitch"
        blanks = {"since": told((now - entity.ticket_at).total_seconds(), now)}
        yield finding(case, slug, since=entity.ticket_at, subject=entity.ref, blanks=blanks)
    elif not entity.tried:
        yield finding(case, "pending", since=entity.discovered_at, subject=entity.ref)


def _source(case: Case, entity: Known) -> Iterator[Finding]:
    """What its file holds now, and when that will be noticed."""
    for one in _news(case, entity):
        reading = reader_of(case.facts)
        late = reading is not None and reading.never_again and one.verdict in ("changed-at-source", "leaving")
        if late:
            yield finding(case, "refresh-disabled", place=Place(one.file or ""), subject=entity.ref)
        yield one
        if late:
            return
    reading = reader_of(case.facts)
    if reading is not None and reading.never_again:
        yield finding(case, "refresh-disabled", "warning", subject=reading.ref)


def _news(case: Case, entity: Known) -> Iterator[Finding]:
    if entity.ref.startswith("location:") or not case.facts.above:
        return
    told_above = bool(case.facts.above and case.facts.above[0].errors)
    for look in case.looks:
        if look.error is not None:
            if not told_above:
                yield _now(case, classify(look.error), look.error, Place(look.location.target))
            continue
        seen = look.with_entity(entity.ref)
        if seen is None:
            broken = [complaint for one in look.files for complaint in one.complaints()]
            if not broken:
                yield finding(case, "leaving", place=Place(look.location.target), subject=entity.ref)
            elif not told_above:
                first = broken[0]
                place = Place(first.file, first.line, first.column)
                yield _now(case, classify(first.message), first.message, place)
            continue
        yield from _of_document(case, entity, seen)


def _now(case: Case, slug: str, message: str, place: Place) -> Finding:
    """An error that the next refresh will meet."""
    return finding(case, slug, "warning", message=message, place=place, target=place.file, blanks=_origin(case, place))


def _origin(case: Case, place: Place) -> dict[str, object]:
    root = case.facts.root
    origin = annotation(root, ORIGIN_LOCATION) if root is not None else f"url:{place.file}"
    return {"origin": origin, **rule_blanks(case.setup, origin)}


def _of_document(case: Case, entity: Known, seen: Seen) -> Iterator[Finding]:
    documents = seen.of(entity.ref)
    last = documents[-1]
    place = start_of(last)
    if len(documents) > 1:
        lines = " and ".join(str(document.line) for document in documents)
        message = f"it stands at the lines {lines}"
        yield finding(case, "duplicate-in-file", "warning", message=message, place=place, subject=entity.ref)
    if not entity.errors and _plain(last.value) != _plain(entity.document):
        yield finding(case, "changed-at-source", place=place, subject=entity.ref)


def _plain(document: Entity) -> Any:
    """A document without what the catalog adds when it takes it."""
    metadata = dict(document.get("metadata") or {})
    annotations = dict(metadata.pop("annotations", None) or {})
    for name in (LOCATION, ORIGIN_LOCATION):
        annotations.pop(name, None)
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def _at(case: Case, entity: Known) -> Iterator[Finding]:
    """What the file that the asker names has to do with it."""
    if case.at is None:
        return
    location = str(case.at.location)
    if case.at.error is not None:
        place = Place(case.at.location.target)
        yield finding(case, classify(case.at.error), message=case.at.error, place=place, target=place.file)
        return
    seen = case.at.with_entity(entity.ref)
    if seen is None:
        near = ", ".join(case.at.refs[:5]) or "no entities"
        yield finding(case, "not-in-file", place=Place(case.at.location.target), near=near)
    elif entity.location_key is not None and location not in (entity.location_key, annotation(entity, LOCATION)):
        document = seen.of(entity.ref)[0]
        place = start_of(document)
        yield finding(case, "conflict", place=place, holder=entity.location_key, wanted=location)


def _claims(case: Case) -> Iterator[Finding]:
    for claim in case.facts.claimants:
        wanted = claim.wanted_by or claim.provider or claim.ref or "somebody"
        yield finding(
            case, "contested", "warning", since=claim.seen_at, wanted=wanted, holder=claim.held_by, subject=claim.ref
        )


def _moved(case: Case) -> Iterator[Finding]:
    """A registration keeps its name when it is pointed at another file."""
    root, registered = case.facts.root, case.facts.registered
    if root is None or registered is None:
        return
    now = Location(registered.type, registered.target)
    if location_ref(now) != root.ref:
        yield finding(case, "location-moved", "warning", place=Place(now.target), subject=root.ref)


def _dangling(case: Case) -> Iterator[Finding]:
    if case.facts.absent:
        yield finding(case, "dangling-relation", "warning", near=", ".join(case.facts.absent[:10]), subject=case.ref)
