"""case -> findings, for an entity that nobody has heard of: where it may have been lost, the best evidence first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from greenroom.entity import ORIGIN_LOCATION
from greenroom_catalog.query.explain.case import Case
from greenroom_catalog.query.explain.diagnosis import OF_A_DOCUMENT, of_duplicates, of_neighbour
from greenroom_catalog.query.explain.facts import MOST_SUSPECTS, Known, Provider
from greenroom_catalog.query.explain.failures import classify
from greenroom_catalog.query.explain.look import Look, Seen
from greenroom_catalog.query.explain.places import Place, annotation, class_of, complaint_place, start_of, targets_of
from greenroom_catalog.query.explain.story import Finding
from greenroom_catalog.query.explain.wording import finding, from_complaint, from_error, good_run, next_of, overdue

MOST_GUESSES = 3
"""If more than these could each be the reason, none of them is called so."""

MOST_TOLD = 4
"""Of the providers, and of the locations, that may be the reason."""

_GENERATED = re.compile(r"location:default/generated-[0-9a-f]{40}")
_MAY_BE_EMPTY = frozenset({"ConfigLocationProvider", "DefaultLocationStore"})


def search(case: Case, registered: list[str]) -> list[Finding]:
    """Everything that may explain why there is no such entity, the verdict first.

    `registered` are the locations that read the URL asked about. What only may be the reason is told if nothing better is."""
    evidence = [
        *_at(case, registered),
        *_of_location(case),
        *_mentioned(case),
        *_behind(case),
        *_items(case),
        *_suspected(_hidden(case)),
        *_same_name(case),
        *_misspelt(case),
    ]
    if any(one.severity == "error" for one in evidence):
        return _demoted(evidence)
    return [*evidence, *_guesses(case)]


def _guesses(case: Case) -> list[Finding]:
    """Without any evidence: what is known to have failed. Of a few, one may be the reason; of many, who knows."""
    providers, unreadable = [*_read_only(case), *_providers(case)], list(_unreadable(case))
    locations = [*(_of_unreadable(case, *one) for one in unreadable[:MOST_TOLD]), *_absent(case)]
    if 0 < len(providers) + len(locations) <= MOST_GUESSES:
        return _demoted([*_suspected(providers), *_suspected(locations)])
    where = list(_places_to_look(case, len(providers), len({known.ref for known, _ in unreadable})))
    elsewhere = ": `--at URL`" + (f". It may be {', or '.join(where)}" if where else "")
    some = _suspected([*providers[:MOST_TOLD], *locations[:MOST_TOLD]])
    return [finding(case, "unknown", elsewhere=elsewhere), *map(_as_warning, some)]


def _places_to_look(case: Case, providers: int, locations: int) -> Iterator[str]:
    """In words. Of many locations, not all are looked at."""
    if locations:
        number = f"more than {locations}" if len(case.facts.suspects) == MOST_SUSPECTS else f"the {locations}"
        yield f"behind one of {number} locations that cannot be read"
    if providers:
        yield f"at one of the {providers} providers that did not deliver"


def _suspected(found: Iterable[Finding]) -> Iterator[Finding]:
    return (msgspec.structs.replace(one, suspected=True) for one in found)


def _demoted(found: Sequence[Finding]) -> list[Finding]:
    """Only the first of all reasons may be a mere suspicion."""
    first, *others = found
    return [first, *(_as_warning(one) if one.suspected else one for one in others)]


def _as_warning(one: Finding) -> Finding:
    return msgspec.structs.replace(one, severity="warning")


def _at(case: Case, registered: list[str]) -> Iterator[Finding]:
    """What would come of the file that the asker names."""
    look = case.at
    if look is None:
        return
    if look.error is not None:
        yield finding(case, classify(look.error), message=look.error, place=Place(look.location.target))
        return
    seen, origin = look.with_entity(case.ref), f"url:{case.registrable}"
    if seen is None:
        yield from _not_in(case, look, origin)
        return
    yield from _refused(case, look, seen, origin)
    yield from of_duplicates(case, seen)
    place = start_of(seen.of(case.ref)[0])
    if registered:
        yield finding(case, "not-read-yet", place=place, parent=registered[0])
    else:
        yield finding(case, "location-not-registered", place=place, target=case.registrable)


def _not_in(case: Case, look: Look, origin: str) -> Iterator[Finding]:
    """The file does not have it, or not in a document that can be read."""
    broken = [complaint for seen in look.files for complaint in seen.complaints() if complaint.entity is None]
    if broken:
        yield from (from_complaint(case, look, complaint, origin) for complaint in broken)
    else:
        near = ", ".join(look.refs[:5]) or "no entities"
        yield finding(case, "not-in-file", place=Place(look.location.target), near=near)


def _refused(case: Case, look: Look, seen: Seen, origin: str) -> Iterator[Finding]:
    """What the catalog will refuse about the entity's document, or about those beside it."""
    own = seen.complaints(case.ref)
    yield from (from_complaint(case, look, complaint, origin) for complaint in own)
    for complaint in seen.complaints():
        if complaint not in own and classify(complaint.message) in OF_A_DOCUMENT:
            yield finding(case, "neighbour-refused", message=complaint.message, place=complaint_place(complaint))


