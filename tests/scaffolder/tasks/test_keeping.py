"""What a workspace held is there for who goes on, whoever looked at it first, and whatever came in between."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from greenroom_scaffolder.storage.rows import Claim, Progress
from greenroom_scaffolder.storage.writer import Book, Leaf
from greenroom_scaffolder.tasks.journal import LITTLE, TaskJournal, read_progress
from greenroom_scaffolder.tasks.keeping import Keeper
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.tasks.house import Reversed
from tests.scaffolder.tasks.rehearsal import Notebook


def test_two_threads_that_look_first_write_into_one_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looks while the first is about to make it."""
    keeper = Keeper(tmp_path, "task-1", Quota())
    find = keeper._free_name
    second = threading.Thread(target=lambda: keeper.workspace.write("second", b"2"))

    def slowly() -> str:
        monkeypatch.setattr(keeper, "_free_name", find)
        second.start()
        second.join(0.1)
        return find()

    monkeypatch.setattr(keeper, "_free_name", slowly)
    keeper.workspace.write("first", b"1")
    second.join()
    assert [folder.name for folder in tmp_path.iterdir()] == ["task-1"]
    assert sorted(path.name for path in keeper.workspace.path.iterdir()) == ["first", "second"]


class Held(Notebook):
    """A journal that takes its time over the first archive, and then does whatever `let` says."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def workspace(self, archive: bytes | None) -> None:
        first = not self.asked.is_set()
        self.asked.set()
        if first:
            await self.let.wait()
        await super().workspace(archive)


async def test_of_two_who_keep_the_workspace_at_once_the_last_that_is_written_is_the_last_that_was(
    tmp_path: Path,
) -> None:
    keeper, journal = Keeper(tmp_path, "task-1", Quota()), Held()
    keeper.workspace.write("a", b"before")
    one = asyncio.create_task(keeper.keep(journal, {}))
    await journal.asked.wait()
    keeper.workspace.write("a", b"after")
    two = asyncio.create_task(keeper.keep(journal, {}))
    await asyncio.wait([two], timeout=0.1)  # it must not, but it could
    journal.let.set()
    await asyncio.gather(one, two)
    assert await _content(tmp_path, journal.archive()) == b"after"


async def test_what_was_not_written_as_its_step_was_ended_is_written_with_the_next(tmp_path: Path) -> None:
    keeper, journal = Keeper(tmp_path, "task-1", Quota()), Held()
    keeper.workspace.write("a", b"kept")
    keeping = asyncio.create_task(keeper.keep(journal, {}))
    await journal.asked.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    assert (keeping.cancelled(), journal.archive()) == (True, None)
    await keeper.keep(journal, {})
    assert await _content(tmp_path, journal.archive()) == b"kept"
    await keeper.keep(journal, {})
    assert [what for what, _ in journal.entries].count("workspace") == 1


async def _content(root: Path, archive: bytes | None) -> bytes:
    again = Keeper(root, "task-2", Quota())
    await again.restore(archive)
    return (again.workspace.path / "a").read_bytes()


class Watched(Reversed):
    """Remembers in which threads it is at work."""

    def __init__(self) -> None:
        self.threads: list[bool] = []

    def seal(self, plain: bytes, task_id: str) -> str:
        self.threads.append(threading.current_thread() is threading.main_thread())
        return super().seal(plain, task_id)

    def open(self, sealed: str, task_id: str) -> bytes:
        self.threads.append(threading.current_thread() is threading.main_thread())
        return super().open(sealed, task_id)


class Page:
    """A book of which nobody turns the leaf."""

    def __init__(self) -> None:
        self.leaf = Leaf()


@pytest.mark.parametrize(("size", "passing"), [(100, True), (LITTLE + 1, False)])
async def test_a_large_workspace_is_sealed_and_opened_while_others_have_their_turn(size: int, passing: bool) -> None:
    page, sealing = Page(), Watched()
    id_ = cast(Any, "task-1")
    journal = TaskJournal(id_, cast(Book, page), sealing)
    await journal.workspace(b"x" * size)
    kept, page.leaf.workspace = page.leaf.workspace, None
    await journal.workspace(b"x" * size)
    assert page.leaf.workspace is None, "the same is not written twice"
    assert kept is not None
    claim = Claim(id_, "", 1, True, 0, False, b"{}", None)
    _, archive = await read_progress(claim, Progress({}, {}, kept.archive, dropped=False), sealing)
    assert archive == b"x" * size
    assert sealing.threads == [passing, passing]
