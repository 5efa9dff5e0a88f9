"""publish:git, as a template uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.errors import InputError
from greenroom.plugin import Action, DataFolder
from greenroom.settings import AppConfig
from greenroom.settings.layers import overrides_layer
from greenroom.testing import FakeActionContext, FakeHost
from greenroom.urls import Urls
from greenroom_plugins.git.plugin import publishing
from tests.plugins.git.repositories import ENVIRON


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    (made / "service").mkdir(parents=True)
    (made / "catalog-info.yaml").write_text("kind: X", encoding="utf-8")
    (made / "service" / "main.py").write_text("", encoding="utf-8")
    return made


def made(tmp_path: Path, **scaffolder: Any) -> Action[Any]:
    folders = [{"host": "git.local", "path": str(tmp_path / "srv")}]
    config = AppConfig([overrides_layer({"scaffolder": {"publishGit": {"folders": folders}, **scaffolder}})])
    host = FakeHost({AppConfig: config, DataFolder: DataFolder(tmp_path / "data"), Urls: Urls()})
    [action] = publishing.build(config.section(publishing.section, publishing.config), host)
    assert isinstance(action, Action)
    return action


async def run(
    action: Action[Any], workspace: Path, said: Mapping[str, Any], checkpoints: dict[str, Any] | None = None
) -> tuple[Mapping[str, Any], FakeActionContext[Any]]:
    ctx = FakeActionContext(msgspec.convert(said, action.input), workspace)
    ctx.checkpoints = checkpoints if checkpoints is not None else {}
    return await action.run(ctx) or {}, ctx


def shown(repository: Path, what: str, branch: str = "master") -> str:
    command = ["git", f"--git-dir={repository}", "log", "-1", f"--format={what}", "--name-only", branch]
    return subprocess.run(command, env=ENVIRON, check=True, capture_output=True, text=True).stdout


async def test_the_workspace_is_published_and_told_as_upstreams_publishers_tell_it(
    tmp_path: Path, workspace: Path
) -> None:
    outputs, ctx = await run(made(tmp_path), workspace, {"repoUrl": "git.local?owner=team&repo=app"})
    home = tmp_path / "srv" / "team" / "app.git"
    commit = shown(home, "%H").split()[0]
    assert outputs == {
        "remoteUrl": home.as_uri(),
        "repoContentsUrl": f"{home.as_uri()}/-/blob/master",
        "commitHash": commit,
    }
    assert shown(home, "%an|%ae|%s").split("\n", 1) == [
        "Scaffolder|scaffolder@backstage.io|initial commit",
        "\ncatalog-info.yaml\nservice/main.py\n",
    ]
    assert ctx.log.lines == [
        ("info", f"Publishing to {home.as_uri()}"),
        ("info", f"Published 2 files as commit {commit[:12]} of master"),
    ]


async def test_a_step_that_is_run_again_makes_the_same_commit(tmp_path: Path, workspace: Path) -> None:
    action, remembered = made(tmp_path), {"publish:git": 1_000_000_000}
    said = {"repoUrl": "git.local?owner=team&repo=app", "defaultBranch": "main"}
    first, _ = await run(action, workspace, said, remembered)
    assert (await run(action, workspace, said, remembered))[0] == first
    assert shown(tmp_path / "srv" / "team" / "app.git", "%at", "main").startswith("1000000000\n")
    assert action.idempotent
    assert not action.dry_run


async def test_config_says_what_templates_do_not(tmp_path: Path, workspace: Path) -> None:
    author = {"name": "Ours", "email": "ours@example.org"}
    action = made(tmp_path, defaultAuthor=author, defaultCommitMessage="Made here")
    await run(action, workspace, {"repoUrl": "git.local?owner=o&repo=a"})
    assert shown(tmp_path / "srv/o/a.git", "%an|%ae|%s").startswith("Ours|ours@example.org|Made here\n")
    said = {"gitAuthorName": "Jo", "gitAuthorEmail": "jo@example.org", "gitCommitMessage": "Mine"}
    await run(action, workspace, {"repoUrl": "git.local?owner=o&repo=b", **said})
    assert shown(tmp_path / "srv/o/b.git", "%an|%ae|%s").startswith("Jo|jo@example.org|Mine\n")


@pytest.mark.parametrize("path", ["service", "./service/", "../service", "../../service/."])
async def test_a_folder_of_the_workspace_is_published(tmp_path: Path, workspace: Path, path: str) -> None:
    await run(made(tmp_path), workspace, {"repoUrl": "git.local?owner=o&repo=a", "sourcePath": path})
    assert shown(tmp_path / "srv/o/a.git", "").strip() == "main.py"


@pytest.mark.parametrize("path", ["nothing", "service/main.py"])
async def test_what_is_no_folder_of_the_workspace_is_told(tmp_path: Path, workspace: Path, path: str) -> None:
    with pytest.raises(InputError, match=f"The workspace has no folder {path} to publish"):
        await run(made(tmp_path), workspace, {"repoUrl": "git.local?owner=o&repo=a", "sourcePath": path})
    assert not (tmp_path / "srv/o").exists()


@pytest.mark.parametrize("said", [{}, {"repoUrl": "git.local?owner=o&repo=a", "remoteUrl": "https://x.example/a.git"}])
async def test_it_must_be_said_where_to(tmp_path: Path, workspace: Path, said: dict[str, str]) -> None:
    with pytest.raises(InputError, match="needs a repoUrl or a remoteUrl, and not both"):
        await run(made(tmp_path), workspace, said)