def _of_location(case: Case) -> Iterator[Finding]:
    """The ref of a Location entity that was made for a registration."""
    if _GENERATED.fullmatch(case.ref) is not None and case.facts.registered is None:
        yield finding(case, "location-unregistered")


def _mentioned(case: Case) -> Iterator[Finding]:
    """Locations whose errors name the entity."""
    for known in case.facts.suspects:
        for error in known.errors:
            if _names_ref(error["message"], case.ref):
                yield from_error(case, known, error["message"], looks=case.behind.get(known.ref, ()))


def _names_ref(message: str, ref: str) -> bool:
    return re.search(rf"(?<![\w./:-]){re.escape(ref)}(?![\w./-])", message) is not None


def _behind(case: Case) -> Iterator[Finding]:
    """Locations whose files have it now."""
    for known in case.facts.suspects:
        for look in case.behind.get(known.ref, ()):
            seen = look.with_entity(case.ref)
            if seen is not None:
                yield from _found_in(case, known, look, seen)


def _found_in(case: Case, known: Known, look: Look, seen: Seen) -> Iterator[Finding]:
    yield from of_duplicates(case, seen)
    place = start_of(seen.of(case.ref)[0])
    for error in known.errors:
        message = error["message"]
        if not _names_ref(message, case.ref):
            others = of_neighbour(case, known, message, [look])
            yield from [others] if others is not None else ()
            yield from_error(case, known, message, "error" if others is None else "warning", looks=[look])
    if not known.errors:
        yield from _refused(case, look, seen, annotation(known, ORIGIN_LOCATION))
    if not known.tried:
        yield _pending(case, known, place)
    elif not known.errors:
        due = next_of(case, known)
        yield finding(case, "not-read-yet", place=place, parent=known.ref, next=due, subject=known.ref)


def _pending(case: Case, known: Known, place: Place | None = None) -> Finding:
    """A location that has never been read, perhaps since nobody reads any."""
    if (waited := overdue(case, known)) is not None:
        return finding(case, "location-behind", place=place, since=known.due_at, subject=known.ref, waited=waited)
    return finding(case, "location-pending", place=place, since=known.discovered_at, subject=known.ref)


def _items(case: Case) -> Iterator[Finding]:
    """Items that a provider could not make entities of."""
    name = _name(case)
    for provider in case.facts.providers:
        for failure in provider.failures:
            if name.search(str(failure.get("what", ""))):
                message = f"{failure.get('what')}: {failure.get('error')}"
                yield finding(
                    case, "provider-item-failed", message=message, provider=provider.name, subject=provider.name
                )


