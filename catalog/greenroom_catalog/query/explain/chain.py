"""case + findings -> the way of an entity, station by station, as far as it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from greenroom.entity import LOCATION
from greenroom_catalog.ingestion.locations import LocationRefError, parse_location
from greenroom_catalog.query.explain.case import Case
from greenroom_catalog.query.explain.facts import Known
from greenroom_catalog.query.explain.failures import Stage
from greenroom_catalog.query.explain.places import annotation, entity_in, stands_at, start_of, targets_of
from greenroom_catalog.query.explain.story import Finding, Step

_WORDS: dict[Stage, str] = {
    "provider": "provider",
    "location": "location",
    "read": "what its target holds",
    "parse": "YAML and envelope",
    "rule": "catalog.rules",
    "process": "fields and spec",
    "stitch": "with its relations",
    "serve": "/api/catalog/entities",
}


_READING: Sequence[Stage] = ("location", "read", "parse", "rule")
"""What happens to a Location."""


def chain_of(case: Case, findings: Sequence[Finding]) -> list[Step]:
    """From the provider down to what is served. Of what is unknown, only the stations that somebody saw."""
    entity = case.facts.entity
    if entity is None:
        return list(_of_unknown(case, findings))
    steps: list[Step] = []
    if case.facts.root is not None and case.facts.root.provider is not None:
        steps.append(_provider(case, case.facts.root, findings))
    for depth, known in reversed(list(enumerate(case.facts.above))):
        steps += _location(known, findings, whole=depth == 0)
    if entity.ref.startswith("location:"):
        steps += _location(entity, findings, whole=True)
    return [*steps, *_own(entity, findings, case)]


def _about(findings: Sequence[Finding], subject: str, stage: Stage) -> Finding | None:
    return next((one for one in findings if one.subject == subject and one.stage == stage), None)


def _step(stage: Stage, what: str, at: str | None, ok: bool | None, found: Finding | None = None) -> Step:
    if found is None:
        return Step(stage, ok, what, at)
    return Step(stage, ok, what, found.at or at, found.since, found.message or found.summary, found.hint)


def _provider(case: Case, root: Known, findings: Sequence[Finding]) -> Step:
    name = root.provider or "?"
    found = _about(findings, name, "provider")
    entry = _entry(case, root)
    return _step("provider", f"{name}, {entry}" if entry else name, None, found is None, found)


def _entry(case: Case, root: Known) -> str | None:
    """Where an operator finds the location at the top: in the config, or among the registered ones."""
    if case.facts.registered is not None:
        return f"location {case.facts.registered.id}"
    try:
        index = case.setup.index_of(parse_location(annotation(root, LOCATION)))
    except LocationRefError:
        return None
    return None if index is None else f"catalog.locations[{index}]"


def _location(known: Known, findings: Sequence[Finding], *, whole: bool) -> Iterator[Step]:
    """A Location: that it is known, and, if `whole`, how far the reading of its targets came."""
    failed = _failed_at(known, findings)
    for number, stage in enumerate(_READING):
        found = _about(findings, known.ref, stage) if known.errors else None
        if failed is not None:
            ok: bool | None = number < failed if number <= failed else None
        else:
            ok = True if known.tried or stage == "location" else None
        if stage == "location":
            yield _step(stage, known.ref, ", ".join(targets_of(known)) or None, ok, found)
        elif whole or ok is False:
            yield _step(stage, _WORDS[stage], None, ok, found)


def _failed_at(known: Known, findings: Sequence[Finding]) -> int | None:
    """The first stage of reading at which a Location failed."""
    if not known.errors:
        return None
    stages = [one.stage for one in findings if one.subject == known.ref and one.message is not None]
    return min((_READING.index(stage) for stage in stages if stage in _READING), default=None)


def _own(entity: Known, findings: Sequence[Finding], case: Case) -> Iterator[Step]:
    found = entity_in(case.looks, entity.ref)
    at = str(start_of(found)) if found is not None else stands_at(entity) or None
    yield _step("process", entity.ref, at, *_processed(entity, findings))
    wrong = _about(findings, entity.ref, "stitch")
    if wrong is not None and entity.stitch_error is not None:
        yield _step("stitch", _WORDS["stitch"], None, False, wrong)
    else:
        stitched = entity.served is not None and entity.ticket_at is None
        yield _step("stitch", _WORDS["stitch"], None, True if stitched else None, wrong)
    wrong = next((one for one in findings if one.stage == "serve" and one.severity == "error"), None)
    yield _step("serve", _WORDS["serve"], None, None if entity.served is None else wrong is None, wrong)


def _processed(entity: Known, findings: Sequence[Finding]) -> tuple[bool | None, Finding | None]:
    """Whether it was processed. A Location whose targets could not be read did not come that far."""
    if entity.ref.startswith("location:") and _failed_at(entity, findings) is not None:
        return None, None
    wrong = _about(findings, entity.ref, "process")
    if entity.errors or (wrong is not None and wrong.severity == "error"):
        return False, wrong
    return (True if entity.processed else None), wrong


def _of_unknown(case: Case, findings: Sequence[Finding]) -> Iterator[Step]:
    first = findings[0]
    known = next((one for one in case.facts.suspects if one.ref == first.subject), None)
    if known is not None:
        yield from _location(known, findings, whole=True)
        if first.stage not in _READING:
            yield _step(first.stage, _WORDS[first.stage], first.at, False, first)
    else:
        yield _step(first.stage, first.subject or _WORDS[first.stage], first.at, False, first)
    if first.stage != "serve":
        yield Step("serve", None, _WORDS["serve"])
