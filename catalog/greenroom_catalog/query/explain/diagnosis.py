"""case -> findings, for an entity that is known: what is wrong with it, the gravest first, then what is worth knowing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from greenroom_catalog.ingestion.locations import Location, location_ref
from greenroom_catalog.query.explain.case import Case
from greenroom_catalog.query.explain.facts import Known, Provider
from greenroom_catalog.query.explain.failures import FAILURES, classify
from greenroom_catalog.query.explain.look import Look, Seen
from greenroom_catalog.query.explain.places import (
    Place,
    annotation,
    class_of,
    complaint_like,
    place_of,
    stands_at,
    start_of,
    target_in,
)
from greenroom_catalog.query.explain.story import Finding, Severity
from greenroom_catalog.query.explain.wording import (
    SILENT,
    finding,
    from_complaint,
    from_error,
    good_run,
    overdue,
    reader_of,
    told,
)

OF_A_DOCUMENT = frozenset({"yaml-broken", "yaml-limit", "not-an-object", "envelope-invalid", "kind-not-allowed"})
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


def _at(case: Case, entity: Known) -> Iterator[Finding]:
    """What the file that the asker names has to do with it."""
    if case.at is None:
        return
    location, place = str(case.at.location), Place(case.at.location.target)
    seen = case.at.with_entity(entity.ref)
    if case.at.error is not None:
        yield finding(case, classify(case.at.error), message=case.at.error, place=place)
    elif seen is None:
        yield finding(case, "not-in-file", place=place, near=", ".join(case.at.refs[:5]) or "no entities")
    elif entity.location_key is not None and location not in (entity.location_key, annotation(entity, LOCATION)):
        yield finding(case, "conflict", place=start_of(seen.of(entity.ref)[0]), holder=entity.location_key)


def _errors(case: Case, entity: Known) -> Iterator[Finding]:
    """Why its last processing failed."""
    return (from_error(case, entity, error["message"]) for error in entity.errors)


def _stitching(case: Case, entity: Known) -> Iterator[Finding]:
    error = entity.stitch_error
    if error is not None:
        slug = "keys-differ-in-case" if "casing" in error else "not-indexable"
        place = place_of(case.looks, error, stands_at(entity), entity.ref)
        yield finding(case, slug, message=error, place=place, since=entity.stitch_failed_at, subject=entity.ref)


# --- above it -----------------------------------------------------------------------------------------------------


def _above(case: Case) -> Iterator[Finding]:
    """What failed on the way down to the entity: it is served as it last was."""
    for depth, known in enumerate(case.facts.above):
        for error in known.errors:
            message = error["message"]
            nearest = depth == 0
            if nearest and (others := of_neighbour(case, known, message, case.looks)) is not None:
                yield others
                nearest = False
            yield from_error(case, known, message, "error" if nearest else "warning")


def of_neighbour(case: Case, known: Known, message: str, looks: Sequence[Look]) -> Finding | None:
    """That the entity suffers for another document, or another target, of its location. None: the error is about itself."""
    seen = next((found for look in looks if (found := look.with_entity(case.ref)) is not None), None)
    slug, target = class_of(message, looks), target_in(message, known)
    if FAILURES[slug].stage == "read":
        if seen is None or target == seen.location.target:
            return None
        return finding(
            case, "neighbour-unreadable", message=message, place=Place(target), subject=known.ref, parent=known.ref
        )
    if slug not in OF_A_DOCUMENT or not _is_of_another(case.ref, message, seen):
        return None
    place, complaint = place_of(looks, message, target), complaint_like(looks, message)
    made = finding(case, "neighbour-refused", message=message, place=place, subject=known.ref)
    if complaint is None or complaint.hint is None or complaint.code == "kind-not-allowed":
        return made
    return msgspec.structs.replace(made, hint=f"{complaint.hint}; or {made.hint}")


def _is_of_another(ref: str, message: str, seen: Seen | None) -> bool:
    if message.startswith("Entity "):
        return not message.startswith(f"Entity {ref} at ")
    return seen is not None and not seen.complaints(ref)


def _provider(case: Case, entity: Known) -> Iterator[Finding]:
    """What is wrong with the provider at the top: an error if the entity is its own, else worth knowing."""
    root, provider = case.facts.root, case.facts.provider
    if root is None or root.provider is None:
        return
    name = root.provider
    severity: Severity = "error" if root is entity else "warning"
    if name in case.setup.disabled:
        yield finding(case, "provider-disabled", severity, subject=name)
    elif name not in set(case.setup.installed()):
        yield finding(case, "provider-not-installed", severity, subject=name)
    elif provider is not None and provider.paused_at is not None:
        yield finding(case, "provider-paused", severity, since=provider.paused_at, subject=name)
    elif provider is not None:
        yield from _last_run(case, entity, provider, severity)


def _last_run(case: Case, entity: Known, provider: Provider, severity: Severity) -> Iterator[Finding]:
    """What the last run failed at: what the entity comes from, or something else, which is nothing to one from a file."""
    ours = [failure for failure in provider.failures if _concerns(failure, entity)]
    for failure in ours:
        what, error = str(failure.get("what")), str(failure.get("error"))
        yield finding(case, "provider-part-failed", message=error, part=what, subject=provider.name)
    if provider.error is not None and not ours and (severity == "error" or not provider.failures):
        yield finding(
            case, "provider-failed", severity, message=provider.error, since=provider.good_at, subject=provider.name,
            good=good_run(case, provider),
        )  # fmt: skip


def _concerns(failure: Mapping[str, Any], entity: Known) -> bool:
    """Whether an item that a provider failed at is the entity, or the repository it comes from."""
    what = str(failure.get("what", "")).rstrip("/").removesuffix(".git")
    if re.search(rf"(?<![\w.-]){re.escape(entity.ref.rpartition('/')[2])}(?![\w.-])", what, re.IGNORECASE):
        return True
    folder = "/".join(re.split(r"[/:]+", what)[-2:])
    return "/" in folder and f"/{folder}/" in f"{stands_at(entity).replace('.git/', '/')}/"


def _orphan(case: Case, entity: Known) -> Iterator[Finding]:
    if not entity.referred_to:
        slug = "orphaned" if case.setup.keeps_orphans else "orphan-leaving"
        yield finding(case, slug, place=Place(stands_at(entity)), subject=entity.ref)


# --- its file, as it is now ---------------------------------------------------------------------------------------


def _source(case: Case, entity: Known) -> Iterator[Finding]:
    """What its file holds now, and whether that will be noticed."""
    news = list(_news(case, entity))
    reading = reader_of(case.facts)
    if reading is not None and reading.never_again:
        late = next((one for one in news if one.verdict in ("changed-at-source", "leaving")), None)
        if late is not None:
            yield finding(case, "refresh-disabled", place=Place(late.file or ""), subject=entity.ref)
        else:
            yield finding(case, "refresh-disabled", "warning", subject=reading.ref)
    yield from news


def _news(case: Case, entity: Known) -> Iterator[Finding]:
    """What the next refresh will meet."""
    if entity.ref.startswith("location:") or not case.facts.above:
        return
    told_already = bool(case.facts.above[0].errors)
    for look in case.looks:
        seen = look.with_entity(entity.ref)
        if seen is not None:
            yield from _of_document(case, entity, seen)
        elif not any(one.complaints() for one in look.files) and look.error is None:
            yield finding(case, "leaving", place=Place(look.location.target), subject=entity.ref)
        elif not told_already:
            yield _trouble_ahead(case, look)


def _trouble_ahead(case: Case, look: Look) -> Finding:
    """An error that the next refresh will meet."""
    if look.error is not None:
        place = Place(look.location.target)
        return finding(case, classify(look.error), "warning", message=look.error, place=place)
    first = next(complaint for seen in look.files for complaint in seen.complaints())
    root = case.facts.root
    origin = annotation(root, ORIGIN_LOCATION) if root is not None else str(look.location)
    return from_complaint(case, look, first, origin, "warning")


def _of_document(case: Case, entity: Known, seen: Seen) -> Iterator[Finding]:
    yield from of_duplicates(case, seen)
    last = seen.of(entity.ref)[-1]
    if not entity.errors and _plain(last.value) != _plain(entity.document):
        yield finding(case, "changed-at-source", place=start_of(last), subject=entity.ref)


def of_duplicates(case: Case, seen: Seen) -> Iterator[Finding]:
    """A file that has the entity more than once."""
    documents = seen.of(case.ref)
    if len(documents) > 1:
        message = f"it stands at the lines {' and '.join(str(document.line) for document in documents)}"
        place = start_of(documents[-1])
        yield finding(case, "duplicate-in-file", "warning", message=message, place=place, subject=case.ref)


def _plain(document: Entity) -> Any:
    """A document without what the catalog adds when it takes it."""
    metadata = dict(document.get("metadata") or {})
    annotations = dict(metadata.pop("annotations", None) or {})
    for name in (LOCATION, ORIGIN_LOCATION):
        annotations.pop(name, None)
    return {**document, "metadata": {**metadata, "annotations": annotations}}


# --- on its way ---------------------------------------------------------------------------------------------------


def _waiting(case: Case, entity: Known) -> Iterator[Finding]:
    """What has still to happen, and how long it has been so."""
    now, waits_since = case.facts.moment.now, entity.ticket_at
    late = next((known for known in [entity, *case.facts.above[:1]] if overdue(case, known)), None)
    if case.facts.moment.read_only and not case.facts.restricted:
        yield finding(case, "database-read-only", "error" if late or waits_since else "warning")
    if late is not None:
        yield finding(case, "worker-behind", since=late.due_at, subject=late.ref, waited=overdue(case, late))
    elif waits_since is not None:
        slug = "stitcher-behind" if now - waits_since > SILENT else "waiting-for-stitch"
        waited = told((now - waits_since).total_seconds(), now)
        yield finding(case, slug, since=waits_since, subject=entity.ref, waited=waited)
    elif not entity.tried:
        yield finding(case, "pending", since=entity.discovered_at, subject=entity.ref)


# --- beside it ----------------------------------------------------------------------------------------------------


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