def _name(case: Case) -> re.Pattern[str]:
    """Its name, as a word of a text, or as that of a file."""
    ends = r"(?![\w-]|\.(?!ya?ml\b|json\b))"
    return re.compile(rf"(?<![\w.-]){re.escape(case.facts.ref.name)}{ends}", re.IGNORECASE)


def _hidden(case: Case) -> Iterator[Finding]:
    """Locations that could not be read, and that have its name in their address, their errors or their file."""
    name = _name(case)
    for known in case.facts.suspects:
        looks = case.behind.get(known.ref, ())
        named = any(name.search(text) for text in targets_of(known)) or any(seen.says(name) for seen in _broken(looks))
        errors = [one["message"] for one in known.errors if not _names_ref(one["message"], case.ref)]
        if any(look.with_entity(case.ref) for look in looks):
            continue
        yield from (from_error(case, known, one, looks=looks) for one in errors if named or name.search(one))
        if named and not known.tried and not known.errors:
            yield _pending(case, known)


def _broken(looks: Iterable[Look]) -> Iterator[Seen]:
    """Files with a document that cannot be read."""
    for seen in (seen for look in looks for seen in look.files):
        if any(complaint.entity is None for complaint in seen.complaints()):
            yield seen


def _same_name(case: Case) -> Iterator[Finding]:
    kind = case.facts.ref.kind.lower()
    of_kind = [ref for ref in case.facts.same_name if ref.startswith(f"{kind}:")]
    if of_kind:
        yield finding(case, "other-namespace", near=", ".join(of_kind), first=of_kind[0])
    elif case.facts.same_name:
        near = ", ".join(case.facts.same_name)
        yield finding(case, "other-kind", near=near, first=case.facts.same_name[0])


def _misspelt(case: Case) -> Iterator[Finding]:
    near = [ref for ref in case.facts.near_names if ref not in case.facts.same_name]
    if near:
        yield finding(case, "misspelt", near=", ".join(near), first=near[0])


# --- guesses ------------------------------------------------------------------------------------------------------


def _read_only(case: Case) -> Iterator[Finding]:
    if case.facts.moment.read_only and not case.facts.restricted:
        yield finding(case, "database-read-only")


def _providers(case: Case) -> Iterator[Finding]:
    """Providers that did not deliver: what they would have brought is unknown."""
    if case.facts.restricted:
        return
    for name in case.setup.disabled:
        yield finding(case, "provider-disabled", provider=name, subject=name)
    for provider in case.facts.providers:
        slug = None if provider.name in case.setup.disabled else _trouble(provider)
        if slug is None:
            continue
        since = provider.paused_at if slug == "provider-paused" else provider.good_at
        yield finding(
            case, slug, message=provider.error, since=since, subject=provider.name,
            provider=provider.name, good=good_run(case, provider),
        )  # fmt: skip


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


def _unreadable(case: Case) -> Iterator[tuple[Known, str | None]]:
    """Locations that fail, each with an error, or were never read: it may be behind one of them."""
    for known in case.facts.suspects:
        looks = case.behind.get(known.ref, ())
        readable = bool(looks) and all(look.error is None for look in looks)
        for error in known.errors:
            if not readable or class_of(error["message"], looks) in ("yaml-broken", "yaml-limit", "web-page"):
                yield known, error["message"]
        if not known.tried and not known.errors and not readable:
            yield known, None


def _of_unreadable(case: Case, known: Known, message: str | None) -> Finding:
    if message is None:
        return _pending(case, known)
    return from_error(case, known, message, looks=case.behind.get(known.ref, ()))


def _absent(case: Case) -> Iterator[Finding]:
    """Optional locations that point at nothing."""
    for known in case.facts.suspects:
        for look in case.behind.get(known.ref, ()):
            if look.optional and look.error is None and not look.files:
                place = Place(look.location.target)
                yield finding(case, "location-optional-absent", place=place, subject=known.ref)
