"""Findings as people and programs read them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from greenroom_catalog.commands.formats import Paint, as_github, as_json, as_sarif, as_text
from greenroom_catalog.ingestion.findings import ABOUT, Finding, examine

TEXT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
\tname: a
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: a b, uid: c}
spec: {type: x, lifecycle: y, owner: z}
"""


@pytest.fixture
def findings() -> list[Finding]:
    return list(examine(TEXT.encode(), "infra/my file,50%.yaml").findings)


def lines(name: str) -> Sequence[str]:
    return TEXT.split("\n")


def test_people_see_the_place_in_its_line_and_what_to_do(findings: list[Finding]) -> None:
    shown = list(as_text(findings[1:2], lines, Paint(on=False)))
    assert shown == [
        f"infra/my file,50%.yaml:8:18: error malformed-name {findings[1].brief}",
        "    8 | metadata: {name: a b, uid: c}",
        "      |                  ^^^",
        "  = write `a-b`",
    ]


def test_the_mark_stands_below_its_place_also_behind_a_tab() -> None:
    finding = Finding("x", "error", "m", "f", 1, 3, 1, 4)
    shown = list(as_text([finding], lambda name: ["\tä b"], Paint(on=False)))
    assert shown[1:] == ["    1 | \tä b", "      | \t ^"]


def test_quiet_is_a_line_each(findings: list[Finding]) -> None:
    assert [line.partition(" ")[0] for line in as_text(findings, lines, Paint(on=False), brief=True)] == [
        "infra/my"
    ] * 3


def test_colours_are_only_added(findings: list[Finding]) -> None:
    coloured = "\n".join(as_text(findings, lines, Paint(on=True)))
    assert "\x1b[1;31merror\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == "\n".join(as_text(findings, lines, Paint(on=False)))


def test_a_file_cannot_send_commands_to_the_terminal() -> None:
    content = 'apiVersion: a\nkind: b\nmetadata: {name: "\\e[31mx"}\n# \x1b[31m\n'
    shown = "\n".join(
        as_text(examine(content.encode(), "f").findings, lambda name: content.split("\n"), Paint(on=False))
    )
    assert "\\x1b[31mx" in shown
    assert "\x1b" not in shown


def test_json_is_a_list_of_a_stable_shape(findings: list[Finding]) -> None:
    rows = json.loads(as_json(findings))
    assert rows[1] == {
        "file": "infra/my file,50%.yaml",
        "line": 8,
        "column": 18,
        "endLine": 8,
        "endColumn": 21,
        "severity": "error",
        "code": "malformed-name",
        "message": findings[1].message,
        "path": ["metadata", "name"],
        "entity": "component:default/a b",
        "hint": "write `a-b`",
        "fix": {"line": 8, "column": 18, "endLine": 8, "endColumn": 21, "text": "a-b"},
    }
    assert set(rows[1]) - set(rows[2]) == {"fix"}
    assert set(rows[1]) - set(rows[0]) == {"path", "entity"}
    assert as_json([]) == "[]"


def test_github_gets_annotations_that_nothing_in_a_file_can_break_out_of(findings: list[Finding]) -> None:
    tab, name, uid = as_github(findings)
    assert tab.startswith("::error file=infra/my file%2C50%25.yaml,line=4,")
    assert name.startswith(
        "::error file=infra/my file%2C50%25.yaml,line=8,endLine=8,col=18,endColumn=21,title=malformed-name::"
    )
    assert uid.startswith("::warning ")
    nasty = Finding("x", "note", "50%\r\n::error::owned", "a:b\n", 1, 1, 1, 1)
    assert list(as_github([nasty])) == [
        "::notice file=a%3Ab%0A,line=1,endLine=1,col=1,endColumn=1,title=x::50%25%0D%0A::error::owned"
    ]


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def listed(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


STRING = {"type": "string"}
POSITIVE = {"type": "integer", "minimum": 1}
MESSAGE = closed(["text"], text=STRING)
ARTIFACT = closed(["uri"], uri={"type": "string", "pattern": r"^[A-Za-z0-9%/._:~+-]*$"})
REGION = closed(["startLine"], startLine=POSITIVE, startColumn=POSITIVE, endLine=POSITIVE, endColumn=POSITIVE)
REPLACEMENT = closed(["deletedRegion"], deletedRegion=REGION, insertedContent=MESSAGE)
CHANGE = closed(["artifactLocation", "replacements"], artifactLocation=ARTIFACT, replacements=listed(REPLACEMENT, 1))
PLACE = closed([], physicalLocation=closed(["artifactLocation"], artifactLocation=ARTIFACT, region=REGION),
               logicalLocations=listed(closed([], fullyQualifiedName=STRING, kind=STRING)))  # fmt: skip
RESULT = closed(
    ["message"],
    ruleId=STRING,
    ruleIndex={"type": "integer", "minimum": -1},
    level={"enum": ["none", "note", "warning", "error"]},
    message=MESSAGE,
    locations=listed(PLACE),
    fixes=listed(closed(["artifactChanges"], description=MESSAGE, artifactChanges=listed(CHANGE, 1))),
)
RULE = closed(["id"], id=STRING, shortDescription=MESSAGE)
DRIVER = closed(["name"], name=STRING, semanticVersion=STRING, informationUri=STRING, rules=listed(RULE))
COLUMNS = {"enum": ["utf16CodeUnits", "unicodeCodePoints"]}
RUN = closed(["tool"], tool=closed(["driver"], driver=DRIVER), columnKind=COLUMNS, results=listed(RESULT))
SARIF = closed(["version", "runs"], **{"$schema": STRING}, version={"enum": ["2.1.0"]}, runs=listed(RUN))
"""Of the schema of SARIF 2.1.0 what is used here: its objects are closed, too."""


def test_sarif_is_as_its_schema_wants_it(findings: list[Finding]) -> None:
    document = json.loads(as_sarif(findings, ABOUT, "1.2.3"))
    assert [error.message for error in Draft7Validator(SARIF).iter_errors(document)] == []
    (run,) = document["runs"]
    assert [run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] for one in run["results"]] == [
        one.code for one in findings
    ]
    name = run["results"][1]
    assert name["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "infra/my%20file%2C50%25.yaml"
    assert name["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == "a-b"
    empty = json.loads(as_sarif([], ABOUT, "1.2.3"))
    assert [error.message for error in Draft7Validator(SARIF).iter_errors(empty)] == []


def test_sarif_names_files_elsewhere_by_url() -> None:
    finding = Finding("x", "note", "m", str(Path("/tmp/a b.yaml")), 1, 1, 1, 1)
    document = json.loads(as_sarif([finding], ABOUT, "1.2.3"))
    place = document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///tmp/a%20b.yaml"
