"""case + findings -> the way of an entity, station by station, as far as it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from greenroom.entity import LOCATION
from greenroom_catalog.query.explain.case import Case, annotation, start_of
from greenroom_catalog.query.explain.facts import Known
from greenroom_catalog.query.explain.failures import STAGES, Stage
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
    registered = case.facts.registered
    what = f"{name}, location {registered.id}" if registered is not None else name
    return _step("provider", what, None, found is None, found)


def _location(known: Known, findings: Sequence[Finding], *, whole: bool) -> Iterator[Step]:
    """A Location: that it is known, and, if `whole`, how far the reading of its targets came."""
    stages: tuple[Stage, ...] = ("location", "read", "parse", "rule")
    failed = min((STAGES.index(one.stage) for one in _failures(known, findings)), default=None)
    for stage in stages:
        number = STAGES.index(stage)
        found = _about(findings, known.ref, stage) if known.errors else None
        if failed is not None:
            ok: bool | None = number < failed if number <= failed else None
        else:
            ok = True if known.tried or stage == "location" else None
        if stage == "location":
            yield _step(stage, known.ref, _targets(known), ok, found)
        elif whole or ok is False:
            yield _step(stage, _WORDS[stage], None, ok, found)


def _failures(known: Known, findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if one.subject == known.ref and one.message is not None] if known.errors else []


def _targets(known: Known) -> str | None:
    spec: Any = known.document.get("spec")
    targets = [*filter(None, [spec.get("target")]), *(spec.get("targets") or ())] if isinstance(spec, dict) else []
    return ", ".join(map(str, targets)) or None


def _own(entity: Known, findings: Sequence[Finding], case: Case) -> Iterator[Step]:
    at = _place(case) or annotation(entity, LOCATION).partition(":")[2] or None
    wrong = None if entity.ref.startswith("location:") and entity.errors else _about(findings, entity.ref, "process")
    done = entity.processed and not entity.errors
    failed = bool(entity.errors) or (wrong is not None and wrong.severity == "error")
    yield _step("process", entity.ref, at, False if failed else True if done else None, wrong)
    wrong = _about(findings, entity.ref, "stitch")
    stitched = entity.served is not None and entity.ticket_at is None
    failed = wrong is not None and entity.stitch_error is not None
    yield _step("stitch", _WORDS["stitch"], None, False if failed else True if stitched else None, wrong)
    wrong = next((one for one in findings if one.stage == "serve" and one.severity == "error"), None)
    served = None if entity.served is None else wrong is None
    yield _step("serve", _WORDS["serve"], None, served, wrong)


def _place(case: Case) -> str | None:
    """Where its document stands in the file as it is now."""
    for look in case.looks:
        seen = look.with_entity(case.ref)
        if seen is not None:
            entity = seen.of(case.ref)[0]
            return str(start_of(entity))
    return None


def _of_unknown(case: Case, findings: Sequence[Finding]) -> Iterator[Step]:
    first = findings[0]
    known = next((one for one in case.facts.suspects if one.ref == first.subject), None)
    if known is not None:
        yield from _location(known, findings, whole=True)
        if first.stage not in ("location", "read", "parse", "rule"):
            yield _step(first.stage, _WORDS[first.stage], first.at, False, first)
    else:
        yield _step(first.stage, first.subject or _WORDS[first.stage], first.at, False, first)
    if first.stage != "serve":
        yield Step("serve", None, _WORDS["serve"])
