"""roadiehq:utils:*: files, outputs, log lines and errors as RoadieHQ's module has them (recorded from it)."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom.plugin import Action
from greenroom.testing import FakeActionContext
from greenroom_plugins.roadiehq import expressions, patterns
from greenroom_plugins.roadiehq.expressions import expression_actions
from greenroom_plugins.roadiehq.files import file_actions
from greenroom_plugins.roadiehq.merging import merging_actions
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.workspace import Workspace as RealWorkspace

ACTIONS: Mapping[str, Action[Any]] = {
    one.id.removeprefix("roadiehq:utils:"): one for one in (*file_actions(), *merging_actions(), *expression_actions())
}


class Workspace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[str, str]] = []

    def __call__(self, **files: str) -> None:
        for name, content in files.items():
            self.put(name.replace("__", "/").replace("_", "."), content)

    def put(self, name: str, content: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    async def run(self, action: str, **given: Any) -> Mapping[str, Any]:
        shape = ACTIONS[action].input
        assert shape is not None
        ctx: FakeActionContext[Any] = FakeActionContext(msgspec.convert(given, shape), self.path)
        output = await ACTIONS[action].run(ctx)
        self.lines = ctx.log.lines
        return output or {}


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


# --- files -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_written_with_its_folders(ws: Workspace) -> None:
    assert await ws.run("fs:write", path="a/b.txt", content="é\n") == {"path": f"{ws.path}/a/b.txt"}
    assert ws.read("a/b.txt") == "é\n"


async def test_json_is_laid_out_on_request_and_all_else_left_as_it_is(ws: Workspace) -> None:
    await ws.run("fs:write", path="b.json", content='{"a":1.0,"b":[1,  2], "e": {}}', preserveFormatting=True)
    assert ws.read("b.json") == '{\n  "a": 1,\n  "b": [\n    1,\n    2\n  ],\n  "e": {}\n}'
    await ws.run("fs:write", path="c.json", content="{no json", preserveFormatting=True)
    assert ws.read("c.json") == "{no json"


async def test_text_is_added_to_a_file_but_no_folder_is_made_for_it(ws: Workspace) -> None:
    await ws.run("fs:append", path="a.txt", content="one")
    await ws.run("fs:append", path="a.txt", content="two")
    assert ws.read("a.txt") == "onetwo"
    with pytest.raises(GreenroomError, match=r"^ENOENT: no such file or directory, open '"):
        await ws.run("fs:append", path="x/a.txt", content="one")


async def test_files_are_read_as_text_or_values(ws: Workspace) -> None:
    ws.put("a.yaml", "a: 012\nb: yes\nc: 2020-01-01\nd: &x {e: 1}\nf: *x\n")
    ws.put("b.yaml", "a: 1\n---\nb: 2\n---\n")
    ws.put("c.json", '{"a":[1,2.50]}')
    yaml = {"a": 12, "b": "yes", "c": "2020-01-01", "d": {"e": 1}, "f": {"e": 1}}
    assert await ws.run("fs:parse", path="a.yaml", parser="yaml") == {"content": yaml}
    assert await ws.run("fs:parse", path="b.yaml", parser="multiyaml") == {"content": [{"a": 1}, {"b": 2}, None]}
    assert await ws.run("fs:parse", path="c.json", parser="json") == {"content": {"a": [1, 2.5]}}
    assert await ws.run("fs:parse", path="c.json") == {"content": '{"a":[1,2.50]}'}


async def test_keys_and_tagged_values_of_yaml_are_read_as_by_the_package_yaml(ws: Workspace) -> None:
    ws.put("a.yaml", "1.50: a\n0x10: b\n012: c\n~: d\nTrue: e\n1e3: f\n.inf: g\n'1.5': h\n<<: i\n")
    keys = {"1.5": "h", "16": "b", "12": "c", "": "d", "true": "e", "1000": "f", "Infinity": "g", "<<": "i"}
    assert await ws.run("fs:parse", path="a.yaml", parser="yaml") == {"content": keys}
    ws.put(
        "b.yaml", "- !!int abc\n- !!float 1\n- !!float x\n- !!bool yes\n- !!null x\n- !!int 1_0\n- !!int '3'\n- !!int\n"
    )
    read = await ws.run("fs:parse", path="b.yaml", parser="yaml")
    assert read == {"content": ["abc", "1", "x", "yes", "x", "1_0", 3, ""]}
    ws.put("c.yaml", "1: a\n1.0: b\n")
    with pytest.raises(GreenroomError, match="Map keys must be unique"):
        await ws.run("fs:parse", path="c.yaml", parser="yaml")


async def test_numbers_that_json_has_not_stay_in_a_yaml_file(ws: Workspace) -> None:
    ws.put("a.yaml", "a: .inf\nb: -.inf\nc: .nan\ne: 1e400\n")
    await ws.run("merge", path="a.yaml", content={"n": 1})
    assert ws.read("a.yaml") == "a: .inf\nb: -.inf\nc: .nan\ne: .inf\nn: 1\n"


async def test_of_a_key_that_is_there_twice_the_last_counts_where_upstream_does_not_look(ws: Workspace) -> None:
    ws.put("a.yaml", "a: 1\nb: {c: 1, c: 2}\na: 3\n")
    several = await ws.run("jsonata:yaml:transform", path="a.yaml", expression="$", loadAll=True, **{"as": "object"})
    assert several == {"result": [{"a": 3, "b": {"c": 2}}]}
    assert await ws.run("fs:parse", path="a.yaml", parser="multiyaml") == {"content": several["result"]}
    await ws.run("merge", path="a.yaml", content={"n": 1})
    assert ws.read("a.yaml") == "a: 3\nb:\n  c: 2\nn: 1\n"


async def test_half_of_a_character_is_written_as_javascript_writes_it(ws: Workspace) -> None:
    half = "\ud83d"
    await ws.run("fs:write", path="a.txt", content=f"a{half}")
    await ws.run("fs:append", path="a.txt", content=f"{half}b")
    assert ws.read("a.txt") == "a\ufffd\ufffdb"
    assert await ws.run("serialize:yaml", data={"a": half}) == {"serialized": 'a: "\\ud83d"\n'}
    assert await ws.run("jsonata", data={"a": half}, expression="a") == {"result": "\ufffd"}
    await ws.run("json:merge", path="a.json", content=f'{{"a": "{half}"}}')
    assert ws.read("a.json") == '{\n  "a": "\ufffd"\n}'


@pytest.mark.parametrize(
    ("content", "parser", "problem"),
    [
        ("a: 1\n---\nb: 2\n", "yaml", "Source contains multiple documents"),
        ("a: [1", "yaml", r"a\.txt is not valid YAML: .*line"),
        ("a: 1\na: 2\n", "yaml", "Map keys must be unique"),
        ("a: 1", "json", r"a\.txt is not valid JSON"),
        ("a: &a [*a]", "yaml", "more than"),
        (
            "a: &a [x,x]\n"
            + "".join(f"b{n}: &b{n} [{','.join(['*b' + str(n - 1) if n else '*a'] * 9)}]\n" for n in range(9)),
            "yaml",
            "more than",
        ),
        ("[" * 100_000, "yaml", "nested too deeply"),
    ],
)
async def test_what_cannot_be_read_is_told(ws: Workspace, content: str, parser: str, problem: str) -> None:
    ws.put("a.txt", content)
    with pytest.raises(GreenroomError, match=problem):
        await ws.run("fs:parse", path="a.txt", parser=parser)


async def test_text_and_patterns_are_replaced_as_javascript_does(ws: Workspace) -> None:
    for name, content in {"a.txt": "foo", "d/b.txt": "foo", "d/c.md": "ab-1\ncd-2", ".h.txt": "foo"}.items():
        ws.put(name, content)
    await ws.run(
        "fs:replace",
        files=[
            {"file": "*.txt", "find": "o", "replaceWith": "[$&$$]"},
            {"file": "**/*.md", "find": "(\\w+)-(?<n>\\d)$", "matchRegex": True, "replaceWith": "$<n>:$1"},
            {"file": "d", "find": "x", "replaceWith": "y"},
        ],
    )
    assert ws.read("a.txt") == "f[o$][o$]"
    assert ws.read("d/b.txt") == ws.read(".h.txt") == "foo"
    assert ws.read("d/c.md") == "ab-1\n2:cd"
    await ws.run("fs:replace", files=[{"file": "*.txt", "find": "f", "replaceWith": "$`b$1", "includeDotFiles": True}])
    assert ws.read(".h.txt") == "b$1oo"


async def test_patterns_name_the_files_that_upstream_replaces_in(ws: Workspace) -> None:
    names = ("a.txt", "b.txt", "f1.txt", "f3.txt", ".env", ".github/w", "src/.s", "d/f", "a (1).txt")
    for name in names:
        ws.put(name, "x")
    (ws.path / "l").symlink_to("d")
    (ws.path / "m").symlink_to("b.txt")
    changes = ["[ab].txt", "f{1..2}.txt", "@(f3|no).txt", "{.env,no}", "**/{.github,src}/**", "l/f", "m", "a (1).txt"]
    shape = ACTIONS["fs:replace"].input
    files = [{"file": one, "find": "x", "replaceWith": "y", "includeDotFiles": True} for one in changes]
    files += [{"file": one, "find": "y", "replaceWith": "yz"} for one in ("m", "l/**", "*")]
    assert shape is not None
    ctx: FakeActionContext[Any] = FakeActionContext(msgspec.convert({"files": files}, shape), ws.path)
    ctx.files = RealWorkspace(ws.path, Quota())
    await ACTIONS["fs:replace"].run(ctx)
    changed = {"a.txt": "yz", "b.txt": "yzzz", "f1.txt": "yz", "f3.txt": "yz", "d/f": "yz", "a (1).txt": "x"}
    assert {name: ws.read(name) for name in names} == {**dict.fromkeys(names, "y"), **changed}


async def test_a_replacement_is_checked_before_and_bounded_in_time(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    ws.put("a.txt", "a" * 40)
    for given, problem in (
        ({"find": "x", "replaceWith": "y"}, "Path to file needs to be defined"),
        ({"file": "a.txt", "find": "x"}, "each file must have a find and replaceWith property"),
        ({"file": "a.txt", "find": "(", "replaceWith": "y", "matchRegex": True}, "Invalid regular expression"),
        (
            {"file": "a.txt", "find": "((a{1000}){1000}){1000}", "replaceWith": "y", "matchRegex": True},
            "what it repeats is too large",
        ),
        (
            {"file": "a.txt", "find": "(" * 5000 + ")" * 5000, "replaceWith": "y", "matchRegex": True},
            "Regular expression too large",
        ),
        (
            {"file": "a.txt", "find": "(a|aa)+(?=b)(a|aa)+$", "replaceWith": "y", "matchRegex": True},
            "takes longer than",
        ),
    ):
        with pytest.raises(InputError, match=problem):
            await ws.run("fs:replace", files=[given])


async def test_a_folder_is_packed_with_all_that_it_holds(ws: Workspace) -> None:
    for name in ("d/b.txt", "d/e/c.md", "d/.h"):
        ws.put(name, name)
    (ws.path / "d/link").symlink_to("/etc/passwd")
    assert await ws.run("zip", path="d", outputPath="o/o.zip") == {"outputPath": "o/o.zip"}
    first = (ws.path / "o/o.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == [".h", "b.txt", "e/", "e/c.md"]
        assert archive.read("e/c.md") == b"d/e/c.md"
    await ws.run("zip", path="d", outputPath="d/o.zip")
    await ws.run("zip", path="d", outputPath="d/o.zip")
    assert (ws.path / "d/o.zip").read_bytes() == first
    await ws.run("zip", path="d/b.txt", outputPath="one.zip")
    with zipfile.ZipFile(ws.path / "one.zip") as archive:
        assert archive.namelist() == ["b.txt"]
    (ws.path / "d" / os.fsdecode(b"odd\xff")).write_bytes(b"o")
    await ws.run("zip", path="d", outputPath="odd.zip")
    with zipfile.ZipFile(ws.path / "odd.zip") as archive:
        assert "odd\ufffd" in archive.namelist()
    with pytest.raises(InputError, match=r"^File nope does not exist\. Can't zip it\.$"):
        await ws.run("zip", path="nope", outputPath="o.zip")


async def test_sleeping_is_told(ws: Workspace) -> None:
    await ws.run("sleep", amount=0.01)
    assert ws.lines == [("info", "Waiting 0.01 seconds")]
    with pytest.raises(InputError, match="sleep amount can not be greater"):
        await ws.run("sleep", amount=1e9)


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("fs:write", {"path": "../x", "content": ""}),
        ("fs:append", {"path": "link/x", "content": ""}),
        ("fs:parse", {"path": "/etc/passwd"}),
        ("fs:parse", {"path": "link/secret"}),
        ("fs:replace", {"files": [{"file": "../*", "find": "a", "replaceWith": "b"}]}),
        ("zip", {"path": "..", "outputPath": "x"}),
        ("zip", {"path": "link/secret", "outputPath": "x"}),
        ("json:merge", {"path": "../x", "content": {}}),
        ("merge", {"path": "../x.json", "content": {}}),
        ("jsonata:json:transform", {"path": "../x.json", "expression": "$"}),
    ],
)
async def test_nothing_outside_of_the_workspace_is_touched(tmp_path: Path, action: str, given: Any) -> None:
    ws = Workspace(tmp_path / "ws")
    ws.put("a", "a")
    (tmp_path / "secret").write_text("mine")
    (ws.path / "link").symlink_to(tmp_path)
    with pytest.raises(NotAllowedError):
        await ws.run(action, **given)
    assert sorted(os.listdir(tmp_path)) == ["secret", "ws"]  # noqa: PTH208


# --- values ----------------------------------------------------------------------------------------------------------


async def test_a_json_file_gets_new_members(ws: Workspace) -> None:
    ws.put("a.json", '{\n    "b": [1,2],\n    "c": {"e": 1}\n}')
    given = {"b": [2, 3], "c": {"d": 2}, "n": None}
    output = await ws.run("json:merge", path="a.json", content=given, mergeArrays=True, matchFileIndent=True)
    assert output == {"path": f"{ws.path}/a.json"}
    assert ws.read("a.json") == (
        '{\n    "b": [\n        1,\n        2,\n        3\n    ],\n'
        '    "c": {\n        "e": 1,\n        "d": 2\n    },\n    "n": null\n}'
    )
    await ws.run("json:merge", path="new.json", content='{"x":1}')
    assert ws.lines == [("info", f"The file {ws.path}/new.json does not exist, creating it.")]
    assert ws.read("new.json") == '{\n  "x": 1\n}'


@pytest.mark.parametrize(
    ("before", "blanks"),
    [
        ('{"a":1}', 2),
        ('{\n "a": 1\n}', 1),
        ('{\n   "a": {\n      "b": 1},\n      "c": {\n   "d": 1}\n}', 3),
        ('{\n    "a": [\n 1,\n 2,\n 3\n    ]\n}', 4),
        ('{\n\t"a": {\n\t\t"b": 1\n\t}\n}', 1),
        ('{\n  "a": [\n      1,\n      2\n  ]\n}', 4),
    ],
)
async def test_a_json_file_keeps_the_depth_of_its_lines(ws: Workspace, before: str, blanks: int) -> None:
    ws.put("a.json", before)
    await ws.run("json:merge", path="a.json", content={"z": 1}, matchFileIndent=True)
    assert ws.read("a.json").endswith(f'\n{" " * blanks}"z": 1\n}}')


async def test_what_is_merged_is_gone_through_member_by_member_whatever_it_is(ws: Workspace) -> None:
    cases = (
        ("{}", "0.5", "{}"), ('{"a":1}', "null", '{"a":1}'), ('{"a":1}', '["x"]', '{"0":"x","a":1}'),
        ("null", '{"a":1}', '{"a":1}'),
        ("[1,2]", "[3]", "[3,2]"), ('[{"a":1}]', '{"0":{"b":2},"2":5}', '[{"a":1,"b":2},null,5]'), ("5", '{"a":1}', "5"),
        ('{"a":[1]}', '{"a":{"b":2}}', '{"a":{"b":2}}'), ("{}", '"ab"', '{"0":"a","1":"b"}'),
    )  # fmt: skip
    for before, given, after in cases:
        ws.put("m.json", before)
        await ws.run("json:merge", path="m.json", content=given)
        assert msgspec.json.decode(ws.read("m.json")) == msgspec.json.decode(after), (before, given)


async def test_json_and_yaml_files_are_merged(ws: Workspace) -> None:
    given = {"b": [2, 3], "c": {"d": 2}, "n": None}
    ws.put("a.json", '{"b": [1,2], "c": {"e": 1}}')
    ws.put("a.yaml", "# comment\nb: [1, 2]\nc:\n  e: 1 # one\n")
    ws.put("x.txt", "q")
    await ws.run("merge", path="a.json", content=given)
    assert (
        ws.read("a.json") == '{\n  "b": [\n    2,\n    3\n  ],\n  "c": {\n    "e": 1,\n    "d": 2\n  },\n  "n": null\n}'
    )
    await ws.run("merge", path="a.yaml", content=given, mergeArrays=True, preserveYamlComments=True)
    assert ws.read("a.yaml") == "b:\n  - 1\n  - 2\n  - 3\nc:\n  e: 1\n  d: 2\nn: null\n"
    assert [level for level, _ in ws.lines] == ["warn"]
    assert await ws.run("merge", path="x.txt", content="a: 1") == {}
    assert ws.read("x.txt") == "q"


async def test_one_of_several_documents_is_found_by_a_field(ws: Workspace) -> None:
    ws.put("a.yaml", "k: 1\n---\nk: 2\n")
    await ws.run("merge", path="a.yaml", content="z: 1", useDocumentIncludingField={"key": "k", "value": "2"})
    assert ws.read("a.yaml") == "k: 1\n---\nk: 2\nz: 1\n"
    with pytest.raises(GreenroomError, match=r"^Multiple documents found"):
        await ws.run("merge", path="a.yaml", content="z: 1")
    with pytest.raises(GreenroomError, match='The value at "z" defined in useDocumentIncludingField must be'):
        await ws.run("merge", path="a.yaml", content="z: 1", useDocumentIncludingField={"key": "z", "value": "2"})
    with pytest.raises(GreenroomError, match=r"nope\.yaml does not exist\.$"):
        await ws.run("merge", path="nope.yaml", content="z: 1")


async def test_values_are_written_as_json_and_yaml(ws: Workspace) -> None:
    data = {"b": 1, "a": [1, {"b": 2, "c": "3"}], "10": 1.5, "9": -0.0}
    assert await ws.run("serialize:json", data=data) == {"serialized": '{"9":0,"10":1.5,"b":1,"a":[1,{"b":2,"c":"3"}]}'}
    output = await ws.run("serialize:json", data=data, replacer=["a", "b"], space="\t")
    assert output == {"serialized": '{\n\t"a": [\n\t\t1,\n\t\t{\n\t\t\t"b": 2\n\t\t}\n\t],\n\t"b": 1\n}'}
    output = await ws.run("serialize:yaml", data={"b": 1, "a": [1, {"b": 2, "c": "3"}]})
    assert output == {"serialized": 'b: 1\na:\n  - 1\n  - b: 2\n    c: "3"\n'}
    options = {"indent": 4, "indentSeq": False, "lineWidth": 0, "nullStr": "~", "singleQuote": True}
    output = await ws.run(
        "serialize:yaml", data={"b": 1, "a": [1, {"b": 2, "c": "3"}], "t": "x " * 60}, options=options
    )
    assert output == {"serialized": f"b: 1\na:\n  - 1\n  - b: 2\n    c: '3'\nt: '{'x ' * 60}'\n"}
    with pytest.raises(InputError, match="The YAML option collectionStyle cannot be 'flow' here"):
        await ws.run("serialize:yaml", data={}, options={"collectionStyle": "flow"})
    with pytest.raises(InputError, match="The YAML options are wrong"):
        await ws.run("serialize:yaml", data={}, options={"indents": 4})


# --- expressions -----------------------------------------------------------------------------------------------------


async def test_expressions_are_evaluated_over_data(ws: Workspace) -> None:
    data = {"a": [{"b": 1}, {"b": 2}]}
    assert await ws.run("jsonata", data=data, expression="{'s': $sum(a.b), 'f': a.b, 'h': 4/2}") == {
        "result": {"s": 3, "f": [1, 2], "h": 2}
    }
    assert await ws.run("jsonata", data=data, expression="nope") == {}
    assert await ws.run("jsonata", data={"a": None}, expression="a") == {"result": None}
    assert await ws.run("jsonata", data={"a": None}, expression="{'x': [a, null]}") == {"result": {"x": [None, None]}}


async def test_expressions_are_evaluated_over_files(ws: Workspace) -> None:
    ws.put("c.json", '{"a":[1,2.50],"b":{"a":1,"c":2}}')
    ws.put("m.yaml", "k: 1\n---\nk: 2\nx: [1,2]")
    output = await ws.run("jsonata:json:transform", path="c.json", expression="a.{'x':$, 'y': 1}")
    assert output == {"result": '[{"x":1,"y":1},{"x":2.5,"y":1}]'}
    given = {"path": "c.json", "expression": "$"}
    assert await ws.run("jsonata:json:transform", **given, **{"as": "object"}) == {
        "result": {"a": [1, 2.5], "b": {"a": 1, "c": 2}}
    }
    output = await ws.run("jsonata:json:transform", **given, replacer=["b", "a"], space="  ")
    assert output == {"result": '{\n  "b": {\n    "a": 1\n  },\n  "a": [\n    1,\n    2.5\n  ]\n}'}
    output = await ws.run("jsonata:yaml:transform", path="c.json", expression="a.{'x':$, 'y': 1}")
    assert output == {"result": "- x: 1\n  y: 1\n- x: 2.5\n  y: 1\n"}
    output = await ws.run("jsonata:yaml:transform", path="m.yaml", loadAll=True, expression="$[k=2]")
    assert output == {"result": "k: 2\nx:\n  - 1\n  - 2\n"}


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("$sum(", "JSONata failed to evaluate the expression: .*"),
        ("$sum(a)", 'JSONata failed to evaluate the expression: Argument 1 of function "sum" must be an array'),
        ("$ceil(a)", 'Argument 1 of function "ceil" does not match function signature$'),
        ('1 < "b"', 'The values 1 and "b" either side of operator "<" must be of the same data type$'),
        ("$abs()", "Context value is not a compatible type with argument 1 of a function$"),
        ("1/0", "expression: float division by zero$"),
        ("($f := function($x) { $f($x) + 1 }; $f(1))", "nested too deeply|more than|stack"),
        ("[1..10000000].('x' & $)", "memory|more than|seconds"),
    ],
)
async def test_an_expression_that_is_wrong_or_too_much_is_told(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, expression: str, problem: str
) -> None:
    monkeypatch.setattr(expressions, "SECONDS", 2)
    with pytest.raises(GreenroomError, match=problem):
        await ws.run("jsonata", data={"a": "x"}, expression=expression)
