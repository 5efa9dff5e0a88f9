"""Hypothesis strategies: small templates, with values, secrets and files, most of which have a chance to end well."""

from __future__ import annotations

import base64
from typing import Any

import hypothesis.strategies as st
import msgspec

from greenroom.entity import Entity
from tests.conformance.fuzz.forms import filled_in, forms
from tests.conformance.fuzz.inputs import FILES, SECRETS, VALUES, alone, inputs, texts

ACTIONS = (
    *(["debug:log"] * 8), "debug:wait", *(["fetch:template"] * 4), *(["fetch:plain"] * 4), "fetch:plain:file",
    "fetch:template:file", "fs:delete", "fs:rename", *(["fs:readdir"] * 2), *(["catalog:fetch"] * 2), "catalog:write",
    *(["roadiehq:utils:fs:write"] * 2), "roadiehq:utils:fs:append", *(["roadiehq:utils:fs:parse"] * 2),
    "roadiehq:utils:fs:replace", "roadiehq:utils:merge", "roadiehq:utils:json:merge", "roadiehq:utils:jsonata",
    "roadiehq:utils:jsonata:json:transform", "roadiehq:utils:jsonata:yaml:transform", "roadiehq:utils:serialize:yaml",
    "roadiehq:utils:serialize:json", "roadiehq:utils:sleep", "no:such",
)  # fmt: skip

CONDITIONS = (
    True, False, "", "false", "${{ always() }}", "${{ failure() }}", "${{ not failure() }}", "${{ parameters.yes }}",
    "${{ parameters.no }}", "${{ parameters.nothings }}", "${{ parameters.nothing }}", "${{ nope( }}", "${{ secrets.KEY }}",
    "${{ parameters.count > 2 and always() }}", "${{ steps.s0.output }}", "${{ each.value != 'b' }}", "${{ each.key }}",
    "${{ {} }}", "${{ 0 }}", "${{ '' }}", "a ${{ parameters.no }}", "${{ failure() or parameters.no }}", "${{ [] }}",
    "${{ parameters.none }}", "${{ parameters.map }}", "${{ 'false' }}", " ${{ false }}", "${{ false }}\n", "${{ always }}",
    "${{ parameters.no and always() }}", "${{ parameters.yes or always() }}", "${{ always(1) | upper }}", "always()",
    "{% if always() %}y{% endif %}", "${{ environment.secrets.TOKEN == secrets.KEY }}", "${{ failure() ~ '' }}",
    "${{ steps.s0.output.files | length > 0 }}", "${{ each.value.n == 'x' or each.key == '0' }}",
    "${{ user.ref == 'user:default/guest' }}",
)  # fmt: skip
OVER: tuple[Any, ...] = (
    "${{ parameters.list }}", "${{ parameters.rows }}", "${{ parameters.map }}", "${{ parameters.nothings }}", [1, 2], {"a": 1},
    "${{ parameters.name }}", "${{ parameters.nothing }}", "${{ nope( }}", "text", ["${{ parameters.name }}",
    "${{ secrets.KEY }}"],
    "${{ parameters.count }}", "${{ parameters.none }}", {}, "${{ range(3) }}", "${{ [secrets.KEY] }}",

    {"k": "${{ parameters.nothing }}"}, [[1], [2, [3]]], "${{ parameters.rows | selectattr('v') }}", "${{ parameters }}", "",
    [None],
    "${{ parameters.list | sort }}", {"b": 1, "1": 2, "a": "${{ each.key }}"}, "${{ steps.s0.output.files }}", "${{ steps }}",
    "${{ parameters.name.split('') }}", [{"name": "${{ secrets.other }}", "deep": {"x": "${{ parameters.map }}"}}], True, 5,
)  # fmt: skip


