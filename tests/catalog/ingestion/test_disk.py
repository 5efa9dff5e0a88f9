"""Patterns of `file` locations: what npm's glob 13 found in the same folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from greenroom.errors import InputError
from greenroom_catalog.ingestion.disk import paths_like

FILES = (
    "x.yaml", "y.yml", ".hid.yaml", "a/x.yaml", "a/.h/x.yaml", "a/d/x.yaml", "a/d/e/z.yaml", "b/x.yaml", "b/y.yaml", "a b/x.yaml",
    "[x]/x.yaml", "c/x1.yaml", "c/x2.yaml", "c/x(1).yaml", "c/x{1}.yaml", "c/X1.yaml",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.yaml", ["x.yaml"]),
        (".*.yaml", [".hid.yaml"]),
        ("*.y{a,}ml", ["x.yaml", "y.yml"]),
        ("*/x.yaml", ["[x]/x.yaml", "a b/x.yaml", "a/x.yaml", "b/x.yaml", "link/x.yaml"]),
        ("**/x.yaml", ["[x]/x.yaml", "a b/x.yaml", "a/d/x.yaml", "a/x.yaml", "b/x.yaml", "link/x.yaml", "x.yaml"]),
        ("link/**/x.yaml", ["link/d/x.yaml", "link/x.yaml"]),
        ("a/**/**/*.yaml", ["a/d/e/z.yaml", "a/d/x.yaml", "a/x.yaml"]),
        ("a/**", ["a", "a/d", "a/d/e", "a/d/e/z.yaml", "a/d/x.yaml", "a/x.yaml"]),
        ("a/**/", ["a", "a/d", "a/d/e"]),
        ("**/.h/*", ["a/.h/x.yaml", "link/.h/x.yaml"]),
        ("{a,{b,c}}/x*.yaml", ["a/x.yaml", "b/x.yaml", "c/x(1).yaml", "c/x1.yaml", "c/x2.yaml", "c/x{1}.yaml"]),
        ("c/x{1..2}.yaml", ["c/x1.yaml", "c/x2.yaml"]),
        ("c/x[!1].yaml", ["c/x2.yaml"]),
        ("c/x[^1].yaml", ["c/x2.yaml"]),
        ("c/[[:alpha:]]1.yaml", ["c/X1.yaml", "c/x1.yaml"]),
        ("c/@(x1|x2).yaml", ["c/x1.yaml", "c/x2.yaml"]),
        ("c/!(x1).yaml", ["c/X1.yaml", "c/x(1).yaml", "c/x2.yaml", "c/x{1}.yaml"]),
        ("c/x?(1).yaml", ["c/x1.yaml"]),
        ("c/x(1).yaml", ["c/x(1).yaml"]),
        ("c/x{1}.yaml", ["c/x{1}.yaml"]),
        ("c/*1.YAML", []),
        ("[x]/x.yaml", []),
        ("[[]x]/x.yaml", ["[x]/x.yaml"]),
        ("a\\x.yaml", ["a/x.yaml"]),
        ("./a/../x.yaml", ["x.yaml"]),
        ("*/../x.yaml", ["x.yaml"]),
        ("nope.yaml", []),
        ("x.yaml/y", []),
    ],
)
def test_a_pattern_stands_for_the_files_that_upstream_finds(tree: Path, pattern: str, found: list[str]) -> None:
    assert paths_like(pattern) == found
    assert paths_like(f"{tree}/{pattern}") == sorted(os.path.normpath(tree / name) for name in found)


def test_a_pattern_of_too_many_alternatives_is_refused() -> None:
    with pytest.raises(InputError):
        paths_like("{1..9}" * 9)


def test_a_folder_that_may_not_be_read_is_passed_over(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def locked(path: str) -> object:
        if str(path).startswith("b"):
            raise PermissionError(13, "no", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert paths_like("{a,b}/*.yaml") == ["a/x.yaml"]
