"""What lint says of a template, and where."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from greenroom_scaffolder.templates.findings import Backend, Finding
from greenroom_scaffolder.templates.lint import lint
from greenroom_scaffolder.templates.located import read_documents
from greenroom_scaffolder.templating import Engine, suggestions
from tests.support.waiting import slowness


class Shape(msgspec.Struct, frozen=True):
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None


LOG = Shape({"type": "object", "properties": {"message": {"type": "string"}}, "additionalProperties": False})
FETCH = Shape(
    {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {"type": "string"}, "values": {"type": "object"}, "replace": {"type": "boolean"}},
        "additionalProperties": False,
    }
)
PUBLISH = Shape(None, {"type": "object", "properties": {"remoteUrl": {}, "repoContentsUrl": {}}})
BACKEND = Backend(
    {"debug:log": LOG, "fetch:template": FETCH, "publish:git": PUBLISH, "any:thing": Shape()}, ["pick"], ["now"]
)

GOOD = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata:
  name: service
spec:
  type: service
  parameters:
    - title: One
      required: [name]
      properties:
        name: { type: string, pattern: "^[a-z]+$" }
      dependencies:
        name:
          oneOf: [{ properties: { extra: { type: string } } }]
    - properties:
        my-key: { type: string }
  steps:
    - id: fetch
      action: fetch:template
      input:
        url: ./skeleton
        replace: ${{ parameters.extra == "yes" }}
        values:
          name: ${{ parameters.name | upper }}
          key: ${{ parameters["my-key"] | pick("a") }}
          token: ${{ secrets.token }}
          note: |
            {% for item in [1, 2] %}${{ item }} ${{ loop.index }}{% endfor %}
            ${{ '${{' }} github.sha ${{ '}}' }}
    - id: publish
      if: ${{ always() and user.ref and context.task.id and now() }}
      action: publish:git
    - action: any:thing
      each: ${{ [1, 2] }}
      greenroom: { timeout: 5m, retry: { attempts: 2 } }
      input: { of: "${{ each.value }} ${{ environment.parameters.x }}" }
  output:
    links:
      - title: Repository
        url: ${{ steps.publish.output.remoteUrl }}
    catalogInfoUrl: ${{ steps["step-3"].output.anything }}
"""


def found(source: str | Mapping[str, Any], backend: Backend = BACKEND) -> list[str]:
    return [f"{one.line}:{one.column} {one.severity} {one.rule}" for one in lint(source, backend)]


def only(source: str) -> Finding:
    [finding] = lint(source, BACKEND)
    return finding


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_template_is_passed_over_in_silence() -> None:
    assert lint(GOOD, BACKEND) == []


