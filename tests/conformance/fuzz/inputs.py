"""Hypothesis strategies: expressions, texts with expressions in them, and what an action is given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import hypothesis.strategies as st

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
    "parameters.rows | selectattr('v')", "parameters.list.includes('a')", "parameters.name.replaceAll('r', 'l')",
    "parameters.rows | map", "parameters.list | slice(2)", "parameters.list | batch(2)", "parameters.text | title | truncate(8)",
    "parameters.map | dictsort", "parameters.name is defined", "parameters.nothing is undefined", "'b' in parameters.list",
    "parameters.list.join('')", "parameters.rows[1].v", "parameters.list[-1]", "parameters.nothings[0]",
    "parameters.text | escape",
    "parameters.map.k1 ~ parameters.map['k-2'].deep[0]", "parameters.half | round", "parameters.count | string",
    "-parameters.count",
    "parameters.text | urlencode", "parameters.name[0:3]", "parameters.name | capitalize | indent(2)", "steps.s0.output.content",
    "steps.s0.output.result", "steps.s1.output.serialized", "steps.s0.output.entity.relations | length",
    "steps['my-step'].output",
    "steps.s0.output.files | length", "steps.s0.output[0]", "steps.s2.output.nothing | default('none')", "user", "context",
    "parameters.repo | parseRepoUrl | dump", "'gate' | parseEntityRef({defaultKind: 'Component'})",
    "parameters.text.trim().toUpperCase()",
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


@cache
def expressions(*, each: bool = False) -> Drawn:
    """What stands between the braces."""
    usual = st.sampled_from((*GOOD, *(EACH * 8 if each else ())))
    return mostly(usual, st.sampled_from(SECRET) | st.sampled_from(BROKEN), of=6)


@cache
def alone(*, each: bool = False) -> Drawn:
    """A value that is one expression."""
    return expressions(each=each).map(lambda text: f"${{{{ {text} }}}}")


@cache
def texts(*, each: bool = False) -> Drawn:
    """Words with expressions between them."""
    word = st.sampled_from(
        ("hello ", "", "a\nb", " - ", "${{ ", "}}", "{% if parameters.yes %}y{% endif %}", "{# c #}", "ü ")
    )
    return st.lists(mostly(alone(each=each), word, of=3), min_size=1, max_size=3).map("".join)


@cache
def anything(*, each: bool = False) -> Drawn:
    plain: Drawn = st.sampled_from((1, True, None, "x", [], {"a": 1}))
    return st.one_of(alone(each=each), texts(each=each), plain, st.lists(alone(each=each), max_size=2))


NAMES = (
    "plain.json",
    "plain.yaml",
    "several.yaml",
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
    "more/several.yaml": "# one\nkind: A\nn: 1\n---\nkind: B\nlist:\n  - 'x' # why\n",
    "more/a.txt": "words here, and words there\n$1 (words)\n",
    "more/plain.json": '{\n    "b": {"c": [1.50, 1e3]},\n    "__p": "ü"\n}',
    "more/deep/plain.yaml": "a: yes\nb: 012\nc: 2024-01-01\nd: ~\ne: |\n  two\n  lines\n",
    "more/empty.json": "",
}


YAML_OPTIONS: tuple[Any, ...] = (
    {"indent": 4},
    {"lineWidth": 20},
    {"singleQuote": True},
    {"nope": 1},
    {"defaultStringType": "QUOTE_DOUBLE"},
)
JSONATA = (
    "$",
    "a",
    "b",
    "$.b[0]",
    "{'n': $count($)}",
    "$join($keys($))",
    "nothing",
    "a +",
    "$count(list)",
    "list[0]",
    "'x'",
    "$sum(b)",
)


Fields = tuple[dict[str, Drawn], dict[str, Drawn]]
"""Of an action's input: what it needs, and what else there is."""


@cache
def fields(*, each: bool) -> Mapping[str, Fields]:
    """By action."""
    name = mostly(mostly(st.sampled_from(NAMES[:6]), st.sampled_from(NAMES), of=3), alone(each=each), of=8)
    values = st.fixed_dictionaries(
        {}, optional={key: anything(each=each) for key in ("name", "text", "count", "list", "yes")}
    )
    usual = st.just({key: f"${{{{ parameters.{key} }}}}" for key in ("name", "text", "count", "list", "yes")})
    url = mostly(
        st.sampled_from(("./skeleton", "skeleton", "./more", "./more", "./broken", "./plain.json")), name, of=8
    )
    merged: Drawn = st.sampled_from(
        ({"a": {"z": 1}, "b": ["new"]}, {"n": None}, '{"a": 2}', "- x", "{", "${{ parameters.map }}", {})
    )
    return {
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
                "copyWithoutTemplating": st.lists(
                    st.sampled_from(NAMES).filter(lambda name: name != "a.txt/x"), max_size=2
                ),
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
        "roadiehq:utils:serialize:yaml": (
            {"data": st.just("${{ parameters.map }}") | anything(each=each)},
            {"replacer": st.just(["k1", "deep"]), "options": st.sampled_from(YAML_OPTIONS)},
        ),
        "roadiehq:utils:serialize:json": (
            {"data": st.just("${{ parameters.map }}") | anything(each=each)},
            {"replacer": st.just(["k1"]), "space": st.sampled_from(("  ", "\t", ""))},
        ),
        "roadiehq:utils:fs:replace": (
            {
                "files": st.lists(
                    st.fixed_dictionaries(
                        {"file": name, "find": st.sampled_from(("words", "(w)ords", "[", "", "$1", "\n"))},
                        optional={
                            "matchRegex": st.booleans(),
                            "replaceWith": st.sampled_from(("$1!", "", "$&", "new")) | texts(each=each),
                            "includeDotFiles": st.booleans(),
                        },
                    ),
                    max_size=2,
                )
            },
            {},
        ),
        "roadiehq:utils:merge": (
            {"path": name, "content": merged | texts(each=each)},
            {
                "mergeArrays": st.booleans(),
                "useDocumentIncludingField": st.sampled_from(
                    ({"key": "kind", "value": "B"}, {"key": "kind", "value": "C"})
                ),
                "options": st.sampled_from(YAML_OPTIONS),
            },
        ),
        "roadiehq:utils:json:merge": (
            {"path": name, "content": merged | texts(each=each)},
            {"mergeArrays": st.booleans()},
        ),
        "roadiehq:utils:jsonata": (
            {"expression": st.sampled_from(JSONATA)},
            {"data": st.just("${{ parameters }}") | anything(each=each)},
        ),
        "roadiehq:utils:jsonata:json:transform": (
            {"path": name, "expression": st.sampled_from(JSONATA)},
            {"as": st.sampled_from(("string", "object", "x")), "space": st.just("  "), "replacer": st.just(["b"])},
        ),
        "roadiehq:utils:jsonata:yaml:transform": (
            {"path": name, "expression": st.sampled_from(JSONATA)},
            {
                "as": st.sampled_from(("string", "object")),
                "loadAll": st.booleans(),
                "options": st.sampled_from(YAML_OPTIONS),
            },
        ),
        "roadiehq:utils:sleep": ({"amount": mostly(st.sampled_from((0, 0.01)), anything(each=each))}, {}),
        "no:such": ({"x": anything(each=each)}, {}),
    }


@st.composite
def inputs(draw: st.DrawFn, action: str, each: bool) -> Any:
    """What the action is given."""
    needed, optional = fields(each=each)[action]
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
