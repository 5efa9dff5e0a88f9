"""case -> findings, for an entity that nobody has heard of: where it may have been lost, the best evidence first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from greenroom.entity import ORIGIN_LOCATION
from greenroom_catalog.query.explain.case import (
    Case,
    Place,
    annotation,
    finding,
    from_error,
    rule_blanks,
    start_of,
)
from greenroom_catalog.query.explain.diagnosis import is_neighbours, neighbour
from greenroom_catalog.query.explain.facts import Known, Provider
from greenroom_catalog.query.explain.failures import classify
from greenroom_catalog.query.explain.look import Look, Seen
from greenroom_catalog.query.explain.story import Finding

_GENERATED = re.compile(r"location:default/generated-[0-9a-f]{40}")


def search(case: Case, registered: list[str]) -> list[Finding]:
    """Everything that may explain why there is no such entity. `registered` are the locations that read the URL asked about."""
    found = [
        *_at(case, registered),
        *_of_location(case),
        *_mentioned(case),
        *_behind(case),
        *_same_name(case),
        *_items(case),
        *_suspected(_providers(case)),
        *_suspected(_unreadable(case)),
        *_misspelt(case),
        *_suspected(_absent(case)),
    ]
    first, *others = found or [finding(case, "unknown")]
    return [first, *(_demoted(one) if one.suspected else one for one in others)]


def _suspected(found: Iterable[Finding]) -> Iterator[Finding]:
    return (msgspec.structs.replace(one, suspected=True) for one in found)


def _demoted(one: Finding) -> Finding:
    return msgspec.structs.replace(one, severity="warning")


def _at(case: Case, registered: list[str]) -> Iterator[Finding]:
    """What would come of the file that the asker names."""
    look = case.at
    if look is None:
        return
    target = look.location.target
    if look.error is not None:
        yield finding(case, classify(look.error), message=look.error, place=Place(target), target=target)
        return
    seen = look.with_entity(case.ref)
    if seen is None:
        broken = [complaint for one in look.files for complaint in one.complaints() if complaint.entity is None]
        for complaint in broken:
            place = Place(complaint.file, complaint.line, complaint.column)
            slug = classify(complaint.message)
            yield finding(case, slug, message=complaint.message, place=place, hint=complaint.hint)
        if not broken:
            near = ", ".join(look.refs[:5]) or "no entities"
            yield finding(case, "not-in-file", place=Place(target), near=near)
        return
    yield from _refused(case, seen, f"url:{case.registrable}")
    yield from _duplicates(case, seen)
    entity = seen.of(case.ref)[0]
    place = start_of(entity)
    if registered:
        yield finding(case, "not-read-yet", place=place, parent=registered[0])
    else:
        yield finding(case, "location-not-registered", place=place, target=case.registrable)


def _refused(case: Case, seen: Seen, origin: str) -> Iterator[Finding]:
    """What the catalog will refuse about the entity's document, or about those beside it."""
    own = seen.complaints(case.ref)
    for complaint in own:
        slug = classify(complaint.message)
        place = Place(complaint.file, complaint.line, complaint.column)
        hint = None if slug == "kind-not-allowed" else complaint.hint
        kind = str(seen.of(case.ref)[0].value["kind"])
        blanks = {"kind": kind, "origin": origin, **rule_blanks(case.setup, origin)}
        yield finding(case, slug, message=complaint.message, place=place, hint=hint, blanks=blanks)
    for complaint in seen.complaints():
        if complaint not in own and classify(complaint.message) in _SPOILERS:
            place = Place(complaint.file, complaint.line, complaint.column)
            yield finding(case, "neighbour-refused", message=complaint.message, place=place, target=complaint.file)


_SPOILERS = frozenset({"yaml-broken", "yaml-limit", "not-an-object", "envelope-invalid", "kind-not-allowed"})


def _duplicates(case: Case, seen: Seen) -> Iterator[Finding]:
    documents = seen.of(case.ref)
    if len(documents) > 1:
        lines = " and ".join(str(document.line) for document in documents)
        place = start_of(documents[-1])
        message = f"it stands at the lines {lines}"
        yield finding(case, "duplicate-in-file", "warning", message=message, place=place)


def _of_location(case: Case) -> Iterator[Finding]:
    """The ref of a Location entity that was made for a registration."""
    if _GENERATED.fullmatch(case.ref) is not None and case.facts.registered is None:
        yield finding(case, "location-unregistered")


def _mentioned(case: Case) -> Iterator[Finding]:
    """Locations whose errors name the entity."""
    for known in case.facts.suspects:
        for error in known.errors:
            if _names(error["message"], case.ref):
                slug = classify(error["message"])
                yield from_error(case, slug, known, error["message"], looks=case.behind.get(known.ref, ()))


def _names(message: str, ref: str) -> bool:
    return re.search(rf"(?<![\w./:-]){re.escape(ref)}(?![\w./-])", message) is not None