FAULTS = """\
action: publish:git⏎
  -> action: publish:gti⏎
  32:15: error: There is no action "publish:gti" (did you mean "publish:git"?)
url: ./skeleton
  -> ulr: ./skeleton
  21:9: error: fetch:template: input requires property "url"
url: ./skeleton
  -> url: [x]
  21:14: error: fetch:template: input.url is not of a type(s) string
parameters.name |
  -> parameters.nmae |
  24:21: error: No block of parameters declares `nmae` (did you mean `name`?)
| upper
  -> | uper
  24:39: error: There is no filter "uper" (did you mean "upper"?)
and now()
  -> and nwo()
  31:61: error: There is no function "nwo" (did you mean "now"?)
each.value
  -> user.name
  36:25: error: `user` has no `name` (it has `ref` and `entity`)
      each: ${{ [1, 2] }}⏎
  -> ∅
  35:25: error: `each` is undefined: the step has no `each`
parameters["my-key"]
  -> parameters.my-key
  25:20: error: `parameters.my-key` is a subtraction (write `parameters["my-key"]`)
secrets.token
  -> step.publish
  26:22: error: `step` is undefined here (did you mean `steps`?)
secrets.token
  -> name
  26:22: error: `name` is undefined here (write `parameters.name`)
secrets.token
  -> steps.publish.output.remoteUrl
  26:22: error: The step "publish" has no output yet: it comes later
secrets.token
  -> steps.fetch.output.x
  26:22: error: The step "fetch" has no output yet: it is this one
secrets.token
  -> steps.ftech.output.x
  26:22: error: There is no step "ftech" (did you mean "fetch"?)
secrets.token
  -> always()
  26:22: error: `always()` is known in a step's `if` only
secrets.token
  -> a ? b
  26:24: error: Unexpected character "?" (it stays as it is written)
output.remoteUrl
  -> remoteUrl
  40:18: error: `steps.publish` has no `remoteUrl` (what a step gives is in its `output`)
output.remoteUrl
  -> output.remoteURL
  40:18: warning: publish:git has no output `remoteURL` (did you mean `remoteUrl`?)
steps.publish.output.remoteUrl
  -> secrets.token
  40:18: error: secrets are undefined here (the output sees no secrets)
user.ref and
  -> secrets.x and
  31:28: error: secrets are undefined here (a step's `if` sees no secrets, unless the step has `each`)
if: ${{ always() and user.ref and context.task.id and now() }}
  -> if: false
  31:11: warning: The step "publish" never runs: its `if` is always false
- id: publish
  -> - id: fetch
  30:11: warning: The step id "fetch" is there twice, first in line 18 (`steps.fetch` is what the last of them gave)
timeout: 5m
  -> timeout: 5
  35:29: error: greenroom.timeout must be a duration such as
timeout: 5m
  -> tmeout: 5m
  35:28: error: greenroom.tmeout is unknown; known are timeout, retry
      input: { of
  ->       inputs: { of
  36:7: warning: "inputs" means nothing in a step (did you mean "input"?)
required: [name]
  -> required: [nam]
  9:18: warning: "nam" is required, but the form has no such field (did you mean "name"?)
pattern: "^[a-z]+$"
  -> pattern: "^[a-z+$"
  11:40: error: Invalid regular expression: /^[a-z+$/: Unterminated character class
my-key: { type: string }
  -> my-key: { type: strnig }
  16:25: warning: "strnig" is no type, so that any value will do (did you mean "string"?)
my-key: { type: string }
  -> my-key: { $ref: '#/x' }
  16:25: error: no such schema #/x located in </undefined>
title: Repository⏎
  -> if: false⏎
  39:13: warning: This is never shown: its `if` is always false
  type: service⏎
  ->   type: service⏎  type: x⏎
  7:3: error: The key "type" is there twice (upstream refuses the file)
  type: service⏎
  -> ∅
  6:3: error: /spec must have required property 'type' - missingProperty: type
name: service⏎
  -> name: 5⏎
  4:9: error: /metadata/name must be string - type: string
io/v1beta3
  -> io/v1beta2
  1:13: error: The apiVersion is not scaffolder.backstage.io/v1beta3
./skeleton
  -> ./{{ parameters.name }}
  21:16: warning: `{{ parameters.… }}` is not rendered here (write ${{ … }})
${{ item }} ${{ loop
  -> ${{ item }} ${{ parameters.x.y }} ${{ loop
  28:53: error: No block of parameters declares `x`
"""
"""What is changed in the good template (⏎ is a line's end, ∅ nothing), into what, and what is said then."""


def faults() -> Iterator[tuple[str, str, str]]:
    lines = [line.replace("⏎", "\n").replace("∅", "") for line in FAULTS.splitlines()]
    for old, new, told in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        yield old, new.removeprefix("  -> "), told.removeprefix("  ")


@pytest.mark.parametrize(("old", "new", "told"), list(faults()))
def test_each_fault_is_told_with_its_place_and_a_hint(old: str, new: str, told: str) -> None:
    all_told = [str(finding).removeprefix("template.yaml:") for finding in lint(changed(old, new), BACKEND)]
    assert any(one.startswith(told) for one in all_told), all_told


def test_the_output_of_a_step_that_never_runs_is_not_reached() -> None:
    never = changed("if: ${{ always() and user.ref and context.task.id and now() }}", 'if: ""')
    assert found(never) == ["31:11 warning unreachable-step", "40:18 warning unreachable-output"]


def test_what_is_asked_for_carefully_is_only_warned_of() -> None:
    careful = changed("parameters.name |", "parameters.other | default('x') |")
    assert found(careful) == ["24:21 warning undeclared-parameter"]


def test_a_form_that_expects_more_than_it_names_declares_everything() -> None:
    open_ = changed("required: [name]\n", "additionalProperties: { type: string }\n")
    assert found(open_.replace("parameters.extra", "parameters.whatever")) == []
    assert found(open_.replace("{ type: string }", "true").replace("parameters.extra", "parameters.whatever")) == []


def test_what_an_expression_asks_for_first_it_may_use() -> None:
    asked = changed("parameters.name | upper", "parameters.other | upper if parameters.other is defined")
    assert {one.partition(" ")[2] for one in found(asked)} == {"warning undeclared-parameter"}
    assert found(changed("parameters.name |", "(parameters.name if parameters.name !== undefined) |")) == []


