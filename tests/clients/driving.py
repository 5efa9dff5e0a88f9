"""A script against a backend -> what every method of a client of upstream's answered, comparable with another run.

python -m tests.clients.driving [catalog] [scaffolder]     asks upstream, and writes its answers into recorded*.json
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.client import FILES_SAID, SELF_SAID, serving
from tests.conformance.oracle import upstream
from tests.conformance.script import TOKEN, generated_name
from tests.conformance.scrub import Scrubber
from tests.support.node import installed

FOLDER = Path(__file__).parent


class Driven(NamedTuple):
    """A client of upstream's, and what drives it."""

    package: str
    script: Path
    recorded: Path
    config: str
    """What both sides are configured with besides."""


CLIENTS = {
    "catalog": Driven(
        "@backstage/catalog-client",
        FOLDER / "catalog_client.mjs",
        FOLDER / "recorded.json",
        "catalog: {orphanStrategy: delete}\n",
    ),
    "scaffolder": Driven(
        "@backstage/plugin-scaffolder-common",
        FOLDER / "scaffolder_client.mjs",
        FOLDER / "recorded_scaffolder.json",
        "scaffolder: {concurrentTasksLimit: 10}\n",
    ),
}


async def driven(client: Driven, address: str, files: str, modules: Path) -> dict[str, Any]:
    """What the script printed: `answers` by name, and the methods of the client that were `undriven`."""
    environ = {**os.environ, "BASE": address, "FILES": files, "TOKEN": TOKEN}
    process = await asyncio.create_subprocess_exec(
        shutil.which("node") or "node",
        str(client.script),
        env=environ,
        cwd=modules.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    names = [f"{files}/{path.name}" for path in (FOLDER / "files").iterdir()]
    generated = {generated_name(f"url:{name}"): f"generated-for-{name.rpartition('/')[2]}" for name in names}
    said = {files: FILES_SAID, files.upper(): FILES_SAID.upper(), address: SELF_SAID}
    found: dict[str, Any] = Scrubber({**generated, **said}).value(json.loads(out))
    return found


async def driven_upstream(client: Driven, modules: Path) -> dict[str, Any]:
    """The same of upstream, on an empty database and ports of its own."""
    async with _upstream(client.config) as address, serving(FOLDER / "files") as files:
        return await driven(client, address, files, modules)


@asynccontextmanager
async def _upstream(config: str) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "config.yaml"
        layer.write_text(config)
        async with upstream(None, layer) as oracle:
            yield oracle.base


def main() -> int:
    for name in sys.argv[1:] or list(CLIENTS):
        client = CLIENTS[name]
        modules = installed(client.package)
        if modules is None:
            sys.exit(f"needs {client.package}: npm ci in {FOLDER}")
        found = asyncio.run(driven_upstream(client, modules))
        client.recorded.write_text(json.dumps(found["answers"], indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
