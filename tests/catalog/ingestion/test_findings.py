"""What a person is told of a wrong catalog file: where, in whose words, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent

import pytest

from greenroom.errors import InputError
from greenroom_catalog.ingestion.check import Terms, refusal_of
from greenroom_catalog.ingestion.findings import ABOUT, Examination, Finding, Replacement, examine
from greenroom_catalog.ingestion.parser import Parsed, parse
from greenroom_catalog.model import Rules
from greenroom_catalog.model.rules import AllowedKind, LocationMatch, Place, Rule
from greenroom_catalog.stitching.tokens import project

HEAD = "apiVersion: backstage.io/v1alpha1\n"
COMPONENT = f"{HEAD}kind: Component\n"
NAME = "a string that is sequences of [a-zA-Z0-9] separated by any of [-_.], at most 63 characters in total"
SPEC = "spec: {type: service, lifecycle: production, owner: team}\n"


def read(text: str) -> list[Finding]:
    return list(examine(text.encode(), "a.yaml").findings)


def only(text: str) -> Finding:
    (finding,) = read(text)
    return finding


def mended(text: str, replacement: Replacement) -> str:
    """The text with the replacement made."""
    span, new = replacement
    assert span.line == span.end_line
    lines = text.split("\n")
    line = lines[span.line - 1]
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return "\n".join(lines)


def test_a_sound_file_brings_no_findings_and_its_entities() -> None:
    text = f"{COMPONENT}metadata: {{name: a}}\n{SPEC}---\n# nothing\n---\n{COMPONENT}metadata: {{name: B}}\n{SPEC}"
    examination = examine(text.encode(), "a.yaml")
    assert examination.findings == []
    assert [(entity.ref, entity.line) for entity in examination.entities] == [
        ("component:default/a", 1),
        ("component:default/b", 8),
    ]


FIXABLE = {
    "name": (f"{COMPONENT}metadata: {{name: my service}}\n{SPEC}", "malformed-name", (3, 18), "my-service"),
    "number as name": (f"{COMPONENT}metadata: {{name: 12}}\n{SPEC}", "wrong-type", (3, 18), '"12"'),
    "namespace": (
        f"{COMPONENT}metadata: {{name: a, namespace: Team_A}}\n{SPEC}",
        "malformed-namespace",
        (3, 32),
        "team-a",
    ),
    "tag": (f"{COMPONENT}metadata: {{name: a, tags: [ok, Java_EE]}}\n{SPEC}", "malformed-tag", (3, 32), "java-ee"),
    "label value": (
        f"{COMPONENT}metadata: {{name: a, labels: {{x: a b}}}}\n{SPEC}",
        "malformed-label-value",
        (3, 33),
        "a-b",
    ),
    "label key": (
        f"{COMPONENT}metadata:\n  name: a\n  labels:\n    My.Org/x y: b\n{SPEC}",
        "malformed-label-key",
        (6, 5),
        "my.org/x-y",
    ),
    "annotation key": (
        f"{COMPONENT}metadata:\n  name: a\n  annotations:\n    a/b/c: x\n{SPEC}",
        "malformed-annotation-key",
        (6, 5),
        "a/b-c",
    ),
    "link": (
        f"{COMPONENT}metadata:\n  name: a\n  links:\n  - url: example.com/x\n{SPEC}",
        "malformed-link",
        (6, 10),
        "https://example.com/x",
    ),
    "apiVersion": (
        f"apiVersion: backstage/io/v1\nkind: Component\nmetadata: {{name: a}}\n{SPEC}",
        "malformed-api-version",
        (1, 13),
        "backstage.io/v1alpha1",
    ),
    "foreign apiVersion": (
        f"apiVersion: backstage.io/v1\nkind: Component\nmetadata: {{name: a}}\n{SPEC}",
        "unknown-api-version",
        (1, 13),
        "backstage.io/v1alpha1",
    ),
    "kind": (f"{HEAD}kind: Componnent\nmetadata: {{name: a}}\n{SPEC}", "unknown-kind", (2, 7), "Component"),
    "kind in lower case": (
        f"{HEAD}kind: component\nmetadata: {{name: a}}\n{SPEC}",
        "unknown-kind",
        (2, 7),
        "Component",
    ),
    "field": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecyle: y, owner: z}}\n",
        "missing-field",
        (4, 1),
        "lifecycle",
    ),
    "optional field": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: z, dependOn: [api:a]}}\n",
        "misspelled-field",
        (4, 41),
        "dependsOn",
    ),
    "root field": (f"{COMPONENT}metdata: {{name: a}}\n{SPEC}", "missing-field", (1, 1), "metadata"),
    "list": (f"{COMPONENT}metadata: {{name: a, tags: java}}\n{SPEC}", "wrong-type", (3, 27), "[java]"),
    "number": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: 1.0, lifecycle: y, owner: z}}\n",
        "wrong-type",
        (4, 14),
        '"1.0"',
    ),
    "children": (
        f"{HEAD}kind: Group\nmetadata: {{name: a}}\nspec:\n  type: team\n",
        "missing-field",
        (4, 1),
        "children: []\n  ",
    ),
    "presence": (
        f"{HEAD}kind: Location\nmetadata: {{name: a}}\nspec: {{target: ./x.yaml, presence: optionnal}}\n",
        "unknown-value",
        (4, 36),
        "optional",
    ),
    "kind of a reference": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: z, dependsOn: [resorce:db]}}\n",
        "misspelled-kind",
        (4, 53),
        "resource:db",
    ),
    "reference": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: my team}}\n",
        "impossible-reference",
        (4, 38),
        "my-team",
    ),
    "annotation": (
        f"{COMPONENT}metadata: {{name: a, annotations: {{github.com/project-slugs: a/b}}}}\n{SPEC}",
        "misspelled-annotation",
        (3, 35),
        "github.com/project-slug",
    ),
}


@pytest.mark.parametrize(("text", "code", "place", "new"), FIXABLE.values(), ids=FIXABLE)
def test_a_fix_is_found_where_it_is_known_and_mends_the_file(
    text: str, code: str, place: tuple[int, int], new: str
) -> None:
    finding = next(one for one in read(text) if one.replacement is not None)
    assert (finding.code, (finding.line, finding.column)) == (code, place)
    assert finding.replacement is not None
    assert finding.replacement.text == new
    assert finding.hint
    assert read(mended(text, finding.replacement)) == []


YAML_FIXES = {
    "at": (
        f"{COMPONENT}metadata: {{name: a}}\nspec:\n  owner: @team # us\n",
        "yaml-reserved-character",
        '  owner: "@team" # us',
    ),
    "percent": (
        f"{COMPONENT}metadata: {{name: a, title: %d}}\n",
        "yaml-reserved-character",
        'metadata: {name: a, title: "%d"}',
    ),
    "colon": (f"{COMPONENT}metadata:\n  name: a\n  title: my: service\n", "yaml-colon", '  title: "my: service"'),
    "tab": (f"{COMPONENT}metadata:\n\tname: a\n", "yaml-tab", "  name: a"),
}


@pytest.mark.parametrize(("text", "code", "line"), YAML_FIXES.values(), ids=YAML_FIXES)
def test_yaml_is_mended_where_quotes_or_spaces_do(text: str, code: str, line: str) -> None:
    finding = read(text)[0]
    assert finding.code == code
    assert finding.replacement is not None
    fixed = mended(text, finding.replacement)
    assert line in fixed.split("\n")
    assert code not in {one.code for one in read(fixed)}


UNFIXABLE = {
    "yaml-duplicate-key": (f"{COMPONENT}metadata: {{name: a, name: b}}\n{SPEC}", (3, 21)),
    "yaml-indentation": (f"{COMPONENT}metadata:\n  name: a\n title: b\n", (5, 1)),
    "yaml-quote": (f'{COMPONENT}metadata: {{name: "a}}\n', (4, 1)),
    "yaml-alias": (f"{COMPONENT}metadata: {{name: *a}}\n", (3, 18)),
    "not-an-object": ("- a\n- b\n", (1, 1)),
    "reference-without-kind": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: z, dependsOn: [b]}}\n",
        (4, 53),
    ),
    "malformed-reference": (
        f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: 'group:'}}\n",
        (4, 38),
    ),
    "empty-value": (f"{COMPONENT}metadata: {{name: a}}\nspec: {{type: x, lifecycle: y, owner: ''}}\n", (4, 38)),
    "unknown-field": (f"{COMPONENT}metadata: {{name: a}}\nextra: 1\n{SPEC}", (4, 1)),
    "catalog-writes-this": (f"{COMPONENT}metadata: {{name: a, uid: b}}\n{SPEC}", (3, 21)),
    "location-without-target": (f"{HEAD}kind: Location\nmetadata: {{name: a}}\nspec: {{}}\n", (4, 1)),
    "malformed-kind": (f"{HEAD}kind: My-Kind\nmetadata: {{name: a}}\n{SPEC}", (2, 7)),
    "clashing-keys": (f"{COMPONENT}metadata: {{name: a, labels: {{tier: a, Tier: b}}}}\n{SPEC}", (3, 39)),
    "nul-character": (f"{COMPONENT}metadata: {{name: a}} # \0\n{SPEC}", (3, 23)),
}


@pytest.mark.parametrize("code", UNFIXABLE)
def test_other_findings_tell_the_place_and_what_to_do(code: str) -> None:
    text, place = UNFIXABLE[code]
    found = {finding.code: finding for finding in read(text)}
    assert code in found
    assert (found[code].line, found[code].column) == place
    assert found[code].hint
    assert found[code].replacement is None


@pytest.mark.parametrize(
    "spec",
    [
        "{a: {b: 1}, A: {b: 2}}",
        "{a: [{b: 1}, {B: 2}]}",
        "{a: {b: 1}, A: {c: 2}}",
        "{a: [{b: 1}, {b: 2}]}",
        "{x: [Y, y]}",
    ],
)
def test_keys_clash_for_the_command_where_they_do_for_the_stitcher(spec: str) -> None:
    text = f"{HEAD}kind: Thing\nmetadata: {{name: a, annotations: {{x/y: '1'}}}}\nspec: {spec}\n"
    examination = examine(text.encode(), "a.yaml", known=lambda entity: True)
    [found] = examination.entities
    try:
        project(found.value, "uid")
        clash = []
    except InputError:
        clash = ["clashing-keys"]
    assert [finding.code for finding in examination.findings] == clash


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"# only this\n---\n", "empty-file"),
        (b"\xef\xbb\xbf" + f"{COMPONENT}metadata: {{name: a}}\n{SPEC}".encode(), "byte-order-mark"),
        (f"{COMPONENT}metadata: {{name: a}}\n{SPEC}".encode("utf-16"), "not-utf-8"),
        (f"{COMPONENT}metadata: {{name: a, title: \xe9}}\n{SPEC}".encode("latin-1"), "not-utf-8"),
    ],
)
def test_files_that_are_oddly_stored_are_told(content: bytes, code: str) -> None:
    assert code in {finding.code for finding in examine(content, "a.yaml").findings}


def test_all_problems_of_a_document_are_told_at_once_the_catalogs_first_one_first() -> None:
    text = dedent("""\
        apiVersion: backstage.io/v1alpha1
        kind: Component
        metadata:
          name: a b
          tags: [Java, Go]
          links: [{title: ' ', url: x}]
        spec:
          type: 1
          owner: ''
          dependsOn: [b, 'component:']
        """)
    (document,) = parse(text)
    assert isinstance(document, Parsed)
    refusal = refusal_of(document.value, Terms("file:a.yaml"))
    findings = read(text)
    assert refusal is not None
    assert findings[0].message == refusal.message
    assert [(one.code, one.line) for one in findings] == [
        ("malformed-name", 4),
        ("malformed-tag", 5),
        ("malformed-tag", 5),
        ("malformed-link", 6),
        ("malformed-link", 6),
        ("missing-field", 7),
        ("wrong-type", 8),
        ("empty-value", 9),
        ("reference-without-kind", 10),
        ("malformed-reference", 10),
    ]
    assert {one.entity for one in findings} == {"component:default/a b"}
    assert all("component:default/x" not in one.message for one in findings)


def test_a_sorted_list_is_pointed_at_where_the_file_has_it() -> None:
    text = f"{HEAD}kind: Group\nmetadata: {{name: a}}\nspec:\n  type: team\n  children:\n  - zebra\n  - ''\n  - 'b:'\n"
    assert [(one.code, one.line) for one in read(text)] == [("empty-value", 8), ("malformed-reference", 9)]


def test_every_document_is_looked_at_also_beside_a_broken_one() -> None:
    text = f"{COMPONENT}metadata: {{name: a}}\n---\n{COMPONENT}metadata: {{name: b\n---\n{HEAD}kind: Group\nmetadata: {{name: c}}\n"
    assert [(one.code, one.line) for one in read(text)] == [
        ("missing-field", 1),
        ("yaml-syntax", 8),
        ("missing-field", 9),
    ]


def test_one_entity_twice_in_a_file_is_an_error() -> None:
    document = f"{COMPONENT}metadata: {{name: a}}\n{SPEC}"
    finding = only(f"{document}---\n{document}")
    assert (finding.code, finding.severity, finding.line) == ("duplicate-entity", "error", 8)
    assert finding.hint is not None
    assert "line 1" in finding.hint


@pytest.mark.parametrize(
    ("annotations", "codes"),
    [("", []), ("0", []), ("{}", []), ("[]", ["wrong-type"]), ("x", ["wrong-type"]), ("[1]", ["wrong-type"])],
)
def test_annotations_may_be_empty_as_the_catalog_adds_its_own(annotations: str, codes: list[str]) -> None:
    findings = read(f"{COMPONENT}metadata:\n  name: a\n  annotations: {annotations}\n{SPEC}")
    assert [finding.code for finding in findings] == codes


def test_what_placeholders_read_is_not_judged() -> None:
    text = dedent("""\
        apiVersion: backstage.io/v1alpha1
        kind: API
        metadata: {name: a}
        spec:
          type: {$json: ./type.json}
          lifecycle: {$text: ./lifecycle.txt}
          owner: z
          definition: {$openapi: ./api.yaml}
        """)
    assert read(text) == []
    assert only(text.replace("$text", "$txt")).path == ("spec", "lifecycle")


def test_the_name_itself_cannot_be_a_placeholder() -> None:
    finding = only(f"{COMPONENT}metadata: {{name: {{$text: ./name}}}}\n{SPEC}")
    assert finding.message == "/metadata/name must be string - type: string"


def test_the_skeleton_of_a_template_is_recognised() -> None:
    finding = read(f"{COMPONENT}metadata: {{name: '${{{{ values.name }}}}'}}\n{SPEC}")[0]
    assert finding.hint is not None
    assert "rendered" in finding.hint


def test_rules_are_asked_when_they_are_known() -> None:
    text = f"{HEAD}kind: User\nmetadata: {{name: a}}\nspec: {{memberOf: []}}\n"
    somewhere = Rules([Rule([AllowedKind("User")], [Place("url", "https://a.example/x", None)])])
    assert LocationMatch("url").pattern is None
    for rules, origin, codes in [
        (None, None, []),
        (Rules(), None, ["kind-not-allowed"]),
        (somewhere, None, []),
        (somewhere, "url:https://a.example/x", []),
        (somewhere, "url:https://b.example/x", ["kind-not-allowed"]),
    ]:
        findings = examine(text.encode(), "a.yaml", rules=rules, origin=origin).findings
        assert [finding.code for finding in findings] == codes


def test_entities_and_fields_are_found_by_ref_and_path() -> None:
    text = f"{COMPONENT}metadata: {{name: a}}\n{SPEC}---\n{COMPONENT}metadata:\n  name: b\nspec:\n  type: [x]\n"
    examination: Examination = examine(text.encode(), "a.yaml")
    assert examination.place("component:default/b", ("spec", "type")) == (11, 9, 11, 9)
    assert examination.place("component:default/b", ("spec", "nothing", "here")) == (11, 3, 11, 3)
    assert examination.place("component:default/c") is None
    assert {finding.line for finding in examination.of("component:default/b")} == {10, 11}


def test_values_behind_aliases_are_pointed_at_by_the_alias() -> None:
    text = f"{COMPONENT}metadata: {{name: &n 'a b', annotations: {{x: y}}}}\nspec: {{type: *n, lifecycle: y, owner: [z]}}\n"
    finding = next(one for one in read(text) if one.code == "wrong-type")
    assert (finding.line, finding.column) == (4, 39)


def test_brief_messages_leave_out_what_stands_beside_them() -> None:
    text = f"{COMPONENT}metadata: {{name: a b}}\nspec: {{type: 1, lifecycle: y, owner: z}}\n---\na: @b\n"
    assert [one.brief for one in read(text)] == [
        f'"metadata.name" is not valid; expected {NAME} but found "a b"',
        "/spec/type must be string",
        "Plain value cannot start with reserved character @",
    ]


def codes_of(texts: Iterable[str]) -> set[str]:
    return {finding.code for text in texts for finding in read(text)}


def test_every_code_is_explained() -> None:
    texts = (
        [text for text, *_ in FIXABLE.values()]
        + [text for text, _ in UNFIXABLE.values()]
        + [text for text, *_ in YAML_FIXES.values()]
    )
    assert codes_of(texts) <= set(ABOUT)
    assert len(codes_of(texts)) > 25


HOSTILE = [
    b"\xff\xfe\x00",
    b"\x00" * 10,
    b"[" * 1000,
    b"a: " * 300,
    b"&a [*a]",
    b"? {a: b}\n: c\n",
    b"apiVersion: 1\nkind: [x]\nmetadata: []\nspec: 3\n",
    b"apiVersion: a\nkind: b\nmetadata: {name: c, labels: {1: 2, '': 3}, annotations: {? [x] : y}, tags: [[x]], links: [1]}\n",
    b"kind: Location\napiVersion: backstage.io/v1alpha1\nmetadata: {name: a}\nspec: {target: 1, targets: [1, '']}\n",
    b"kind: Location\napiVersion: backstage.io/v1alpha1\nmetadata: {name: a, annotations: [b]}\nspec: []\n",
    b'{"apiVersion":"a/b/c","kind":"","metadata":{"name":""},"spec":{"__proto__":1}}',
    b"%YAML 1.1\n---\n<<: {kind: Component}\nmetadata: {<<: {name: a}}\n",
    "apiVersion: backstage.io/v1alpha1\r\nkind: Component\r\nmetadata:\r\n  name: \u2028\u0085\r\n".encode(),
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_in_a_file_breaks_the_examination(content: bytes) -> None:
    examination = examine(content, "a.yaml")
    lines = content.decode(errors="replace").count("\n") + 2
    assert examination.findings
    for finding in examination.findings:
        assert 1 <= finding.line <= lines
        assert finding.column >= 1
        assert (finding.end_line, finding.end_column) >= (finding.line, finding.column)
        assert finding.code in ABOUT
