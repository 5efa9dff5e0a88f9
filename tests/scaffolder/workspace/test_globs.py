"""Patterns find what globby finds: recorded from the real one (globs_record.cjs), for copyWithoutTemplating and fs:delete,
and what fast-glob finds beneath it, for fs:replace of RoadieHQ."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import InputError, NotAllowedError
from greenroom_scaffolder.workspace import globs
from greenroom_scaffolder.workspace.braces import expand
from greenroom_scaffolder.workspace.descent import FileError
from greenroom_scaffolder.workspace.globs import matches, select
from greenroom_scaffolder.workspace.quota import Quota, QuotaError
from greenroom_scaffolder.workspace.scan import Entry
from greenroom_scaffolder.workspace.workspace import Workspace
from tests.support.waiting import slowness

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("globs.json").read_text())


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Workspace]]:
    made = {name: Workspace.create(tmp_path_factory.mktemp("globs"), name, Quota()) for name in RECORDED["trees"]}
    for name, files in RECORDED["trees"].items():
        for path, target in files.items():
            if path.endswith("/"):
                made[name].mkdir(path)
            elif target:
                made[name].symlink(path, target)
            else:
                made[name].write(path, b"")
    yield made
    for workspace in made.values():
        workspace.remove()


def test_copied_without_templating_is_what_globby_finds(trees: dict[str, Workspace]) -> None:
    """Compared by what stands in the tree: names such as `./a` and what is behind links, globby answers in other words."""
    wrong = []
    for case in RECORDED["cases"]:
        entries = trees[case["tree"]].entries()
        names = {entry.path for entry in entries if entry.path != "linked"}
        expected = {one.removesuffix("/").replace("//", "/").rstrip("/") for one in case.get("copied", ())} & names
        if "error" not in case and set(select(case["patterns"], entries)) - {"linked"} != expected:
            wrong.append(case["patterns"])
    assert wrong == []


def test_deleted_is_what_globby_finds(trees: dict[str, Workspace]) -> None:
    wrong = []
    for case in RECORDED["cases"]:
        workspace = trees[case["tree"]]
        found: set[str] = set()
        for pattern in case["patterns"]:
            with suppress(
                FileError, NotAllowedError
            ):  # below what is no folder, or `..a`, which upstream refuses before
                found.update(one.path for one in workspace.deletable(pattern))
        if (
            "error" not in case
            and sorted(found) != case["deleted"]
            and not any(pattern.startswith("..") for pattern in case["patterns"])
        ):
            wrong.append(case["patterns"])
    assert wrong == []


@pytest.mark.parametrize("hidden", [False, True])
def test_replaced_in_is_what_fast_glob_finds(trees: dict[str, Workspace], hidden: bool) -> None:
    wrong = []
    for case in RECORDED["cases"]:
        if "error" not in case and not any(pattern.startswith("..") for pattern in case["patterns"]):
            found: set[str] = set()
            for pattern in case["patterns"]:
                with suppress(FileError):  # below what is no folder
                    found.update(trees[case["tree"]].matching(pattern, hidden=hidden))
            if sorted(found) != case.get("all" if hidden else "shown", case["deleted"]):
                wrong.append(case["patterns"])
    assert wrong == []


def test_deleting_a_folder_leaves_its_folders_and_what_no_pattern_names(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    for path in ("src/a/b.js", "src/.hidden", "keep.md", "link/x"):
        workspace.write(path, b"")
    workspace.symlink("readme", "keep.md")
    gone = workspace.delete(["src", "**/x", "readme", "none*"])
    names = [path.relative_to(workspace.path).as_posix() for path in gone]
    assert sorted(names) == ["link/x", "readme", "src/.hidden", "src/a/b.js"]
    assert sorted(entry.path for entry in workspace.entries()) == ["keep.md", "link", "src", "src/a"]
    assert workspace.delete(["."]) == [workspace.path / "keep.md"]


def test_what_is_deleted_through_a_link_is_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    workspace = Workspace.create(tmp_path / "work", "task", Quota())
    workspace.write("docs/a.md", b"")
    workspace.symlink("linked", "docs")
    (workspace.path / "out").symlink_to(outside)
    assert workspace.delete(["linked/*.md"]) == [workspace.path / "linked/a.md"]
    with pytest.raises(NotAllowedError):
        workspace.delete(["out/**"])
    workspace.delete(["**"])
    assert (outside / "file").read_text() == "stays"


def test_links_that_multiply_a_tree_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Three hundred links to the folder they are in name each file 300^40 times."""
    workspace = Workspace.create(tmp_path, "task", Quota(max_files=2000))
    for number in range(300):
        workspace.write(f"file{number}", b"")
        workspace.symlink(f"link{number}", ".")
    for pattern in ("**", "**/nothing", "*/*/*", "link7"):
        with pytest.raises(QuotaError, match=r"more than 2000 names, too many to search .*maxFiles"):
            workspace.delete([pattern])
    assert len(workspace.entries()) == 600, "what is refused deletes nothing"
    gone = workspace.delete(["nothing/**", "link7/link8/file1", "file20*", "link7/file?"])
    names = ["link7/link8/file1", "file20", *(f"file20{number}" for number in range(10))]
    assert gone == [
        workspace.path / name for name in [*names, "link7/file0", *(f"link7/file{one}" for one in range(2, 10))]
    ]


