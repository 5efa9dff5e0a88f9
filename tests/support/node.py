"""Node and packages from npm, where they are installed: tests that need them are skipped elsewhere, and say why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def node_modules(package: str) -> Path:
    """The folder `node_modules` that has the package: `GREENROOM_NODE_MODULES`, or that of an installed upstream.

    Skips the test where there is none, or no Node."""
    if shutil.which("node") is None:
        pytest.skip("needs Node, which is not installed")
    caches = [Path.home() / ".cache" / name for name in ("greenroom-oracle", "greenroom-conformance")]
    homes = [Path(os.environ["ORACLE_HOME"])] if os.environ.get("ORACLE_HOME") else caches
    named = os.environ.get("GREENROOM_NODE_MODULES")
    folders = [Path(named)] if named else [home / "node_modules" for home in homes]
    found = next((folder for folder in folders if (folder / package / "package.json").is_file()), None)
    if found is None:
        pytest.skip(f"needs {package} of npm: in GREENROOM_NODE_MODULES, or where oracle.sh install puts it")
    return found