def test_either_of_two_steps_may_go_by_one_id() -> None:
    twice = changed(
        "    - action: any:thing\n", "    - id: publish\n      if: ${{ user.ref }}\n      action: any:thing\n"
    )
    assert [one for one in found(twice) if "duplicate" in one] == []


def test_what_fields_of_the_organisation_fill_in_besides_is_declared() -> None:
    field = "my-key: { type: string, ui:field: OurPicker, ui:options: { nameField: chosen.name, of: [{ x: more }] } }"
    picked = changed("my-key: { type: string }", field)
    assert found(picked.replace("parameters.extra", "parameters.chosen.name ~ parameters.more")) == []
    assert found(picked.replace("parameters.extra", "parameters.other")) == ["22:22 error undeclared-parameter"]


def test_what_the_catalog_reads_from_elsewhere_is_not_known_here() -> None:
    page = changed(
        "    - properties:\n        my-key: { type: string }\n", "    - $yaml: https://example.com/page.yaml\n"
    )
    assert found(page) == []
    steps = changed(
        "    - action: any:thing\n", "    - $yaml: https://example.com/step.yaml\n    - action: any:thing\n"
    )
    assert found(steps.replace("step-3", "theirs")) == []


def test_the_schema_of_secrets_is_looked_at_too() -> None:
    secrets = changed(
        "  parameters:\n", "  secrets: { schema: { properties: { a: { type: strng } } } }\n  parameters:\n"
    )
    assert found(secrets) == ["7:49 warning unknown-type"]


def test_everything_that_is_wrong_comes_with_what_to_do_about_it() -> None:
    wrong = changed("action: publish:git", "action: q").replace("parameters.extra", "parameters.qqq")
    wrong = wrong.replace("steps.publish.output", "steps.qqq.output").replace("secrets.token", "qqq")
    assert [one.hint for one in lint(wrong, BACKEND)] == [
        "declare it among the `properties` of a page",
        "there are `parameters`, `steps`, `user`, `context`, `environment` and `secrets`",
        "`greenroom template actions` lists those that there are",
        'there are "fetch", "publish", "step-3"',
    ]


def test_places_are_found_in_folded_texts_and_where_a_tag_begins_that_does_not_end() -> None:
    folded = changed(
        "          note: |\n", "          note: >\n            a ${{ parameters.name | uper }}\n            b\n"
    )
    assert found(folded) == ["28:37 error unknown-filter"]
    unclosed = changed(
        "          note: |\n", "          note: |\n            ${{ parameters.name }\n            ${{ user.ref }}\n"
    )
    assert found(unclosed) == ["28:13 error broken-expression"]


def test_a_method_that_no_value_has_is_none() -> None:
    called = changed("parameters.name | upper", 'parameters.name.replaceAll("a", "b")')
    assert [str(one) for one in lint(called, BACKEND)] == [
        'template.yaml:24:37: error: There is no method "replaceAll" (the string stays as it is written) [unknown-method]'
    ]
    for fine in ('parameters.name.split("a").join("b").length', 'cycler("a", "b").next()', "now.iso()"):
        assert found(changed("parameters.name | upper", fine)) == []


def said_of(text: str) -> list[str]:
    """The rules that a text breaks where it stands in a step's input, and the words that they are about."""
    entity = read_documents(GOOD)[0].value
    step = {"action": "any:thing", "input": {"x": text}}
    form: Any = {"properties": {"total": {}, "used": {}, "list": {}, "at": {}}}
    findings = lint({**entity, "spec": {"type": "x", "parameters": form, "steps": [step]}}, BACKEND)
    return [f"{one.rule} {one.message.split('`')[1] if '`' in one.message else one.message}" for one in findings]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${{ parameters.total-parameters.used }}", []),
        ("${{ parameters.total.a-parameters.total.b | abs }}", []),
        ("${{ parameters.total-1 }} ${{ parameters.total-now }}", []),
        ("{% set w = 3 %}${{ parameters.total-w }}", []),
        ("{% for i in range(parameters.total-parameters.used) %}${{ parameters.total-i }}{% endfor %}", []),
        ("${{ parameters.total-parameters.usd }}", ["undeclared-parameter usd"]),
        ("${{ parameters.total-sum }}", ["dash-in-path parameters.total-sum"]),
        ("${{ parameters.a-b-c.d-parameters.used }}", ["dash-in-path parameters.a-b-c.d"]),
        (
            "${{ 1 + parameters.a-b | nope }}",
            ["dash-in-path parameters.a-b", 'unknown-filter There is no filter "nope"'],
        ),
    ],
)
def test_what_can_be_subtracted_is_no_dash_in_a_name(text: str, told: list[str]) -> None:
    assert said_of(text) == told


