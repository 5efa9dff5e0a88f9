"""Skeletons that come as archives made to break out, or to blow up: refused in words, or taken for what is sound in them."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from greenroom.plugin import Action, ActionContext, Document, Tree
from greenroom.urls.hosts.archives import Form, gathered
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.fetch import plain_actions, template_actions
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.actions.sources import Sources
from greenroom_scaffolder.tasks.runner import Bounds
from greenroom_scaffolder.workspace.quota import Quota
from tests.hostile.conftest import memory_of
from tests.scaffolder.tasks.rehearsal import Notebook, made, runner_of, spec_of, task_of

MB = 1024**2
MEMORY = 200 * MB
"""What a process may come to take more for any of these archives."""
URL = "https://git.example/o/r/tree/main/s"


class Host:
    """A `UrlReader` of folders that come as one archive."""

    def __init__(self, archive: bytes, form: Form) -> None:
        self._archive = archive
        self._form: Form = form

    def reads(self, url: str) -> bool:
        return True

    async def read(self, url: str, etag: str | None = None) -> Document:
        raise NotImplementedError

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        raise NotImplementedError

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        return gathered(io.BytesIO(self._archive), self._form, "").tree("1")


class Shop:
    """Fetches an archive into a workspace, by either action, and looks at what came of it."""

    def __init__(self, folder: Path) -> None:
        self.workspaces = folder / "workspaces"
        self.workspaces.mkdir()
        self.found: dict[str, str] = {}
        """`{path: "-rw-r--r--"}` of all that stood in the workspace afterwards."""

    async def fetch(self, archive: bytes, form: Form, quota: Quota | None = None) -> str:
        """What was said of it, empty for what was taken: by both actions the same, but for the folder that is written to."""
        actions = ("fetch:plain", "fetch:template")
        with memory_of(MEMORY):
            said = [await self._fetch(action, archive, form, quota or Quota()) for action in actions]
        assert said[0][:9] == said[1][:9]
        assert os.listdir(self.workspaces) == []  # noqa: PTH208 - a glance
        assert os.listdir(self.workspaces.parent) == ["workspaces"]  # noqa: PTH208 - a glance
        return said[0]

    async def _fetch(self, action: str, archive: bytes, form: Form, quota: Quota) -> str:
        sources = Sources(Urls([Host(archive, form)]), quota)
        actions: list[Action[Any]] = [*plain_actions(sources), *template_actions(sources, Engines(), quota)]
        runner = runner_of(self.workspaces, *actions, made("test:look", self._look), bounds=Bounds(quota=quota))
        fetch: dict[str, Any] = {"action": action, "input": {"url": URL}}
        notebook = Notebook()
        outcome = await runner.run(task_of(spec_of(fetch, {"action": "test:look", "if": "${{ always() }}"})), notebook)
        assert "Finished step test:look" in notebook.lines, notebook.lines
        return str((outcome.error or {}).get("message", ""))

    async def _look(self, ctx: ActionContext[Any]) -> None:
        self.found = modes_in(ctx.workspace)


def modes_in(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): stat.filemode(path.lstat().st_mode) for path in root.rglob("*")}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def tar(*members: tuple[str, bytes], **about: Any) -> bytes:
    """`about`: what the heads of all members say besides."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name if name.startswith("/") else f"root/{name}")
            info.size = len(content)
            for key, value in about.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(file.getvalue(), 1)


def zipped(*members: tuple[str, bytes], mode: int = 0o100644) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system, info.external_attr = name, 3, mode << 16
            archive.writestr(info, content)
    return file.getvalue()


def packed(form: Form, *members: tuple[str, bytes]) -> bytes:
    return zipped(*members) if form == "zip" else tar(*members)


FORMS: tuple[Form, ...] = ("tar", "zip")
OUT = ("../x", "../../x", "a/../../x", "/etc/greenroom-was-here", "//x", "./../x", "a/./../../x", "..", ".", "")


