"""bytes -> findings: what is wrong with a catalog file, at which line and column, and what to do about it.

The words of an error are those of the catalog, because the stages that are asked are the catalog's own (`check`). Pure: what
the file points at is not looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from greenroom.entity import Entity, ref_of
from greenroom.errors import GreenroomError
from greenroom_catalog.ingestion.advice import Advice, Fix, advise, advise_on_yaml, quotes_for
from greenroom_catalog.ingestion.check import Fault, Path, Terms, faults_of
from greenroom_catalog.ingestion.holes import OPAQUE, filled, holes_of
from greenroom_catalog.ingestion.lint import warnings_of
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
    severity: Literal["error", "warning", "note"]
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

    @property
    def brief(self) -> str:
        """The message without what stands beside it anyway: whose it is, where it is, and where to learn more."""
        text = self.message.partition(" at line ")[0] if self.code.startswith("yaml-") else self.message
        return _ENDS.sub("", _BEGINNINGS.sub("", text))


_BEGINNINGS = re.compile(
    r"\A(?:(?:Policy check failed for|Processor \w+ threw an error while) .*?; caused by \w+: "
    r"|(?:YAML error|Failed to parse YAML) at .*?, \w+: )",
    re.DOTALL,
)
_ENDS = re.compile(r"(?:\. To learn more about catalog file format, visit: .*| - \w+: .*)\Z")


class FoundEntity(NamedTuple):
    """A document that has an apiVersion, a kind and a name."""

    ref: str
    value: Entity
    file: str
    line: int
    """Where its document starts, for `places`."""
    places: Places


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
    known: Callable[[Entity], bool] | None = None,
) -> Examination:
    """Examine a YAML or JSON file of entities.

    `file` is what findings call it; `location` (`type:target`) what the catalog would, `file:<file>` if not given. The others are
    those of `check.Terms`."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    reader = _Reader(file, Terms(location or f"file:{file}", origin, rules, known), text)
    findings = [*reader.findings(), *reader.oddities(content)]
    return Examination(findings, reader.entities, reader.places)


ABOUT: Mapping[str, str] = {
    "byte-order-mark": "The file begins with a byte order mark.",
    "catalog-writes-this": "The catalog writes the field itself.",
    "clashing-keys": "Two keys differ only in letter case, so that the entity cannot be searched for.",
    "duplicate-entity": "Two documents describe one entity.",
    "empty-file": "The file holds no entity.",
    "empty-value": "A text that may not be empty is.",
    "impossible-reference": "No entity can have the name that a reference says.",
    "kind-not-allowed": "The rules of the catalog refuse the kind.",
    "location-target-absolute": "The target of a location is a path of one machine.",
    "location-target-bare": "The target of a location is not taken to be relative.",
    "location-target-missing": "The target of a location is not there.",
    "location-type-file": "A location of type file works only in the configuration.",
    "location-without-target": "A location points at nothing.",
    "malformed-annotation-key": "The key of an annotation is not spelled as it must be.",
    "malformed-api-version": "The apiVersion is not spelled as it must be.",
    "malformed-kind": "The kind is not spelled as it must be.",
    "malformed-label-key": "The key of a label is not spelled as it must be.",
    "malformed-label-value": "The value of a label is not spelled as it must be.",
    "malformed-link": "A link has no valid address, or a blank text.",
    "malformed-name": "The name is not spelled as it must be.",
    "malformed-namespace": "The namespace is not spelled as it must be.",
    "malformed-reference": "A reference cannot be read.",
    "malformed-tag": "A tag is not spelled as it must be.",
    "malformed-value": "A value does not have the form it must have.",
    "missing-field": "A field that must be there is missing.",
    "misspelled-annotation": "An annotation is nearly one in wide use.",
    "misspelled-field": "A field is nearly one that the catalog knows.",
    "misspelled-kind": "The kind of a reference is nearly one that the catalog knows.",
    "not-an-object": "A document is no mapping.",
    "not-utf-8": "The file is not stored as UTF-8.",
    "nul-character": "The file holds a NUL character.",
    "placeholder-file-missing": "The file that a placeholder reads is not there.",
    "reference-not-found": "The catalog has no entity of that reference.",
    "reference-without-kind": "A reference says no kind, and none goes without saying.",
    "unknown-api-version": "The apiVersion is none that the kind has.",
    "unknown-field": "The field is none that is allowed there.",
    "unknown-kind": "The catalog does not know the kind.",
    "unknown-value": "The value is none of those that are allowed.",
    "would-add": "The catalog would have a new entity.",
    "would-change": "The catalog would serve the entity otherwise.",
    "would-conflict": "Another location holds the entity.",
    "would-keep": "The catalog would serve the entity as it does.",
    "wrong-type": "A value is of another type than it must be.",
    "yaml-alias": "An alias cannot be followed.",
    "yaml-colon": "A value that holds a colon is not quoted.",
    "yaml-duplicate-key": "A mapping has a key twice.",
    "yaml-escape": "An escape sequence is not one of YAML's.",
    "yaml-indentation": "The indentation is not even.",
    "yaml-limit": "The file is nested too deeply.",
    "yaml-quote": "A quote is not closed.",
    "yaml-reserved-character": "A value that begins with a reserved character is not quoted.",
    "yaml-syntax": "The document cannot be read.",
    "yaml-tab": "A tab stands where only spaces may.",
}
"""What each code means."""