UNKNOWN = "unknown-name "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "{% macro f(n) %}${{ g(n - 1) if n }}{% endmacro %}{% macro g(n) %}${{ f(n - 1) if n }}{% endmacro %}${{ f(4) }}",
            [],
        ),
        ("{% macro m() %}${{ z }}{% endmacro %}{% set z = 3 %}${{ m() }}", []),
        ("{% macro m() %}${{ z }}{% endmacro %}{% if user.ref %}{% set z = 3 %}{% endif %}${{ m() }}", []),
        ("{% macro m() %}{% macro n() %}n{% endmacro %}{% endmacro %}${{ m() }}${{ n() }}", []),
        ("{% macro m(a, b=a) %}${{ caller() }}${{ b }}{% endmacro %}{% call m(1) %}x{% endcall %}", []),
        ("${{ z }}{% set z = 3 %}", [f"{UNKNOWN}z"]),
        ("{% for x in [1] %}{% macro m() %}${{ x }}${{ loop.index }}{% endmacro %}${{ m() }}{% endfor %}",
         [f"{UNKNOWN}x", f"{UNKNOWN}loop"]),
        ("{% macro m() %}${{ super() }}{% endmacro %}", ['unknown-function There is no function "super"']),
        ("{% for x in [1] %}${{ caller() }}{% endfor %}", ['unknown-function There is no function "caller"']),
        ("{% for x in [1, 2] %}${{ before }}{% set before = x %}{% endfor %}", []),
        ("{% for x in [1, 2] %}{% set last = x %}{% endfor %}${{ last }}", [f"{UNKNOWN}last"]),
        ("{% block a %}{% set b = 1 %}{% macro m() %}m{% endmacro %}{% endblock %}${{ m() }}${{ b }}", [f"{UNKNOWN}b"]),
        ("{% set a %}{% set b = 1 %}${{ b }}{% endset %}{% filter upper %}{% set c = 2 %}{% endfilter %}${{ a ~ b ~ c }}", []),
    ],
)  # fmt: skip
def test_what_a_text_sets_is_known_where_the_engine_knows_it(text: str, told: list[str]) -> None:
    assert said_of(text) == told


@pytest.mark.parametrize("chain", ["+ 1", "~ 1", "- 1", "and 1", "== 1"])
def test_a_chain_of_thousands_of_operators_is_as_right_as_it_is_long(chain: str) -> None:
    template = "${{ parameters.total " + f"{chain} " * 3000 + "}}"
    assert Engine().text(template, {"parameters": {"total": 1}})
    assert said_of(template) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${{ parameters.list }} {{ parameters.total }} {{ steps.a.output }}", ["parameters.… }}", "steps.… }}"]),
        ("{% raw %}{{ parameters.list }}{% endraw %}", []),
        ("{%- raw -%} {{ parameters.list }} ${{ steps.x }} {% endraw %} {{ parameters.total }}", ["parameters.… }}"]),
        ("{# {{ parameters.list }} #}${{ '{{ parameters.list }}' }}", []),
    ],
)
def test_each_expression_without_its_dollar_is_told_of_unless_it_is_meant(text: str, told: list[str]) -> None:
    assert said_of(text) == [f"missing-dollar {{{{ {one}" for one in told]


FORMS = """\
dependencies: { kind: { oneOf: [{ properties: { kind: { const: a }, forA: {} }, required: [forA, extra] }] } }
dependencies: { kind: { oneOf: [{ properties: { kind: { const: a }, forA: {} }, required: [forA, exta] }] } }  # exta
{ if: { properties: { kind: { const: a } }, required: [kind, name] }, then: { properties: { more: {} }, required: [more, extra] } }
{ if: { properties: { kind: { const: a } } }, else: { properties: { more: {} }, required: [mor] } }  # mor
{ allOf: [{ properties: { more: { minLength: 3 } }, required: [name, more] }] }
{ required: [before, name] }
{ required: [befor, name] }  # befor
{ properties: { deep: { properties: { a: {} }, anyOf: [{ required: [a] }, { properties: { b: {} }, required: [a, b] }] } } }
{ properties: { deep: { properties: { a: {} }, required: [name] } } }  # name
{ properties: { many: { type: array, items: { properties: { a: {} }, required: [a, name] } } } }  # name
{ definitions: { x: { properties: { more: {} }, required: [more, name] } }, allOf: [{ $ref: '#/definitions/x' }] }
{ properties: { deep: { $ref: '#/definitions/x', properties: {}, required: [a] } }, definitions: { x: { properties: { a: {} } } } }
"""
"""What a second page says besides its fields, and of which required name it is said that it has no field."""


