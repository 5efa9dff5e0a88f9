"""Hypothesis strategies: small templates, with values, secrets and files, most of which have a chance to end well."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import msgspec

from greenroom.entity import Entity
from tests.conformance.fuzz.asking import mostly

Drawn = st.SearchStrategy[Any]

VALUES: dict[str, Any] = {
    "name": "harbour",
    "text": 'Two words, ü & <b>"q"</b>',
    "empty": "",
    "count": 3,
    "half": 0.5,
    "big": 1e21,
    "yes": True,
    "no": False,
    "none": None,
    "list": ["a", "b", 3],
    "rows": [{"n": "x", "v": 1}, {"n": "y", "v": None}],
    "map": {"k1": "v1", "k-2": {"deep": [1]}},
    "nothings": [],
    "repo": "github.com?owner=acme&repo=service",
}
SECRETS = {"KEY": "s3cr3t-value", "other": "hidden words"}

GOOD = (
    "parameters.name", "parameters.text", "parameters.count", "parameters.half", "parameters.big", "parameters.yes",
    "parameters.no", "parameters.none", "parameters.list", "parameters.rows", "parameters.map", "parameters.nothings",
    "parameters.nothing", "parameters.empty", "parameters.map.k1", "parameters.map['k-2'].deep", "parameters.rows[0].n",
    "parameters.list | length", "parameters.list | join('-')", "parameters.list | first", "parameters.name | upper",
    "parameters.repo | parseRepoUrl", "parameters.repo | projectSlug", "(parameters.repo | parseRepoUrl).owner",
    "'component:x/y' | parseEntityRef", "parameters.repo | parseRepoUrl | pick('host')", "parameters.name + parameters.count",
    "parameters.count * 2", "parameters.count / 2", "parameters.count > 2", "parameters.count == '3'",
    "'yes' if parameters.yes else 'no'", "'x' if parameters.no", "not parameters.yes", "parameters.map | dump",
    "parameters.nothing | default('d')", "parameters.text | replace('words', 'w')", "[1, parameters.name]",
    "{a: parameters.count}", "parameters.rows | groupby('n')", "parameters.text.length", "parameters.name.split('b')",
    "user.ref", "user.entity.metadata.name", "user.entity.spec", "environment.parameters.region", "context.task.id | length",
    "steps", "steps['s0'].output", "steps.s1.output.files", "steps.s0.output.entity.metadata.name", "steps.none.output.x",
    "always()", "failure()", "parameters", "range(3)", "parameters.list | sort | reverse", "\"${{ '${{' }}\"",
    "null", "undefined", "true", "0", "''", "[]", "{}", "1.0", "1e3", "0.1 + 0.2", "parameters.count // 2", "2 ** 0.5",
)  # fmt: skip
# not `secrets` itself: to upstream, the credentials of who asked are among them
SECRET = (
    "secrets.KEY", "secrets.nothing", "environment.secrets.TOKEN", "secrets.KEY | upper", "secrets.other.length",
    "secrets.KEY ~ parameters.name", "secrets.KEY == parameters.name",
)  # fmt: skip
BROKEN = (
    "parameters.", "nope(", "parameters.name | nosuchfilter", "parameters.nothing.deeper", "constructor", "a b", "x ? 1 : 2",
    "parameters.name && 1", "parameters.nothing()", "{% if %}", "'unclosed", "parameters.name | replace", "__proto__.x",
    "parameters.repo.nothing | parseRepoUrl", "'a' | parseRepoUrl", "'a:b:c' | parseEntityRef", "parameters.list | sum",
)  # fmt: skip
EACH = ("each.key", "each.value", "each.value.n", "each", "each.value ~ '!'")


def expressions(*, each: bool = False) -> Drawn:
    """What stands between the braces."""
    usual = st.sampled_from((*GOOD, *(EACH * 8 if each else ())))
    return mostly(usual, st.sampled_from(SECRET) | st.sampled_from(BROKEN), of=6)


def alone(*, each: bool = False) -> Drawn:
    """A value that is one expression."""
    return expressions(each=each).map(lambda text: f"${{{{ {text} }}}}")


def texts(*, each: bool = False) -> Drawn:
    """Words with expressions between them."""
    word = st.sampled_from(
        ("hello ", "", "a\nb", " - ", "${{ ", "}}", "{% if parameters.yes %}y{% endif %}", "{# c #}", "ü ")
    )
    return st.lists(mostly(alone(each=each), word, of=3), min_size=1, max_size=3).map("".join)


def anything(*, each: bool = False) -> Drawn:
    plain: Drawn = st.sampled_from((1, True, None, "x", [], {"a": 1}))
    return st.one_of(alone(each=each), texts(each=each), plain, st.lists(alone(each=each), max_size=2))


NAMES = (
    "a.txt",
    "b/c.md",
    "b",
    "nothing.txt",
    "*.txt",
    "**/*",
    ".",
    "deep/er/d.json",
    "../out",
    "/etc/x",
    "a.txt/x",
    "",
)
FILES = {
    "skeleton/a.txt": "name: ${{ values.name }}\n",
    "skeleton/b/c.md": "# ${{ values.text or 'none' }}\n{% for one in values.list %}- ${{ one }}\n{% endfor %}",
    "skeleton/${{ values.name }}.yaml": "k: ${{ values.count | dump }}\n",
    "skeleton/run.sh.njk": "#!/bin/sh\necho ${{ values.name }}\n",
    "skeleton/.hidden": "{{ cookiecutter.name }} ${{ values.name }}\n",
    "skeleton/bin.dat": "\x00\x01${{ values.name }}",
    "skeleton/{% if values.yes %}when{% endif %}/x": "when\n",
    "broken/x.txt": "${{ values.name | nosuchfilter }}\n",
    "broken/y.txt": "${{ values. }}\n",
    "plain.json": '{"a": {"b": [1, 2]}}\n',
    "plain.yaml": "a: 1\nb: [x, y]\n",
}


@st.composite
def inputs(draw: st.DrawFn, action: str, each: bool) -> Any:
    """What the action is given."""
    name = mostly(st.sampled_from(NAMES), alone(each=each), of=5)
    values = st.fixed_dictionaries(
        {}, optional={key: anything(each=each) for key in ("name", "text", "count", "list", "yes")}
    )
    usual = st.just({key: f"${{{{ parameters.{key} }}}}" for key in ("name", "text", "count", "list", "yes")})
    url = mostly(st.sampled_from(("./skeleton", "skeleton", "./broken", "./plain.json")), name, of=4)
    fields: Mapping[str, tuple[dict[str, Drawn], dict[str, Drawn]]] = {
        "debug:log": (
            {"message": mostly(texts(each=each) | alone(each=each), anything(each=each))},
            {"listWorkspace": st.sampled_from((True, False, "with-filenames", "with-contents", "nope"))},
        ),
        "debug:wait": ({"milliseconds": mostly(st.integers(0, 20), anything(each=each), of=4)}, {}),
        "fetch:plain": ({"url": url}, {"targetPath": name}),
        "fetch:plain:file": (
            {
                "url": st.sampled_from(("./plain.json", "./none")),
                "targetPath": st.sampled_from(("a.txt", "n.json", "../out")),
            },
            {},
        ),
        "fetch:template": (
            {"url": url, "values": usual | values},
            {
                "targetPath": name,
                "replace": st.booleans(),
                "copyWithoutTemplating": st.lists(st.sampled_from(NAMES), max_size=2),
                "cookiecutterCompat": st.booleans(),
                "templateFileExtension": st.sampled_from((True, ".njk", "njk", False)),
                "trimBlocks": st.booleans(),
                "lstripBlocks": st.booleans(),
            },
        ),
        "fetch:template:file": (
            {
                "url": st.sampled_from(("./skeleton/a.txt", "./broken/x.txt", "./none")),
                "values": usual,
                "targetPath": name,
            },
            {"replace": st.booleans()},
        ),
        "fs:delete": ({"files": st.lists(name, max_size=2)}, {}),
        "fs:rename": (
            {
                "files": st.lists(
                    st.fixed_dictionaries({"from": name, "to": name}, optional={"overwrite": st.booleans()}), max_size=2
                )
            },
            {},
        ),
        "fs:readdir": ({"paths": st.lists(name, max_size=2), "recursive": st.booleans()}, {}),
        "catalog:fetch": (
            {"entityRef": st.sampled_from(("component:default/gate", "gate", "user:guest", "component:none", "a:b:c"))},
            {"optional": st.booleans(), "defaultKind": st.just("component"), "defaultNamespace": st.just("default")},
        ),
        "catalog:write": (
            {
                "entity": st.just({"apiVersion": "v1", "kind": "Component", "metadata": {"name": "x"}})
                | anything(each=each)
            },
            {"filePath": name},
        ),
        "roadiehq:utils:fs:write": ({"path": name, "content": texts(each=each)}, {}),
        "roadiehq:utils:fs:append": ({"path": name, "content": texts(each=each)}, {}),
        "roadiehq:utils:fs:parse": ({"path": name, "parser": st.sampled_from(("json", "yaml", "multiyaml", "x"))}, {}),
        "roadiehq:utils:serialize:yaml": ({"data": anything(each=each)}, {}),
        "roadiehq:utils:serialize:json": ({"data": anything(each=each)}, {}),
        "no:such": ({"x": anything(each=each)}, {}),
    }
    needed, optional = fields[action]
    given = {key: draw(value) for key, value in needed.items()}
    for key, value in optional.items():
        if draw(st.integers(0, 2)) == 0:
            given[key] = draw(value)
    spoil = draw(st.integers(0, 29))
    if spoil == 0:
        given["undeclared"] = 1
    elif spoil == 1 and given:
        given.pop(draw(st.sampled_from(sorted(given))))
    return given


ACTIONS = (
    *(["debug:log"] * 8), "debug:wait", *(["fetch:template"] * 3), *(["fetch:plain"] * 2), "fetch:plain:file",
    "fetch:template:file", "fs:delete", "fs:rename", *(["fs:readdir"] * 2), *(["catalog:fetch"] * 2), "catalog:write",
    "roadiehq:utils:fs:write", "roadiehq:utils:fs:append", "roadiehq:utils:fs:parse", "roadiehq:utils:serialize:yaml",
    "roadiehq:utils:serialize:json", "no:such",
)  # fmt: skip

CONDITIONS = (
    True, False, "", "false", "${{ always() }}", "${{ failure() }}", "${{ not failure() }}", "${{ parameters.yes }}",
    "${{ parameters.no }}", "${{ parameters.nothings }}", "${{ parameters.nothing }}", "${{ nope( }}", "${{ secrets.KEY }}",
    "${{ parameters.count > 2 and always() }}", "${{ steps.s0.output }}", "${{ each.value != 'b' }}", "${{ each.key }}",
    "${{ {} }}", "${{ 0 }}", "${{ '' }}", "a ${{ parameters.no }}", "${{ failure() or parameters.no }}",
)  # fmt: skip
OVER: tuple[Any, ...] = (
    "${{ parameters.list }}", "${{ parameters.rows }}", "${{ parameters.map }}", "${{ parameters.nothings }}", [1, 2], {"a": 1},
    "${{ parameters.name }}", "${{ parameters.nothing }}", "${{ nope( }}", "text", ["${{ parameters.name }}", "${{ secrets.KEY }}"],
    "${{ parameters.count }}", "${{ parameters.none }}", {}, "${{ range(3) }}", "${{ [secrets.KEY] }}",

    {"k": "${{ parameters.nothing }}"},
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


@st.composite
def cases(draw: st.DrawFn) -> Case:
    spec: dict[str, Any] = {"owner": "harbour", "type": "service"}
    spec["steps"] = [draw(steps(index)) for index in range(draw(st.sampled_from((0, 1, 1, 2, 2, 3, 4))))]
    if draw(st.booleans()):
        spec["output"] = draw(outputs())
    if draw(st.integers(0, 9)) == 0:
        strategy = draw(st.sampled_from(("startOver", "none")))
        spec["EXPERIMENTAL_recovery"] = {"EXPERIMENTAL_strategy": strategy}
    if draw(st.integers(0, 5)) == 0:
        rule = draw(st.sampled_from(({"type": "string"}, {"type": "string", "minLength": 20}, {"type": "number"})))
        spec["parameters"] = {"title": "P", "required": ["name"], "properties": {"name": rule}}
    if draw(st.integers(0, 9)) == 0:
        spec["secrets"] = {"schema": {"type": "object", "required": ["KEY"], "properties": {"KEY": {"type": "string"}}}}
    left_out = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2))
    values = {key: value for key, value in VALUES.items() if key not in left_out}
    secrets = SECRETS if draw(st.booleans()) else {}
    metadata = {"name": "drawn", "title": "Drawn"}
    entity = {"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": metadata, "spec": spec}
    return Case(entity, values, dict(secrets))


def as_dry_run(case: Case) -> dict[str, Any]:
    """The body that tries it out."""
    files = [{"path": path, "base64Content": base64.b64encode(text.encode()).decode()} for path, text in FILES.items()]
    return {"template": case.entity, "values": case.values, "secrets": case.secrets, "directoryContents": files}
