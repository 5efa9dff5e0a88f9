"""The demo of `make run`, served for the tests of a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.postgres import open_folder
from tests.support.processes import READINESS, Process, started, until

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "demo"
TOKEN = "greenroom-demo-token"
LAYER = {
    "backend": {"listen": {"host": "127.0.0.1", "port": 0}},
    "catalog": {"providers": {"git": {"demo": {"schedule": {"frequency": {"hours": 1}}}}}},
}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Process, Path]]:
    """The server, and the folder of its repositories."""
    with open_folder() as folder:
        repositories = folder / "repositories"
        subprocess.run([sys.executable, DEMO / "setup.py", repositories], check=True, capture_output=True)
        (folder / "layer.yaml").write_text(yaml.safe_dump(LAYER))
        environ = {"GREENROOM_DATA": str(folder / "data"), "GREENROOM_DEMO": str(repositories)}
        layers: list[str | Path] = ["serve", "--config", DEMO / "app-config.yaml", "--config", folder / "layer.yaml"]
        with started(folder / "log", layers, environ, cwd=folder) as process:
            until(lambda: process.get(READINESS)[0] == 200)
            until(lambda: process.get("/api/catalog/entities/by-name/template/default/python-service", TOKEN)[0] == 200)
            yield process, repositories
