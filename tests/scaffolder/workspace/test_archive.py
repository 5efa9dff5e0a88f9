"""A workspace that travels, and archives that were forged."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from isal import igzip

from greenroom.errors import NotAllowedError
from greenroom_scaffolder.workspace.archive import ArchiveError
from greenroom_scaffolder.workspace.descent import FileError
from greenroom_scaffolder.workspace.quota import Quota, QuotaError
from greenroom_scaffolder.workspace.workspace import Workspace


def forged(build: Callable[[tarfile.TarFile], None]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        build(tar)
    return igzip.compress(plain.getvalue())


def member(
    name: str,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    data: bytes = b"",
    notes: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[tarfile.TarFile], None]:
    def build(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size, info.pax_headers = kind, link, len(data), dict(notes)
        tar.addfile(info, io.BytesIO(data))

    return build


def test_everything_comes_back_on_another_machine(tmp_path: Path) -> None:
    here = Workspace.create(tmp_path / "one", "task", Quota())
    here.write("bin/run", bytes(range(256)), 0o755)
    here.write("read only", b"x", 0o444)
    here.write("n" * 200 + "/" + "ä" * 100, b"long name")
    here.mkdir("empty")
    here.symlink("bin/link", "../empty")
    here.symlink("broken", "nowhere" * 30)
    (here.path / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"raw")
    os.mkfifo(here.path / "pipe")
    there = Workspace.create(tmp_path / "two", "task", Quota())
    there.unpack(here.pack())
    assert there.entries() == [entry for entry in here.entries() if entry.kind != "other"]
    assert all(there.read(entry.path) == here.read(entry.path) for entry in here.entries() if entry.kind == "file")


def test_a_workspace_is_unpacked_over_what_is_left_of_it(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    workspace.write("a/file", b"first")
    workspace.symlink("link", "a")
    packed = workspace.pack()
    workspace.write("a/file", b"second")
    workspace.unpack(packed)
    assert workspace.read("link/file") == b"first"


def test_one_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    workspace.write("noise", os.urandom(200_000))
    with pytest.raises(QuotaError, match=r"too large to be kept: more than 97\.66 kB packed"):
        workspace.pack(most=100_000)


@pytest.mark.parametrize(
    "build",
    [
        member("/etc/evil", data=b"x"),
        member("../evil", data=b"x"),
        member("a/../../evil", data=b"x"),
        member("hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("device", tarfile.CHRTYPE),
        member("block", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("link", tarfile.SYMTYPE, ""),
        member("link", tarfile.SYMTYPE, "a", notes={"linkpath": "a\0b"}),
    ],
)
def test_a_forged_member_is_refused(tmp_path: Path, build: Callable[[tarfile.TarFile], None]) -> None:
    workspace = Workspace.create(tmp_path / "work", "task", Quota())
    with pytest.raises((ArchiveError, NotAllowedError)):
        workspace.unpack(forged(build))
    assert workspace.entries() == []
    assert [one.name for one in tmp_path.iterdir()] == ["work"]


def test_a_task_with_a_venv_goes_on_in_another_folder(tmp_path: Path) -> None:
    """Its links are what they were: those into the folder that it had lead nowhere, as those of any folder that is moved."""
    here = Workspace.create(tmp_path / "one", "task", Quota())
    here.write("venv/lib/file", b"x")
    targets = {"venv/python": sys.executable, "venv/lib64": "lib", "whole": f"{here.path}/venv/lib", "up": "../../x"}
    for name, target in targets.items():
        (here.path / name).symlink_to(target)
    packed = here.pack()
    here.remove()
    there = Workspace.create(tmp_path / "two", "task.1", Quota())
    there.unpack(packed)
    assert {entry.path: entry.target for entry in there.entries() if entry.kind == "link"} == targets
    assert there.read("venv/lib64/file") == b"x"
    assert not (there.path / "whole").exists()
    again = Workspace.create(tmp_path / "three", "task", Quota())
    again.unpack(there.pack())
    assert again.entries() == there.entries()


def led_out(tmp_path: Path) -> tuple[Workspace, Path]:
    """A workspace that came back with links to a folder outside, and that folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("not yours")

    def build(tar: tarfile.TarFile) -> None:
        member("d/link", tarfile.SYMTYPE, str(outside))(tar)
        member("d/relative", tarfile.SYMTYPE, "../../../outside")(tar)
        member("d/chain", tarfile.SYMTYPE, "link")(tar)
        member("file", tarfile.SYMTYPE, str(outside / "secret.txt"))(tar)
        member("new", tarfile.SYMTYPE, str(outside / "new.txt"))(tar)

    workspace = Workspace.create(tmp_path / "work", "task", Quota())
    workspace.unpack(forged(build))
    return workspace, outside


