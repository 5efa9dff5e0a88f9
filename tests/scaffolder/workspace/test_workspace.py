"""The directory of a task: what a hostile template tries, and what an honest one must not lose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from greenroom.errors import ConflictError, InputError, NotAllowedError
from greenroom_scaffolder.workspace import quota
from greenroom_scaffolder.workspace.descent import OUTSIDE, FileError, Walk, leads_inside
from greenroom_scaffolder.workspace.quota import Quota, QuotaError, Usage
from greenroom_scaffolder.workspace.workspace import MoveError, Workspace
from tests.support.waiting import slowness


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("not yours")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, outside: Path) -> Iterator[Workspace]:
    made = Workspace.create(tmp_path / "work", "task-1", Quota(max_bytes=100_000, max_files=50, max_file_bytes=60_000))
    yield made
    assert (outside / "secret.txt").read_text() == "not yours", "whatever a test does, what is outside stays"
    made.remove()


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Workspace]:
    """It goes away whatever becomes of the test: what deletes the folders of tests does not get that deep."""
    made = Workspace.create(tmp_path / "large", "task", Quota())
    yield made
    made.remove()


# --- where things are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "..", "a/b/../../..", "//etc/passwd", "..data", "/"]
)
def test_a_path_that_leads_out_is_refused_in_upstreams_words(workspace: Workspace, path: str) -> None:
    tries: list[Callable[[], object]] = [
        lambda: workspace.inside(path),
        lambda: workspace.write(path, b""),
        lambda: workspace.read(path),
        lambda: workspace.mkdir(path),
        lambda: workspace.rename(path, "b"),
        lambda: workspace.rename("b", path),
        lambda: workspace.delete([path]),
        lambda: workspace.discard(path),
        lambda: workspace.entries(path),
        lambda: workspace.symlink(path, "a"),
        lambda: workspace.chmod(path, 0o777),
    ]
    for refused in tries:
        with pytest.raises(NotAllowedError, match=OUTSIDE):
            refused()


def test_a_path_inside_is_answered_unresolved(workspace: Workspace) -> None:
    workspace.write("real/file", b"")
    workspace.symlink("link", "real")
    assert workspace.inside("link/file") == workspace.path / "link/file"
    assert workspace.inside("a/./b/../c") == workspace.path / "a/c"
    assert workspace.inside(str(workspace.path / "x")) == workspace.path / "x"
    assert workspace.inside("sub", "../file") == workspace.path / "file"
    assert workspace.inside() == workspace.path


@pytest.mark.parametrize("path", ["a\0b", "a\ud800"])
def test_what_no_path_can_hold_is_refused_clearly(workspace: Workspace, path: str) -> None:
    with pytest.raises(InputError, match="path"):
        workspace.write(path, b"")
    with pytest.raises(InputError, match="path"):
        workspace.symlink("x", path)


def test_endless_names_are_refused(workspace: Workspace) -> None:
    with pytest.raises(FileError, match="ENAMETOOLONG: name too long"):
        workspace.write("n" * 300, b"")
    with pytest.raises(FileError, match="ENAMETOOLONG"):
        workspace.write("d/" * 3000 + "f", b"")
    assert workspace.entries() == []


def test_a_task_id_is_a_plain_name(tmp_path: Path) -> None:
    for bad in ("../x", "", ".", "a/b", "a\0", ".hidden", "x" * 200):
        with pytest.raises(InputError):
            Workspace.create(tmp_path, bad, Quota())


def test_a_planted_workspace_is_not_taken(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/task-9").symlink_to(outside)
    with pytest.raises(ConflictError):
        Workspace.create(tmp_path / "work", "task-9", Quota())


# --- links -----------------------------------------------------------------------------------------------------------


def plant(workspace: Workspace, path: str, target: str | Path) -> None:
    """As a subprocess would: not through the workspace."""
    (workspace.path / path).symlink_to(target)


@pytest.mark.parametrize("through", ["link/secret.txt", "chain/secret.txt", "dots/secret.txt", "file"])
def test_nothing_is_read_or_written_through_a_planted_link(workspace: Workspace, outside: Path, through: str) -> None:
    workspace.mkdir("deep/er")
    plant(workspace, "link", outside)
    plant(workspace, "chain", "link")
    plant(workspace, "dots", "deep/er/../../../../outside")
    plant(workspace, "file", outside / "secret.txt")
    for refused in (
        lambda: workspace.read(through),
        lambda: workspace.write(through, b"mine now"),
        lambda: workspace.chmod(through, 0o777),
        lambda: workspace.exists(through),
        lambda: workspace.inside(through),
        lambda: workspace.mkdir(through + "/x"),
        lambda: workspace.rename(through, "stolen"),
    ):
        with pytest.raises(NotAllowedError, match=OUTSIDE):
            refused()


def test_a_link_to_a_missing_file_outside_does_not_make_it(workspace: Workspace, outside: Path) -> None:
    plant(workspace, "link", outside / "new.txt")
    with pytest.raises(NotAllowedError):
        workspace.write("link", b"x")
    assert not (outside / "new.txt").exists()


def test_links_inside_are_followed(workspace: Workspace) -> None:
    workspace.write("real/deep/file", b"old")
    workspace.symlink("short", "real/deep")
    workspace.symlink("real/up", "../short/file")
    plant(workspace, "absolute", workspace.path / "real")
    workspace.write("real/up", b"new")
    assert workspace.read("absolute/deep/file") == b"new"
    workspace.write("short/made/here", b"x")
    assert (workspace.path / "real/deep/made/here").read_bytes() == b"x"


def test_a_circle_of_links_ends(workspace: Workspace) -> None:
    plant(workspace, "a", "b")
    plant(workspace, "b", "a")
    for refused in (lambda: workspace.read("a"), lambda: workspace.write("a/x", b""), lambda: workspace.inside("b")):
        with pytest.raises(FileError, match="ELOOP"):
            refused()
    workspace.discard("a")
    assert [entry.path for entry in workspace.entries()] == ["b"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "folder/../../x", "../../..", "hop/../../x"])
def test_a_link_out_is_not_made(workspace: Workspace, target: str) -> None:
    workspace.mkdir("folder")
    workspace.mkdir("a/b")
    workspace.symlink("hop", "a/b")
    if target == "hop/../../x":  # through the link that is a/x, and inside
        workspace.symlink("link", target)
        return
    with pytest.raises(NotAllowedError):
        workspace.symlink("link", target)


def test_a_link_is_kept_as_written_and_one_with_an_absolute_target_becomes_relative(workspace: Workspace) -> None:
    workspace.symlink("a/link", "../b/./c")
    workspace.symlink("a/whole", str(workspace.path / "b/c"))
    assert os.readlink(workspace.path / "a/link") == "../b/./c"  # noqa: PTH115 - as written
    assert (workspace.path / "a/whole").readlink() == Path("../b/c")
    workspace.symlink("a/link", "../d")
    assert (workspace.path / "a/link").readlink() == Path("../d")
    workspace.write("file", b"")
    with pytest.raises(FileError):
        workspace.symlink("file", "b")


def test_a_folder_swapped_for_a_link_at_every_moment_lets_nothing_out(workspace: Workspace, outside: Path) -> None:
    """The race that a check followed by a use always loses sooner or later."""
    workspace.mkdir("folder")
    spare, link, folder = workspace.path / "spare", workspace.path / "link", workspace.path / "folder"
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            folder.rename(spare)
            with suppress(OSError):  # the writer made the folder anew, meanwhile
                link.rename(folder)
                folder.rename(link)
            while spare.exists():
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    spare.rename(folder)

    other = threading.Thread(target=swap)
    other.start()
    try:
        for _ in range(1500):
            try:
                workspace.write("folder/planted", b"out!")
            except (NotAllowedError, FileError):
                continue
    finally:
        stop.set()
        other.join()
    assert [one.name for one in outside.iterdir()] == ["secret.txt"]


@contextmanager
def swapped(path: Path, target: Path) -> Iterator[None]:
    """Another thread puts a link to `target` in the place of what is there, and back, again and again."""
    spare, link = path.with_name("spare"), path.with_name("link")
    link.symlink_to(target)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            path.replace(spare)
            link.replace(path)
            path.replace(link)
            spare.replace(path)

    other = threading.Thread(target=swap)
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()


def test_a_file_swapped_for_a_link_at_every_moment_is_not_followed(workspace: Workspace, outside: Path) -> None:
    workspace.write("file", b"")
    read = set()
    with swapped(workspace.path / "file", outside / "secret.txt"):
        for _ in range(3000):
            with suppress(NotAllowedError, FileError):
                workspace.write("file", b"mine")
            with suppress(NotAllowedError, FileError):
                read.add(workspace.read("file"))
    assert read <= {b"", b"mine"}
    assert (outside / "secret.txt").read_text() == "not yours"


def test_links_that_take_long_to_follow_are_not_made(workspace: Workspace, tmp_path: Path) -> None:
    """Fifty that named each other after sixteen hundred names took nine seconds to copy, and a quarter of one at each look."""
    (tmp_path / "source/a").mkdir(parents=True)
    for number in range(20):
        (tmp_path / f"source/long{number}").symlink_to("a/../" * 800 + f"long{number + 1}")
        (tmp_path / f"source/{number}").symlink_to("a/../" * 20 + str(number + 1))
    workspace.copy_tree(tmp_path / "source")
    assert [entry.path for entry in workspace.entries()] == sorted(["a", *map(str, range(8, 20))])
    with pytest.raises(NotAllowedError):
        workspace.symlink("b", "a/../" * 300)
    plant(workspace, "planted", "a/../" * 300)
    with pytest.raises(NotAllowedError):
        workspace.read("planted/x")
    workspace.discard("planted")


DEEP = "/".join(["d"] * 30)
"""Deep enough to be gone at once."""


def test_links_on_a_long_way_are_followed_inside_and_nowhere_else(workspace: Workspace, outside: Path) -> None:
    workspace = Workspace(workspace.path, Quota())
    workspace.write(f"real/{DEEP}/file", b"inside")
    (outside / DEEP).mkdir(parents=True)
    (outside / DEEP / "file").write_text("not yours")
    workspace.symlink("link", "real")
    workspace.symlink(f"real/{DEEP}/up", "../" * 31 + "link")
    plant(workspace, "out", outside)
    plant(workspace, f"real/{DEEP}/out", outside)
    assert workspace.read(f"link/{DEEP}/file") == workspace.read(f"real/{DEEP}/up/{DEEP}/file") == b"inside"
    workspace.write(f"link/{DEEP}/made/here", b"x")
    assert (workspace.path / f"real/{DEEP}/made/here").exists()
    for refused in (f"out/{DEEP}/file", f"real/{DEEP}/out/{DEEP}/file", f"link/{DEEP}/out/secret.txt"):
        with pytest.raises(NotAllowedError, match=OUTSIDE):
            workspace.read(refused)
    with pytest.raises(FileError, match=r"^ENOTDIR"):
        workspace.read(f"real/{DEEP}/file/{DEEP}")


def test_a_folder_far_up_swapped_for_a_link_at_every_moment_is_not_followed(tmp_path: Path, outside: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    workspace.write(f"folder/{DEEP}/file", b"mine")
    (outside / DEEP).mkdir(parents=True)
    (outside / DEEP / "file").write_text("not yours")
    read = set()
    with swapped(workspace.path / "folder", outside):
        for _ in range(3000):
            with suppress(NotAllowedError, FileError):
                read.add(workspace.read(f"folder/{DEEP}/file"))
    assert read <= {b"mine"}


# --- files -----------------------------------------------------------------------------------------------------------


def test_binaries_and_modes_are_kept(workspace: Workspace) -> None:
    data = bytes(range(256)) * 10
    workspace.write("bin/run", data, 0o755)
    assert workspace.read("bin/run") == data
    assert (workspace.path / "bin/run").stat().st_mode & 0o111 == 0o111
    workspace.write("bin/run", b"new", 0o644)
    assert (workspace.path / "bin/run").stat().st_mode & 0o111 == 0o111, (
        "an old file keeps its mode, as node's writeFile"
    )
    workspace.chmod("bin/run", 0o4644)
    assert (workspace.path / "bin/run").stat().st_mode & 0o7777 == 0o644


def test_a_missing_file_is_told_as_node_tells_it(workspace: Workspace) -> None:
    with pytest.raises(FileError) as caught:
        workspace.read("no/such")
    assert caught.value.message == f"ENOENT: no such file or directory, open '{workspace.path}/no/such'"
    assert caught.value.name == "Error"
    with pytest.raises(FileError, match=f"^ENOENT: no such file or directory, chmod '{workspace.path}/no/such'$"):
        workspace.chmod("no/such", 0o600)
    workspace.write("file", b"")
    with pytest.raises(FileError, match="ENOTDIR: not a directory"):
        workspace.write("file/below", b"")
    with pytest.raises(FileError, match=r"^EISDIR: illegal operation on a directory, read$"):
        workspace.read(".")
    with pytest.raises(FileError, match=f"open '{workspace.path}'$"):
        workspace.write("", b"")


def test_a_pipe_does_not_hold_the_worker(workspace: Workspace) -> None:
    os.mkfifo(workspace.path / "pipe")
    for refused in (lambda: workspace.read("pipe"), lambda: workspace.write("pipe", b"x")):
        with pytest.raises(FileError):
            refused()
    assert [entry.kind for entry in workspace.entries()] == ["other"]


def test_names_that_begin_with_two_dots_are_copied_and_packed(workspace: Workspace, tmp_path: Path) -> None:
    """As a mounted configuration of Kubernetes has them; only where somebody writes such a path, upstream refuses it."""
    source = tmp_path / "mounted"
    (source / "..2026").mkdir(parents=True)
    (source / "..2026/key").write_text("value")
    (source / "..data").symlink_to("..2026")
    (source / "..file").write_text("text")
    workspace.copy_tree(source)
    workspace.copy_tree(source / "..file", "file")
    workspace.copy_tree(source, "./sub/")
    other = Workspace.create(tmp_path / "work", "task-2")
    other.unpack(workspace.pack())
    for one in (workspace, other):
        assert (one.path / "..data/key").read_text() == (one.path / "sub/..data/key").read_text() == "value"
        assert (one.path / "..file").read_text() == one.read("file").decode() == "text"
    assert workspace.delete(["file", "sub/..data/*"]) == [workspace.path / "file", workspace.path / "sub/..data/key"]
    for refused in (lambda: workspace.delete(["**"]), workspace.contents, lambda: workspace.read("..file")):
        with pytest.raises(NotAllowedError, match=OUTSIDE):
            refused()


def test_entries_name_everything_without_following_links(workspace: Workspace) -> None:
    workspace.write("b/c/file", b"123", 0o755)
    workspace.write("a", b"")
    workspace.symlink("b/link", "c")
    found = [(entry.path, entry.kind, entry.size, entry.target) for entry in workspace.entries()]
    assert found == [
        ("a", "file", 0, ""),
        ("b", "folder", 0, ""),
        ("b/c", "folder", 0, ""),
        ("b/link", "link", 0, "c"),
        ("b/c/file", "file", 3, ""),
    ]
    assert [entry.path for entry in workspace.entries("b", recursive=False)] == ["b/c", "b/link"]
    assert [entry.path for entry in workspace.entries("b/link")] == ["b/link/file"], "named by the path that was asked"
    assert workspace.entries("b/c")[0].executable
    with pytest.raises(FileError, match="ENOENT"):
        workspace.entries("nowhere")


def test_a_dry_run_sees_files_and_broken_links_but_not_git(workspace: Workspace) -> None:
    workspace.write("a/run", b"\xff", 0o755)
    workspace.write(".git/config", b"")
    workspace.write("sub/.git/config", b"")
    workspace.write(".hidden", b"h")
    workspace.symlink("good", "a/run")
    workspace.symlink("broken", "nowhere")
    assert {(one.path, one.content, one.executable, one.symlink) for one in workspace.contents()} == {
        ("a/run", b"\xff", True, False),
        ("sub/.git/config", b"", False, False),
        (".hidden", b"h", False, False),
        ("broken", b"nowhere", True, True),
    }


def test_a_name_that_is_no_text_keeps_a_dry_run_from_nothing(workspace: Workspace) -> None:
    (workspace.path / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    plant(workspace, os.fsdecode(b"broken\xff"), "nowhere")
    shown = {one.path.encode(): one.content for one in workspace.contents()}
    assert shown == {"caf\ufffd".encode(): b"latin", "broken\ufffd".encode(): b"nowhere"}


def test_a_skeleton_is_copied_with_its_links_but_not_those_that_lead_out(
    workspace: Workspace, tmp_path: Path, outside: Path
) -> None:
    source = tmp_path / "skeleton"
    (source / "sub").mkdir(parents=True)
    (source / "sub/run.sh").write_bytes(b"#!/bin/sh\n")
    (source / "sub/run.sh").chmod(0o755)
    (source / "inner").symlink_to("sub/run.sh")
    (source / "outer").symlink_to("../outside/secret.txt")
    (source / "whole").symlink_to(outside / "secret.txt")
    os.mkfifo(source / "pipe")
    workspace.write("there/sub/run.sh", b"old", 0o600)
    workspace.copy_tree(source, "there")
    assert sorted(entry.path for entry in workspace.entries("there")) == [
        "there/inner",
        "there/sub",
        "there/sub/run.sh",
    ]
    assert workspace.read("there/inner") == b"#!/bin/sh\n"
    assert workspace.entries("there/sub")[0].executable
    workspace.copy_tree(source / "sub/run.sh", "single")
    assert workspace.read("single") == b"#!/bin/sh\n"


def test_a_move_is_refused_in_upstreams_words(workspace: Workspace) -> None:
    workspace.write("a/one", b"1")
    workspace.write("b", b"2")
    with pytest.raises(MoveError, match=r"^dest already exists\.$"):
        workspace.rename("a/one", "b")
    with pytest.raises(MoveError, match=r"^Source and destination must not be the same\.$"):
        workspace.rename("b", "./b")
    with pytest.raises(MoveError, match=r"^Cannot move '.*/a' to a subdirectory of itself, '.*/a/c'\.$"):
        workspace.rename("a", "a/c")
    with pytest.raises(FileError, match="ENOENT"):
        workspace.rename("nothing", "c")
    with pytest.raises(MoveError, match=r"^Cannot overwrite directory '.*/a' with non-directory '.*/b'\.$"):
        workspace.rename("b", "a", overwrite=True)
    with pytest.raises(MoveError, match=r"^Cannot overwrite non-directory '.*/b' with directory '.*/a'\.$"):
        workspace.rename("a", "b")
    workspace.rename("a/one", "b", overwrite=True)
    workspace.rename("a", "new/folder")
    assert workspace.read("b") == b"1"
    assert [entry.path for entry in workspace.entries()] == ["b", "new", "new/folder"]


def test_deleting_follows_no_link(workspace: Workspace, outside: Path) -> None:
    workspace.write("keep/file", b"")
    workspace.write("gone/file", b"")
    workspace.symlink("gone/link", "../keep")
    plant(workspace, "gone/out", outside)
    workspace.discard("gone")
    workspace.discard("never was there")
    assert [entry.path for entry in workspace.entries()] == ["keep", "keep/file"]
    with pytest.raises(NotAllowedError):
        workspace.discard(".")


def test_a_walk_does_not_go_up_to_where_its_folder_was_moved(workspace: Workspace, outside: Path) -> None:
    workspace.mkdir("a/b/c")
    with Walk(workspace.path) as walk:
        walk.go(["a", "b", "c"])
        (workspace.path / "a/b").rename(outside / "b")
        assert os.fstat(walk.go(["a"])).st_ino == (workspace.path / "a").stat().st_ino
        walk.go(["a", "x"])
        assert walk.go(["a", "b"]) == -1, "it is not there any more"
        assert os.path.samestat(os.fstat(walk.go([])), workspace.path.stat())


def test_many_folders_deep_down_are_looked_at_without_coming_from_the_root_each_time(large: Workspace) -> None:
    """A thousand folders above two thousand: an archive of some kilobytes held a thread of the tasks for minutes."""
    folder = os.open(large.path, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("d", dir_fd=folder)
        above, folder = folder, os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(above)
    for number in range(2000):
        os.mkdir(str(number), dir_fd=folder)
    os.close(folder)
    began = time.process_time()
    assert large.usage().files == 3000
    assert leads_inside(large.path, ["d"] * 1000, "1/../" * 200)
    assert time.process_time() - began < 2 * slowness()


def test_many_files_deep_down_are_copied_and_packed_as_well(large: Workspace) -> None:
    for number in range(500):
        large.write("source/" + "d/" * 1000 + str(number), b"")
    began = time.process_time()
    large.copy_tree(large.path / "source", "copy")
    large.pack()
    assert len(large.delete(["copy"])) == 500
    assert time.process_time() - began < 4 * slowness()


def test_a_very_deep_tree_goes_away(workspace: Workspace) -> None:
    """Deeper than descriptors, Python's recursion and the length of a path last."""
    folder = os.open(workspace.path, os.O_RDONLY)
    for _ in range(2200):
        os.mkdir("d", dir_fd=folder)
        deeper = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)
    workspace.remove()
    assert not workspace.path.exists()
    workspace.remove()