@pytest.mark.parametrize("form", FORMS.splitlines())
def test_a_required_field_is_looked_for_in_all_that_is_said_of_the_same_value(form: str) -> None:
    written, _, missing = form.partition("  # ")
    page: Any = {"required": ["name"], "properties": {"name": {}, "kind": {}, "extra": {}}}
    besides = read_documents(written)[0].value
    page = {**page, **besides, "properties": {**page["properties"], **besides.get("properties", {})}}
    pages = [{"properties": {"before": {}}}, page]
    entity = {**read_documents(GOOD)[0].value, "spec": {"type": "x", "parameters": pages, "steps": []}}
    told = [one for one in lint(entity, BACKEND) if one.rule == "required-without-field"]
    assert [one.message.split('"')[1] for one in told] == ([missing] if missing else [])


def test_an_input_that_stands_elsewhere_is_not_held_against_the_action() -> None:
    elsewhere = changed("input:\n        url: ./skeleton\n", "input: { $yaml: ./input.yaml }\n      old:\n")
    assert [one for one in found(elsewhere) if "invalid-input" in one] == []
    assert found(changed("url: ./skeleton", "url: { $text: ./url.txt }")) == []
    assert found(changed("url: ./skeleton", "url: { $txt: ./url.txt }")) == ["21:14 error invalid-input"]


def test_half_of_a_surrogate_pair_is_told_with_its_place() -> None:
    finding = only("a: b\nc: x\udcffy\n")
    assert (finding.rule, finding.line, finding.column) == ("unreadable", 2, 5)
    assert lint({**read_documents(GOOD)[0].value, "metadata": {"name": "a", "title": "\udcff"}}, BACKEND) == []


def test_an_enumeration_is_a_list() -> None:
    assert found(changed('pattern: "^[a-z]+$"', "enum: a")) == ["11:37 error invalid-schema"]


def test_inputs_that_are_not_known_yet_are_passed_over() -> None:
    assert found(changed('${{ parameters.extra == "yes" }}', "${{ parameters.extra }}")) == []
    assert found(changed('${{ parameters.extra == "yes" }}', "yes!")) == ["22:18 error invalid-input"]


REGISTER = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: { name: service }
spec:
  type: service
  steps:
    - action: catalog:register
      input: %s
