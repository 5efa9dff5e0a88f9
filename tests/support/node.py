"""Node and packages from npm, where they are installed: tests that need them are skipped elsewhere, and say why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"


def installed(package: str) -> Path | None:
    """The folder `node_modules` that has the package: `GREENROOM_NODE_MODULES`, that of `make e2e`, or an installed upstream's."""
    named, home = os.environ.get("GREENROOM_NODE_MODULES"), os.environ.get("ORACLE_HOME")
    caches = [Path.home() / ".cache" / name for name in ("greenroom-oracle", "greenroom-conformance")]
    homes = [CLIENTS, *([Path(home)] if home else caches)]
    folders = [Path(named)] if named else [home / "node_modules" for home in homes]
    return next((folder for folder in folders if (folder / package / "package.json").is_file()), None)


def node_modules(package: str) -> Path:
    """The same; skips the test where there is none, or no Node."""
    if shutil.which("node") is None:
        pytest.skip("needs Node, which is not installed")
    found = installed(package)
    if found is None:
        pytest.skip(f"needs {package} of npm: make e2e installs it, or GREENROOM_NODE_MODULES says where it is")
    return found