@st.composite
def steps(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """One step, called s0, s1, … if it has a name at all."""
    action = draw(st.sampled_from(ACTIONS))
    step: dict[str, Any] = {"action": action}
    if draw(st.integers(0, 7)):
        step["id"] = f"s{index}" if draw(st.integers(0, 19)) else draw(st.sampled_from(("s0", "my-step", "é")))
    if draw(st.integers(0, 3)) == 0:
        step["name"] = draw(st.sampled_from(("A step", "${{ parameters.name }}", "")))
    each = draw(st.integers(0, 4)) == 0
    if each:
        step["each"] = draw(st.sampled_from(OVER))
    if draw(st.integers(0, 2)) == 0:
        step["if"] = draw(st.sampled_from(CONDITIONS))
    if draw(st.integers(0, 19)):
        step["input"] = draw(inputs(action, each))
    return step


@st.composite
def outputs(draw: st.DrawFn) -> dict[str, Any]:
    """What the template puts out."""
    found: dict[str, Any] = {}
    condition = st.sampled_from(CONDITIONS)
    link = st.fixed_dictionaries(
        {"title": texts()}, optional={"url": alone(), "entityRef": alone(), "icon": st.just("docs"), "if": condition}
    )
    text = st.fixed_dictionaries({"title": texts()}, optional={"content": texts(), "icon": texts(), "if": condition})
    if draw(st.booleans()):
        found["links"] = draw(st.lists(link, max_size=3))
    if draw(st.booleans()):
        found["text"] = draw(st.lists(text, max_size=2))
    for key in draw(st.lists(st.sampled_from(("one", "two", "three")), max_size=3, unique=True)):
        found[key] = draw(alone() | texts())
    return found


class Case(msgspec.Struct):
    """A template, and what it is run with."""

    entity: Entity
    values: dict[str, Any]
    secrets: dict[str, str]


HEADS: dict[str, Any] = {
    "lifecycle": st.sampled_from(("experimental", "production", "${{ parameters.name }}")),
    "presentation": st.just({"buttonLabels": {"backButtonText": "Back", "createButtonText": "Make it"}}),
    "formDecorators": st.just([{"id": "acme-token", "input": {"scope": "repo"}}]),
    "EXPERIMENTAL_formDecorators": st.just([{"id": "older"}]),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    spec: dict[str, Any] = {"owner": "harbour", "type": "service"}
    spec["steps"] = [draw(steps(index)) for index in range(draw(st.sampled_from((0, 1, 1, 2, 2, 3, 4))))]
    if draw(st.booleans()):
        spec["output"] = draw(outputs())
    if draw(st.integers(0, 9)) == 0:
        strategy = draw(st.sampled_from(("startOver", "none")))
        spec["EXPERIMENTAL_recovery"] = {"EXPERIMENTAL_strategy": strategy}
    values = dict(VALUES)
    if draw(st.integers(0, 5)) == 0:
        spec["parameters"] = draw(forms())
        values |= draw(filled_in(spec["parameters"]))
    elif draw(st.integers(0, 5)) == 0:
        rule = draw(st.sampled_from(({"type": "string"}, {"type": "string", "minLength": 20}, {"type": "number"})))
        spec["parameters"] = {"title": "P", "required": ["name"], "properties": {"name": rule}}
    if draw(st.integers(0, 9)) == 0:
        spec["secrets"] = {"schema": {"type": "object", "required": ["KEY"], "properties": {"KEY": {"type": "string"}}}}
    spec |= draw(st.fixed_dictionaries({}, optional=HEADS))
    left_out = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2))
    values = {key: value for key, value in values.items() if key not in left_out}
    secrets = SECRETS if draw(st.booleans()) else {}
    metadata = {"name": "drawn", "title": "Drawn"}
    entity = {"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": metadata, "spec": spec}
    return Case(entity, values, dict(secrets))


def as_dry_run(case: Case) -> dict[str, Any]:
    """The body that tries it out."""
    files = [{"path": path, "base64Content": base64.b64encode(text.encode()).decode()} for path, text in FILES.items()]
    return {"template": case.entity, "values": case.values, "secrets": case.secrets, "directoryContents": files}