def _behind(case: Case) -> Iterator[Finding]:
    """Locations whose files have it now."""
    for known in case.facts.suspects:
        for look in case.behind.get(known.ref, ()):
            seen = look.with_entity(case.ref)
            if seen is not None:
                yield from _found_in(case, known, look, seen)


def _found_in(case: Case, known: Known, look: Look, seen: Seen) -> Iterator[Finding]:
    yield from _duplicates(case, seen)
    entity = seen.of(case.ref)[0]
    place = start_of(entity)
    for error in known.errors:
        message = error["message"]
        if not _names(message, case.ref):
            slug = classify(message)
            if is_neighbours([look], case.ref, slug, message):
                yield neighbour(case, known, message, [look])
            yield from_error(case, slug, known, message, looks=[look])
    origin = annotation(known, ORIGIN_LOCATION)
    if not known.errors:
        yield from _refused(case, seen, origin)
    if not known.tried:
        yield finding(case, "location-pending", place=place, since=known.discovered_at, subject=known.ref)
    elif not known.errors:
        yield finding(case, "not-read-yet", place=place, parent=known.ref, next=_next(case, known), subject=known.ref)


def _next(case: Case, known: Known) -> str:
    if known.never_again:
        return "never by itself (`catalog.processingInterval: false`)"
    seconds = 0.0 if known.due_at is None else (known.due_at - case.facts.moment.now).total_seconds()
    return f"in {seconds:.0f} s" if seconds > 0 else "as soon as a worker gets to it"


def _same_name(case: Case) -> Iterator[Finding]:
    kind = case.facts.ref.kind.lower()
    of_kind = [ref for ref in case.facts.same_name if ref.startswith(f"{kind}:")]
    if of_kind:
        yield finding(case, "other-namespace", near=", ".join(of_kind), first=of_kind[0])
    elif case.facts.same_name:
        near = ", ".join(case.facts.same_name)
        yield finding(case, "other-kind", near=near, first=case.facts.same_name[0])


def _items(case: Case) -> Iterator[Finding]:
    """Items that a provider could not make entities of."""
    name = re.compile(rf"(?<![\w.-]){re.escape(case.facts.ref.name)}(?![\w.-])", re.IGNORECASE)
    for provider in case.facts.providers:
        for failure in provider.failures:
            if name.search(str(failure.get("what", ""))):
                message = f"{failure.get('what')}: {failure.get('error')}"
                yield finding(
                    case, "provider-item-failed", message=message, provider=provider.name, subject=provider.name
                )


def _providers(case: Case) -> Iterator[Finding]:
    """Providers that did not deliver: what they would have brought is unknown."""
    for name in case.setup.disabled:
        yield finding(case, "provider-disabled", provider=name, subject=name)
    for provider in case.facts.providers:
        slug = None if provider.name in case.setup.disabled else _trouble(provider)
        if slug is None:
            continue
        since = provider.paused_at if slug == "provider-paused" else provider.good_at
        yield finding(case, slug, message=provider.error, provider=provider.name, since=since, subject=provider.name)


def _trouble(provider: Provider) -> str | None:
    if provider.paused_at is not None:
        return "provider-paused"
    if provider.error is not None:
        return "provider-failed"
    if provider.finished_at is None and provider.good_at is None:
        return "provider-running" if provider.running else "provider-never-run"
    if provider.found == 0 and provider.name not in _MAY_BE_EMPTY:
        return "provider-found-nothing"
    return None


_MAY_BE_EMPTY = frozenset({"ConfigLocationProvider", "DefaultLocationStore"})


def _unreadable(case: Case) -> Iterator[Finding]:
    """Locations that fail, or were never read: it may be behind one of them."""
    for known in case.facts.suspects:
        looks = case.behind.get(known.ref, ())
        if any(look.with_entity(case.ref) is not None for look in looks):
            continue
        errors = [error for error in known.errors if not _names(error["message"], case.ref)]
        readable = bool(looks) and all(look.error is None for look in looks)
        for error in errors:
            slug = classify(error["message"])
            if not readable or slug in ("yaml-broken", "yaml-limit"):
                yield from_error(case, slug, known, error["message"], looks=looks)
        if not known.tried and not known.errors and not readable:
            yield finding(case, "location-pending", since=known.discovered_at, subject=known.ref)


def _misspelt(case: Case) -> Iterator[Finding]:
    near = [ref for ref in case.facts.near_names if ref not in case.facts.same_name]
    if near:
        yield finding(case, "misspelt", near=", ".join(near), first=near[0])


def _absent(case: Case) -> Iterator[Finding]:
    """Optional locations that point at nothing, and registrations that point elsewhere than they once did."""
    for known in case.facts.suspects:
        for look in case.behind.get(known.ref, ()):
            if look.optional and look.error is None and not look.files:
                place = Place(look.location.target)
                yield finding(case, "location-optional-absent", place=place, subject=known.ref)
