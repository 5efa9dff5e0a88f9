"""fs:delete, fs:rename, fs:readdir."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from greenroom.errors import GreenroomError, NotAllowedError
from greenroom_scaffolder.actions.filesystem import filesystem_actions, read_folder
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import by_id, grown, plant, run, told

ACTIONS = by_id(filesystem_actions(Quota()))


async def test_files_are_deleted_and_each_is_told(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "", "b.txt": ""})
    ctx, _ = await run(ACTIONS["fs:delete"], {"files": ["a.txt"]}, tmp_path)
    assert list(grown(tmp_path)) == ["b.txt"]
    assert told(ctx) == [f"File {tmp_path}/a.txt deleted successfully"]


async def test_nothing_outside_is_deleted(tmp_path: Path) -> None:
    workspace = plant(tmp_path / "ws", {"a.txt": ""})
    plant(tmp_path, {"mine.txt": ""})
    with pytest.raises(NotAllowedError):
        await run(ACTIONS["fs:delete"], {"files": ["../mine.txt"]}, workspace)
    assert (tmp_path / "mine.txt").exists()


async def test_a_file_moves_into_a_folder_that_was_not_there(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "a"})
    ctx, _ = await run(ACTIONS["fs:rename"], {"files": [{"from": "a.txt", "to": "z/b.txt"}]}, tmp_path)
    assert grown(tmp_path) == {"z/b.txt": b"a"}
    assert told(ctx) == [f"File {tmp_path}/a.txt renamed to {tmp_path}/z/b.txt successfully"]


async def test_what_is_there_is_replaced_only_on_request(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "a", "b.txt": "b"})
    with pytest.raises(GreenroomError, match="dest already exists"):
        await run(ACTIONS["fs:rename"], {"files": [{"from": "a.txt", "to": "b.txt"}]}, tmp_path)
    await run(ACTIONS["fs:rename"], {"files": [{"from": "a.txt", "to": "b.txt", "overwrite": True}]}, tmp_path)
    assert grown(tmp_path) == {"b.txt": b"a"}


async def test_a_move_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GreenroomError, match="each file must have a from and to property"):
        await run(ACTIONS["fs:rename"], {"files": [{"from": "", "to": "b"}]}, tmp_path)


async def test_what_takes_the_place_of_the_folder_above_it_is_gone_before_and_told_so(tmp_path: Path) -> None:
    plant(tmp_path, {"a/b/c": "1"})
    told_so = f"^ENOENT: no such file or directory, rename '{tmp_path}/a/b' -> '{tmp_path}/a'$"
    with pytest.raises(GreenroomError, match=told_so):
        await run(ACTIONS["fs:rename"], {"files": [{"from": "a/b", "to": "a", "overwrite": True}]}, tmp_path)


async def test_a_folder_is_listed_with_whole_and_relative_paths(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "", "d/e.txt": ""})
    _, output = await run(read_folder, {"paths": ["."]}, tmp_path)
    assert output == {
        "files": [{"name": "a.txt", "path": "a.txt", "fullPath": f"{tmp_path}/a.txt"}],
        "folders": [{"name": "d", "path": "d", "fullPath": f"{tmp_path}/d"}],
    }


async def test_what_is_below_is_listed_in_the_order_of_node(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "", "raw/x.txt": "", "{{x}}/3": "", "raw/in/y": "", "b.bin": ""})
    _, output = await run(read_folder, {"paths": ["."], "recursive": True}, tmp_path)
    assert [one["path"] for one in output["files"]] == ["a.txt", "b.bin", "{{x}}/3", "raw/x.txt", "raw/in/y"]
    assert [one["path"] for one in output["folders"]] == ["raw", "{{x}}", "raw/in"]


async def test_a_folder_whose_name_begins_with_two_dots_is_listed_with_the_others(tmp_path: Path) -> None:
    plant(tmp_path, {"..data/a": ""})
    _, output = await run(read_folder, {"paths": ["."], "recursive": True}, tmp_path)
    assert [file["path"] for file in output["files"]] == ["..data/a"]


async def test_others_have_their_turn_while_a_crowd_of_files_is_told_of(tmp_path: Path) -> None:
    plant(tmp_path, {f"{n}.txt": "" for n in range(1500)})
    deletion = asyncio.create_task(run(ACTIONS["fs:delete"], {"files": ["*.txt"]}, tmp_path))
    turns = 0
    while not deletion.done():
        await asyncio.sleep(0)
        turns += not os.listdir(tmp_path)  # noqa: PTH208 - all are deleted, and now told of
    assert turns >= 3
    assert len(told((await deletion)[0])) == 1500


async def test_a_missing_folder_fails_the_step(tmp_path: Path) -> None:
    with pytest.raises(GreenroomError, match="ENOENT: no such file or directory, scandir"):
        await run(read_folder, {"paths": ["nope"]}, tmp_path)
