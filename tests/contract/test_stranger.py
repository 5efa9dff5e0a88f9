"""A stranger's plugin: in a package of its own, a dozen lines long, and found through its entry point alone."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from greenroom.app import running
from greenroom.db import Database
from greenroom.errors import ConfigError
from greenroom.settings import load
from tests.support.asgi import TOKEN, Client
from tests.support.installed import pretend_installed

SOURCE = Path(__file__).with_name("acme")
SMALL = 16
"""Lines, imports and all, without blank ones and docstrings."""
PATIENCE = 60.0
AUTH = {"externalAccess": [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]}


@pytest.fixture
def acme(tmp_path: Path) -> list[str]:
    """Acme's plugin, installed: the folders to put on the path."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["greenroom.plugins"]
    return [str(pretend_installed(tmp_path / "site", points, "acme_greenroom")), str(SOURCE)]


def lines_of_code(path: Path) -> int:
    text = path.read_text()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    docstrings = sum(len(doc.splitlines()) for node in nodes if (doc := ast.get_docstring(node, clean=False)))
    return sum(bool(line.strip()) for line in text.splitlines()) - docstrings


def test_a_whole_plugin_is_about_a_dozen_lines() -> None:
    assert lines_of_code(SOURCE / "acme.py") <= SMALL


async def test_the_entities_of_a_strangers_plugin_are_served(
    acme: list[str], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in acme:
        monkeypatch.syspath_prepend(folder)
    config = load([], {}, {"acme": {"teams": ["Red", "blue"]}, "backend": {"auth": AUTH}})
    async with running(config, {"GREENROOM_DATA": str(tmp_path)}, database=database) as house:
        client = Client(house.asgi)
        async with asyncio.timeout(PATIENCE):
            while len(groups := (await client.get("/api/catalog/entities?filter=kind=group")).json) < 2:
                await asyncio.sleep(0.02)
    assert [group["metadata"]["name"] for group in groups] == ["blue", "Red"]
    assert groups[0]["metadata"]["annotations"]["backstage.io/managed-by-location"] == "url:https://acme.example/teams"


async def test_a_strangers_config_is_checked_like_our_own(
    acme: list[str], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in acme:
        monkeypatch.syspath_prepend(folder)
    with pytest.raises(ConfigError, match=r"acme\.teams"):
        async with running(load([], {}, {"acme": {"teams": 3}}), {"GREENROOM_DATA": str(tmp_path)}, database=database):
            pass


def test_the_command_line_lists_it(acme: list[str]) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*acme, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "greenroom", "plugins"]
    listed = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert "Tells the catalog of Acme's teams." in next(
        line for line in listed.splitlines() if line.startswith("acme ")
    )


def test_our_own_plugins_come_through_the_same_door() -> None:
    points = importlib.metadata.entry_points(group="greenroom.plugins")
    assert "catalog" in {point.name for point in points}
