"""findings -> text: for people, for programs (JSON, SARIF 2.1.0), and for annotations of GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from greenroom_catalog.ingestion.findings import Finding

Lines = Callable[[str], Sequence[str]]
"""The lines of a file, by its name."""

WIDEST = 400
"""Characters of a line that are shown: of a file in one line of megabytes, those about the place."""

_COLOURS = {"error": 31, "warning": 33, "note": 36}


class Paint:
    """Colours, or none."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, *codes: int) -> str:
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if self._on and text else text


def as_text(findings: Iterable[Finding], lines: Lines, paint: Paint, *, brief: bool = False) -> Iterable[str]:
    """`file:line:column: severity code message`, then, unless `brief`, the line with the place marked, and the hint."""
    for finding in findings:
        where = f"{finding.file}:{finding.line}:{finding.column}"
        severity = paint(finding.severity, 1, _COLOURS[finding.severity])
        yield f"{paint(where, 1)}: {severity} {paint(finding.code, 2)} {visible(finding.brief)}"
        if brief or finding.severity == "note":
            continue
        yield from _picture(finding, lines(finding.file), paint)
        if finding.hint:
            yield f"  {paint('=', 1, 34)} {visible(finding.hint)}"


def _picture(finding: Finding, lines: Sequence[str], paint: Paint) -> Iterable[str]:
    if not 0 < finding.line <= len(lines) or not lines[finding.line - 1].strip():
        return
    line = lines[finding.line - 1]
    start = min(finding.column - 1, len(line))
    end = finding.end_column - 1 if finding.end_line == finding.line else len(line)
    if len(line) > WIDEST:
        first = max(0, start - WIDEST // 2)
        line, start, end = line[first : first + WIDEST], start - first, end - first
    number = str(finding.line)
    indent = "".join("\t" if character == "\t" else " " for character in line[:start])
    marks = "^" * max(1, min(end, len(line)) - start)
    yield f"{paint(f'{number:>5} |', 34)} {visible(line)}"
    yield f"{paint('      |', 34)} {indent}{paint(marks, 1, _COLOURS[finding.severity])}"


def visible(text: str) -> str:
    """Control characters, which a terminal would obey, as what they are called."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\n", " "))


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def as_json(findings: Iterable[Finding]) -> str:
    """A list of objects: `file line column endLine endColumn severity code message`; where known also `path entity hint fix`.

    Lines and columns count from 1, ends are exclusive; `fix` is `{line column endLine endColumn text}`."""
    return json.dumps([_object(finding) for finding in findings], indent=2, ensure_ascii=False)


def _object(finding: Finding) -> dict[str, Any]:
    known = {
        "path": list(finding.path) or None,
        "entity": finding.entity,
        "hint": finding.hint,
        "fix": None if finding.replacement is None else _fix(finding),
    }
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
        **{name: value for name, value in known.items() if value is not None},
    }


def _fix(finding: Finding) -> dict[str, Any]:
    if finding.replacement is None:
        return {}
    span, text = finding.replacement
    return dict(zip(("line", "column", "endLine", "endColumn"), span, strict=True)) | {"text": text}


def as_github(findings: Iterable[Finding]) -> Iterable[str]:
    """Workflow commands, which become annotations of a pull request."""
    commands = {"error": "error", "warning": "warning", "note": "notice"}
    for finding in findings:
        properties = {
            "file": finding.file,
            "line": finding.line,
            "endLine": finding.end_line,
            "col": finding.column,
            "endColumn": finding.end_column,
            "title": finding.code,
        }
        told = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in properties.items())
        message = f"{finding.brief} ({finding.hint})" if finding.hint else finding.brief
        yield f"::{commands[finding.severity]} {told}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def as_sarif(findings: Sequence[Finding], about: Mapping[str, str], version: str) -> str:
    """SARIF 2.1.0: one run, one result for each finding, fixes as replacements. `about` says what each code means."""
    codes = sorted({finding.code for finding in findings})
    rules = [{"id": code, "shortDescription": {"text": about.get(code, code)}} for code in codes]
    run = {
        "tool": {"driver": {"name": "greenroom", "semanticVersion": version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes.index(finding.code)) for finding in findings],
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    artifact = {"uri": _uri(finding.file)}
    span = (finding.line, finding.column, finding.end_line, finding.end_column)
    text = f"{finding.message}\n{finding.hint}" if finding.hint else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": _region(span)}}],
    }
    if finding.entity is not None:
        result["locations"][0]["logicalLocations"] = [{"fullyQualifiedName": finding.entity, "kind": "object"}]
    if finding.replacement is not None:
        replacement = {
            "deletedRegion": _region(finding.replacement.span),
            "insertedContent": {"text": finding.replacement.text},
        }
        change = {"artifactLocation": artifact, "replacements": [replacement]}
        result["fixes"] = [{"description": {"text": finding.hint or "fix it"}, "artifactChanges": [change]}]
    return result


def _region(span: Sequence[int]) -> dict[str, int]:
    return dict(zip(("startLine", "startColumn", "endLine", "endColumn"), span, strict=True))


def _uri(file: str) -> str:
    path = quote(file.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path