"""
URL = {"type": "string"}
EITHER = Shape(
    {
        "anyOf": [
            {"properties": {"url": URL, "optional": {"type": "boolean"}}, "required": ["url"]},
            {"properties": {"path": URL, "base": URL, "optional": {"type": "boolean"}}, "required": ["path", "base"]},
        ]
    }
)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{ url: '${{ parameters.url }}', optional: '${{ parameters.optional }}' }", []),
        ("{ url: '${{ parameters.url }}', optional: 5 }", ["input.optional is not of a type(s) boolean"]),
        ("{ path: '${{ parameters.url }}' }", ['input requires property "url"']),
        ("{ optional: '${{ parameters.optional }}' }", ['input requires property "url"']),
        ("{ optional: 5 }", ["input.optional is not of a type(s) boolean", 'input requires property "url"']),
    ],
)
def test_where_no_alternative_can_be_met_the_closest_says_why(given: str, told: list[str]) -> None:
    template = REGISTER % given
    findings = lint(template, Backend({"catalog:register": EITHER}))
    said = [one.message.removeprefix("catalog:register: ") for one in findings if one.rule == "invalid-input"]
    assert sorted(said) == sorted(told)


def test_a_file_without_templates_is_told_so() -> None:
    assert found("kind: Component\n") == ["1:1 error no-template"]
    assert found("") == ["1:1 error no-template"]


def test_all_templates_of_a_file_are_looked_at_and_nothing_else() -> None:
    broken = changed("publish:git\n", "publish:gti\n")
    assert [line.partition(":")[0] for line in found(f"{GOOD}---\nkind: Component\n---\n{broken}")] == [
        str(42 + 2 + 32)
    ]


def test_an_entity_without_a_file_is_linted_too() -> None:
    entity = {"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": {"name": "a"}}
    assert found({**entity, "spec": {"type": "x", "steps": [{"action": "nope"}]}}) == ["0:0 error unknown-action"]


def test_yaml_that_cannot_be_read_is_told_with_its_line() -> None:
    finding = only("a: b\nc: [\n")
    assert (finding.rule, finding.line) == ("unreadable", 3)


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"k{n}: &a [{', '.join(['*a'] * 9)}]\n" for n in range(30)),
        "[" * 20_000,
        "a: " * 3,
        "- " * 20_000,
        "x" * 5_000_000,
        "kind: Template\na: *nowhere\n",
        "kind: Template\nspec: " + "{a: " * 200 + "}" * 200,
        GOOD + "    x: ${{ " + "(" * 50_000 + " }}\n",
        GOOD + "    x: ${{ " + "a." * 500_000 + " }}\n",
    ],
)
def test_bombs_are_refused_quickly(bomb: str) -> None:
    began = time.process_time()
    assert lint(bomb, BACKEND)
    assert time.process_time() - began < 3 * slowness()


def test_a_form_that_refers_to_itself_many_times_is_looked_at_once() -> None:
    form = {"allOf": [{"$ref": "#"}] * 50, "properties": {"a": {"allOf": [{"$ref": "#/properties/a"}] * 50}}}
    spec = {"type": "x", "parameters": form, "steps": [{"action": "any:thing", "input": {"x": "${{ parameters.a }}"}}]}
    entity = {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "kind": "Template",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    began = time.process_time()
    assert found(entity) == []
    assert time.process_time() - began < slowness()


def test_very_many_unknown_names_are_all_told_of_and_few_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def distance(left: str, right: str) -> int:
        compared.append(len(left) * len(right))
        return 9

    monkeypatch.setattr(suggestions, "distance", distance)
    monkeypatch.setattr(suggestions, "MOST_COMPARED", 10_000)
    names = [f"${{{{ steps.stap{number}.output }}}}" for number in range(500)]
    steps = [{"id": f"step{n}", "action": "any:thing", "input": {"x": name}} for n, name in enumerate(names)]
    entity = {**read_documents(GOOD)[0].value, "spec": {"type": "x", "steps": steps}}
    told = lint(entity, BACKEND)
    assert [one.rule for one in told] == ["unknown-step"] * 500
    assert max(len(one.hint or "") for one in told) < 600
    assert 0 < sum(compared) < 10_000


def test_lint_never_raises() -> None:
    rng = random.Random(5)
    lines = [str(line) for line in GOOD.splitlines()]
    odd = ["null", "5", "[]", "{}", "- x", "''", "true", "a: b", "  - 1", "${{", "*a", "!!str x", "? [a]"]
    for _ in range(400):
        mixed = list(lines)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(1, len(mixed))
            head = mixed[at].partition(":")[0]
            mixed[at : at + rng.choice([0, 1, 2])] = [rng.choice([f"{head}: {rng.choice(odd)}", rng.choice(odd)])]
        for finding in lint("\n".join(mixed), BACKEND):
            assert finding.line >= 1


@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\x85", "\u2028"])
def test_lines_are_counted_whatever_ends_them(line_break: str) -> None:
    broken = GOOD.replace("parameters.name |", "parameters.nam |").replace(
        "  type: service\n", f"  type: service{line_break}"
    )
    assert found(broken) == ["24:21 error undeclared-parameter"]


def test_a_thousand_expressions_in_one_text_are_told_where_they_stand_and_soon() -> None:
    began = time.process_time()
    many = found(GOOD.replace('"${{ each.value }}', '"' + "${{ each.nope + nope }} " * 8000))
    assert time.process_time() - began < 4 * slowness()
    assert len(set(many)) == len(many) == 8000


def test_tens_of_thousands_of_missing_dollars_are_told_where_they_stand_and_soon() -> None:
    began = time.process_time()
    many = found(changed("${{ each.value }} ${{ environment.parameters.x }}", "{{ parameters.name }} " * 80_000))
    assert time.process_time() - began < 5 * slowness()
    assert len(set(many)) == len(many) == 80_000


def test_keys_that_are_no_texts_go_by_what_javascript_makes_of_them() -> None:
    [document] = read_documents("1.50: a\n1e3: b\n~: c\nTrue: d\n0x10: e\n")
    assert document.value == {"1.5": "a", "1000": "b", "": "c", "true": "d", "16": "e"}