@pytest.mark.parametrize("through", ["d/link/secret.txt", "d/relative/secret.txt", "d/chain/secret.txt", "file", "new"])
def test_nothing_is_reached_through_a_link_of_an_archive(tmp_path: Path, through: str) -> None:
    workspace, outside = led_out(tmp_path)
    tries: list[Callable[[], object]] = [
        lambda: workspace.read(through),
        lambda: workspace.write(through, b"mine now"),
        lambda: workspace.append(through, b"mine now"),
        lambda: workspace.copy_tree(outside, through),
        lambda: workspace.chmod(through, 0o777),
        lambda: workspace.exists(through),
        lambda: workspace.inside(through),
        lambda: workspace.entries(through),
        lambda: workspace.mkdir(f"{through}/x"),
        lambda: workspace.symlink(f"{through}/x", "y"),
        lambda: workspace.symlink("again", through),
        lambda: workspace.rename(through, "stolen"),
        lambda: workspace.rename("d", through, overwrite=True),
        lambda: workspace.discard(f"{through}/x"),
        workspace.contents,
    ]
    for refused in tries:
        with pytest.raises(NotAllowedError):
            refused()
    assert workspace.matching("**", hidden=True) == []
    assert workspace.deletable("**") == []
    workspace.discard("d")
    workspace.discard("file")
    assert workspace.pack()
    workspace.remove()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret.txt": "not yours"}


@pytest.mark.parametrize(
    "more", [("link/evil", tarfile.REGTYPE), ("link/evil", tarfile.DIRTYPE), ("link", tarfile.DIRTYPE)]
)
@pytest.mark.parametrize("link_first", [True, False])
def test_nothing_is_written_through_a_link_of_the_archive(
    tmp_path: Path, more: tuple[str, bytes], link_first: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    workspace = Workspace.create(tmp_path / "work", "task", Quota())
    members = [member("link", tarfile.SYMTYPE, str(outside)), member(*more)]

    def build(tar: tarfile.TarFile) -> None:
        for one in members if link_first else reversed(members):
            one(tar)
        member("link/deeper", tarfile.SYMTYPE, "x")(tar)

    with pytest.raises((NotAllowedError, FileError)):
        workspace.unpack(forged(build))
    assert list(outside.iterdir()) == []
    assert outside.stat().st_mode & 0o777 == 0o700


def test_bombs_are_stopped(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota(max_bytes=1_000_000, max_files=20, max_file_bytes=1_000_000))
    with pytest.raises(QuotaError):
        workspace.unpack(forged(member("zeros", data=bytes(50_000_000))))

    def many(tar: tarfile.TarFile) -> None:
        for number in range(1000):
            member(str(number))(tar)

    with pytest.raises(QuotaError):
        workspace.unpack(forged(many))


def test_an_endless_header_is_not_read(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    with pytest.raises(ArchiveError, match="too long"):
        workspace.unpack(forged(member("name", tarfile.XHDTYPE, data=bytes(1_000_000))))


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_one_thing_packed_again_and_again_is_stopped(tmp_path: Path, kind: bytes) -> None:
    """It takes no room in the workspace, and each time some in memory."""
    workspace = Workspace.create(tmp_path, "task", Quota(max_files=20))

    def build(tar: tarfile.TarFile) -> None:
        for _ in range(21):
            member("same", kind, "other" if kind == tarfile.SYMTYPE else "")(tar)

    with pytest.raises(QuotaError, match="more than 20 members"):
        workspace.unpack(forged(build))


def with_notes(notes: dict[str, str], times: int = 1) -> Callable[[tarfile.TarFile], None]:
    """A file after headers with such notes."""

    def build(tar: tarfile.TarFile) -> None:
        for _ in range(times):
            tar.fileobj.write(tarfile.TarInfo._create_pax_generic_header(notes, tarfile.XHDTYPE, "utf-8"))  # type: ignore[attr-defined]
        member("file", data=b"1000000000\n" + b"0\n" * 250_000)(tar)

    return build


@pytest.mark.parametrize(
    "build",
    [
        member("file", tarfile.GNUTYPE_SPARSE, data=b"x"),
        with_notes({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        with_notes({"GNU.sparse.map": "0,1," * 5000, "GNU.sparse.size": "1"}),
        with_notes({"size": "-1024"}),
        with_notes({"comment": "x"}, times=3000),
    ],
)
def test_headers_that_take_their_reader_for_ever_are_refused(
    tmp_path: Path, build: Callable[[tarfile.TarFile], None]
) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    with pytest.raises(ArchiveError):
        workspace.unpack(forged(build))


def test_noise_is_no_archive(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "task", Quota())
    workspace.write("a", b"x" * 5000)
    for broken in (b"", b"noise", igzip.compress(b"noise" * 1000), workspace.pack()[:60], workspace.pack()[:-20]):
        with pytest.raises(ArchiveError):
            workspace.unpack(broken)