@pytest.mark.parametrize("form", FORMS)
async def test_members_that_lead_out_are_left_out(shop: Shop, form: Form) -> None:
    assert await shop.fetch(packed(form, *((name, b"x") for name in (*OUT, "sound"))), form) == ""
    assert sorted(shop.found) == (["sound"] if form == "zip" else ["etc", "etc/greenroom-was-here", "sound"])
    assert not os.path.exists("/etc/greenroom-was-here")  # noqa: ASYNC240, PTH110 - a glance


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
async def test_what_is_neither_file_nor_folder_nor_link_is_left_out(shop: Shop, kind: bytes) -> None:
    archive = tar(("a", b""), type=kind, linkname="/etc/passwd", devmajor=1, devminor=3)
    assert await shop.fetch(archive, "tar") == ""
    assert shop.found == {}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "..", "a/../../.."])
async def test_links_that_lead_out_are_left_out_and_not_written_through(shop: Shop, target: str) -> None:
    for form, archive in (
        ("tar", tar(("a", b""), type=tarfile.SYMTYPE, linkname=target)),
        ("zip", zipped(("a", target.encode()), mode=0o120777)),
    ):
        assert await shop.fetch(archive, "tar" if form == "tar" else "zip") == ""
        assert shop.found == {}


async def test_a_link_and_then_a_file_below_it_stay_inside(shop: Shop) -> None:
    """`a` is a link to a folder of the skeleton, and then a folder itself: one of the two is refused."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("root/a")
        link.type, link.linkname = tarfile.SYMTYPE, "b"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("root/a/x"))
    assert await shop.fetch(file.getvalue(), "tar") != ""
    assert all(mode[0] != "l" for mode in shop.found.values())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_of_twins_the_last_one_counts_and_a_file_is_no_folder(shop: Shop, form: Form) -> None:
    assert await shop.fetch(packed(form, ("a", b"first"), ("a", b"second")), form) == ""
    assert list(shop.found) == ["a"]
    said = await shop.fetch(packed(form, ("a", b"file"), ("a/b", b"x")), form)
    assert said.startswith("ENOTDIR: not a directory")


async def test_nobody_becomes_somebody_else_by_a_mode(shop: Shop) -> None:
    for mode in (0o7777, 0o6755, 0o0001):
        assert await shop.fetch(tar(("a", b"x"), mode=mode), "tar") == ""
        assert shop.found["a"] in ("-rwxr-xr-x", "-rw-r--r--")
        assert await shop.fetch(zipped(("a", b"x"), mode=0o100000 | mode), "zip") == ""
        assert shop.found["a"] in ("-rwxr-xr-x", "-rw-r--r--")


@pytest.mark.parametrize("form", FORMS)
async def test_odd_names_are_kept_or_refused_in_words(shop: Shop, form: Form) -> None:
    assert await shop.fetch(packed(form, ("a\nb", b"x"), ("-rf", b"x"), ("\x1b[2J", b"x")), form) == ""
    assert sorted(shop.found) == ["\x1b[2J", "-rf", "a\nb"]
    for name in ("n" * 300, "/".join(["d"] * 3000)):
        assert (await shop.fetch(packed(form, (name, b"x")), form)).startswith("ENAMETOOLONG")


async def test_a_gigabyte_of_nothing_is_refused_before_it_is_written(shop: Shop) -> None:
    head = tarfile.TarInfo("root/a")
    head.size = 1024 * MB
    squeezed = gzip.compress(head.tobuf() + bytes(MB), 1)  # it is refused by what its head says
    assert "a is larger than" in await shop.fetch(squeezed, "tar")
    lying = zipped(("a", bytes(4 * MB))).replace(struct.pack("<I", 4 * MB), struct.pack("<I", 2**31 - 1))
    assert "a is larger than" in await shop.fetch(lying, "zip")
    many = zipped(*((f"{n}", bytes(8 * MB)) for n in range(3)))
    assert "more than the 20 MB that a task may have" in await shop.fetch(many, "zip", Quota(max_bytes=20 * MB))
    assert "too large for the workspace" in await shop.fetch(many, "zip", Quota(max_file_bytes=MB))


async def test_a_million_entries_are_refused_before_they_are_all_looked_at(shop: Shop) -> None:
    listed = struct.pack("<4sBBBBHHHHIIIHHHHHII", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    listing = (listed + b"a") * 1_000_000
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(listing), 0, 0)
    assert "more than 200000 members" in await shop.fetch(listing + end, "zip")
    some = tar(*((f"{n}", b"") for n in range(50)))
    assert "more than the 20 that a task may have" in await shop.fetch(some, "tar", Quota(max_files=20))
