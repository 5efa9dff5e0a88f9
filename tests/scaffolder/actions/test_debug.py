"""debug:log and debug:wait, line for line as upstream (recorded from it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.errors import GreenroomError
from greenroom_scaffolder.actions.debug import MOST_SHOWN, log, wait
from tests.scaffolder.actions.fakes import plant, run, told


async def test_a_message_is_told_after_the_input_that_it_came_from(tmp_path: Path) -> None:
    ctx, output = await run(log, {"message": "hi"}, tmp_path)
    assert told(ctx) == ['{\n  "message": "hi"\n}', "hi"]
    assert output == {}


async def test_an_empty_message_is_no_line_of_its_own(tmp_path: Path) -> None:
    ctx, _ = await run(log, {"message": ""}, tmp_path)
    assert told(ctx) == ['{\n  "message": ""\n}']


async def test_files_are_listed_folder_by_folder_without_the_folders(tmp_path: Path) -> None:
    plant(tmp_path, {"b.txt": "2", "a/z.txt": "1", "a.txt": "0", ".hidden": ""})
    ctx, _ = await run(log, {"listWorkspace": True}, tmp_path)
    assert told(ctx)[-1] == "Workspace:\n  - .hidden\n  - a/z.txt\n  - a.txt\n  - b.txt"


async def test_contents_are_shown_on_request(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "one\ntwo", "b.bin": b"\xff\x00"})
    ctx, _ = await run(log, {"listWorkspace": "with-contents"}, tmp_path)
    assert told(ctx)[-1] == "Workspace:\n - a.txt:\n\n  one\ntwo\n - b.bin:\n\n  \ufffd\x00"


async def test_a_link_out_of_the_workspace_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of another")
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "link").symlink_to(secret)
    ctx, _ = await run(log, {"listWorkspace": "with-contents"}, workspace)
    assert told(ctx)[-1] == "Workspace:\n - link: [skipped]"


async def test_what_links_lead_to_is_listed_by_their_names(tmp_path: Path) -> None:
    plant(tmp_path, {"d/a": "1", ".h": "2"})
    for name, target in {"l": "d", "d/f": "../.h", "nowhere": "nothing", "self": "self"}.items():
        (tmp_path / name).symlink_to(target)
    ctx, _ = await run(log, {"listWorkspace": True}, tmp_path)
    names = [".h", "d/a", "d/f", "l/a", "l/f", "nowhere", "self"]
    assert told(ctx)[-1] == "\n".join(["Workspace:", *(f"  - {name}" for name in names)])
    ctx, _ = await run(log, {"listWorkspace": "with-contents"}, tmp_path)
    assert " - l/f:\n\n  2\n - nowhere: [skipped]" in told(ctx)[-1]


async def test_a_file_whose_name_begins_with_two_dots_is_shown_with_the_others(tmp_path: Path) -> None:
    plant(tmp_path, {"..data": "here"})
    ctx, _ = await run(log, {"listWorkspace": "with-contents"}, tmp_path)
    assert told(ctx)[-1] == "Workspace:\n - ..data:\n\n  here"


async def test_links_that_lead_to_each_other_are_listed_themselves(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "1"})
    for name in ("l", "m"):
        (tmp_path / name).symlink_to(".")
    ctx, _ = await run(log, {"listWorkspace": True}, tmp_path)
    assert told(ctx)[-1] == "Workspace:\n  - a\n  - l\n  - m"


async def test_a_huge_workspace_does_not_make_a_huge_event(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "x" * (MOST_SHOWN + 1), "b.txt": "y"})
    ctx, _ = await run(log, {"listWorkspace": "with-contents"}, tmp_path)
    assert len(told(ctx)[-1]) < MOST_SHOWN + 200
    assert told(ctx)[-1].endswith("(and more)")


async def test_waiting_adds_up_and_is_limited(tmp_path: Path) -> None:
    await run(wait, {"seconds": 0, "milliseconds": 1}, tmp_path)
    await run(wait, {"seconds": -5}, tmp_path)
    with pytest.raises(GreenroomError, match="maximum threshold of 0 hours, 10 minutes, 0 seconds"):
        await run(wait, {"minutes": 10, "milliseconds": 1}, tmp_path)
