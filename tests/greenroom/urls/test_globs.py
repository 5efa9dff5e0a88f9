"""Patterns find what minimatch finds, and nobody can write one that keeps the server busy."""

from __future__ import annotations

import json
import subprocess
import time
from random import Random

import pytest

from greenroom.errors import InputError
from greenroom.urls.globs import compile_globs, expand, is_glob
from tests.support.node import node_modules
from tests.support.waiting import slowness


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.yaml", "a.yaml", True),
        ("*.yaml", ".yaml", False),
        ("*.yaml", "b/a.yaml", False),
        ("/a/*", "a/b", True),
        ("a/*", "a/.b", False),
        ("**/x.yaml", "x.yaml", True),
        ("**/x.yaml", "a/b/x.yaml", True),
        ("**/x.yaml", "a/.git/x.yaml", False),
        ("**/.git/x.yaml", "a/.git/x.yaml", True),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("**", "a/b", True),
        ("**/a/**/b", "a/b", True),
        ("**/a/**/b", "x/a/y/z/b", True),
        ("**/a/**/b", "x/y/z/b", False),
        ("**/a/**", "x/a", False),
        ("**/a/**", "x/a/b", True),
        ("**/**/**", "a", True),
        ("a**b", "axxb", True),
        ("a**b", "a/b", False),
        ("*a*a", "aba", True),
        ("*a*a", "a", False),
        ("*.y*ml", "x.yaml.yml", True),
        ("?.md", "é.md", True),
        ("??.md", "é.md", False),
        ("x{a,b{c,d}}.md", "xbd.md", True),
        ("x{a}.md", "x{a}.md", True),
        ("a[b]", "a[b]", True),
    ],
)
def test_a_pattern_finds_what_it_should(pattern: str, path: str, found: bool) -> None:
    assert compile_globs([pattern])(path.encode()) is found


def test_patterns_agree_with_minimatch() -> None:
    random = Random(5)
    words = ("ab.*?", "ab*", "a", "*", "é?")

    def word(letters: str) -> str:
        return "".join(random.choice(letters) for _ in range(random.randint(1, 4)))

    def pattern() -> str:
        parts = ("**", "**", word(random.choice(words)), "{a,b*}", "a{b,c}d")
        return "/".join(random.choice(parts) for _ in range(random.randint(1, 5)))

    def path() -> str:
        return "/".join(word(random.choice(("ab", "ab.", "abé", "abcd"))) for _ in range(random.randint(1, 5)))

    asked = [case for case in ([pattern(), path()] for _ in range(5_000)) if not _goes_up("/".join(case))]
    program = "const {minimatch} = require('minimatch'); const asked = JSON.parse(require('fs').readFileSync(0));"
    program += "console.log(JSON.stringify(asked.map(([pattern, path]) => minimatch(path, pattern))))"
    told = subprocess.run(
        ["node", "-e", program],
        input=json.dumps(asked), capture_output=True, check=True, cwd=node_modules("minimatch"), encoding="utf-8",
    )  # fmt: skip
    theirs = json.loads(told.stdout)
    ours = [compile_globs([pattern])(path.encode()) for pattern, path in asked]
    assert sum(theirs) > 300
    assert [case for case, want, got in zip(asked, theirs, ours, strict=True) if want != got] == []


def _goes_up(text: str) -> bool:
    return any(part.rstrip("*") in (".", "..") for part in text.split("/"))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*a*a*b", "a" * 250),
        ("?" * 500 + "*" * 50 + "b", "a" * 600),
        ("**/" * 12 + "b", "a/" * 500 + "c"),
        ("**/a/" * 12 + "b", "a/" * 500 + "c"),
        ("**/*a*/" * 12 + "b", "aaa/" * 500 + "c"),
        ("*/" * 200 + "b", "a/" * 200 + "c"),
        ("{" + "," * 30_000, "x"),
    ],
)
def test_no_pattern_takes_long_whatever_the_path(pattern: str, path: str) -> None:
    before = time.thread_time()
    assert compile_globs([pattern])(path.encode()) is False
    assert time.thread_time() - before < slowness()


@pytest.mark.parametrize(
    "pattern", ["{a,b}" * 20, "{a," * 2000 + "}" * 2000, "{" + "a," * 300 + "}", "{a,b}" + "x" * 40_000]
)
def test_a_pattern_that_stands_for_thousands_is_refused(pattern: str) -> None:
    before = time.thread_time()
    with pytest.raises(InputError, match="stands for too many"):
        list(expand(pattern))
    assert time.thread_time() - before < slowness()


def test_names_that_are_no_text_are_matched_byte_by_byte() -> None:
    assert compile_globs(["*.yaml"])(b"\xff\xfe.yaml")
    assert is_glob("a{b,c}")
    assert not is_glob("a{b}")
