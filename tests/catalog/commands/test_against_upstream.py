"""What `examine` says of a wrong entity is what upstream said of it: recordings, and the corpus where it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom_catalog.commands.targets import missing_files
from greenroom_catalog.ingestion.findings import Examination, Finding, examine
from greenroom_catalog.model import Rules
from greenroom_catalog.model.rules import AllowedKind, Rule

CONFORMANCE = Path(__file__).parents[2] / "conformance"
CORPUS = Path(os.environ.get("GREENROOM_SHARED") or Path(__file__).parents[4] / "shared") / "corpus"
VERDICTS = CORPUS / "verdicts.jsonl"
SERVED_AT = "url:http://127.0.0.1:8901"
ALLOWED = ["Component", "API", "System", "Domain", "Group", "User", "Resource", "Location", "Template", "AiResource"]
"""By the rules of the upstream that gave the verdicts."""

OUTSIDE = (
    "Unable to read url",
    "does not have the annotation",
    "parse location ref",
    "handle reading",
    "does not exist",
)
"""Errors that are not in the file."""
ELSEWHERE = ("Unable to read url, request to", "Placeholder $", "Unable to read url, no matching files")


def recorded() -> Iterator[tuple[dict[str, Any], str]]:
    """Entities that upstream could not process, and its words."""
    with (CONFORMANCE / "recordings" / "errors.jsonl").open() as lines:
        answers = {row["name"]: row["answer"]["body"] for row in map(json.loads, lines)}
    for row in answers["pending"]["entities"]:
        for error in (row["errors"] or [])[:1]:
            if not any(part in error["message"] for part in OUTSIDE):
                yield row["unprocessed_entity"], error["message"]


ENTITIES = {value["metadata"]["name"]: (value, told) for value, told in recorded() if value["kind"] != "Location"}
FILES = {value["spec"]["target"].rpartition("/")[2]: told for value, told in recorded() if value["kind"] == "Location"}


@pytest.mark.parametrize("name", ENTITIES)
def test_an_entity_is_refused_in_upstreams_words(name: str) -> None:
    value, told = ENTITIES[name]
    errors = errors_of(json.dumps(value).encode(), "url:https://x.example/a.yaml")
    assert errors[0].message == told


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_in_upstreams_words(name: str) -> None:
    content = (CONFORMANCE / "datasets" / "errors" / "files" / name).read_bytes()
    location = f"url:http://files.test/{name}"
    rules = Rules([Rule([AllowedKind(kind) for kind in ("Component", "Group", "Location", "API")], None)])
    messages = [
        finding.message for finding in examine(content, name, location=location, origin=location, rules=rules).findings
    ]
    assert FILES[name] in messages


def test_there_is_enough_to_compare() -> None:
    assert len(ENTITIES) >= 15
    assert len(FILES) >= 6


def errors_of(content: bytes, location: str, rules: Rules | None = None) -> list[Finding]:
    examination = examine(content, "a.yaml", location=location, origin=location, rules=rules)
    return [finding for finding in examination.findings if finding.severity == "error"]


def verdicts() -> list[dict[str, Any]]:
    if not VERDICTS.exists():
        return []
    with VERDICTS.open() as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.skipif(not VERDICTS.exists(), reason="the corpus is not here (shared/corpus, or GREENROOM_SHARED)")
def test_real_files_are_accepted_and_refused_as_by_upstream() -> None:
    rules = Rules([Rule([AllowedKind(kind) for kind in ALLOWED], None)])
    wrong: list[str] = []
    compared = 0
    for verdict in verdicts():
        path = CORPUS / verdict["path"]
        location = f"{SERVED_AT}/{verdict['path']}"
        examination = examine(path.read_bytes(), str(path), location=location, origin=location, rules=rules)
        errors = [one for one in [*examination.findings, *missing_files(examination)] if one.severity == "error"]
        told = "" if verdict["status"] == 201 else verdict["error"]["message"]
        if not told and errors:
            wrong.append(f"{verdict['path']}: refused for {errors[0].message}")
        elif told and not errors and not is_elsewhere(told, examination):
            wrong.append(f"{verdict['path']}: accepted in spite of {told}")
        elif told and errors and len(examination.entities) == 1 and not is_elsewhere(told, examination):
            compared += 1
            if not is_same(told, errors[0]):
                wrong.append(f"{verdict['path']}: {errors[0].message} and not {told}")
    assert wrong == []
    assert compared > 100


def is_elsewhere(told: str, examination: Examination) -> bool:
    """Whether upstream complained of another file: of one behind a location, or a placeholder."""
    about = re.search(r"Entity (\S+) at ", told)
    of_another = about is not None and about[1] not in {entity.ref for entity in examination.entities}
    return of_another or any(part in told for part in ELSEWHERE)


def is_same(told: str, error: Finding) -> bool:
    """But for the name of the error in front, and percent signs in the address."""
    first = told.partition("\n")[0].partition(" at url:")[0]
    return error.message.partition("\n")[0].partition(" at url:")[0] in (first, first.partition(": ")[2])
