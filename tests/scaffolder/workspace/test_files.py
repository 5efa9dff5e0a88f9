"""What actions are lent of their workspace: the real thing, and the fake that authors of plugins test with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.errors import GreenroomError, NotAllowedError
from greenroom.plugin import Files
from greenroom.testing import FolderFiles
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.workspace import Workspace


@pytest.fixture(params=["real", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    folder = tmp_path / "ws"
    folder.mkdir()
    real: Files = Workspace(folder.resolve(), Quota())
    return real if request.param == "real" else FolderFiles(folder)


def test_what_is_written_is_read(files: Files) -> None:
    files.write("a/b", b"one")
    files.append("a/b", b" two")
    files.append("new/c", b"three")
    files.pour("d", iter([b"fo", b"ur"]), 0o755)
    files.write("a/b", files.read("a/b").upper())
    assert [files.read(path) for path in ("a/b", "new/c", "d")] == [b"ONE TWO", b"three", b"four"]
    with files.open("d") as file:
        assert (file.read(2), file.read()) == (b"fo", b"ur")


def test_what_stands_there_is_told(files: Files, tmp_path: Path) -> None:
    files.write("a/b", b"one")
    (tmp_path / "ws/l").symlink_to("a")
    found = {entry.path: (entry.kind, entry.size) for entry in files.entries() if entry.kind != "folder"}
    assert found["a/b"] == ("file", 3)
    assert found["l"][0] == "link"
    assert sorted(entry.path for entry in files.entries(recursive=False)) == ["a", "l"]
    assert [entry.path for entry in files.entries("a")] == ["a/b"]
    kinds = [files.find("a/b"), files.find("a"), files.find("l"), files.find("l", follow=True), files.find("nothing")]
    assert [one and one.kind for one in kinds] == ["file", "folder", "link", "folder", None]
    assert [one.mode & 0o111 for one in kinds[:1] if one] == [0]


def test_files_are_found_by_patterns(files: Files) -> None:
    for path in ("a.txt", "b/c.txt", "b/.env", ".github/d.txt", "b/e.md"):
        files.write(path, b"")
    assert list(files.matching("**/*.txt")) == ["a.txt", "b/c.txt"]
    assert sorted(files.matching("**/*.txt", hidden=True)) == [".github/d.txt", "a.txt", "b/c.txt"]
    assert [list(files.matching(one)) for one in (".github/*", "b", "b/.env")] == [[".github/d.txt"], [], ["b/.env"]]


TRIES: list[Callable[[Files, str], object]] = [
    lambda files, path: files.read(path),
    lambda files, path: files.write(path, b"x"),
    lambda files, path: files.append(path, b"x"),
    lambda files, path: files.pour(path, [b"x"]),
    lambda files, path: files.find(path, follow=True),
    lambda files, path: files.entries(path),
]


@pytest.mark.parametrize("path", ["../x", "out/x", "/etc"])
def test_nothing_leads_out(files: Files, tmp_path: Path, path: str) -> None:
    (tmp_path / "x").write_text("not yours")
    (tmp_path / "ws/out").symlink_to(tmp_path)
    for attempt in TRIES:
        with pytest.raises(NotAllowedError):
            attempt(files, path)
    assert (tmp_path / "x").read_text() == "not yours"


def test_what_the_file_system_refuses_is_told_in_nodes_words(files: Files, tmp_path: Path) -> None:
    files.write("a/b", b"")
    with pytest.raises(GreenroomError, match=r"^ENOENT: no such file or directory, open '.*/ws/nothing'$"):
        files.read("nothing")
    with pytest.raises(GreenroomError, match=r"^ENOENT: no such file or directory, open '.*/ws/no/thing'$"):
        files.read("./no/../no//thing")
    with pytest.raises(GreenroomError, match=r"^EISDIR: illegal operation on a directory, read$"):
        files.read("a")
    with pytest.raises(GreenroomError, match=r"^EISDIR: illegal operation on a directory"):
        files.write("a", b"")
    assert os.listdir(tmp_path / "ws") == ["a"]  # noqa: PTH208 - a glance
