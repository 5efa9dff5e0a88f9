"""Every method of upstream's own client gets from Greenroom what it gets from upstream."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.client import FILES_SAID, SELF_SAID, serving
from tests.conformance.oracle import shared_folder, upstream
from tests.conformance.script import HERE, TOKEN, generated_name
from tests.conformance.scrub import Scrubber
from tests.support.house import at_an_address
from tests.support.node import node_modules
from tests.support.postgres import TestServer

FOLDER = Path(__file__).parent
SCRIPT = FOLDER / "catalog_client.mjs"

pytestmark = pytest.mark.skipif(not os.environ.get("GREENROOM_E2E"), reason="make e2e runs this")


@asynccontextmanager
async def real_upstream(folder: Path) -> AsyncIterator[str]:
    """Upstream on an empty database and a port of its own; yields its address."""
    layer = folder / "oracle-config.yaml"
    layer.write_text("catalog: {orphanStrategy: delete}\n")
    async with upstream(None, layer) as oracle:
        yield oracle.base


async def driven(address: str, files: str, modules: Path) -> dict[str, Any]:
    """What the script printed, with what is peculiar to one side made equal."""
    environ = {**os.environ, "BASE": address, "FILES": files, "TOKEN": TOKEN, "NODE_PATH": str(modules)}
    process = await asyncio.create_subprocess_exec(
        shutil.which("node") or "node",
        str(SCRIPT),
        env=environ,
        cwd=modules.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    names = [f"{files}/{name}" for name in ("harbour.yaml", "ferry.yaml", "tug.yaml")]
    generated = {generated_name(f"url:{name}"): f"generated-for-{name.rpartition('/')[2]}" for name in names}
    said = {files: FILES_SAID, files.upper(): FILES_SAID.upper(), address: SELF_SAID}
    found: dict[str, Any] = Scrubber({**generated, **said}).value(json.loads(out))
    return found


async def test_every_method_of_the_client_is_driven_and_answers_as_upstream(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    modules = node_modules("@backstage/catalog-client")
    async with serving(FOLDER / "files") as files:
        async with at_an_address(postgres_server, tmp_path, _config) as greenroom:
            ours = await driven(greenroom.address, files, modules)
        assert ours["undriven"] == []
        assert not [name for name, answer in ours["answers"].items() if _failed(answer)]
        if not (shared_folder() / "oracle" / "oracle.sh").exists():
            pytest.skip("Greenroom answered; there is no upstream here to compare with")
        async with real_upstream(tmp_path) as address:
            theirs = await driven(address, files, modules)
    assert theirs["undriven"] == []
    assert list(ours["answers"]) == list(theirs["answers"])
    for name, answer in theirs["answers"].items():
        assert ours["answers"][name] == answer, name


def _config(address: str) -> str:
    return (HERE / "base.yaml").read_text().replace("${self}", address)


def _failed(answer: Any) -> bool:
    """The server's fault, or the script's own."""
    return isinstance(answer, dict) and "thrown" in answer and not 400 <= answer.get("status", 0) < 500
