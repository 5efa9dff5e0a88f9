"""bytes -> findings: what is wrong with a catalog file, at which line and column, and what to do about it.

The words of an error are those of the catalog, because the stages that are asked are the catalog's own (`check`). Pure: what
the file points at is not looked for here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from greenroom.entity import Entity, ref_of
from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.advice import Advice, Fix, advise, advise_on_yaml
from greenroom_catalog.ingestion.check import Path, faults_of
from greenroom_catalog.ingestion.parser import Broken, Parsed, parse
from greenroom_catalog.ingestion.places import Places, Span
from greenroom_catalog.model import Rules, validate_envelope


class Replacement(NamedTuple):
    """A fix that a machine can make: `text` in the place of what stands in `span`."""

    span: Span
    text: str


class Finding(NamedTuple):
    """One thing about a file."""

    code: str
    """A stable slug, such as `missing-field`."""
    severity: Literal["error", "warning"]
    """An error keeps the entity, or the whole file, out of the catalog."""
    message: str
    """Of an error: the catalog's own words, which are upstream's."""
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    path: Path = ()
    """Keys and indices into the document."""
    entity: str | None = None
    """The ref, where the document has one."""
    hint: str | None = None
    replacement: Replacement | None = None


class FoundEntity(NamedTuple):
    """A document that has an apiVersion, a kind and a name."""

    ref: str
    value: Entity
    file: str
    line: int
    column: int


class Examination(NamedTuple):
    """What came of a file: its findings in the order of its documents, errors of a document before its warnings."""

    findings: Sequence[Finding]
    entities: Sequence[FoundEntity]
    places: Places

    def of(self, ref: str) -> list[Finding]:
        """The findings about one entity."""
        return [finding for finding in self.findings if finding.entity == ref]

    def place(self, ref: str, path: Path = ()) -> Span | None:
        """Where the value at `path` of an entity stands, or the nearest around it; None: the file has no such entity."""
        found = next((entity for entity in self.entities if entity.ref == ref), None)
        return None if found is None else self.places.value(found.line, path)


def examine(
    content: bytes,
    file: str,
    *,
    location: str | None = None,
    origin: str | None = None,
    rules: Rules | None = None,
) -> Examination:
    """Examine a YAML or JSON file of entities.

    `file` is what findings call it; `location` (`type:target`) what the catalog would, `file:<file>` if not given; `rules`
    are asked about `origin`, where the chain of locations began, or, without it, as if every place of a rule were meant."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    reader = _Reader(file, location or f"file:{file}", origin, rules, text)
    findings = list(reader.findings())
    return Examination(findings, reader.entities, reader.places)


class _Reader:
    def __init__(self, file: str, location: str, origin: str | None, rules: Rules | None, text: str) -> None:
        self._file = file
        self._location = location
        self._origin = origin
        self._rules = rules
        self._text = text
        self._lines: list[str] | None = None
        self.places = Places(text)
        self.entities: list[FoundEntity] = []

    def findings(self) -> Iterator[Finding]:
        for document in parse(self._text):
            if isinstance(document, Broken):
                yield self._broken(document)
            else:
                yield from self._entity(document)

    def _broken(self, broken: Broken) -> Finding:
        line, column = broken.line, broken.column
        advice = advise_on_yaml(broken, self._line(line))
        message = broken.error_at(self._location).message
        return Finding(advice.code, "error", message, self._file, line, column, line, column, hint=advice.hint)

    def _entity(self, document: Parsed) -> Iterator[Finding]:
        value, line = document.value, document.line
        ref = _ref(value)
        if ref is not None:
            self.entities.append(FoundEntity(ref, value, self._file, line, 1))
        for fault in faults_of(value, self._location, self._origin, self._rules):
            advice = advise(fault, value)
            path = fault.path[:-1] if fault.is_missing else fault.path
            of_key = advice.code in _OF_KEY or fault.is_missing
            yield self._finding(advice, "error", fault.message, line, path, of_key=of_key, entity=ref)

    def _finding(
        self,
        advice: Advice,
        severity: Literal["error", "warning"],
        message: str,
        line: int,
        path: Path,
        *,
        of_key: bool,
        entity: str | None,
    ) -> Finding:
        span = self.places.key(line, path) if of_key else self.places.value(line, path)
        replacement = None if advice.fix is None else self._replacement(advice.fix, line)
        return Finding(advice.code, severity, message, self._file, *span, path, entity, advice.hint, replacement)

    def _replacement(self, fix: Fix, line: int) -> Replacement | None:
        """None where the file does not spell the value out on one line."""
        if not self.places.has(line, fix.path):
            return None
        of_key = fix.of_key or fix.insert
        span = self.places.key(line, fix.path) if of_key else self.places.value(line, fix.path)
        written = self._line(span.line)[span.column - 1 : span.end_column - 1]
        if span.line != span.end_line or written[:1] in ("|", ">", "&", "!", "{", "["):
            return None
        if fix.insert:
            indent = self._line(span.line)[: span.column - 1]
            if indent.strip(" "):
                return None
            return Replacement(Span(span.line, span.column, span.line, span.column), f"{fix.text}\n{indent}")
        return Replacement(span, fix.text if isinstance(fix.text, str) else fix.text(written))

    def _line(self, number: int) -> str:
        if self._lines is None:
            self._lines = self._text.split("\n")
        return self._lines[number - 1].rstrip("\r") if 0 < number <= len(self._lines) else ""


_OF_KEY = frozenset({"unknown-field", "catalog-writes-this", "malformed-label-key", "malformed-annotation-key"})


def _ref(value: dict[str, Any]) -> str | None:
    try:
        return ref_of(validate_envelope(value))
    except GreenroomError:
        return None
