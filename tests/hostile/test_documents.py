"""Files, patterns and expressions that blow up in `roadiehq:utils:*`: the step fails in words, soon, and the worker goes on."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.plugin import Action, ActionContext
from greenroom_plugins.roadiehq import expressions, files, patterns
from greenroom_plugins.roadiehq.expressions import expression_actions
from greenroom_plugins.roadiehq.files import file_actions
from greenroom_plugins.roadiehq.merging import merging_actions
from greenroom_scaffolder.tasks.runner import Bounds
from greenroom_scaffolder.workspace.quota import Quota
from tests.hostile.conftest import breathes, memory_of
from tests.scaffolder.tasks.rehearsal import Notebook, made, runner_of, spec_of, task_of
from tests.support.waiting import slowness

MB = 1024**2
ACTIONS: list[Action[Any]] = [*file_actions(), *merging_actions(), *expression_actions()]


async def told(
    folder: Path, action: str, given: Mapping[str, Any], written: Mapping[str, bytes] | None = None, **bounds: Any
) -> str:
    """What a step was told of, in a workspace with such files; empty if it was done."""

    async def write(ctx: ActionContext[Any]) -> None:
        for name, content in (written or {}).items():
            (ctx.workspace / name).write_bytes(content)

    runner = runner_of(folder, *ACTIONS, made("test:plant", write), bounds=Bounds(quota=Quota(**bounds)))
    steps: list[dict[str, Any]] = [{"action": "test:plant"}, {"action": f"roadiehq:utils:{action}", "input": given}]
    outcome = await runner.run(task_of(spec_of(*steps)), Notebook())
    return str((outcome.error or {}).get("message", ""))


def nested(depth: int, inside: Any = 0) -> Any:
    for _ in range(depth):
        inside = [inside]
    return inside


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
TOO_MANY, TOO_DEEP = "more than 200000 values", "too deeply"
DOCUMENTS: dict[str, tuple[str, dict[str, Any], bytes, str]] = {
    "aliases": ("fs:parse", {"parser": "yaml"}, ALIASES.encode(), TOO_MANY),
    "a million values": ("fs:parse", {"parser": "yaml"}, b"[" + b"a," * 1_000_000 + b"]", TOO_MANY),
    "documents without end": ("fs:parse", {"parser": "multiyaml"}, b"---\na\n" * 210_000, TOO_MANY),
    "deep YAML": ("fs:parse", {"parser": "yaml"}, b"[" * 100_000, TOO_DEEP),
    "deep JSON": ("fs:parse", {"parser": "json"}, b"[" * 1_000_000, "is not valid JSON"),
    "half deep JSON": ("fs:parse", {"parser": "json"}, b"[" * 900 + b"]" * 900, "nested deeper than 200 levels"),
    "a number without end": ("fs:parse", {"parser": "yaml"}, b"9" * 1_000_000, ""),
    "a text without end": ("fs:parse", {}, b"x" * 65 * MB, "is larger than 67108864 bytes"),
    "deep JSON to merge": ("json:merge", {"content": {"b": 1}}, b'{"a":' * 900 + b"1" + b"}" * 900, TOO_DEEP),
    "deep YAML to merge": ("merge", {"content": {"a": 1}}, b"{a: " * 500 + b"1" + b"}" * 500, TOO_DEEP),
    "aliases to merge": ("merge", {"content": {"a": 1}}, ALIASES.encode(), TOO_MANY),
}


@pytest.mark.parametrize("what", DOCUMENTS)
async def test_a_file_that_blows_up_is_refused(tmp_path: Path, what: str) -> None:
    action, given, content, words = DOCUMENTS[what]
    began = time.process_time()
    async with breathes():
        with memory_of(300 * MB):
            said = await told(tmp_path, action, {"path": "f.yaml", **given}, {"f.yaml": content})
    assert words in said
    assert bool(words) == bool(said)
    assert time.process_time() - began < 10 * slowness()


VALUES: dict[str, tuple[str, Any, str]] = {
    "deep": ("serialize:json", nested(900), TOO_DEEP),
    "deep for YAML": ("serialize:yaml", nested(900), TOO_DEEP),
    "mostly blanks": ("serialize:json", nested(190, [0] * 100_000), "for its indentation"),
    "mostly blanks in YAML": ("serialize:yaml", nested(180, [0] * 300_000), "for its indentation"),
    "a number without end": ("serialize:yaml", 10**400, ""),  # which is infinite to JavaScript, and written as that
}


@pytest.mark.parametrize("what", VALUES)
async def test_a_value_that_blows_up_is_not_written(tmp_path: Path, what: str) -> None:
    action, value, words = VALUES[what]
    space = {"space": " " * 10} if action == "serialize:json" else {}
    with memory_of(200 * MB):
        said = await told(tmp_path, action, {"data": {"x": value}, **space})
    assert words in said
    assert bool(words) == bool(said)


async def test_patterns_that_are_slow_together_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_SECONDS", 0.2)
    slow = {"file": "*", "find": "(a|a|b)*$", "replaceWith": "x", "matchRegex": True}
    many = {f"{number}": b"ab" * 40_000 for number in range(50)}
    async with breathes():
        assert "take longer than 0.2 seconds together" in await told(tmp_path, "fs:replace", {"files": [slow]}, many)
        monkeypatch.setattr(patterns, "SECONDS", 0.1)
        evil = {**slow, "find": "^(a|a|aa)*$"}
        said = await told(tmp_path, "fs:replace", {"files": [evil]}, {"f": b"a" * 60 + b"!"})
    assert "takes longer than 0.1 seconds" in said


LONG = int(os.environ.get("HOSTILE_EXAMPLES", "5")) > 5
"""Also what takes its seconds (`make hostile`)."""
EXPRESSIONS = {
    "deeper for ever": "($f := function($x) {$f($x) + $f($x)}; $f(1))",
    "too long a text": "($f := function($s, $n) {$n = 0 ? $s : $f($s & $s, $n - 1)}; $f('xxxxxxxx', 22))",
}
SLOW_EXPRESSIONS = {
    "for ever": "($f := function($x) {$f($x + 1)}; $f(1))",
    "maps of maps": "$map([1..9999], function($a) {$map([1..9999], function($b) {$map([1..9999], function($c) {1})})})",
    "a pattern": "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a|a)*$/)",
    "too large a range": "[1..9999999]",
}
if LONG:
    EXPRESSIONS |= SLOW_EXPRESSIONS


@pytest.mark.parametrize("what", EXPRESSIONS)
async def test_an_expression_without_end_is_given_up(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "SECONDS", 1)
    async with breathes():
        with memory_of(100 * MB):
            said = await told(tmp_path, "jsonata", {"data": {}, "expression": EXPRESSIONS[what]})
    assert said.startswith("JSONata failed to evaluate the expression: ")


async def test_an_archive_grows_piece_by_piece_and_no_larger_than_it_may(tmp_path: Path) -> None:
    large = {"f": bytes(40 * MB)}
    with memory_of(25 * MB):
        assert await told(tmp_path, "zip", {"path": ".", "outputPath": "a.zip"}, large) == ""
    many = {f"{number}": os.urandom(MB) for number in range(6)}
    said = await told(tmp_path, "zip", {"path": ".", "outputPath": "a.zip"}, many, max_bytes=10 * MB)
    assert "more than the 10 MB that a task may have" in said
    said = await told(tmp_path, "zip", {"path": ".", "outputPath": "a.zip"}, many, max_file_bytes=3 * MB)
    assert "is too large for the workspace" in said


async def test_an_archive_does_not_hold_itself(tmp_path: Path) -> None:
    async def look(ctx: ActionContext[Any]) -> Mapping[str, Any]:
        with zipfile.ZipFile(ctx.workspace / "b/a.zip") as archive:
            return {"names": archive.namelist(), "bad": archive.testzip()}

    runner = runner_of(tmp_path, *ACTIONS, made("test:look", look))
    pack = {"action": "roadiehq:utils:zip", "input": {"path": "./", "outputPath": "./b/../b/a.zip"}}
    steps: list[dict[str, Any]] = [
        {"action": "test:write", "input": {"path": "f", "content": "x"}},
        pack,
        pack,
        {"id": "l", "action": "test:look"},
    ]
    outcome = await runner.run(task_of(spec_of(*steps, output={"l": "${{ steps.l.output }}"})), Notebook())
    assert outcome.output == {"l": {"names": ["b/", "f"], "bad": None}}