def test_links_name_no_file_that_the_system_would_not(tmp_path: Path) -> None:
    """A circle whose names become too long before it has been gone through forty times; broken links in it count as well."""
    workspace = Workspace.create(tmp_path, "task", Quota(max_files=100))
    workspace.write("file", b"")
    workspace.symlink("l" * 200, ".")
    gone = workspace.delete(["**"])
    assert 15 < len(gone) < 30
    assert [entry.kind for entry in workspace.entries()] == ["link"]
    for number in range(10):
        workspace.symlink(f"broken{number}", "nowhere")
    with pytest.raises(QuotaError):
        workspace.delete(["**"])


@pytest.mark.parametrize(
    ("pattern", "alternatives"),
    [
        ("a{b,c}d", ["abd", "acd"]),
        ("{a,b{c,d}}", ["a", "bc", "bd"]),
        ("{1..3}", ["1", "2", "3"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{01..03}", ["01", "02", "03"]),
        ("{a..c}x", ["ax", "bx", "cx"]),
        ("{0..10..5}", ["0", "5", "10"]),
        ("{a}", ["{a}"]),
        ("${a,b}", ["${a,b}"]),
        ("a\\{b,c}", ["a\\{b,c}"]),
        ("[{a,b}]", ["[{a,b}]"]),
        ("{a,b", ["{a,b"]),
        ("{,a}", ["a"]),
    ],
)
def test_braces(pattern: str, alternatives: list[str]) -> None:
    assert expand(pattern) == alternatives


@pytest.mark.parametrize(
    "pattern",
    ["{1..100000}", "{a,b}" * 40, "{{a,b},{c,d}}" * 12, "x" * 10_000, "@(" * 40 + "a" + ")" * 40, "+(a)" * 500],
)
def test_what_stands_for_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="pattern"):
        select([pattern], [Entry("a", "file")])


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 500 + "b",
        "**/a/" * 300 + "b",
        "*" * 4000 + "b",
        "{a,a*}" * 8 + "*b",
        "+(a|aa)" * 100 + "b",
        "*(*(*(a)))b",
        "!(!(!(a*)*)*)b",
        "!(*!(*!(*!(*!(*!(*!(*!(*b))))))))",
        "[a-z]*" * 300 + "0",
        "(a|a|a|a)" * 80 + "b",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    paths = ["a" * 900, "a/" * 450 + "a", "/".join(["a" * 100] * 9)]
    began = time.process_time()
    with suppress(InputError):
        select([pattern], [Entry(path, "file") for path in paths])
    assert time.process_time() - began < 5 * slowness()


@pytest.mark.parametrize("pattern", ["+(a|b){1..1000}", "**/*{1..1000}*z"])
def test_a_pattern_for_many_files_ends_as_well(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "LONGEST_SEARCH", 0.2)
    entries = [Entry(f"folder{number % 50}/file{number}", "file") for number in range(20_000)]
    with pytest.raises(InputError, match=r"takes longer than 0\.2 seconds"):
        select([pattern], entries)
    with pytest.raises(InputError, match=r"takes longer than 0\.2 seconds"):
        searched(pattern, entries)


def searched(pattern: str, entries: list[Entry]) -> list[Entry]:
    """What may hold something is asked of each, and of those that may, whether it is wanted: the one is slow, or the other."""
    search = globs.Search(pattern)
    return [entry for entry in entries if search.enters(entry.path) and search.finds(entry.path, entry.kind)]


@given(st.text("ab*?/[]!(){}|@+.,\\-^", max_size=12), st.text("ab./", min_size=1, max_size=8))
def test_any_pattern_at_all_is_answered(pattern: str, path: str) -> None:
    assert matches(pattern, path) in (True, False)
    select([pattern, "!" + pattern], [Entry(path, "file")])
