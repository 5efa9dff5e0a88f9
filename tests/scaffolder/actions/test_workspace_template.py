"""workspace:template and workspace:template:file."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.errors import GreenroomError, InputError, NotAllowedError
from greenroom_scaffolder.actions.rendering import Engines
from greenroom_scaffolder.actions.workspace_template import workspace_template_actions
from greenroom_scaffolder.workspace.quota import Quota
from tests.scaffolder.actions.fakes import by_id, grown, plant, run, told

ACTIONS = by_id(workspace_template_actions(Engines(), Quota()))
FOLDER = {"sourcePath": "in", "targetPath": "out", "copyWithoutTemplating": ["*.raw"], "values": {"a": 1}}


async def test_a_folder_of_the_workspace_is_filled_in(tmp_path: Path) -> None:
    plant(tmp_path, {"in/${{ values.a }}.txt": "${{ values.a }}", "in/x.raw": "${{ values.a }}"})
    ctx, _ = await run(ACTIONS["workspace:template"], FOLDER, tmp_path)
    assert grown(tmp_path)["out/1.txt"] == b"1"
    assert grown(tmp_path)["out/x.raw"] == b"${{ values.a }}"
    assert told(ctx)[0] == "Listing files and directories in template"
    assert told(ctx)[-1] == f"Template result written to {tmp_path}/out"


async def test_a_folder_cannot_be_filled_in_into_itself(tmp_path: Path) -> None:
    plant(tmp_path, {"in/a": ""})
    with pytest.raises(InputError, match="targetPath must not be within template path"):
        await run(ACTIONS["workspace:template"], {**FOLDER, "targetPath": "in/deeper"}, tmp_path)


async def test_a_file_of_the_workspace_is_filled_in(tmp_path: Path) -> None:
    plant(tmp_path, {"a.txt": "${{ values.a }}"})
    given = {"sourcePath": "a.txt", "targetPath": "b/c.txt", "values": {"a": 1}}
    ctx, _ = await run(ACTIONS["workspace:template:file"], given, tmp_path)
    assert grown(tmp_path)["b/c.txt"] == b"1"
    assert told(ctx) == [
        'Processing template file with input values {"a":1}',
        f"Template file has been written to {tmp_path}/b/c.txt",
    ]


async def test_only_the_workspace_is_read(tmp_path: Path) -> None:
    workspace = plant(tmp_path / "ws", {"a": ""})
    plant(tmp_path, {"secret/a": ""})
    with pytest.raises(NotAllowedError):
        await run(ACTIONS["workspace:template"], {**FOLDER, "sourcePath": "../secret"}, workspace)
    given = {"sourcePath": "../secret/a", "targetPath": "b"}
    with pytest.raises(NotAllowedError):
        await run(ACTIONS["workspace:template:file"], given, workspace)
    with pytest.raises(GreenroomError, match="ENOENT"):
        await run(ACTIONS["workspace:template"], {**FOLDER, "sourcePath": "nope"}, workspace)