FORBIDDING = """
import os, sys
from pathlib import Path
from greenroom_scaffolder.workspace.workspace import Workspace
if os.geteuid() == 0:  # to whom nothing is forbidden
    os.setgid(65534)
    os.setuid(65534)
mode = int(sys.argv[2], 8)
workspace = Workspace.create(Path(sys.argv[1]), "task")
folders = [workspace.path]
for _ in range(150):
    folders.append(folders[-1] / "d")
    folders[-1].mkdir()
    (folders[-1] / "file").write_text("")
for folder in reversed(folders):
    folder.chmod(mode)
workspace.remove()
"""


@pytest.mark.parametrize("mode", ["000", "100", "300", "400", "500"])
def test_what_a_program_forbids_goes_away_all_the_same(mode: str) -> None:
    """Else each run would leave a full workspace on the disk, for ever."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o777)
        subprocess.run([sys.executable, "-c", FORBIDDING, root, mode], check=True, cwd="/")
        assert list(Path(root).iterdir()) == []


# --- quota -----------------------------------------------------------------------------------------------------------


def test_too_much_is_refused_with_figures(workspace: Workspace) -> None:
    large = "The file big of 68.36 kB is too large for the workspace: at most 58.59 kB each"
    with pytest.raises(QuotaError, match=re.escape(f"{large} (scaffolder.workspace.maxFileBytes)")):
        workspace.write("big", b"x" * 70_000)
    workspace.discard("big")
    workspace.write("one", b"x" * 60_000)
    full = "would hold 107.4 kB, more than the 97.66 kB that a task may have (scaffolder.workspace.maxBytes)"
    with pytest.raises(QuotaError, match=re.escape(full)):
        workspace.write("two", b"x" * 50_000)
    workspace.write("one", b"x" * 10)
    workspace.write("two", b"x" * 50_000)
    assert workspace.usage() == Usage(50_010, 2)


def test_folders_and_links_count_too(workspace: Workspace) -> None:
    many = "would hold 51 files and folders, more than the 50 that a task may have (scaffolder.workspace.maxFiles)"
    with pytest.raises(QuotaError, match=re.escape(many)):
        workspace.write("d/" * 60 + "f", b"")
    workspace.discard("d")
    for number in range(50):
        workspace.symlink(str(number), "x")
    tries: list[Callable[[], None]] = [
        lambda: workspace.mkdir("x"),
        lambda: workspace.write("x", b""),
        lambda: workspace.symlink("x", "y"),
    ]
    for refused in tries:
        with pytest.raises(QuotaError):
            refused()
    workspace.mkdir(".")
    assert workspace.check().files == 50, "what is refused leaves nothing, which would fail the next step as well"


def test_what_a_process_wrote_by_itself_is_seen_at_the_check(workspace: Workspace) -> None:
    workspace.write("a", b"x")
    (workspace.path / "by-itself").write_bytes(b"x" * 99_000)
    assert workspace.check() == Usage(99_001, 2)
    with pytest.raises(QuotaError):
        workspace.write("b", b"x" * 1000)
    (workspace.path / "more").write_bytes(b"x" * 2000)
    with pytest.raises(QuotaError):
        workspace.check()


def test_a_tree_of_long_names_goes_away(tmp_path: Path) -> None:
    """Beyond what can be named at once, long before it is deep."""
    workspace = Workspace.create(tmp_path, "task-2", Quota())
    here = os.open(workspace.path, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("n" * 200, dir_fd=here)
        above, here = here, os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    workspace.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_no_more_than_memory_bears(workspace: Workspace) -> None:
    workspace.write("a", b"x" * 2000)
    workspace.write("b", b"x" * 1000)
    assert len(workspace.contents(most=3000)) == 2
    with pytest.raises(QuotaError, match=r"are 2\.93 kB, more than the 2\.929 kB that are shown"):
        workspace.contents(most=2999)


def test_an_endless_source_is_stopped(workspace: Workspace) -> None:
    with pytest.raises(QuotaError):
        workspace.pour("endless", iter(lambda: b"x" * 1000, b""))
    assert workspace.usage().bytes <= 60_000


def test_threads_share_one_account(tmp_path: Path) -> None:
    """Whether they have it from each other, or by its path."""
    limits = Quota(max_bytes=10_000, max_files=1000)
    workspace = Workspace.create(tmp_path, "threads", limits)
    refused: list[str] = []

    def work(name: int) -> None:
        for number in range(50):
            mine = workspace if name % 2 else Workspace(workspace.path, limits)
            try:
                mine.write(f"{name}/{number}", b"x" * 100)
            except QuotaError as error:
                refused.append(error.message)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = workspace.usage()
    assert used.bytes == 10_000
    assert len(refused) == 100


def test_what_one_writes_is_counted_for_all_who_have_the_workspace(workspace: Workspace) -> None:
    other = Workspace(workspace.path, workspace.limits)
    workspace.write("a", b"x" * 50_000)
    other.write("b", b"x" * 40_000)
    with pytest.raises(QuotaError):
        workspace.write("c", b"x" * 40_000)
    other.discard("b")
    workspace.write("c", b"x" * 40_000)
    assert workspace.usage() == Usage(90_000, 2)


def test_who_comes_later_counts_what_processes_wrote_by_themselves(workspace: Workspace) -> None:
    workspace.write("a", b"x")
    (workspace.path / "by-itself").write_bytes(b"x" * 59_000)
    with pytest.raises(QuotaError):
        Workspace(workspace.path, workspace.limits).write("b", b"x" * 50_000)


def test_who_looks_by_other_limits_changes_none(workspace: Workspace) -> None:
    Workspace(workspace.path, Quota()).check()
    with pytest.raises(QuotaError, match=r"at most 58\.59 kB each"):
        workspace.write("a", b"x" * 60_001)


def test_an_account_is_gone_with_the_workspace(tmp_path: Path) -> None:
    """Without waiting for a collection of garbage: tasks come and go by the thousand."""
    before = len(quota.ACCOUNTS)
    one = Workspace.create(tmp_path, "task", Quota())
    other = Workspace(one.path, Quota(max_bytes=10))
    one.write("a", b"x")
    assert len(quota.ACCOUNTS) == before + 1
    del one, other
    assert len(quota.ACCOUNTS) == before