class _Reader:
    def __init__(self, file: str, terms: Terms, text: str) -> None:
        self._file = file
        self._terms = terms
        self._text = text
        self._lines: list[str] | None = None
        self.places = Places(text)
        self.entities: list[FoundEntity] = []

    def findings(self) -> Iterator[Finding]:
        documents = parse(self._text)
        refs: dict[str, int] = {}
        for document in documents:
            if isinstance(document, Broken):
                yield self._broken(document)
            else:
                yield from self._entity(document, refs)
        if not documents:
            yield self._of_file("empty-file", "the file holds no entity")

    def oddities(self, content: bytes) -> Iterator[Finding]:
        """Warnings about how the file is stored."""
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield self._of_file("not-utf-8", "the file is UTF-16", "store it as UTF-8")
        elif content.startswith(b"\xef\xbb\xbf"):
            yield self._of_file("byte-order-mark", "the file begins with a byte order mark", "store it without one")
        if "\ufffd" in self._text and b"\xef\xbf\xbd" not in content:
            yield self._at_text("\ufffd", "not-utf-8", "a byte is no UTF-8", "store the file as UTF-8")
        if "\0" in self._text:
            yield self._at_text("\0", "nul-character", "the file holds a NUL character", "remove it")

    def _of_file(self, code: str, message: str, hint: str | None = None) -> Finding:
        return Finding(code, "warning", message, self._file, 1, 1, 1, 1, hint=hint)

    def _at_text(self, text: str, code: str, message: str, hint: str) -> Finding:
        offset = self._text.index(text)
        line = self._text.count("\n", 0, offset) + 1
        column = offset - self._text.rfind("\n", 0, offset)
        return Finding(code, "warning", message, self._file, line, column, line, column + 1, hint=hint)

    def _broken(self, broken: Broken) -> Finding:
        line, column = broken.line, broken.column
        advice = advise_on_yaml(broken, self._line(line))
        message = broken.error_at(self._terms.location).message
        span, fix = Span(line, column, line, column), self._yaml_fix(advice.code, broken)
        return Finding(advice.code, "error", message, self._file, *span, hint=advice.hint, replacement=fix)

    def _yaml_fix(self, code: str, broken: Broken) -> Replacement | None:
        """Quotes or spaces, if with them the document can be read further."""
        text, number = self._line(broken.line), broken.line
        if code in ("yaml-reserved-character", "yaml-colon"):
            found = quotes_for(text, broken.column - 1)
        elif code == "yaml-tab" and (indent := text[: len(text) - len(text.lstrip())]):
            found = (0, len(indent), indent.expandtabs(2))
        else:
            return None
        if found is None:
            return None
        start, end, new = found
        lines = self._text.split("\n")
        lines[number - 1] = f"{text[:start]}{new}{text[end:]}"
        still = any(isinstance(one, Broken) and one.line <= number for one in parse("\n".join(lines)))
        return None if still else Replacement(Span(number, start + 1, number, end + 1), new)

    def _entity(self, document: Parsed, refs: dict[str, int]) -> Iterator[Finding]:
        value, line = document
        ref = _ref(value)
        if ref is not None:
            self.entities.append(FoundEntity(ref, value, self._file, line, self.places))
            if ref in refs:
                advice = Advice("duplicate-entity", f"it is also at line {refs[ref]}: rename one of the two")
                message = f"Duplicate nested entity: {ref}"
                yield self._finding(advice, "error", message, line, ("metadata", "name"), of_key=False, entity=ref)
            refs.setdefault(ref, line)
        fixed: set[Path] = set()
        for fault, advice in self._faults(value):
            path = fault.path[:-1] if fault.is_missing else fault.path
            if advice.code == "unknown-api-version":
                path = ("apiVersion",)
            fixed |= {path} if advice.fix is None else {path, advice.fix.path}
            of_key = advice.code in _OF_KEY or fault.is_missing
            yield self._finding(advice, "error", fault.message, line, path, of_key=of_key, entity=ref)
        if ref is None:
            return
        for warn in warnings_of(value):
            if warn.path not in fixed:
                yield self._finding(
                    warn.advice, "warning", warn.message, line, warn.path, of_key=warn.of_key, entity=ref
                )

    def _faults(self, value: dict[str, Any]) -> Iterator[tuple[Fault, Advice]]:
        """Faults of what placeholders stand for are left out: only who reads it can know."""
        holes = list(holes_of(value))
        unknown = [hole.path for hole in holes if hole.key in OPAQUE]
        for fault in faults_of(filled(value, holes), self._terms):
            if not any(fault.path[: len(path)] == path for path in unknown):
                yield fault, advise(fault, value)

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
