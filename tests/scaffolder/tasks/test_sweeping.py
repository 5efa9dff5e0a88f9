"""What a killed process left on disk goes, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from greenroom_scaffolder.storage.store import MIGRATIONS
from greenroom_scaffolder.tasks.sweeping import Sweeper
from tests.scaffolder.tasks.house import process
from tests.support.postgres import MigratedDatabase


def left(root: Path, name: str, age: float = 3600.0) -> Path:
    folder = root / name
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "token").write_text("s3cr3t")
    past = folder.stat().st_mtime - age
    os.utime(folder, (past, past))
    return folder


async def test_only_folders_of_tasks_that_have_ended_are_removed(
    migrated_database: MigratedDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "greenroom.scaffolder")
    async with process(await migrated_database([MIGRATIONS])) as one:
        running = await one.create()
        await one.store.claim(1, 7)
        one.work()
        done, young = await one.create(), await one.create()
        await one.ended(done)
        await one.ended(young)
        gone = [
            left(tmp_path, done),
            left(tmp_path, f"{done}.1"),
            left(tmp_path, f"{done}.1.skeleton-x_y"),
            left(tmp_path, f"dry-run-{uuid4()}", 25 * 3600),
            left(tmp_path, f"dry-run-content-{uuid4()}", 25 * 3600),
        ]
        kept = [
            left(tmp_path, running),
            left(tmp_path, young, 1),
            left(tmp_path, str(uuid4())),
            left(tmp_path, f"dry-run-{uuid4()}"),
            left(tmp_path, "somebody-else"),
            left(tmp_path, f"{done}.2"),
        ]
        await Sweeper(one.store, lambda: tmp_path, lambda: {f"{done}.2"}).step()
        assert not any(folder.exists() for folder in gone)
        assert all(folder.exists() for folder in kept)
        assert "folders removed that tasks of an ended process had left: 5" in caplog.text


async def test_a_folder_that_cannot_be_removed_stops_nothing(
    migrated_database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(await migrated_database([MIGRATIONS])) as one:
        one.work()
        done = await one.create()
        await one.ended(done)
        left(tmp_path, done)

        def refuse(self: object) -> None:
            raise OSError("no")

        monkeypatch.setattr("greenroom_scaffolder.workspace.workspace.Workspace.remove", refuse)
        assert await Sweeper(one.store, lambda: tmp_path).step() > 0
